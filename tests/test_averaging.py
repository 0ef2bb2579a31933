"""Notebook 02: checks name each mistake, closed forms hold against look-ups, figures show their data."""

import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, FAILED, PASSED, run_check
from a5lib.classroom.exercises.averaging import beta_needed, extract_exact, weighted_query
from a5lib.display import averaging as figures
from a5lib.soft_lookup import (
    attention_weights,
    averaging_error,
    look_up,
    orthonormal_rows,
    projection,
    shared_weight,
    subspaces,
)

MINE = ("extract", "extract_exact", "averaging_query", "shortfall", "beta_needed", "weighted_query")


def cat_pinv(A, B):
    return torch.linalg.pinv(torch.cat([A, B], dim=1))


def shortfall_by(others, keys=2):
    """The shortfall with a wrong count of others, or of keys in the denominator."""
    return lambda beta, n: others(n) / (2 * (keys * math.exp(beta) + others(n)))


def beta_by(keys, odds):
    return lambda share, n, asked=2: keys(n, asked) + odds(share)


def right_keys(n, asked):
    return math.log((n - asked) / asked)


def right_odds(share):
    return math.log((1 - share) / share)


MISTAKES = [
    ("extract", lambda A: None, "nothing comes back"),
    ("extract", lambda A: A.T, "coordinates along A's columns, not the vector"),
    ("extract", torch.linalg.pinv, "coordinates along A's columns, not the vector"),
    ("extract", lambda A: A, "this is A itself"),
    ("extract", lambda A: A.T @ A, "the order is wrong"),
    ("extract", lambda A: A.T.flatten(), "wrong shape"),
    ("extract", lambda A: lambda s: A @ (A.T @ s), "M is a matrix"),
    ("extract", lambda A: torch.eye(len(A)), "the identity"),
    ("extract", lambda A: torch.eye(len(A)) - A @ A.T, "I minus the right matrix"),
    ("extract", lambda A: A @ A.T / A.shape[1], "wrong length"),
    ("extract", lambda A: -(A @ A.T), "wrong length"),
    ("extract", lambda A: A[:, :2] @ A[:, :2].T, "M changes v_a"),
    ("extract", lambda A: A.flip(0) @ A.flip(0).T, "M changes v_a"),
    ("extract", lambda A: A @ A.T + (torch.eye(len(A)) - A @ A.T) / 2, "v_b gets through"),
    ("extract_exact", lambda A, B: A @ A.T, "lets a part of v_b through"),
    ("extract_exact", lambda A, B: cat_pinv(A, B)[: A.shape[1]], "not the vector"),
    ("extract_exact", lambda A, B: torch.cat([A, B], 1) @ cat_pinv(A, B), "keeps v_a and v_b"),
    ("extract_exact", lambda A, B: B @ cat_pinv(A, B)[A.shape[1] :], "roles are swapped"),
    ("extract_exact", lambda A, B: torch.eye(len(A)) - B @ B.T, "v_a is changed, too"),
    ("extract_exact", lambda A, B: A @ A.T @ (torch.eye(len(A)) - B @ B.T), "v_a is changed, too"),
    ("extract_exact", lambda A, B: A @ A.T - B @ B.T, "takes off all of v_b"),
    ("extract_exact", lambda A, B: 2 * A @ A.T, "leave v_a as it is"),
    ("averaging_query", lambda a, b, beta: a + b, "whatever β is"),
    ("averaging_query", lambda a, b, beta: beta * (a + b) / 2, "the mean of the keys"),
    ("averaging_query", lambda a, b, beta: beta * (a + b) / (a + b).norm(), "scaled to length β"),
    ("averaging_query", lambda a, b, beta: beta * a + b, "different scores"),
    ("averaging_query", lambda a, b, beta: beta * (a - b), "is subtracted"),
    ("averaging_query", lambda a, b, beta: beta * a, "different scores"),
    ("averaging_query", lambda a, b, beta: beta * a * b, "not asked for"),
    ("averaging_query", lambda a, b, beta: torch.cat([beta * a, beta * b]), "one vector"),
    ("averaging_query", lambda a, b, beta: (2 * beta * (a + b)), "should both be β"),
    ("shortfall", lambda beta, n: math.exp(beta) / (2 * math.exp(beta) + n - 2), "the weight itself"),
    ("shortfall", lambda beta, n: shared_weight(beta, n) - 0.5, "the sign is turned"),
    ("shortfall", lambda beta, n: 1 - 2 * shared_weight(beta, n), "all others get together"),
    ("shortfall", lambda b, n: 0.5 - math.exp(b) / (math.exp(b) + n - 2), "the weight's denominator"),
    ("shortfall", lambda beta, n: 1 / (2 * math.exp(beta) + n - 2), "one other key gets"),
    ("shortfall", shortfall_by(lambda n: n), "for n others"),
    ("shortfall", shortfall_by(lambda n: n - 1), "for n - 1 others"),
    ("shortfall", shortfall_by(lambda n: n - 2, keys=1), "e^β once"),
    ("shortfall", lambda beta, n: (n - 2) / 2 / (2 * math.exp(-beta) + n - 2), "exponent's sign"),
    ("shortfall", lambda beta, n: 50 - 100 * shared_weight(beta, n), "percent"),
    ("shortfall", shortfall_by(lambda n: n - 2), "too large for a float"),
    ("shortfall", lambda beta, n: None, "nothing comes back"),
    ("beta_needed", lambda share, n, asked=2: -beta_needed(share, n, asked), "the sign is turned"),
    ("beta_needed", beta_by(right_keys, lambda share: -right_odds(share)), "upside down"),
    ("beta_needed", beta_by(lambda n, k: math.log(n - k), right_odds), "sum over the asked keys"),
    ("beta_needed", beta_by(lambda n, k: math.log(n / k), right_odds), "all n keys as others"),
    ("beta_needed", beta_by(lambda n, k: math.log((n - 1) / k), right_odds), "n - 1 others"),
    ("beta_needed", beta_by(right_keys, lambda share: -math.log(share)), "only nearly"),
    ("beta_needed", lambda share, n, asked=2: beta_needed(share, n, asked) / math.log(10), "base 10"),
    ("beta_needed", lambda share, n, asked=2: beta_needed(share, n, asked) / math.log(2), "base 2"),
    ("beta_needed", lambda share, n, asked=2: math.exp(beta_needed(share, n, asked)), "take its logarithm"),
    ("beta_needed", lambda share, n, asked=2: beta_needed(asked * share, n, asked), "each asked key lacks"),
    ("beta_needed", lambda share, n, asked=2: beta_needed(share, n), "whatever `asked` says"),
    ("weighted_query", lambda a, b, beta, r: beta * (a + b), "the ratio does nothing"),
    ("weighted_query", lambda a, b, beta, r: beta * (r * a + b), "e to the power β(ratio - 1)"),
    ("weighted_query", lambda a, b, beta, r: beta * (a + b) + r * a, "added to the score"),
    ("weighted_query", lambda a, b, beta, r: beta * (a + b) + math.log(r) * b, "swapped"),
    ("weighted_query", lambda a, b, beta, r: beta * (a + b + math.log(r) * a), "ratio^β"),
    ("weighted_query", lambda a, b, beta, r: beta * (a + b) + math.log2(r) * a, "base 2"),
    ("weighted_query", lambda a, b, beta, r: beta * (a + b) + math.log10(r) * a, "base 10"),
    ("weighted_query", lambda a, b, beta, r: math.log(r) * a, "b's score is not β"),
    ("weighted_query", lambda a, b, beta, r: beta * a + (beta - math.log(r)) * b, "b's score is not β"),
]  # fmt: skip

