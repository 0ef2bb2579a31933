"""Notebook 11: its checks name the mistakes that people make, and its figures show what they were given."""

import io
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from a5lib import experiments
from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, FAILED, NOT_ATTEMPTED, PASSED, run_check
from a5lib.display import variants as figures
from a5lib.experiments import rows_of
from a5lib.variants import rotary_angles


def complex_numbers(x, angles):
    pairs = torch.view_as_complex(x.contiguous().unflatten(-1, (x.size(-1) // 2, 2)))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


def in_loops(x, angles):
    out = torch.empty_like(x)
    for t in range(x.size(-2)):
        for i in range(angles.size(1)):
            c, s = math.cos(angles[t, i]), math.sin(angles[t, i])
            a, b = x[..., t, 2 * i], x[..., t, 2 * i + 1]
            out[..., t, 2 * i], out[..., t, 2 * i + 1] = a * c - b * s, a * s + b * c
    return out


def by_matrices(x, angles):
    c, s = angles.cos(), angles.sin()
    turn = torch.stack((torch.stack((c, -s), -1), torch.stack((s, c), -1)), -2)  # (T, D/2, 2, 2)
    return (turn @ x.unflatten(-1, (-1, 2))[..., None])[..., 0].flatten(-2)


def by_partner(x, angles):
    partner = torch.stack((-x[..., 1::2], x[..., 0::2]), dim=-1).flatten(-2)
    return x * angles.cos().repeat_interleave(2, -1) + partner * angles.sin().repeat_interleave(2, -1)


def turned(first, second, together=lambda a, b: torch.stack((a, b), dim=-1).flatten(-2)):
    """An attempt from what becomes of (a, b) under c = cos and s = sin."""

    def attempt(x, angles):
        a, b, c, s = x[..., 0::2], x[..., 1::2], angles.cos(), angles.sin()
        return together(first(a, b, c, s), second(a, b, c, s))

    return attempt


def first_right(a, b, c, s):
    return a * c - b * s


def second_right(a, b, c, s):
    return a * s + b * c


def halves(x, angles):
    left, right = x.chunk(2, dim=-1)
    c, s = angles.cos(), angles.sin()
    return torch.cat((left * c - right * s, left * s + right * c), dim=-1)


def in_place(x, angles):
    x[..., 0::2] *= angles.cos()
    return x


def scores(hidden=lambda z: z.relu(), end=lambda z: z):
    return lambda x, A1, b1, A2, b2: end(hidden(x @ A1 + b1) @ A2 + b2)


RIGHT_ANSWERS = [
    ("rotate", complex_numbers),
    ("rotate", in_loops),
    ("rotate", by_matrices),
    ("rotate", by_partner),
    ("synthesizer_scores", scores()),
    ("synthesizer_scores", lambda x, A1, b1, A2, b2: F.linear(F.relu(F.linear(x, A1.T, b1)), A2.T, b2)),
    ("synthesizer_scores", scores(lambda z: z.clamp(min=0))),
    ("synthesizer_scores", lambda x, A, b, C, d: torch.stack([(row @ A + b).relu() @ C + d for row in x])),
    ("equal_passes", lambda n, usual, passes: usual * passes / n),
    ("equal_passes", lambda n, usual=4, passes=27: passes * (usual / n)),
    ("equal_passes", lambda n, usual, passes: np.float64(usual) * passes / n),
]  # fmt: skip
MISTAKES = [
    ("rotate", lambda x, angles: complex_numbers(x, -angles), "clockwise"),
    ("rotate", lambda x, angles: complex_numbers(x, math.pi / 2 - angles), "have changed places"),
    ("rotate", turned(first_right, second_right, lambda a, b: torch.cat((a, b), -1)), "their order is not"),
    ("rotate", halves, "the first half is paired with the second"),
    ("rotate", turned(first_right, lambda a, b, c, s: b * c - a * s), "a minus before the sine"),
    ("rotate", turned(lambda a, b, c, s: a * c + b * s, second_right), "that is no rotation"),
    ("rotate", turned(lambda a, b, c, s: a * c, lambda a, b, c, s: b * c), "only stretched"),
    ("rotate", lambda x, angles: x, "comes back as it was"),
    ("rotate", in_place, "x itself was changed"),
    ("rotate", lambda x, angles: None, "nothing comes back"),
    ("rotate", lambda x, angles: x[..., ::2], "the shape is wrong"),
    ("synthesizer_scores", scores(hidden=lambda z: z), "without the relu"),
    ("synthesizer_scores", scores(lambda z: z, torch.relu), "not behind them"),
    ("synthesizer_scores", scores(end=torch.relu), "a relu too many"),
    ("synthesizer_scores", scores(hidden=F.gelu), "a GELU"),
    ("synthesizer_scores", scores(end=lambda z: z / 2), "nothing is to be scaled"),
    ("synthesizer_scores", scores(end=lambda z: z.softmax(-1)), "scores are asked for"),
    ("synthesizer_scores", lambda x, A1, b1, A2, b2: (x @ A1.T + b1).relu() @ A2 + b2, "A1 is transposed"),
    ("synthesizer_scores", lambda x, A1, b1, A2, b2: (x @ A1).relu() @ A2 + b2, "b1 is not added"),
    ("synthesizer_scores", lambda x, A1, b1, A2, b2: ((x @ A1).relu() + b1) @ A2 + b2, "behind the relu"),
    ("synthesizer_scores", lambda x, A1, b1, A2, b2: (x @ A1 + b1).relu() @ A2, "b2 is not added"),
    ("equal_passes", lambda n, usual, passes: passes, "as many passes as usual"),
    ("equal_passes", lambda n, usual, passes: passes * n / usual, "the wrong way round"),
    ("equal_passes", lambda n, usual, passes: passes / n, "more than one line a person, too"),
    ("equal_passes", lambda n, usual, passes: usual * passes, "not in how many passes"),
    ("equal_passes", lambda n, usual, passes: 7, "must be the same"),
    ("equal_passes", lambda n, usual, passes: None, "one number is expected"),
]


@pytest.mark.parametrize(("name", "attempt"), RIGHT_ANSWERS)
def test_right_answers_pass(name, attempt):
    result = run_check(name, attempt)
    assert result.state == PASSED, str(result)


@pytest.mark.parametrize(("name", "attempt", "says"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_each_mistake_is_named(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and says in result.mistake, str(result)


@pytest.mark.parametrize("name", ["rotate", "synthesizer_scores", "equal_passes"])
def test_they_are_practice_and_may_stay_open(name):
    state = torch.get_rng_state()
    assert EXERCISES[name].points == 0 and run_check(name, None).state == NOT_ATTEMPTED
    assert run_check(name, EXERCISES[name].reference).state == PASSED
    assert torch.equal(torch.get_rng_state(), state)


def test_rows_that_are_not_there_say_how_to_make_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(experiments, "ROOT", tmp_path)
    assert rows_of("variants") == []
    assert "python -m a5lib.experiments variants" in capsys.readouterr().out
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/variants.json").write_text('{"rows": [{"seed": 3}]}')
    assert rows_of("variants") == [{"seed": 3}] and capsys.readouterr().out == ""


def test_the_interval_over_seeds_is_students():
    mean, reach = figures.mean_interval([70.0, 80.0, 75.0])
    assert mean == 75 and reach == pytest.approx(4.303 * 5 / 3**0.5, abs=0.01)
    assert math.isnan(figures.mean_interval([70.0])[1])


# Figures.

RUNS = [
    {"seed": seed, "variant": name, "correct": correct + seed, "total": 50}
    for seed in (0, 1) for name, correct in (("vanilla", 40), ("rope", 42))
] + [{"seed": 0, "variant": "synthesizer", "correct": 9, "total": 50}]  # fmt: skip
WORLDS = [{"phrasings": n, "exposures": 108.0, "correct": 5 * n, "total": 50} for n in (1, 2, 4, 8)]
ANGLES = rotary_angles(6, 4)
PREDICTIONS = {
    "01 a": {"predicted": 3.14159, "measured": 4, "unit": "%"},
    "02 b": {"predicted": None, "measured": "c", "unit": "", "choices": {"c": "neither"}},
}


def words(figure):
    figure.draw_without_rendering()
    found = [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    for axes in figure.axes:
        labels = (*axes.get_xticklabels(), *axes.get_yticklabels(), axes.xaxis.label, axes.yaxis.label)
        found += [t.get_text() for t in (*axes.texts, *labels)]
        found += [axes.get_title(loc="left"), axes.get_title()]
        found += [t.get_text() for t in (axes.get_legend().get_texts() if axes.get_legend() else ())]
    return found


CASES = {
    "weights": (figures.weight_bars({"v": [[0.5, 0.5], [1, 0]]}, ("ab", "cb")), ["a\nc", "b", "v", "ab"]),
    "look-up": (figures.lookup_curves({"q": [10, 90]}, 10, 12.5), ["q", "guessing one of the values: 12 %"]),
    "arrows": (
        figures.rotation_arrows(np.ones((6, 2, 2)), ANGLES.numpy()),
        ["pair 0: 1 rad a step", "pair 1: 0.01 rad a step", "0 to 5", "3"],
    ),
    "scores": (figures.score_matrices({"x": np.eye(3), "y": np.eye(3)}), ["x", "y", "score"]),
    "variants": (
        figures.variant_scores(RUNS, 6.7),
        ["81.0 ± 12.7", "18.0", "vanilla", "synthesizer", "always London: 6.7 %"],
    ),
    "phrasings": (figures.phrasing_figure(WORLDS, 6.7), ["Each fact read 108 times", "1", "8"]),
    "recap": (figures.recap_table(PREDICTIONS), ["3.142 %", "4 %", "no prediction", "neither", "●", "○"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_figure_shows_its_data(name):
    figure, expected = CASES[name]
    found = words(figure)
    assert all(text in found for text in expected), found
    figure.savefig(io.BytesIO(), format="png")
