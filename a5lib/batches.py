"""From data sets to batches: padded and in order as in the handout, or the fast lane.

The fast lane keeps the corpus as one tensor on the device, corrupts a whole epoch in a few array
operations, and sorts rows of like length into one batch, so that nearly nothing is padding.

Every class here answers ``epoch(number)`` with that epoch's batches, a list of (x, y) pairs, each
(B, T) int64. An epoch is a function of the seed and its number alone: that is what lets an
interrupted run take up in the middle of one. Knows nothing about models or training.
"""

import itertools
import random
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from a5lib.dataset import MIN_LENGTH, CharCorruptionDataset, NameDataset, corrupt_span, longest_truncation
from a5lib.vocab import MASK_ID, PAD_ID, CharVocab

Batch = tuple[Tensor, Tensor]


def epoch_seed(seed: int, epoch: int) -> int:
    """One number for a seed and an epoch, so that no two pairs in use share their random draws."""
    return seed * 1_000_003 + epoch


class PaddedBatches:
    """A data set's items in order, each as long as the block, as the handout's loader gives them."""

    def __init__(self, dataset: Dataset, batch_size: int, seed: int = 0, device: str = "cpu"):
        self.dataset, self.batch_size, self.seed, self.device = dataset, batch_size, seed, device

    def epoch(self, number: int) -> list[Batch]:
        """The batches of epoch `number`; a corruption data set draws anew in each."""
        if isinstance(self.dataset, CharCorruptionDataset):
            self.dataset.rng = random.Random(epoch_seed(self.seed, number))
        items = [self.dataset[i] for i in range(len(self.dataset))]
        x, y = (torch.stack(column).to(self.device) for column in zip(*items, strict=True))
        return list(zip(x.split(self.batch_size), y.split(self.batch_size), strict=True))


