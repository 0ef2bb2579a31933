"""Notebook 11: its checks name the mistakes that people make, and its figures show what they were given."""

import io
import math

import numpy as np
import pytest
import torch

from a5lib import experiments
from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, NOT_ATTEMPTED, PASSED, run_check
from a5lib.display import variants as figures
from a5lib.experiments import rows_of
from a5lib.variants import rotary_angles

EXERCISES_HERE = ("rotate", "synthesizer_scores", "equal_passes")


@pytest.mark.parametrize("name", EXERCISES_HERE)
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


def test_only_curves_of_whole_runs_are_compared():
    curves = figures.whole_curves(CURVES)
    assert curves.keys() == {"vanilla", "rope"} and curves["rope"][0]["loss"] == 1.5
    assert figures.whole_curves(CURVES[:2]) == figures.whole_curves(RUNS) == {}
    line = figures.variant_curves(curves, bins=2).axes[0].lines[1]
    assert line.get_ydata() == pytest.approx([0.5, 0.5])


# Figures.

RUNS = [
    {"seed": seed, "variant": name, "correct": correct + seed, "total": 50}
    for seed in (0, 1) for name, correct in (("vanilla", 40), ("rope", 42))
] + [{"seed": 0, "variant": "synthesizer", "correct": 9, "total": 50}]  # fmt: skip
RECALLED = [{**run, "recall": {"{name} was ": 80.0, "Of {name} ": 50.0}} for run in RUNS]
CURVE = [{"step": step, "loss": 1.0} for step in range(0, 100, 2)]
CURVES = [
    {"seed": 0, "variant": "vanilla", "curve": CURVE[20:]},  # interrupted, and taken up
    {"seed": 0, "variant": "rope", "curve": CURVE},
    {"seed": 1, "variant": "vanilla", "curve": CURVE},
    {"seed": 1, "variant": "rope", "curve": [{**p, "loss": 1.5} for p in CURVE]},
    {"seed": 2, "variant": "vanilla", "curve": CURVE},
]
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
    "curves": (figures.variant_curves(figures.whole_curves(CURVES), bins=2), ["vanilla", "rope"]),
    "recall": (figures.recall_figure(RECALLED), ["rope", "“NAME was …”, before finetuning"]),
    "phrasings": (figures.phrasing_figure(WORLDS, 6.7), ["Each fact read 108 times", "1", "8"]),
    "recap": (figures.recap_table(PREDICTIONS), ["3.142 %", "4 %", "no prediction", "neither", "●", "○"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_figure_shows_its_data(name):
    figure, expected = CASES[name]
    found = words(figure)
    assert all(text in found for text in expected), found
    figure.savefig(io.BytesIO(), format="png")