RIGHT_IN_ANOTHER_WAY = [
    ("extract", lambda A: A @ torch.linalg.pinv(A)),
    ("extract", lambda A: A @ torch.linalg.inv(A.T @ A) @ A.T),
    ("extract", lambda A: sum(torch.outer(a, a) for a in A.T)),
    ("extract", lambda A: A.float() @ A.float().T),
    ("extract", lambda A: A.numpy() @ A.numpy().T),
    ("extract_exact", lambda A, B: A @ torch.linalg.pinv(A - B @ B.T @ A)),
    ("averaging_query", lambda a, b, beta: beta * a + beta * b),
    ("shortfall", lambda beta, n: 0.5 - 1 / (2 + (n - 2) * math.exp(-beta))),
    ("weighted_query", lambda a, b, beta, r: (beta + math.log(r)) * a + beta * b),
]


@pytest.mark.parametrize(("name", "attempt", "says"), MISTAKES, ids=[f"{m[0]}: {m[2]}" for m in MISTAKES])
def test_each_mistake_is_named(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and says in result.mistake, str(result)


@pytest.mark.parametrize(("name", "attempt"), RIGHT_IN_ANOTHER_WAY)
def test_another_right_way_passes(name, attempt):
    result = run_check(name, attempt)
    assert result.state == PASSED, str(result)


def test_the_points_are_those_of_question_1b():
    assert sum(EXERCISES[name].points for name in MINE) == 7


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.floats(3, 90), st.integers(0, 1000))
def test_the_plain_matrix_leaks_the_cosine_and_the_exact_one_magnifies_by_one_over_the_sine(m, degrees, seed):
    generator = torch.Generator().manual_seed(seed)
    A, B = subspaces(9, m, m, generator, degrees)
    v_b = B @ torch.randn(m, generator=generator, dtype=torch.float64)
    angle = math.radians(degrees)
    assert (projection(A) @ v_b).norm().item() == pytest.approx(math.cos(angle) * v_b.norm().item(), abs=1e-9)
    M = extract_exact(A, B)
    assert torch.allclose(M @ A, A) and (M @ B).abs().max() < 1e-9
    stretched = torch.linalg.svdvals(M)[:m]  # every direction that M keeps, not just the worst one
    assert stretched.tolist() == pytest.approx([1 / math.sin(angle)] * m)


