"""Checks for notebook 02: two values in one vector, and a query that averages."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from a5lib import soft_lookup
from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import CLOSE, as_number, as_tensor
from a5lib.soft_lookup import orthonormal_rows, shortfall, subspaces

D, DIM_A, DIM_B = 7, 3, 2


# 1(b)-i: taking v_a out of the sum.


@exercise("extract", soft_lookup.projection)
def check_extract(attempt: Callable) -> None:
    """M keeps every v_a of the span of A, and nothing of what is orthogonal to it."""
    A, B = subspaces(D, DIM_A, D - DIM_A, torch.Generator().manual_seed(0))
    M = _matrix(attempt(A.clone()), A)
    right = A @ A.T
    if _same(M, torch.eye(D)):
        raise Wrong("M is the identity: it gives back s, with v_b still in it", got=M)
    if _same(M, torch.eye(D) - right):
        raise Wrong("M keeps what is orthogonal to A and removes v_a: it is I minus the right matrix", got=M)
    factor = (M * right).sum() / right.square().sum()
    if _same(M, factor * right) and abs(factor - 1) > 1e-6:
        raise Wrong("v_a comes out with the wrong length", "v_a", f"{factor:.4g} v_a")
    if not _same(M @ A, A):
        hint = "v_a = Σ c_i a_i. How do you get c_i from s? And v_a from the c_i?"
        raise Wrong("M changes v_a, too: each column of A should stay as it is", A[:, 0], M @ A[:, 0], hint)
    if not _same(M @ B, torch.zeros(D, D - DIM_A)):
        raise Wrong("v_b gets through: whatever is orthogonal to A should become 0", "0", M @ B[:, 0])


def _matrix(M: Any, A: Tensor) -> Tensor:
    """What an attempt returned as (d, d) float64, or a sentence on what it is instead."""
    if M is None:
        raise Wrong("nothing comes back: the function should return M", f"({D}, {D})", "None")
    given, M = M, as_tensor(M)
    if M is None or M.is_complex() or M.is_meta:
        raise Wrong("M is a matrix: a tensor is expected", f"({D}, {D})", type(given).__name__)
    M = M.to(torch.float64)
    if M.shape == (D, D):
        return M
    if M.shape == (A.shape[1], D):
        hint = "three numbers are not yet a vector of seven: which matrix makes a vector of coordinates?"
        raise Wrong(
            "this gives v_a's coordinates along A's columns, not the vector v_a", f"({D}, {D})", M, hint
        )
    if M.shape == A.shape and _same(M, A):
        raise Wrong("this is A itself, which turns coordinates into vectors; s is a vector", f"({D}, {D})", M)
    if M.shape == (A.shape[1],) * 2:
        raise Wrong(
            "AᵀA compares A's columns with each other (it is I): the order is wrong", f"({D}, {D})", M
        )
    raise Wrong("M has the wrong shape: it takes a vector of d numbers to another", f"({D}, {D})", M)


def extract_exact(A: Tensor, B: Tensor) -> Tensor:
    """M (d, d) with MA = A and MB = 0, for subspaces at any angle: the oblique projection."""
    coordinates = torch.linalg.pinv(torch.cat([A, B], dim=1))  # (dim_a + dim_b, d)
    return A @ coordinates[: A.shape[1]]


@exercise("extract_exact", extract_exact)
def check_extract_exact(attempt: Callable) -> None:
    """MA = A and MB = 0, at a right angle and at others; what M does elsewhere is free."""
    for degrees in (40.0, 90.0, 10.0):
        A, B = subspaces(D, DIM_A, DIM_B, torch.Generator().manual_seed(1), degrees)
        M = _matrix(attempt(A.clone(), B.clone()), A)
        where = f"at {degrees:.0f}°: "
        if _same(M @ A, A) and _same(M @ B, torch.zeros_like(B)):
            continue
        if _same(M, A @ A.T):
            raise Wrong(where + "AAᵀ lets a part of v_b through; M has to know B", "MB = 0", M @ B[:, 0])
        if _same(M, A @ A.T - B @ B.T):
            raise Wrong(where + "AAᵀ - BBᵀ takes off all of v_b, not only what got through", got=M @ B[:, 0])
        if _same(M @ B, B) and _same(M @ A, A):
            raise Wrong(where + "M keeps v_a and v_b: use A's coordinates only", "MB = 0", M @ B[:, 0])
        if _same(M @ B, B):
            raise Wrong(
                where + "this M takes out v_b and removes v_a: the roles are swapped", got=M @ B[:, 0]
            )
        if _same(M @ B, torch.zeros_like(B)):
            hint = "to remove B's directions is to remove what v_a has along them"
            raise Wrong(where + "v_b is gone, but v_a is changed, too", A[:, 0], M @ A[:, 0], hint)
        raise Wrong(where + "M should leave v_a as it is and take v_b to 0", "MB = 0", M @ B[:, 0])


def _same(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b.to(a), atol=1e-5)


# 1(b)-ii: the query that averages.


def averaging_query(k_a: Tensor, k_b: Tensor, beta: float) -> Tensor:
    """q (d,) whose score with each of two orthonormal keys is β, and 0 with all orthogonal to both."""
    return beta * (k_a + k_b)


def _scores(query: Any, keys: Tensor, a: int, b: int) -> tuple[float, float]:
    """q·k_a and q·k_b; raises where q is no vector, or scores with a key that was not asked for."""
    shape = tuple(keys[a].shape)
    vector = as_tensor(query)
    if vector is None or vector.shape != shape:
        raise Wrong("the query should be one vector, as long as a key", shape, query)
    scores = keys @ vector.to(torch.float64)
    others = torch.stack([score for i, score in enumerate(scores) if i not in (a, b)])
    if not others.abs().max() < 1e-5:
        hint = "the query must be orthogonal to every other key"
        raise Wrong("keys that were not asked for get a score, too", "0", others, hint, 1e-5)
    return scores[a].item(), scores[b].item()


@exercise("averaging_query", averaging_query)
def check_averaging_query(attempt: Callable) -> None:
    """Scores β, β and 0, on keys that fill the space."""
    keys = orthonormal_rows(6, 6, torch.Generator().manual_seed(2))
    for beta in (4.0, 9.0):
        score_a, score_b = _scores(attempt(keys[1].clone(), keys[4].clone(), beta), keys, 1, 4)
        got = f"{score_a:.4g} and {score_b:.4g}"
        wanted = f"{beta:g} and {beta:g}"
        if abs(score_a + score_b) < 1e-5 < abs(score_a):
            raise Wrong("one of the keys is subtracted: its score is -β, so it gets nothing", wanted, got)
        if abs(score_a - score_b) > 1e-5:
            hint = "β multiplies both keys, and each key is in the query once"
            raise Wrong("a and b get different scores, so their weights differ", wanted, got, hint)
        if abs(score_a - 1) < 1e-5:
            raise Wrong("the scores are 1 whatever β is: without β the weights stay nearly even", wanted, got)
        for factor, what in ((0.5, "the mean of the keys"), (0.5**0.5, "a query scaled to length β")):
            if abs(score_a - factor * beta) < 1e-5:
                raise Wrong(f"{what} gives scores of {factor:.3g} β; take the sum", wanted, got)
        if not abs(score_a - beta) < 1e-5:
            raise Wrong("the scores of a and b should both be β", wanted, got, tolerance=1e-5)


def _wrong_shortfalls(beta: float, n: int) -> dict[str, float]:
    """Numbers that people arrive at, by what they got wrong."""
    e = math.exp(beta)
    return {
        "this is the weight itself; asked is what it lacks to ½": e / (2 * e + n - 2),
        "the sign is turned: it is ½ minus the weight": -shortfall(beta, n),
        "this is what all others get together; each of the two lacks half of it": 2 * shortfall(beta, n),
        "this is what one other key gets; there are n - 2 of them": 1 / (2 * e + n - 2),
        "this is for n others: a and b are among the n keys": n / (2 * (2 * e + n)),
        "this is for n - 1 others, as with one key asked for; here two are": (n - 1) / (2 * (2 * e + n - 1)),
        "the denominator has e^β once: it needs both keys' share": (n - 2) / (2 * (e + n - 2)),
        "the weight's denominator has e^β once: it needs both keys'": 0.5 - e / (e + n - 2),
        "this is 1/e^β in the place of e^β: the exponent's sign is turned": (n - 2) / (2 * (2 / e + n - 2)),
        "this is in percent; give it as a fraction": 100 * shortfall(beta, n),
    }


@exercise("shortfall", shortfall)
def check_shortfall(attempt: Callable) -> None:
    """The closed form at ordinary β, no others at n = 2, and no overflow at a huge β."""
    for beta, n in ((1.5, 10), (4.0, 30), (0.0, 8), (7.0, 2)):
        _compare(attempt(beta, n), shortfall(beta, n), f"β = {beta:g}, n = {n}", _wrong_shortfalls(beta, n))
    try:
        huge = float(attempt(1000.0, 8))
    except OverflowError:  # of the attempt's, or of a float's
        huge = math.nan
    if not abs(huge) < 1e-9:
        hint = "divide the fraction above and below by e^β: only e^-β is left"
        raise Wrong("at β = 1000 e^β is too large for a float", "0.0", huge, hint)


def beta_needed(share: float, n: int, asked: int = 2) -> float:
    """The β that leaves the n - k others `share` of the weight: ln((n - k) / k) + ln((1 - share) / share)."""
    return math.log((n - asked) / asked) + math.log((1 - share) / share)


def _wrong_betas(share: float, n: int, asked: int) -> dict[str, float]:
    odds = math.log((1 - share) / share)
    right = beta_needed(share, n, asked)
    return {
        "the sign is turned: more of β leaves less to the others": -right,
        "the odds are upside down: it is (1 - share) / share": math.log((n - asked) / asked) - odds,
        "the sum over the asked keys is missing: they share the weight": math.log(n - asked) + odds,
        "this counts all n keys as others; n - asked are": math.log(n / asked) + odds,
        "this counts n - 1 others, as with one key asked for": math.log((n - 1) / asked) + odds,
        "1 / share is the odds only nearly: it is (1 - share) / share": math.log((n - asked) / asked / share),
        "a logarithm to base 10; the exponential needs the natural one": right / math.log(10),
        "a logarithm to base 2; the exponential needs the natural one": right / math.log(2),
        "this is e^β; take its logarithm": math.exp(right),
        "this is for two keys asked for, whatever `asked` says": math.log((n - 2) / 2) + odds,
        "this is for a share that each asked key lacks; `share` is what the others get together":
            beta_needed(min(0.999, asked * share), n, asked),
    }  # fmt: skip


@exercise("beta_needed", beta_needed)
def check_beta_needed(attempt: Callable) -> None:
    """Two keys of several n, then more of them."""
    for share, n, asked in ((0.1, 50, 2), (0.01, 12, 2), (0.2, 40, 5)):
        case = f"share {share:g} for the others, n = {n}, asked = {asked}"
        _compare(attempt(share, n, asked), beta_needed(share, n, asked), case, _wrong_betas(share, n, asked))
    _compare(attempt(0.1, 50), beta_needed(0.1, 50), "share 0.1, n = 50, asked not given: 2", {})


def _compare(got: Any, expected: float, case: str, mistakes: dict[str, float]) -> None:
    """A number against the right one, and against those that known mistakes give."""
    got = as_number(got, case)
    if math.isclose(got, expected, rel_tol=CLOSE, abs_tol=CLOSE / 50):
        return
    for mistake, value in mistakes.items():
        if math.isclose(got, value, rel_tol=CLOSE, abs_tol=CLOSE / 50):
            raise Wrong(f"{case}: {mistake}", f"{expected:.6g}", f"{got:.6g}", tolerance=CLOSE)
    raise Wrong(f"{case}: not the right number", f"{expected:.6g}", f"{got:.6g}", tolerance=CLOSE)


def weighted_query(k_a: Tensor, k_b: Tensor, beta: float, ratio: float) -> Tensor:
    """q (d,) that gives k_a `ratio` times the weight of k_b: scores β + ln ratio and β."""
    return beta * (k_a + k_b) + math.log(ratio) * k_a


@exercise("weighted_query", weighted_query)
def check_weighted_query(attempt: Callable) -> None:
    """The two scores are ln(ratio) apart, and that of b is β."""
    keys = orthonormal_rows(5, 5, torch.Generator().manual_seed(3))
    for beta, ratio in ((5.0, 3.0), (8.0, 0.25)):
        score_a, score_b = _scores(attempt(keys[0].clone(), keys[3].clone(), beta, ratio), keys, 0, 3)
        difference, right = score_a - score_b, math.log(ratio)
        if not abs(difference - right) < 1e-5:
            what = _name_difference(difference, beta, ratio)
            got = f"e^{difference:.4g} = {_power(difference)}"
            raise Wrong(f"β = {beta:g}, ratio {ratio:g}: {what}", f"α_a / α_b = {ratio:g}", got)
        if not abs(score_b - beta) < 1e-5:
            hint = "leave b as it is and change the score of a"
            raise Wrong("the ratio is right, but b's score is not β", f"{beta:g}", f"{score_b:.4g}", hint)


def _name_difference(difference: float, beta: float, ratio: float) -> str:
    """What a wrong difference of scores comes from."""
    known = {
        "the weights are equal: the ratio does nothing": 0.0,
        "the ratio multiplies the score, so the weights' ratio is e to the power β(ratio - 1)":
            beta * (ratio - 1),
        "the ratio is added to the score: adding x to a score multiplies the weight by e^x": ratio,
        "a and b are swapped": -math.log(ratio),
        "the logarithm is multiplied by β, too, so the weights' ratio is ratio^β": beta * math.log(ratio),
        "a logarithm to base 2; the softmax needs the natural one": math.log2(ratio),
        "a logarithm to base 10; the softmax needs the natural one": math.log10(ratio),
    }  # fmt: skip
    near = [words for words, value in known.items() if abs(difference - value) < 1e-5]
    return near[0] if near else "a's weight over b's is not the ratio"


def _power(x: float) -> str:
    return f"{math.exp(x):.4g}" if x < 700 else "more than 1e300"