class CorruptionBatches:
    """Corrupted documents in batches of about `tokens` characters, like lengths together.

    The draws have the distribution of ``corrupt_span`` at the data set's skew. A data set with a
    `corrupt` function of the reader's own is corrupted by that function, item by item.
    """

    def __init__(
        self,
        dataset: CharCorruptionDataset,
        tokens: int,
        seed: int = 0,
        device: str = "cpu",
    ):
        self.dataset, self.tokens, self.seed, self.device = dataset, tokens, seed, device
        encoded = [torch.tensor(dataset.vocab.encode(document)) for document in dataset.documents]
        self.lengths = torch.tensor([len(e) for e in encoded], device=device)  # (N,)
        self.offsets = self.lengths.cumsum(0) - self.lengths  # (N,) where each document begins in the text
        self.text = torch.cat(encoded).to(device)  # (all characters,)

    def epoch(self, number: int) -> list[Batch]:
        """Every document once, freshly corrupted, in batches of random order."""
        generator = torch.Generator(self.device).manual_seed(epoch_seed(self.seed, number))
        if self.dataset.corrupt is corrupt_span:
            rows, lengths = self._corrupt_all(generator)
        else:
            rows, lengths = self._corrupt_by_item(number)
        groups = self._group(lengths, generator)
        batches = [rows[group, : int(lengths[group].max())] for group in groups]
        return [(batch[:, :-1], batch[:, 1:]) for batch in batches]

    def _corrupt_all(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """All documents corrupted at once: rows (N, longest) and their real lengths (N,)."""
        longest = longest_truncation(self.dataset.block_size)
        u = torch.rand(4, len(self.lengths), generator=generator, device=self.device)
        n = MIN_LENGTH + ((longest - MIN_LENGTH + 1) * u[0] ** (1 / self.dataset.skew)).long()
        n = torch.minimum(n.clamp(max=longest), self.lengths)
        q = (n / 4 + u[1]).long().clamp(min=1)
        span = torch.minimum(1 + (u[2] * (2 * q - 1)).long(), n)
        start = (u[3] * (n - span + 1)).long()
        source = corruption_source(n, start, span)  # (N, W)
        at = (self.offsets[:, None] + source.clamp(min=0)).clamp(max=len(self.text) - 1)
        rows = torch.where(source >= 0, self.text[at], torch.where(source == MASKED, MASK_ID, PAD_ID))
        return rows, n + 2

    def _corrupt_by_item(self, number: int) -> tuple[Tensor, Tensor]:
        self.dataset.rng = random.Random(epoch_seed(self.seed, number))
        items = [self.dataset[i] for i in range(len(self.dataset))]
        rows = torch.stack([torch.cat([x, y[-1:]]) for x, y in items]).to(self.device)
        return rows, (rows != PAD_ID).sum(dim=1)

    def _group(self, lengths: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Row numbers in groups of like length, at most `tokens` characters each, in random order."""
        shuffled = torch.randperm(len(lengths), generator=generator, device=self.device)
        order = shuffled[lengths[shuffled].argsort(stable=True)]
        groups, begin = [], 0
        widths = lengths[order].tolist()  # ascending: a group's width is that of its last row
        for end, width in enumerate(widths):
            if (end + 1 - begin) * width > self.tokens and end > begin:
                groups.append(order[begin:end])
                begin = end
        groups.append(order[begin:])
        return [
            groups[i] for i in torch.randperm(len(groups), generator=generator, device=self.device).tolist()
        ]


MASKED, PADDED = -1, -2


def corruption_source(n: Tensor, start: Tensor, span: Tensor) -> Tensor:
    """Where each character of `prefix⁇suffix⁇span□…` comes from.

    Args:
        n, start, span: (N,) length of each truncated document, start and length of its span.

    Returns:
        (N, max(n) + 2): an index into the document, or MASKED, or PADDED.
    """
    n, start, span = n[:, None], start[:, None], span[:, None]
    j = torch.arange(int(n.max()) + 2, device=n.device)  # (W,) place in the corrupted row
    second = n - span + 1  # place of the second mask
    source = torch.where(j < start, j, j - 1 + span)  # prefix, then suffix
    source = torch.where(j > second, start + j - second - 1, source)  # the span itself
    source = torch.where((j == start) | (j == second), MASKED, source)
    return torch.where(j >= n + 2, PADDED, source)


class QuestionBatches:
    """Question-answer pairs, shuffled in each epoch, padded only to the longest row of their batch."""

    def __init__(self, dataset: NameDataset, batch_size: int, seed: int = 0, device: str = "cpu"):
        self.batch_size, self.seed, self.device = batch_size, seed, device
        x, y = zip(*dataset, strict=True)
        self.x, self.y = torch.stack(x).to(device), torch.stack(y).to(device)

    def epoch(self, number: int) -> list[Batch]:
        """Every pair once, in the order of this epoch."""
        generator = torch.Generator(self.device).manual_seed(epoch_seed(self.seed, number))
        order = torch.randperm(len(self.x), generator=generator, device=self.device)
        return [self._trimmed(rows) for rows in order.split(self.batch_size)]

    def _trimmed(self, rows: Tensor) -> Batch:
        width = int((self.x[rows] != PAD_ID).sum(dim=1).max())
        return self.x[rows, :width], self.y[rows, :width]


class ReplayBatches:
    """Before each batch of questions one of corrupted documents: replay of what pretraining asked for.

    Without it, finetuning forgets what pretraining stored about everybody who is not asked about.
    """

    def __init__(self, questions: QuestionBatches, documents: CorruptionBatches):
        self.questions, self.documents = questions, documents

    def epoch(self, number: int) -> list[Batch]:
        """Every question once; the documents' batches come round again where there are too few."""
        pairs = zip(itertools.cycle(self.documents.epoch(number)), self.questions.epoch(number))
        return [batch for pair in pairs for batch in pair]


def encode_prompts(vocab: CharVocab, prompts: Sequence[str]) -> list[Tensor]:
    """Each prompt's ids, (T,) int64."""
    return [torch.tensor(vocab.encode(prompt)) for prompt in prompts]
