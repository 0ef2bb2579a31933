"""The fast lane draws what the specification draws, and loses or doubles nothing on the way."""

import random
from collections import Counter

import pytest
import torch
from conftest import DOCUMENTS, TRAIN_ROWS, questions

from a5lib.batches import (
    MASKED,
    PADDED,
    CorruptionBatches,
    PaddedBatches,
    QuestionBatches,
    corruption_source,
    epoch_seed,
)
from a5lib.dataset import CharCorruptionDataset, NameDataset, corrupt_span, restore
from a5lib.vocab import MASK, PAD, CharVocab

LETTERS = [chr(0x4E00 + i) for i in range(300)]  # each document one letter: whose row is it?


def corrupted_rows(batches, epoch=0):
    """The texts `prefix⁇suffix⁇span` of an epoch, batch by batch."""
    decode = batches.dataset.vocab.decode
    return [
        [decode([*a, b[-1]]) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        for x, y in batches.epoch(epoch)
    ]


def draw(corrupted):
    """(length, span, start) of a corrupted text."""
    span = corrupted.rstrip(PAD).rsplit(MASK, 1)[1]
    return len(restore(corrupted)), len(span), corrupted.index(MASK)


@pytest.mark.parametrize("document", ["abcdefghijklmnop", "abcdef", "abc"])
def test_whole_batches_have_the_distribution_of_corrupt_span(document):
    """Two samples of 20,000: Σ (a - b)² / (a + b) over the joint cells is chi-square.

    Beyond its mean by 4 standard deviations would happen once in some 10,000 seeds; these are fixed.
    """
    n_documents, epochs = 500, 40
    dataset = CharCorruptionDataset("\n".join([document] * n_documents), 16)
    batches = CorruptionBatches(dataset, tokens=10**6)
    fast = Counter(draw(row) for e in range(epochs) for batch in corrupted_rows(batches, e) for row in batch)
    rng = random.Random(7)
    slow = Counter(draw(corrupt_span(document, 16, rng)) for _ in range(n_documents * epochs))
    assert fast.keys() == slow.keys()
    statistic = sum((fast[cell] - slow[cell]) ** 2 / (fast[cell] + slow[cell]) for cell in fast)
    df = len(fast) - 1
    assert statistic < df + 4 * (2 * df) ** 0.5 + 1


def test_where_each_character_comes_from_literally():
    M, P = MASKED, PADDED
    source = corruption_source(torch.tensor([5, 3, 2]), torch.tensor([1, 0, 1]), torch.tensor([2, 1, 0]))
    assert source.tolist() == [
        [0, M, 3, 4, M, 1, 2],
        [M, 1, 2, M, 0, P, P],
        [0, M, 1, M, P, P, P],
    ]


@pytest.fixture
def uneven():
    """300 documents of 30 to 150 characters."""
    rng = random.Random(0)
    text = "\n".join(letter * rng.randint(30, 150) for letter in LETTERS)
    return CharCorruptionDataset(text, 128)


def test_an_epoch_has_every_document_once_in_batches_of_the_asked_size(uneven):
    batches = corrupted_rows(CorruptionBatches(uneven, tokens=2048))
    seen = [restore(row)[0] for batch in batches for row in batch]
    assert sorted(seen) == LETTERS
    assert seen != LETTERS, "batches come in random order"
    assert all(len(batch) * len(batch[0]) <= 2048 for batch in batches)


def test_nearly_nothing_is_padding(uneven):
    """54 % of the handout's positions are padding; here under 6 %."""
    pairs = CorruptionBatches(uneven, tokens=512).epoch(0)
    padding = sum(int((y == 0).sum()) for _, y in pairs) / sum(y.numel() for _, y in pairs)
    assert padding < 0.06


def test_an_epoch_depends_on_seed_and_number_alone(uneven):
    """Resuming in the middle of an epoch asks for that epoch again, from a new object."""
    batches = CorruptionBatches(uneven, tokens=2048, seed=1)
    first = corrupted_rows(batches, 3)
    assert corrupted_rows(batches, 4) != first
    assert corrupted_rows(CorruptionBatches(uneven, tokens=2048, seed=1), 3) == first
    assert corrupted_rows(CorruptionBatches(uneven, tokens=2048, seed=2), 3) != first
    assert len({epoch_seed(s, e) for s in range(20) for e in range(700)}) == 20 * 700


def test_the_readers_own_corrupt_makes_the_batches():
    """What a notebook has the student write is what trains, and it is no slower lane's padding either."""
    calls = []

    def own(document, block_size, rng):
        calls.append(document)
        row = f"{document[1:9]}{MASK}{MASK}{document[0]}"
        return row + PAD * (block_size - len(row))

    dataset = CharCorruptionDataset("\n".join(DOCUMENTS), 32, corrupt=own)
    rows = [row for batch in corrupted_rows(CorruptionBatches(dataset, tokens=64)) for row in batch]
    assert sorted(calls) == sorted(DOCUMENTS)
    assert sorted(rows) == sorted(f"{d[1:9]}{MASK}{MASK}{d[0]}" for d in DOCUMENTS)


def test_skew_leans_to_the_long_side_and_keeps_every_length():
    """The same for whole batches and for items: lengths 4, 5, 6 of documents of 8."""
    counts = {}
    for skew in (1.0, 3.0):
        dataset = CharCorruptionDataset("\n".join(["abcdefgh"] * 2000), 8, skew=skew)
        rows = (row for batch in corrupted_rows(CorruptionBatches(dataset, 10**6)) for row in batch)
        items = (dataset.vocab.decode([*x, y[-1]]) for x, y in (dataset[i] for i in range(2000)))
        counts[skew, "item"] = Counter(len(restore(row)) for row in items)
        counts[skew, "batch"] = Counter(len(restore(row)) for row in rows)
    expected = {1.0: {4: 9, 5: 9, 6: 9}, 3.0: {4: 1, 5: 7, 6: 19}}  # of 27: k³ - (k-1)³ at skew 3
    for (skew, _), found in counts.items():
        for n, share in expected[skew].items():
            p = share / 27
            assert abs(found[n] - 2000 * p) < 5 * (2000 * p * (1 - p)) ** 0.5


def test_padded_batches_are_the_items_in_order():
    """As the handout's loader: no shuffling, whole blocks; each epoch drawn anew, the same for its number."""
    dataset = CharCorruptionDataset("\n".join(DOCUMENTS), 64)
    batches = PaddedBatches(dataset, batch_size=4, seed=5)
    pairs = batches.epoch(2)
    assert [tuple(x.shape) for x, _ in pairs] == [(4, 63), (2, 63)]
    dataset.rng = random.Random(epoch_seed(5, 2))
    items = [dataset[i] for i in range(len(dataset))]
    assert torch.equal(torch.cat([x for x, _ in pairs]), torch.stack([x for x, _ in items]))
    assert torch.equal(torch.cat([y for _, y in pairs]), torch.stack([y for _, y in items]))
    assert torch.equal(batches.epoch(2)[0][0], pairs[0][0])
    assert not torch.equal(batches.epoch(3)[0][0], pairs[0][0])


def test_question_batches_have_each_pair_once_and_lose_no_target():
    rows = questions([*TRAIN_ROWS, *((f"Nobody Number {'I' * n}", "Rome") for n in range(9))])
    vocab = CharVocab("".join(q.text + q.place for q in rows))
    dataset = NameDataset(vocab, rows, block_size=64)
    batches = QuestionBatches(dataset, batch_size=5)
    pairs = batches.epoch(0)
    assert [len(x) for x, _ in pairs] == [5, 5, 2]
    items = [item for x, y in pairs for item in zip(x, y, strict=True)]
    shown = sorted(vocab.decode([*x, y[-1]]).rstrip(PAD) for x, y in items)
    assert shown == sorted(f"{q.text}⁇{q.place}⁇" for q in rows)
    targets = sum(int((y != 0).sum()) for _, y in pairs)
    assert targets == sum(len(q.place) + 2 for q in rows)
    assert all(x.size(1) == int((x != 0).sum(dim=1).max()) for x, _ in pairs)
    orders = [torch.cat([x[:, 10] for x, _ in batches.epoch(e)]).tolist() for e in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
