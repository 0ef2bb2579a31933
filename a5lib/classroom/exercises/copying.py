"""Checks for notebook 01: one key that stands out, and the weights that follow.

Where a mistake has a formula of its own, the attempt is compared with it: that is how it is named.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from a5lib import soft_lookup
from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import CLOSE, as_number, as_tensor


def _vector(got: Any, length: int) -> Tensor:
    """What came back as `length` numbers in float64, or the mistake that there are not so many."""
    if got is None:
        raise Wrong("nothing comes back: is there a return?", f"{length} numbers", "None")
    try:
        numbers = torch.tensor([float(x) for x in got], dtype=torch.float64)
    except (TypeError, ValueError):
        raise Wrong("a row of numbers is expected", f"{length} numbers", got) from None
    if len(numbers) != length:
        raise Wrong("not one number for each", f"{length} numbers", f"{len(numbers)} numbers")
    return numbers


def _name(got: Tensor, expected: Tensor, known: Mapping[str, Tensor], what: str, hint: str = "") -> None:
    """Raise the mistake whose formula gives what came, or `what` if none does; nothing if all is right."""
    if _same(got, expected):
        return
    for mistake, wrong in known.items():
        if _same(got, wrong):
            raise Wrong(mistake, expected, got, tolerance=CLOSE)
    raise Wrong(what, expected, got, hint, CLOSE)


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal but for the rounding of 32-bit numbers, in which an attempt may compute."""
    return torch.allclose(a, b, rtol=CLOSE, atol=CLOSE / 100)


# The weights.


def lookup_weights(keys: Sequence[Sequence[float]], query: Sequence[float]) -> list[float]:
    """The weights of a soft look-up, for keys and a query given as lists."""
    rows = torch.as_tensor(keys, dtype=torch.float64), torch.as_tensor(query, dtype=torch.float64)
    return soft_lookup.attention_weights(*rows).tolist()


@exercise("lookup_weights", lookup_weights)
def check_lookup_weights(attempt: Callable) -> None:
    """Scores 1, 2, 1 and -1 by hand; each left-out step has its own look."""
    keys, query = [[1.0, 0.0], [0.0, 1.0], [-1.0, 1.0], [1.0, -1.0]], [1.0, 2.0]
    scores = torch.tensor([1.0, 2.0, 1.0, -1.0], dtype=torch.float64)
    known = {
        "these are the scores: the exponential and the division are missing": scores,
        "the powers are not divided by their sum, so the weights do not add up to 1": scores.exp(),
        "the scores themselves are divided by their sum: take their exponentials first": scores / 3,
        "the scores are divided by √d, as in a Transformer: this look-up has no such scale": (
            (scores / math.sqrt(2)).softmax(0)
        ),
        "all the weight is on the highest score: that is a hard look-up": torch.eye(4).double()[1],
        "the powers are divided by the largest one; divide by their sum": (scores - 2).exp(),
        "the lowest score has the most weight: the sign in the exponential is turned": (-scores).softmax(0),
    }
    hint = "score of key i: the sum of key[d] * query[d] over its coordinates d"
    got = _vector(attempt(keys, query), 4)
    _name(got, scores.softmax(0), known, "not exp(score) over the sum of all exp(score)", hint)
    keys, query = [[0.5, -1.0, 2.0], [1.5, 0.0, 0.25]], [1.0, -0.5, 1.0]
    wrong = "right for four keys in two dimensions, but not for two keys in three"
    _name(_vector(attempt(keys, query), 2), torch.tensor([3.0, 1.75]).double().softmax(0), {}, wrong)


def draw_index(weights: Sequence[float], u: float) -> int:
    """The piece of [0, 1) on which u falls, the pieces being as long as the weights."""
    for index, weight in enumerate(weights):
        u -= weight
        if u < 0:
            return index
    return len(weights) - 1  # u just below 1, and weights whose rounded sum is less


