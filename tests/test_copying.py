"""Notebook 01: its checks name the mistakes that people make, and its figures show what they were given."""

import io
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from a5lib import soft_lookup
from a5lib.classroom.checks import EXERCISES, FAILED, PASSED, run_check
from a5lib.classroom.exercises import copying
from a5lib.display import copying as figures

KEYS = soft_lookup.orthonormal_rows(5, 7, torch.Generator().manual_seed(0))


def powers(keys, query):
    return [math.exp(sum(k * q for k, q in zip(key, query, strict=True))) for key in keys]


def hard_weights(keys, query):
    all_powers = powers(keys, query)
    return [float(power == max(all_powers)) for power in all_powers]


def roots(keys, query):
    return copying.lookup_weights(keys, [q / math.sqrt(len(query)) for q in query])


def scores_by_their_sum(keys, query):
    scores = [math.log(power) for power in powers(keys, query)]
    return [score / sum(scores) for score in scores]


def draw_without_adding(weights, u):
    return next((i for i, weight in enumerate(weights) if u < weight), len(weights) - 1)


def draw_with_both_ends(weights, u):
    """`<=`: u = 0 hits an empty piece."""
    for i, weight in enumerate(weights):
        u -= weight
        if u <= 0:
            return i
    return len(weights) - 1


def draw_without_rounding(weights, u):
    passed = 0.0
    for i, weight in enumerate(weights):
        passed += weight
        if u < passed:
            return i


def plain_softmax(scores):
    return scores.exp() / scores.exp().sum()


def in_place_softmax(scores):
    scores -= scores.max()
    return plain_softmax(scores)


def distance(values, j):
    return (torch.cat([values[:j], values[j + 1 :]]).mean(0) - values[j]).norm()


def share_of_others(values, gap):
    return 1 - soft_lookup.peak_weight(gap, len(values))


def stretched_by(length):
    """A query of key j, stretched by a function of the weight and the number of keys."""
    return lambda keys, j, weight: length(weight, len(keys)) * keys[j]


def odds(w):
    return w / (1 - w)


