"""Span corruption and question-answer items: the specification, and the mistakes people make with it."""

import random
from statistics import fmean, stdev

import pytest
import torch
from conftest import DOCUMENTS, questions
from hypothesis import given, settings
from hypothesis import strategies as st

from a5lib import dataset
from a5lib.corpus import Question
from a5lib.dataset import CharCorruptionDataset, NameDataset, corrupt_span, longest_truncation, restore
from a5lib.errors import InputError
from a5lib.vocab import MASK, PAD, CharVocab

texts = st.text(st.characters(exclude_characters=PAD + MASK + "\n", codec="utf-8"), max_size=200)


@settings(max_examples=300, deadline=None)
@given(texts, st.integers(8, 160), st.integers(0, 2**32))
def test_corrupt_span_obeys_the_specification(document, block_size, seed):
    """No crash, no lost character, masks and pads in their places; for documents of 0 to 3 characters too."""
    corrupted = corrupt_span(document, block_size, random.Random(seed))
    assert len(corrupted) == block_size
    assert corrupted.count(MASK) == 2
    content = corrupted.rstrip(PAD)
    assert PAD not in content
    text = restore(corrupted)
    assert document.startswith(text)
    if len(document) < 4:
        assert text == document
    else:
        assert 4 <= len(text) <= min(int(block_size * 7 / 8), block_size - 2)


@settings(max_examples=50, deadline=None)
@given(texts, st.integers(0, 2**32))
def test_the_span_stands_last_and_is_never_empty(document, seed):
    prefix, suffix, span = corrupt_span(document, 64, random.Random(seed)).rstrip(PAD).split(MASK)
    assert bool(span) == bool(document)
    assert document.startswith(prefix + span + suffix)


def test_every_length_from_4_to_112_is_drawn_equally_often():
    """randint against randrange: an exclusive bound silently drops the longest documents.

    109 lengths, 200 draws each on average; 5 standard deviations either way.
    """
    rng, counts = random.Random(0), {}
    for _ in range(200 * 109):
        n = len(restore(corrupt_span("x" * 500, 128, rng)))
        counts[n] = counts.get(n, 0) + 1
    assert sorted(counts) == list(range(4, longest_truncation(128) + 1)) == list(range(4, 113))
    assert all(abs(count - 200) < 5 * 200**0.5 for count in counts.values())


@pytest.mark.parametrize("length", [4, 5, 6, 7, 30, 500])
def test_the_span_is_a_quarter_of_what_is_left_on_average(length):
    """Taken from the drawn length instead of the document's, the mean is off for short documents."""
    rng = random.Random(1)
    shares, lengths = [], set()
    for _ in range(4000):
        prefix, suffix, span = corrupt_span("x" * length, 128, rng).rstrip(PAD).split(MASK)
        shares.append(len(span) / len(prefix + suffix + span))
        lengths.add(len(span))
    standard_error = stdev(shares) / len(shares) ** 0.5
    assert abs(fmean(shares) - 0.25) <= 4 * standard_error
    assert len(lengths) > 1 or length == 4


def test_the_span_begins_anywhere():
    rng = random.Random(2)
    starts = {corrupt_span("abcdefgh", 64, rng).index(MASK) for _ in range(2000)}
    assert starts == set(range(8))


def test_a_block_too_small_for_the_masks_is_refused():
    with pytest.raises(InputError, match="at least 8"):
        corrupt_span("abc", 7, random.Random(0))


def test_corruption_items_are_shifted_by_one_and_made_anew_from_the_seed():
    text = "\n".join(DOCUMENTS) + "\n\n"
    data, again = (CharCorruptionDataset(text, 64, seed=3) for _ in range(2))
    assert len(data) == len(DOCUMENTS)  # the empty last lines are no documents
    x, y = data[0]
    assert x.shape == y.shape == (63,) and x.dtype == y.dtype == torch.int64
    assert torch.equal(x[1:], y[:-1])
    whole = data.vocab.decode([*x, y[-1]])
    assert DOCUMENTS[0].startswith(restore(whole))
    assert torch.equal(x, again[0][0]), "the same seed and order of calls give the same items"
    assert any(not torch.equal(x, data[0][0]) for _ in range(5)), "an item is drawn anew each time"
    assert data.documents == list(DOCUMENTS), "the data is not modified"


def test_the_readers_own_function_corrupts():
    data = CharCorruptionDataset("ab\ncd", 8, corrupt=lambda document, *_: document + MASK * 2 + PAD * 4)
    assert data.vocab.decode(data[1][0]) == "cd⁇⁇□□□"


def test_name_items_by_hand():
    """`question⁇place⁇□…`; the loss looks from the mask after the question on, and never at padding."""
    vocab = CharVocab("Who? Łódź né")
    data = NameDataset(vocab, [Question("Who né?", "Łódź")], block_size=16)
    x, y = data[0]
    assert vocab.decode(x) == "Who né?⁇Łódź⁇□□"
    assert vocab.decode(y) == "□□□□□□⁇Łódź⁇□□□"
    x, y = NameDataset(vocab, [Question("Who né?", "Łódź")], block_size=16, ascii_only=True)[0]
    assert vocab.decode(x) == "Who n?⁇d⁇□□□□□□"
    assert vocab.decode(y) == "□□□□□⁇d⁇□□□□□□□"


@pytest.mark.parametrize(
    ("question", "options", "says"),
    [
        (Question("Who?"), {}, "without a place"),
        (Question("Who?" * 4, "abc"), {}, "longer than the model's block"),
        (Question("Who?", "z"), {}, "'z' at position"),
        (Question("ŁŁ", "ab"), {"ascii_only": True}, "ASCII"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(question, options, says):
    with pytest.raises(InputError, match=says):
        NameDataset(CharVocab("Who? abcŁ"), [question], block_size=16, **options)


def test_a_row_that_just_fits_is_taken():
    vocab = CharVocab("Where was born?" + "".join(DOCUMENTS))
    row = questions([("Ana Bell", "Oslo")])[0]
    fits = len(row.text) + len(row.place) + 2
    x, y = NameDataset(vocab, [row], fits)[0]
    assert len(x) == len(y) == fits - 1 and y[-1] == 1 and vocab.decode(y).count("□") == len(row.text) - 1


@pytest.mark.parametrize(("name", "shows"), [("namedata", "□□"), ("charcorruption", "⁇")])
def test_both_commands_print_items(corpus_folder, capsys, name, shows):
    assert dataset.main([name]) == 0
    out = capsys.readouterr().out
    assert out.startswith("7 documents") and shows in out and out.count("\nx: ") >= 3


def test_a_wrong_command_says_the_right_ones():
    with pytest.raises(InputError, match="namedata | charcorruption"):
        dataset.main(["names"])
