"""Checks: the library's answers pass, each known mistake is named, nothing raises; what was kept is found."""

import random

import pytest
import torch

from a5lib.classroom import check, exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, FAILED, NOT_ATTEMPTED, PASSED, run_check
from a5lib.classroom.notebook import confront, keep, mine
from a5lib.dataset import corrupt_span
from a5lib.files import read_json
from a5lib.pipeline import Pipeline
from a5lib.vocab import MASK, PAD


def row(text, start, stop, block):
    return (text[:start] + MASK + text[stop:] + MASK + text[start:stop]).ljust(block, PAD)


def corrupt_by_block(document, block, rng, skew=1.0):
    """A quarter of the block, not of the text."""
    text = document[: 4 + int((block * 7 // 8 - 3) * rng.random() ** (1 / skew))]
    return row(text, 0, min(len(text), block // 4), block)


def corrupt_without_skew(document, block, rng, skew=1.0):
    return corrupt_span(document, block, rng)


def corrupt_globally(document, block, rng, skew=1.0):
    """Draws from the module's generator in the place of the one that it is given."""
    return corrupt_span(document, block, random, skew)


def truncate_exclusive(document, block, rng, skew=1.0):
    return document[: 4 + int((block * 7 // 8 - 4) * rng.random() ** (1 / skew))]


def step_without(part):
    def step(model, optimizer, x, y):
        model.train(part != "train")
        if part != "zero":
            optimizer.zero_grad()
        loss = model(x, y)[1]
        loss.backward()
        if part != "clip":
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if part != "step":
            optimizer.step()
        return loss if part == "item" else loss.item()

    return step


MISTAKES = [
    ("encode_pair", lambda q, p, n: (row_qa(q, p, n)[:-1], row_qa(q, p, n)[1:]), "predict the question"),
    ("encode_pair", lambda q, p, n: (row_qa(q, p, n)[:-1],) * 2, "not shifted"),
    ("encode_pair", lambda q, p, n: (row_qa(q, p, n), row_qa(q, p, n)), "wrong length"),
    (
        "count_correct",
        lambda p, qs: sum(a == f"{q.place}\n" for a, q in zip(p, qs, strict=True)),
        "is a newline",
    ),
    (
        "count_correct",
        lambda p, qs: sum(q.place in a for a, q in zip(p, qs, strict=True)),
        "a part of a place",
    ),
    ("london_percent", lambda train, dev: 60.0, "the score on train"),
    ("london_percent", lambda train, dev: 0.25, "in percent"),
    ("london_percent", lambda train, dev: 75.0, "choosing the place on dev"),
    ("training_step", step_without("zero"), "not zeroed"),
    ("training_step", step_without("clip"), "not clipped"),
    ("training_step", step_without("step"), "optimizer.step() is missing"),
    ("training_step", step_without("train"), "evaluation mode"),
    ("training_step", step_without("item"), "should be a number"),
    ("truncate", truncate_exclusive, "never occur"),
    ("truncate", lambda d, b, rng, skew=1.0: d[: rng.randint(4, b)], "outside"),
    ("truncate", lambda d, b, rng, skew=1.0: d[: rng.randint(4, b * 7 // 8)], "do not lean"),
    ("choose_span", lambda n, rng: (0, n // 4), "same length"),
    (
        "choose_span",
        lambda n, rng: (0, min(n, rng.randint(1, max(1, n // 2 - 1)))),
        "begins at the same place",
    ),
    ("choose_span", lambda n, rng: (0, rng.randint(0, n)), "empty"),
    ("choose_span", lambda n, rng: (0, rng.randint(1, max(n, 1))), "lies outside"),
    ("rearrange", lambda t, a, b, n: (t[:a] + MASK + t[b:] + t[a:b]).ljust(n, PAD), "1 mask"),
    ("rearrange", lambda t, a, b, n: (t[:a] + MASK + t[b:] + t[a:b] + MASK).ljust(n, PAD), "before the span"),
    ("rearrange", lambda t, a, b, n: row(t, a, b, 0), "not padded"),
    ("rearrange", lambda t, a, b, n: row(t, a, b, n + 1), "not padded"),
    ("split_xy", lambda r: (r[:-1], r[:-1]), "the same"),
    ("split_xy", lambda r: (r[1:], r[:-1]), "swapped"),
    ("corrupt_span", corrupt_by_block, "not a quarter"),
    ("corrupt_span", corrupt_without_skew, "the skew changes nothing"),
    ("corrupt_span", corrupt_globally, "the same generator gives two different rows"),
    ("share_kept", lambda end, block: (112 - end) / 109, "block 128"),
    ("rate_factor", lambda t, w, f: min(1.0, t / w), "half of the cosine"),
    ("padding_share", lambda lengths, n: 1 - sum(lengths) / (max(lengths) * len(lengths)), "in batches of 2"),
    (
        "load_pretrained",
        lambda model, path: torch.load(path, weights_only=True),
        "the model is expected back",
    ),
    ("load_pretrained", lambda model, path: model, "still the fresh ones"),
    ("answer_of", lambda text: text.rsplit(MASK, 1)[-1], "ends at the second mask"),
    ("standard_error", lambda k, n: (k / n * (1 - k / n) / n) ** 0.5, "not as a fraction"),
]


def row_qa(question, place, block):
    return f"{question}{MASK}{place}{MASK}".ljust(block, PAD)


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_the_librarys_own_answer_passes(name):
    assert run_check(name, EXERCISES[name].reference).state == PASSED


@pytest.mark.parametrize(("name", "attempt", "says"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_each_mistake_is_named(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and says in str(result), str(result)
    assert "go on with the library's version" in str(result)


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_a_stub_is_not_attempted_and_a_crash_is_an_answer(name, capsys):
    def stub(*_):
        raise NotImplementedError("your turn")

    def crash(*_):
        return [][1]

    assert check(name, stub) is EXERCISES[name].reference
    assert NOT_ATTEMPTED in capsys.readouterr().out
    assert check(name, crash) is EXERCISES[name].reference
    assert "IndexError in line" in capsys.readouterr().out
    for nothing in (None, 3, "text", lambda: 1):
        assert run_check(name, nothing).state in (FAILED, NOT_ATTEMPTED)


def test_what_was_kept_is_found_and_what_is_broken_falls_back(tmp_path, capsys):
    a5 = Pipeline("smoke", runs=str(tmp_path))
    reference = EXERCISES["corrupt_span"].reference
    assert mine(a5, "corrupt_span") is reference  # nothing is kept yet
    keep(a5, "corrupt_span", reference)  # the library's: not the reader's own
    assert "nothing of yours" in capsys.readouterr().out and mine(a5, "corrupt_span") is reference

    keep(a5, "corrupt_span", row, corrupt_by_block_right, corrupt_span_of_mine)
    (kept,) = (tmp_path / "mine").glob("*.py")
    kept.write_text(kept.read_text().replace("corrupt_span_of_mine", "corrupt_span"))
    found = mine(a5, "corrupt_span")
    assert found is not reference and found("abcdef", 16, random.Random(0)).count(MASK) == 2

    kept.write_text("def corrupt_span(: broken")
    assert mine(a5, "corrupt_span") is reference and "cannot be loaded" in capsys.readouterr().out
    kept.write_text("def corrupt_span(document, block_size, rng, skew=1.0):\n    return document\n")
    assert mine(a5, "corrupt_span") is reference and "failed" in capsys.readouterr().out


def corrupt_by_block_right(text, rng):
    q = max(1, int(len(text) / 4 + rng.random()))
    span = min(rng.randint(1, 2 * q - 1), len(text))
    start = rng.randint(0, len(text) - span)
    return start, start + span


def corrupt_span_of_mine(document, block_size, rng, skew=1.0):
    text = document[: 4 + int((block_size * 7 // 8 - 3) * rng.random() ** (1 / skew))]
    return row(text, *corrupt_by_block_right(text, rng), block_size)


def test_predictions_are_confronted_and_remembered(tmp_path, capsys):
    a5 = Pipeline("smoke", runs=str(tmp_path))
    confront(a5, "05 london", 30, 6.6667, "%")
    confront(a5, "08 passes", None, "lower")
    assert capsys.readouterr().out.splitlines() == [
        "You predicted 30 %. Measured: 6.667 %.",
        "You made no prediction. Measured: lower.",
    ]
    known = read_json(tmp_path / "mine" / "predictions.json")
    assert known["05 london"] == {"predicted": 30, "measured": 6.6667, "unit": "%"} and len(known) == 2


CHOICES = {"a": "it rises", "b": "it falls"}


@pytest.mark.parametrize(
    ("guess", "said", "remembered"),
    [
        ("a", ["You predicted a (it rises). Measured: b (it falls)."], "a"),
        ("b", ["You predicted b (it falls). Measured: b (it falls)."], "b"),
        (None, ["You made no prediction. Measured: b (it falls)."], None),
        (
            "it falls",
            [
                "'it falls' is not one of a, b: it counts as no prediction.",
                "You made no prediction. Measured: b (it falls).",
            ],
            None,
        ),
    ],
)
def test_a_choice_is_shown_with_what_it_says_and_another_letter_is_no_prediction(
    tmp_path, capsys, guess, said, remembered
):
    confront(Pipeline("smoke", runs=str(tmp_path)), "03 loss", guess, "b", choices=CHOICES)
    assert capsys.readouterr().out.splitlines() == said
    known = read_json(tmp_path / "mine" / "predictions.json")
    assert known["03 loss"].pop("choices").keys() >= {"a", "b"}
    assert known == {"03 loss": {"predicted": remembered, "measured": "b", "unit": ""}}


def test_without_choices_a_letter_is_a_text_like_any_other(tmp_path, capsys):
    confront(Pipeline("smoke", runs=str(tmp_path)), "08 passes", "b", "a")
    assert capsys.readouterr().out == "You predicted b. Measured: a.\n"
