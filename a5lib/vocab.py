"""The characters a model knows, and their numbers. Knows nothing about files or models."""

from collections.abc import Iterable

from a5lib.errors import InputError

PAD = "\u25a1"  # □ fills a row up to the block size; never a target of the loss
MASK = "\u2047"  # ⁇ marks where a span was taken out, and where an answer begins and ends
PAD_ID, MASK_ID = 0, 1


class CharVocab:
    """Characters to ids and back: 0 = `□` (pad), 1 = `⁇` (mask), then the text's characters, sorted.

    Sorting makes the ids a function of the *set* of characters alone, so that two runs, or two
    machines, agree.

    Raises:
        InputError: the text holds `□` or `⁇`, which would be taken for padding or a mask.
    """

    def __init__(self, text: Iterable[str]):
        characters = sorted(set(text))
        for reserved in (PAD, MASK):
            if reserved in characters:
                raise InputError(f"the text holds the reserved character {reserved!r}; remove or replace it")
        self.characters = [PAD, MASK, *characters]
        self.index = {character: i for i, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> list[int]:
        """Ids of a text's characters.

        Raises:
            InputError: a character that is not in the vocabulary, named with its position.
        """
        try:
            return [self.index[character] for character in text]
        except KeyError:
            at, odd = next((i, c) for i, c in enumerate(text) if c not in self.index)
            raise InputError(
                f"{text[:60]!r}: character {odd!r} at position {at} is not in the pretraining corpus, "
                "so the model has no number for it; replace it or add it to the corpus"
            ) from None

    def decode(self, ids: Iterable[int]) -> str:
        """The text of a sequence of ids."""
        return "".join(self.characters[int(i)] for i in ids)