@exercise("draw_index", draw_index)
def check_draw_index(attempt: Callable) -> None:
    """The pieces 0 to .2, .2 to .7, .7 to 1, an empty piece, and the rounding at the end."""
    weights, draws, expected = [0.2, 0.5, 0.3], [0.0, 0.1, 0.25, 0.6, 0.72, 0.95], [0, 0, 1, 1, 2, 2]
    got = [attempt(list(weights), u) for u in draws]
    asked = f"u = {', '.join(map(str, draws))}"
    if got != [attempt(list(weights), u) for u in draws]:
        raise Wrong("the same u gives different indices: all the chance is in u already", expected, got)
    if len(set(got)) == 1:
        raise Wrong(f"the same index for every u ({asked}): that is no draw", expected, got)
    if got == [index + 1 for index in expected]:
        raise Wrong("each index is one too high: the first is 0", expected, got)
    if got != expected:
        wrong = f"other pieces are hit, with weights .2, .5, .3 and {asked}"
        hint = "compare u with the sum of the weights up to here, not with one weight"
        raise Wrong(wrong, expected, got, hint)
    if attempt([0.0, 1.0], 0.0) != 1:
        hint = "the piece of weight w is w long without its right end: compare by <"
        raise Wrong("an index of weight 0 was drawn (u = 0)", 1, attempt([0.0, 1.0], 0.0), hint)
    last = attempt([0.1] * 10, math.nextafter(1, 0))
    if last != 9:
        hint = "ten times 0.1 is a little below 1 in floating point: what falls past the end is the last"
        raise Wrong(
            "ten weights of .1 and the largest u below 1", 9, "nothing" if last is None else last, hint
        )


# Only differences count.


class _WithoutSoftmax(Tensor):
    """Scores that tell when torch's own softmax is called on them."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if "softmax" in getattr(function, "__name__", ""):
            raise Wrong("that is torch's own softmax: write it with exp, a sum and a division")
        return super().__torch_function__(function, types, args, kwargs)


def stable_softmax(scores: Tensor) -> Tensor:
    """The weights of scores (n,) of any size, without torch's own softmax."""
    powers = (scores - scores.max()).exp()
    return powers / powers.sum()


@exercise("stable_softmax", stable_softmax)
def check_stable_softmax(attempt: Callable) -> None:
    """Small scores, large ones, far apart ones; the input stays as it was."""
    small = torch.tensor([0.0, 1.0, 2.0, -1.0], dtype=torch.float64)
    given = small.clone()
    got = _vector(attempt(given.as_subclass(_WithoutSoftmax)), 4)
    if not torch.equal(given, small):
        raise Wrong("the scores that were handed in are changed: do not subtract in place", small, given)
    _name(got, small.softmax(0), _unsafe_shapes(small), "not the weights, even for small scores")
    for scores, where in (
        ([1000.0, 1001.0, 1002.0], "scores around 1000"),
        ([-1000.0, -1001.0, -1002.0], "scores around -1000"),
        ([-1000.0, 0.0, 1000.0], "scores from -1000 to 1000"),
    ):
        _check_large(attempt, torch.tensor(scores, dtype=torch.float64), where)


def _unsafe_shapes(scores: Tensor) -> dict[str, Tensor]:
    powers = scores.exp()
    return {
        "the powers are not divided by their sum": powers,
        "the maximum is subtracted, but the division by the sum is missing": (scores - 2).exp(),
        "divided by the maximum: that shrinks the differences; subtract it": (scores / 2).softmax(0),
    }


def _check_large(attempt: Callable, scores: Tensor, where: str) -> None:
    expected = scores.softmax(0)
    try:
        got = _vector(attempt(scores.clone()), 3)
    except OverflowError:
        got = torch.full((3,), math.inf, dtype=torch.float64)
    if got.isfinite().all():
        _name(got, expected, {}, f"{where}: the differences were lost", "do not clip or scale; shift")
        return
    reason = {
        "scores around 1000": "exp overflows: it is infinite from 710 on; shift the scores first",
        "scores around -1000": "each power is rounded to 0, and 0/0 is nan; shift the scores first",
    }.get(where, "the shift does not reach: subtract the largest score, not the mean or the smallest")
    raise Wrong(f"{where}: {reason}", expected, got)