MISTAKES = [
    ("lookup_weights", lambda keys, query: powers(keys, query)[:-1], "not one number for each"),
    ("lookup_weights", lambda keys, query: None, "is there a return"),
    ("lookup_weights", powers, "not divided by their sum"),
    ("lookup_weights", lambda k, q: [math.log(p) for p in powers(k, q)], "these are the scores"),
    ("lookup_weights", scores_by_their_sum, "take their exponentials first"),
    ("lookup_weights", lambda k, q: [p / max(powers(k, q)) for p in powers(k, q)], "by the largest one"),
    ("lookup_weights", roots, "divided by √d"),
    ("lookup_weights", hard_weights, "a hard look-up"),
    ("lookup_weights", lambda k, q: copying.lookup_weights(k, [-x for x in q]), "the sign"),
    ("lookup_weights", lambda k, q: [1 / len(k)] * len(k), "not exp(score) over"),
    ("draw_index", lambda w, u: w.index(max(w)), "that is no draw"),
    ("draw_index", lambda w, u: copying.draw_index(w, u) + 1, "one too high"),
    ("draw_index", draw_without_adding, "the sum of the weights up to here"),
    ("draw_index", draw_with_both_ends, "an index of weight 0"),
    ("draw_index", draw_without_rounding, "the largest u below 1"),
    ("stable_softmax", plain_softmax, "overflows"),
    ("stable_softmax", lambda s: [math.exp(x) / sum(map(math.exp, s)) for x in s], "overflows"),
    ("stable_softmax", in_place_softmax, "are changed"),
    ("stable_softmax", lambda s: s.softmax(0), "torch's own"),
    ("stable_softmax", lambda s: torch.nn.functional.log_softmax(s, 0).exp(), "torch's own"),
    ("stable_softmax", lambda s: (s - s.max()).exp(), "the division by the sum is missing"),
    ("stable_softmax", lambda s: plain_softmax(s / s.max()), "that shrinks the differences"),
    ("stable_softmax", lambda s: plain_softmax(s.clamp(-50, 50)), "the differences were lost"),
    ("stable_softmax", lambda s: plain_softmax(s - s.mean()), "not the mean or the smallest"),
    ("stable_softmax", lambda s: plain_softmax(s.clamp(max=700)), "scores around 1000"),
    ("stable_softmax", lambda s: plain_softmax(s - s.max().clamp(min=0)), "scores around -1000"),
    ("peak_weight", lambda g, n: math.exp(g) / (math.exp(g) + n), "counted among the others"),
    ("peak_weight", lambda g, n: math.exp(g) / (n - 1), "all others together"),
    ("peak_weight", lambda g, n: 1 / (1 + math.exp(-g)), "the number of keys makes no difference"),
    ("peak_weight", lambda g, n: 1 - soft_lookup.peak_weight(g, n), "the share of the others"),
    ("peak_weight", lambda g, n: soft_lookup.peak_weight(-g, n), "the sign is turned"),
    ("peak_weight", lambda g, n: g / (g + n - 1), "without the exponential"),
    ("peak_weight", lambda g, n: math.exp(g) / n, "not the share of e^g"),
    ("gap_needed", lambda w, n: odds(w) * math.log(n), "not the gap"),
    ("gap_needed", lambda w, n: math.log(odds(w)), "where is the n - 1"),
    ("gap_needed", lambda w, n: math.log(n * odds(w)), "not n"),
    ("gap_needed", lambda w, n: (n - 1) * odds(w), "take its logarithm"),
    ("gap_needed", lambda w, n: math.log10((n - 1) * odds(w)), "base 10"),
    ("gap_needed", lambda w, n: math.log2((n - 1) * odds(w)), "base 2"),
    ("gap_needed", lambda w, n: math.log((n - 1) * w), "1 - α"),
    ("gap_needed", lambda w, n: math.log(odds(w)) - math.log(n - 1), "do not subtract it"),
    ("gap_needed", lambda w, n: -math.log((n - 1) * odds(w)), "the sign is turned"),
    ("copying_query", stretched_by(lambda w, n: 1), "the key itself is the query"),
    ("copying_query", stretched_by(lambda w, n: w), "stretched by the weight"),
    ("copying_query", stretched_by(lambda w, n: math.log(odds(w))), "ln(n - 1) is missing"),
    ("copying_query", stretched_by(lambda w, n: math.log(n * odds(w))), "a little too long"),
    ("copying_query", stretched_by(lambda w, n: 100), "more weight than asked for"),
    ("copying_query", stretched_by(lambda w, n: 0.1), "not enough weight"),
    ("copying_query", lambda k, j, w: soft_lookup.gap_needed(w, len(k)) * k[0], "another key"),
    ("copying_query", lambda k, j, w: k[j : j + 1], "one vector"),
    ("copy_error", lambda v, j, g: share_of_others(v, g) * (v.mean(0) - v[j]).norm(), "over all values"),
    ("copy_error", lambda v, j, g: (1 - share_of_others(v, g)) * distance(v, j), "multiplied by α_j"),
    ("copy_error", lambda v, j, g: share_of_others(v, g), "times which distance"),
    ("copy_error", lambda v, j, g: distance(v, j), "the distance of the means"),
    ("copy_error", lambda v, j, g: (share_of_others(v, g) * distance(v, j)) ** 2, "the square"),
    ("copy_error", lambda v, j, g: share_of_others(v, g) * v[j].norm(), "only what is missing"),
    ("copy_error", lambda v, j, g: share_of_others(v, g) * (v.mean(0) - v[j]), "as a vector"),
    (
        "copy_error",
        lambda v, j, g: share_of_others(v, g) * (v.sum(0) - 2 * v[j]).norm(),
        "the sum of the others",
    ),
    (
        "copy_error",
        lambda v, j, g: (v[j] + share_of_others(v, g) * (v.sum(0) - len(v) * v[j]) / (len(v) - 1)).norm(),
        "the output's length",
    ),
]