def test_both_extractions_are_equally_good_where_the_sine_is_noise_over_signal():
    """4,000 samples, seed 0: one standard error of a root mean square is below 1 %; tolerance 5 of them."""
    generator, m, length = torch.Generator().manual_seed(0), 3, 0.2
    A, B = subspaces(12, m, m, generator, math.degrees(math.asin(length)))
    shape = (4000, 12)
    noise = length / m**0.5 * torch.randn(shape, generator=generator, dtype=torch.float64)
    errors = [(B[:, 0] + noise) @ M.T for M in (projection(A), extract_exact(A, B))]  # with v_a = 0
    plain, exact = (error.square().sum(dim=1).mean().sqrt().item() for error in errors)
    assert plain == pytest.approx(1, rel=0.05) and exact == pytest.approx(1, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_what_a_look_up_gives_is_what_the_closed_forms_say(data):
    n = data.draw(st.integers(3, 12))
    asked = data.draw(st.integers(1, n - 1))
    beta = data.draw(st.floats(-2, 12))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    keys, values = orthonormal_rows(n, 12, generator), torch.randn(n, 5, generator=generator).double()
    query = beta * keys[:asked].sum(dim=0)
    others = attention_weights(keys, query)[asked:].sum().item()
    assert others == pytest.approx(1 - asked * shared_weight(beta, n, asked), rel=1e-6, abs=1e-12)
    assert beta_needed(others, n, asked) == pytest.approx(beta, rel=1e-6, abs=1e-6)
    error = look_up(keys, values, query) - values[:asked].mean(dim=0)
    assert error.norm().item() == pytest.approx(
        averaging_error(values, list(range(asked)), beta).item(), abs=1e-9
    )


def test_two_to_one_by_hand():
    keys = orthonormal_rows(4, 4, torch.Generator().manual_seed(0))
    weights = attention_weights(keys, weighted_query(keys[0], keys[1], math.log(5), 2))
    assert weights.tolist() == pytest.approx([10 / 17, 5 / 17, 1 / 17, 1 / 17])


@pytest.mark.parametrize("k", [3, 5])
def test_values_beyond_d_over_m_cannot_be_taken_apart(k):
    """d = 16, m = 4: the mean squared error over all coordinates is 1 - d/(km) beyond, by the rank."""
    generator = torch.Generator().manual_seed(k)
    side_by_side = torch.cat([orthonormal_rows(4, 16, generator).T for _ in range(k)], dim=1)
    lost = torch.eye(4 * k) - torch.linalg.pinv(side_by_side) @ side_by_side
    assert torch.trace(lost).item() / (4 * k) == pytest.approx(max(0, 1 - 16 / (4 * k)), abs=1e-9)


# The figures.


def drawn(figure):
    """A figure's texts, after drawing it for good."""
    figure.savefig(io.BytesIO(), format="png")
    axes = figure.axes
    titles = [axis.get_title(loc=side) for axis in axes for side in ("left", "center")]
    legends = [text for axis in axes if axis.get_legend() for text in axis.get_legend().get_texts()]
    texts = [
        text.get_text() for axis in axes for text in [*axis.texts, *axis.get_yticklabels(), axis.xaxis.label]
    ]
    return texts + titles + [text.get_text() for text in legends]


def test_strips_show_every_number_in_its_row():
    figure = figures.vector_strips({"long": [0.25, -1.5, 0.001], "short": torch.tensor([2.0])})
    shown = drawn(figure)
    assert {"0.25", "−1.50", "0.00", "2.00", "long", "short"} <= set(shown)
    assert len(figure.axes[0].patches) == 4


@pytest.mark.parametrize("degrees", [5, 55, 90])
def test_the_plane_shows_how_far_the_plain_projection_misses(degrees):
    turn = math.radians(degrees)
    v_a, v_b = [1.2, 0.0], [math.cos(turn), math.sin(turn)]
    figure = figures.two_extractions(v_a, v_b, [v_a[0] + v_b[0], 0.0])
    assert f"The plain projection misses $v_a$ by {math.cos(turn):.2f}" in drawn(figure)
    (right, top) = figure.axes[0].get_xlim()[1], figure.axes[0].get_ylim()[1]
    assert v_a[0] + v_b[0] < right and v_b[1] < top  # nothing that matters lies outside


def test_marks_share_their_lines_colour_and_short_logarithmic_axes_have_plain_numbers():
    lines = {"one": ([1, 2], [0.3, 20]), "two": ([1, 2], [3, 2])}
    figure = figures.marks_on_lines(lines, {"two": ([1], [3])}, ("x", "y", "t"), log="y", at=(1.5, "here"))
    assert {"0.5", "10", "one", "two", "here", "x", "t"} <= set(drawn(figure))
    colours = {line.get_label(): line.get_color() for line in figure.axes[0].lines}
    marked = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert len(marked) == 1 and marked[0].get_color() == colours["two"] != colours["one"]


def test_bars_have_their_weights_and_a_dash_where_each_should_end():
    figure = figures.weight_bars({"β = 1": torch.tensor([0.5, 0.3, 0.2])}, {0: 2 / 3, 2: 1 / 3})
    assert {"β = 1", "wanted"} <= set(drawn(figure))
    axes = figure.axes[0]
    assert [bar.get_height() for bar in axes.patches] == pytest.approx([0.5, 0.3, 0.2])
    dashes = [
        (sum(line.get_xdata()) / 2, line.get_ydata()[0]) for line in axes.lines if len(line.get_xdata())
    ]
    assert dashes == [(0, pytest.approx(2 / 3)), (2, pytest.approx(1 / 3))]


def test_the_path_ends_at_the_middle_with_its_last_beta_named():
    values = torch.tensor([[1.0, 1.0], [3.0, 1.0], [-2.0, 0.0]])
    figure = figures.output_path(values, [0, 1], [[0.7, 0.7], [2.0, 1.0]], [0, 9])
    assert {"β=0", "β=9", "output"} <= set(drawn(figure))