# When one key has the weight.


@exercise("peak_weight", soft_lookup.peak_weight)
def check_peak_weight(attempt: Callable) -> None:
    """Gaps and numbers of keys; at gap 0 all n keys are alike."""
    cases = [(0.0, 4), (2.0, 5), (1.0, 2), (5.0, 100), (-1.0, 3)]
    got = _vector([as_number(attempt(gap, n)) for gap, n in cases], len(cases))
    g = torch.tensor([gap for gap, _ in cases], dtype=torch.float64)
    rest = torch.tensor([n - 1.0 for _, n in cases], dtype=torch.float64)
    power = g.exp()
    known = {
        "key j is counted among the others as well: they are n - 1": power / (power + rest + 1),
        "that is the ratio of α_j to all others together; α_j itself is a share of 1": power / rest,
        "that is the share of the others": rest / (power + rest),
        "the number of keys makes no difference: each of the others takes its part": g.sigmoid(),
        "a larger gap gives less weight: the sign is turned": 1 / (1 + rest * power),
        "the gap is used without the exponential": g / (g + rest),
    }
    asked = ", ".join(f"({gap:g}, {n})" for gap, n in cases)
    wrong = f"not the share of e^g in the sum of all powers, at (gap, n) = {asked}"
    _name(got, power / (power + rest), known, wrong, "let the other scores be 0")


@exercise("gap_needed", soft_lookup.gap_needed)
def check_gap_needed(attempt: Callable) -> None:
    """Weights and numbers of keys; weight 1/n needs no gap at all."""
    cases = [(0.25, 4), (0.5, 2), (0.9, 10), (0.99, 1000), (0.2, 50)]
    got = _vector([as_number(attempt(weight, n)) for weight, n in cases], len(cases))
    w = torch.tensor([weight for weight, _ in cases], dtype=torch.float64)
    rest = torch.tensor([n - 1.0 for _, n in cases], dtype=torch.float64)
    odds = w / (1 - w)
    expected = (rest * odds).log()
    known = {
        "that is e^g: take its logarithm": rest * odds,
        "the number of keys makes no difference: where is the n - 1?": odds.log(),
        "there are n - 1 other keys, not n": ((rest + 1) * odds).log(),
        "that is the logarithm to the base 10; α has e^g": expected / math.log(10),
        "that is the logarithm to the base 2; α has e^g": expected / math.log(2),
        "the weight is compared with 1; compare it with what the others have, 1 - α": (rest * w).log(),
        "the sign is turned": -expected,
        "more keys need a larger gap: add ln(n - 1), do not subtract it": (odds / rest).log(),
    }
    asked = ", ".join(f"({weight:g}, {n})" for weight, n in cases)
    wrong = f"not the gap that gives this weight, at (weight, n) = {asked}"
    _name(got, expected, known, wrong, "put your answer into peak_weight: does it return?")


# Copying.


def copying_query(keys: Tensor, j: int, weight: float) -> Tensor:
    """The query (d,) with which key j of orthonormal keys (n, d) gets that weight."""
    return soft_lookup.gap_needed(weight, len(keys)) * keys[j]


@exercise("copying_query", copying_query)
def check_copying_query(attempt: Callable) -> None:
    """Asked of the query is its effect, so any query passes that gives key j the weight."""
    generator = torch.Generator().manual_seed(1)
    for n, d, j, weight in ((6, 9, 4, 0.99), (6, 6, 0, 0.5), (2, 5, 1, 0.999)):
        keys = soft_lookup.orthonormal_rows(n, d, generator)
        got = attempt(keys.clone(), j, weight)
        query = as_tensor(got)
        if query is None or query.shape != (d,):
            raise Wrong("a query is one vector, as long as a key", f"shape ({d},)", got)
        _check_weight(keys, j, weight, query.to(torch.float64))