@pytest.mark.parametrize(("name", "attempt", "says"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_each_mistake_is_named(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and says in str(result), str(result)


RIGHT = {
    "lookup_weights": lambda k, q: [p / sum(powers(k, q)) for p in powers(k, q)],
    "draw_index": lambda w, u: min(int((torch.tensor(w).double().cumsum(0) <= u).sum()), len(w) - 1),
    "stable_softmax": lambda scores: plain_softmax((scores - scores.max()).float()),
    "peak_weight": lambda g, n: torch.tensor([g] + [0.0] * (n - 1), dtype=torch.float64).softmax(0)[0],
    "gap_needed": lambda w, n: math.log(n - 1) + math.log(w) - math.log1p(-w),
    "copying_query": lambda k, j, w: soft_lookup.gap_needed(w, len(k)) * (k[j] - k.mean(0)),  # the shortest
    "copy_error": lambda v, j, g: share_of_others(v, g) * distance(v, j),
}


@pytest.mark.parametrize("name", RIGHT)
def test_other_ways_to_be_right_pass(name):
    result = run_check(name, RIGHT[name])
    assert result.state == PASSED, str(result)


def test_the_coded_exercises_are_worth_four_of_question_1a_s_five_points():
    names = [name for name, _, _ in MISTAKES] + list(RIGHT)
    assert sum(EXERCISES[name].points for name in set(names)) == 4


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda w: sum(w) > 0.1), st.floats(0, 1))
def test_a_draw_falls_on_the_piece_of_its_index(raw, u):
    weights = [w / sum(raw) for w in raw]
    index = copying.draw_index(weights, u)
    assert sum(weights[:index]) - 1e-9 <= u <= sum(weights[: index + 1]) + 1e-9


def lines_of(axes):
    return {line.get_linestyle(): line for line in axes.lines}


def test_the_maps_lines_run_along_the_measured_weights():
    """On each line the look-up itself gives the weight that stands at the line's end."""
    gaps, sizes = torch.linspace(0, 12, 5), [2, 10, 100, 1000]
    figure = figures.weight_map(gaps, sizes, torch.rand(4, 5))
    axes = figure.axes[0]
    for line, text in zip(axes.lines, [t for t in axes.texts if "%" in t.get_text()], strict=True):
        asked = float(text.get_text().split()[0]) / 100
        gap, n = line.get_xdata()[-1], round(line.get_ydata()[-1])
        scores = torch.zeros(n, dtype=torch.float64)
        scores[0] = gap
        assert scores.softmax(0)[0].item() == pytest.approx(asked, rel=1e-6)


def test_the_error_figures_lines_meet_the_markers_of_true_errors():
    values = torch.randn(6, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    keys, gaps = soft_lookup.orthonormal_rows(6, 6, torch.Generator().manual_seed(2)), [0.0, 5.0, 10.0]
    errors = [(soft_lookup.look_up(keys, values, g * keys[2]) - values[2]).norm().item() for g in gaps]
    axes = figures.error_against_gap({6: (gaps, errors, distance(values, 2).item())}).axes[0]
    line, markers = axes.lines[:2]
    assert line.get_ydata()[[0, -1]] == pytest.approx(markers.get_ydata()[[0, -1]], rel=1e-9)


def test_the_plane_shows_the_weights_and_an_output_inside_the_values():
    angles = torch.arange(5) * 2 * math.pi / 5
    keys = torch.stack([angles.cos(), angles.sin()], dim=1).double()
    for length in (0.0, 3.0, 40.0):
        figure = figures.plane_look_up(keys, 2 * keys, length * keys[1])
        figure.savefig(io.BytesIO(), format="png")
        weights, outputs = figure.axes[1], figure.axes[2]
        shown = [bar.get_height() for bar in weights.patches]
        assert shown == pytest.approx(copying.lookup_weights(keys.tolist(), (length * keys[1]).tolist()))
        star = next(line for line in outputs.lines if line.get_marker() == "*")
        assert Outline(2 * keys.numpy()).contains_point(star.get_xydata()[0], radius=1e-6)
    assert star.get_xydata()[0] == pytest.approx((2 * keys[1]).numpy(), abs=1e-6)


def test_draws_and_lengths_are_drawn_as_given():
    figure = figures.draws_and_weights([0.25, 0.75], [30, 70])
    bars = [bar.get_height() for bar in figure.axes[0].patches]
    assert bars == [0.25, 0.75] and list(figure.axes[0].lines[0].get_ydata()) == [0.3, 0.7]
    figure = figures.weight_against_length([0, 1], {"one": [0.5, 0.6], "two": [0.5, 0.4]})
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.5, 0.6], [0.5, 0.4]]
    assert len({line.get_linestyle() for line in figure.axes[0].lines}) == 2
