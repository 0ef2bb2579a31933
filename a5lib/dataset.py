"""The two data sets, item by item, exactly as the assignment specifies them.

    python -m a5lib.dataset charcorruption     prints some corrupted documents
    python -m a5lib.dataset namedata           prints some question-answer items

An item is a pair (x, y), both (block_size - 1,) int64: y is x shifted by one, and where y is the pad
id 0 the loss does not look. Knows nothing about batches (see ``batches``) or models.
"""

import inspect
import random
import sys
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from a5lib.corpus import TRAIN, WIKI, Question, find_file, read_questions, read_text, split_documents
from a5lib.errors import InputError, located, run_command
from a5lib.vocab import MASK, PAD, PAD_ID, CharVocab

MIN_LENGTH = 4  # the shortest truncation that the assignment allows

Corrupt = Callable[..., str]  # as `corrupt_span`, with the skew or without


def longest_truncation(block_size: int) -> int:
    """The longest truncation: 7/8 of the block, and never so long that the two masks do not fit."""
    return min(block_size * 7 // 8, block_size - 2)


def corrupt_span(document: str, block_size: int, rng: random.Random, skew: float = 1.0) -> str:
    """Move a random span of a document to its end: `prefix⁇suffix⁇span`, padded with `□` to `block_size`.

    1. Truncate to a random length from 4 to int(block_size * 7/8) (see `draw_length`).
    2. Draw the span's length with mean a quarter of the truncated document (see `draw_span_length`),
       and its start, every place as likely.
    3. Rearrange and pad. A document of fewer than 4 characters is kept whole.

    Raises:
        InputError: `block_size` is under 8.
    """
    if block_size < 8:
        raise InputError(f"block size {block_size}: span corruption needs at least 8")
    text = truncate(document, block_size, rng, skew)
    start, stop = choose_span(len(text), rng)
    return rearrange(text, start, stop, block_size)


def truncate(document: str, block_size: int, rng: random.Random, skew: float = 1.0) -> str:
    """The document's beginning, of a random length (see `draw_length`)."""
    return document[: draw_length(block_size, rng, skew)]


def choose_span(length: int, rng: random.Random) -> tuple[int, int]:
    """Start and stop of a random span of a text of `length` characters, a quarter of it on average."""
    span = draw_span_length(length, rng)
    start = rng.randint(0, length - span)
    return start, start + span


def rearrange(text: str, start: int, stop: int, block_size: int) -> str:
    """`prefix⁇suffix⁇span`, padded with `□` to `block_size`."""
    return (text[:start] + MASK + text[stop:] + MASK + text[start:stop]).ljust(block_size, PAD)


def draw_length(block_size: int, rng: random.Random, skew: float = 1.0) -> int:
    """A random truncation length, 4 + range · u^(1/skew), u uniform: every length from 4 on is possible.

    A skew of 1 makes all as likely, as the assignment specifies; above 1 they lean to the long side.
    """
    longest = longest_truncation(block_size)
    return min(longest, MIN_LENGTH + int((longest - MIN_LENGTH + 1) * rng.random() ** (1 / skew)))


def draw_span_length(length: int, rng: random.Random) -> int:
    """A random span length whose mean is length / 4, for every length >= 4.

    Uniform over 1 .. 2q-1 has mean q. A quarter of the length is rarely whole, so q is its floor or
    its ceiling, drawn such that the mean comes out exactly.
    """
    q = max(1, int(length / 4 + rng.random()))
    return min(rng.randint(1, 2 * q - 1), length)


def restore(corrupted: str) -> str:
    """Undo `corrupt_span`: put the span back where its first mask stands (the truncated document)."""
    prefix, suffix, span = corrupted.rstrip(PAD).split(MASK)
    return prefix + span + suffix


class CharCorruptionDataset(Dataset):
    """One corrupted copy of a document per item, drawn anew each time it is asked for.

    Args:
        text: the corpus, a document a line; empty lines are no documents.
        block_size: length of a corrupted document; x and y are one shorter.
        corrupt: ``corrupt_span``, or a function of yours with the same arguments.
        seed: all randomness comes from it: the same seed and order of calls give the same items.
        vocab: default, the text's own.
        skew: of the truncation lengths; a `corrupt` of three arguments draws them as it likes.
    """

    def __init__(
        self,
        text: str,
        block_size: int,
        corrupt: Corrupt = corrupt_span,
        seed: int = 0,
        vocab: CharVocab | None = None,
        skew: float = 1.0,
    ):
        self.vocab = CharVocab(text) if vocab is None else vocab
        self.documents = split_documents(text)
        self.block_size = block_size
        self.corrupt, self.skew = corrupt, skew
        self._more = (skew,) if len(inspect.signature(corrupt).parameters) > 3 else ()
        self.rng = random.Random(seed)

    def __len__(self) -> int:
        return len(self.documents)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        corrupted = self.corrupt(self.documents[index], self.block_size, self.rng, *self._more)
        ids = torch.tensor(self.vocab.encode(corrupted))
        return ids[:-1], ids[1:]


class NameDataset(Dataset):
    """Question-answer pairs: `question⁇place⁇□□…`, with the question's own characters padded out of y.

    Args:
        ascii_only: drop non-ASCII characters from questions and places, as the handout's loader does.

    Raises:
        InputError: a row without a place, too long for the block, with an unknown character, or with
            nothing left of it.
    """

    def __init__(
        self, vocab: CharVocab, questions: Sequence[Question], block_size: int, ascii_only: bool = False
    ):
        self.vocab, self.block_size = vocab, block_size
        self.items = []
        for question in questions:
            with located(question.where):
                self.items.append(self._encode(question, ascii_only))

    def _encode(self, question: Question, ascii_only: bool) -> tuple[Tensor, Tensor]:
        if question.place is None:
            raise InputError(f"{question.text[:60]!r}: a row without a place cannot be trained on")
        text, place = question.text, question.place
        if ascii_only:
            text, place = (s.encode("ascii", errors="ignore").decode() for s in (text, place))
            if not text.strip() or not place.strip():
                raise InputError(
                    f"{question.text[:60]!r}, {question.place[:60]!r}: nothing of it is ASCII; write it so"
                )
        row = f"{text}{MASK}{place}{MASK}"
        if len(row) > self.block_size:
            raise InputError(
                f"{text[:60]!r}: with its answer {len(row)} characters, longer than the model's block of "
                f"{self.block_size}; shorten it or use a larger block"
            )
        ids = self.vocab.encode(row) + [PAD_ID] * (self.block_size - len(row))
        target = [PAD_ID] * (len(text) - 1) + ids[len(text) :]  # the question is given, not predicted
        return torch.tensor(ids[:-1]), torch.tensor(target)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.items[index]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the first items of one of the data sets, as the model sees them."""
    argv = sys.argv[1:] if argv is None else list(argv)
    if len(argv) != 1 or argv[0] not in ("namedata", "charcorruption"):
        raise InputError("usage: python -m a5lib.dataset namedata | charcorruption")
    text = read_text(find_file(WIKI))
    vocab = CharVocab(text)
    if argv[0] == "namedata":
        data: Dataset = NameDataset(vocab, read_questions(find_file(TRAIN), answers=True)[:4], block_size=128)
    else:
        data = CharCorruptionDataset(text, block_size=128)
    print(f"{len(split_documents(text))} documents, {len(vocab)} characters")
    for x, y in (data[i] for i in range(min(4, len(data)))):
        print(f"x: {vocab.decode(x)}\ny: {vocab.decode(y)}")
    return 0


if __name__ == "__main__":
    run_command(main)