def _check_weight(keys: Tensor, j: int, weight: float, query: Tensor) -> None:
    n, scores = len(keys), keys @ query
    others = torch.cat([scores[:j], scores[j + 1 :]])
    gap, got = (scores[j] - others.max()).item(), scores.softmax(0)[j].item()
    odds = math.log(weight / (1 - weight))
    if math.isclose(got, weight, rel_tol=1e-4):
        return
    asked = f"{n} keys, {weight:g} asked for key {j}"
    if scores.argmax() != j:
        wrong = f"key {scores.argmax().item()}"
        raise Wrong(f"{asked}: another key has the highest score", f"key {j}", wrong, "q = … · keys[j]")
    for mistake, known in {
        "the key itself is the query: its gap is only 1; stretch it": 1.0,
        "the query is stretched by the weight, not by the gap that the weight needs": weight,
        "the number of keys is left out of the gap: ln(n - 1) is missing": odds,
        "a little too long: there are n - 1 other keys, not n": odds + math.log(n),
    }.items():
        if math.isclose(gap, known, rel_tol=1e-5):
            raise Wrong(f"{asked}: {mistake}", weight, f"{got:.4f}")
    much = "more weight than asked for" if got > weight else "not enough weight"
    raise Wrong(f"{asked}: {much}", weight, f"{got:.4g}", "which gap gives it? and what is k_j·k_j?")


def copy_error(values: Tensor, j: int, gap: float) -> float:
    """‖c - v_j‖ for values (n, e), where k_j's score exceeds each other by `gap`."""
    return soft_lookup.averaging_error(values, [j], gap).item()


@exercise("copy_error", copy_error)
def check_copy_error(attempt: Callable) -> None:
    """Against the look-up itself, on random values."""
    generator = torch.Generator().manual_seed(2)
    values = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    got, expected, known = [], [], []
    for j, gap in ((2, 3.0), (0, 1.0), (4, 0.0)):
        answer = attempt(values.clone(), j, gap)
        if isinstance(answer, Tensor) and answer.numel() > 1:
            raise Wrong("that is the difference as a vector: its length is asked for", "a number", answer)
        got.append(as_number(answer))
        expected.append(_measured_error(values, j, gap))
        known.append(_wrong_errors(values, j, gap))
    wrongs = {mistake: torch.tensor([k[mistake] for k in known], dtype=torch.float64) for mistake in known[0]}
    right = torch.tensor(expected, dtype=torch.float64)
    _name(
        _vector(got, 3), right, wrongs, "not the distance of the output from v_j", "write c - v_j out first"
    )


def _measured_error(values: Tensor, j: int, gap: float) -> float:
    scores = torch.zeros(len(values), dtype=torch.float64)
    scores[j] = gap
    return (scores.softmax(0) @ values - values[j]).norm().item()


def _wrong_errors(values: Tensor, j: int, gap: float) -> dict[str, float]:
    alpha = soft_lookup.peak_weight(gap, len(values))
    rest = torch.cat([values[:j], values[j + 1 :]])
    distance = (rest.mean(0) - values[j]).norm().item()
    return {
        "the mean is taken over all values: v_j is not one of the others": (
            (1 - alpha) * (values.mean(0) - values[j]).norm().item()
        ),
        "multiplied by α_j: the error is what the others bring in, 1 - α_j": alpha * distance,
        "that is the weight of the others: times which distance?": 1 - alpha,
        "that is the square of the error: take the root": ((1 - alpha) * distance) ** 2,
        "the sum of the others in the place of their mean": (
            (1 - alpha) * (rest.sum(0) - values[j]).norm().item()
        ),
        "only what is missing of v_j: the others' values are in the output, too": (
            (1 - alpha) * values[j].norm().item()
        ),
        "that is the distance of the means: the others have only 1 - α_j of the weight": distance,
        "that is the output's length: subtract v_j first": (
            (alpha * values[j] + (1 - alpha) * rest.mean(0)).norm().item()
        ),
    }
