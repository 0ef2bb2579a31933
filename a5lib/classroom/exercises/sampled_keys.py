"""Checks for notebook 03: keys that are drawn anew each time, asked by one head and by two."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from a5lib import soft_lookup
from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import CLOSE, as_number, as_tensor

FLAT, NOISY = 0.05, 0.2  # the bounds of exercise 3: the others' share of the weight, std of the difference
ACROSS = 0.0672  # Σ ½ μ_i² e_i f_i, e and f along and across μ = (.6, .8, 0): an ε for each coordinate
HALF_AS_STD = 0.25  # the norm's variance of those who take the ½ for its standard deviation


def _compare(
    got: float, expected: float, what: str, known: Mapping[str, float], tolerance: float = CLOSE
) -> None:
    """Raise `Wrong` unless the two agree; with the mistake's name if the result is one that is known."""
    if abs(got - expected) <= tolerance:
        return
    for mistake, value in known.items():
        if abs(got - value) <= tolerance:
            raise Wrong(f"{what}: {mistake}", f"{expected:.4g}", f"{got:.4g}", tolerance=tolerance)
    raise Wrong(f"{what}: not the right number", f"{expected:.4g}", f"{got:.4g}", tolerance=tolerance)


def _vector(got, shape: tuple, what: str) -> Tensor:
    given, got = got, as_tensor(got)
    if got is None or got.is_complex() or got.is_meta:
        hint = "torch.stack makes one tensor of several"
        raise Wrong(f"{what}: a tensor is expected", shape, type(given).__name__, hint)
    if tuple(got.shape) != shape:
        raise Wrong(f"{what}: the shape is wrong", shape, tuple(got.shape))
    return got.double()


def _means() -> Tensor:
    return soft_lookup.orthonormal_rows(4, 6, torch.Generator().manual_seed(3))


def query_for_both(means: Tensor, a: int, b: int, beta: float) -> Tensor:
    """q = β(μ_a + μ_b)."""
    return beta * (means[a] + means[b])


@exercise("query_for_both", query_for_both)
def check_query_for_both(attempt: Callable) -> None:
    """The scores q·μ tell every mistake apart."""
    means, beta = _means(), 5.0
    got = _vector(attempt(means.clone(), 1, 3, beta), (6,), "the query")
    scores, wanted = means @ got, torch.tensor([0.0, beta, 0.0, beta], dtype=torch.float64)
    if torch.allclose(got, query_for_both(means, 1, 3, beta), atol=CLOSE):
        return
    known = {
        "the query does not grow with β": wanted / beta,
        "half of that: the average is taken of the values, by the weights; the query is the plain sum": wanted
        / 2,
        "only μ_a is asked for": wanted * torch.tensor([0, 1, 0, 0]),
        "only μ_b is asked for": wanted * torch.tensor([0, 0, 0, 1]),
        "μ_b is subtracted: its score is -β, so it gets nothing": wanted * torch.tensor([0, 1, 0, -1]),
        "every mean is asked for, not only a and b": torch.full_like(wanted, beta),
    }
    for mistake, theirs in known.items():
        if torch.allclose(scores, theirs, atol=CLOSE):
            raise Wrong(f"the scores q·μ of four means, a = 1, b = 3, β = 5: {mistake}", wanted, scores)
    if torch.allclose(scores, wanted, atol=CLOSE):
        got, expected = (f"length {query.norm():.4g}" for query in (got, query_for_both(means, 1, 3, beta)))
        raise Wrong("the scores are right, but the query is longer than they need", expected, got)
    hint = "which vector has the same score with both, and 0 with every other mean?"
    raise Wrong("the scores q·μ of four means, a = 1, b = 3, β = 5", wanted, scores, hint)


@exercise("score_noise", soft_lookup.score_difference_std)
def check_score_noise(attempt: Callable) -> None:
    """Two settings in which the known mistakes all differ."""
    for alpha, beta in ((0.01, 10.0), (0.0004, 30.0)):
        expected = 2 * beta * math.sqrt(alpha)
        known = {
            "that is the variance; its root is wanted": expected**2,
            "one factor √2 is missing: both keys are noisy, and the query's length is √2·β": expected
            / math.sqrt(2),
            "two factors √2 are missing: both keys are noisy, and the query's length is √2·β": expected / 2,
            "α is a variance, so its root is what counts": 2 * beta * alpha,
            "the noises of the two keys are independent, so they do not cancel": 0.0,
        }
        got = as_number(attempt(alpha, beta), f"α = {alpha:g}, β = {beta:g}")
        _compare(got, expected, f"α = {alpha:g}, β = {beta:g}", known)


def working_beta(n: int, alpha: float) -> float | None:
    """The smallest β that leaves the others at most 5 % of the weight, if its noise is at most 0.2."""
    beta = math.log((n - 2) * (1 / FLAT - 1) / 2)
    return beta if soft_lookup.score_difference_std(alpha, beta) <= NOISY else None


@exercise("working_beta", working_beta)
def check_working_beta(attempt: Callable) -> None:
    """Any β between the bounds counts; where the bounds cross, None does."""
    for n, alpha in ((8, 1e-4), (8, 0.0), (1000, 1e-4), (8, 1e-3), (5000, 1e-4)):
        case = f"n = {n}, α = {alpha:g}"
        got, lowest = attempt(n, alpha), working_beta(n, alpha)
        if lowest is None:
            if got is not None:
                hint = "the smallest β against flatness is already too noisy"
                raise Wrong(f"{case}: no β meets both bounds", "None", got, hint)
            continue
        if got is None:
            raise Wrong(f"{case}: there is a β that meets both bounds", f"{lowest:.3f}, for one", "None")
        beta = as_number(got, case)
        others = (n - 2) / (2 * math.exp(min(beta, 700.0)) + n - 2)
        noise = soft_lookup.score_difference_std(alpha, beta)
        if others > FLAT + 1e-6:
            share = f"{100 * others:.2f} % at β = {beta:.3f}"
            raise Wrong(
                f"{case}: too flat, the others keep more than 5 % of the weight", "at most 5 %", share
            )
        if noise > NOISY + 1e-6:
            std = f"{noise:.3f} at β = {beta:.3f}"
            raise Wrong(
                f"{case}: too noisy, the difference of the scores has too large a std", "at most 0.2", std
            )


def stretched_keys(mean: Tensor, alpha: float, samples: int, generator: torch.Generator) -> Tensor:
    """(samples, d) keys from N(μ, αI + ½μμᵀ)."""
    stretch = torch.tensor([soft_lookup.NORM_VARIANCE], dtype=torch.float64)
    return soft_lookup.sample_keys(mean[None], alpha, stretch, samples, generator)[:, 0]


@exercise("stretched_keys", stretched_keys, draws=True)
def check_stretched_keys(attempt: Callable) -> None:
    """Mean and variances, along μ and across, of 20,000 samples."""
    mean, alpha, samples = torch.tensor([0.6, 0.8, 0.0], dtype=torch.float64), 0.04, 20_000
    keys = _vector(
        attempt(mean.clone(), alpha, samples, torch.Generator().manual_seed(1)), (samples, 3), "the keys"
    )
    again = attempt(mean.clone(), alpha, samples, torch.Generator().manual_seed(1))
    if not torch.equal(keys, _vector(again, (samples, 3), "the keys")):
        raise Wrong(
            "the same generator gives two different sets of keys",
            hint="torch.randn(..., generator=generator)",
        )
    basis = torch.stack([mean, torch.tensor([-0.8, 0.6, 0.0]).double(), torch.tensor([0.0, 0, 1]).double()])
    along = keys @ basis.T  # (S, 3): first the coordinate along μ
    centre, covariance = along.mean(dim=0), along.T.cov()
    variances = covariance.diagonal()
    _compare_keys(centre, covariance, variances, alpha)


def _compare_keys(centre: Tensor, covariance: Tensor, variances: Tensor, alpha: float) -> None:
    """Name what is wrong with the moments; 0.025 is at least four standard errors of each."""
    along, across = variances[0].item(), variances[1:].mean().item()
    if (centre - torch.tensor([1.0, 0, 0])).abs().max() > 0.025:
        hint = "ε has the mean 1, and each sample an ε of its own"
        raise Wrong("the keys' mean is not μ: its coordinates along μ and across", (1, 0, 0), centre, hint)
    if abs(covariance[0, 1] - ACROSS) < 0.01 and abs(covariance[1, 2]) < 0.01:
        hint = "ε is one number for each sample, shape (samples, 1)"
        raise Wrong("k_a leaves its direction: each coordinate has an ε of its own", hint=hint)
    if (covariance - covariance.diagonal().diag()).abs().max() > 0.01:
        hint = "each coordinate of the noise needs a draw of its own"
        raise Wrong("the coordinates of the noise are correlated", "0", covariance.flatten()[[1, 2, 5]], hint)
    if across < 1e-6:
        raise Wrong("there is no noise of variance α across μ", alpha, across)
    if abs(across - alpha) > 0.003:
        known = {
            "α is the variance of the noise; you took it for its standard deviation": alpha**2,
            "the noise is multiplied by ε, too; it is added after": 1.5 * alpha,
        }
        _compare(across, alpha, "the variance across μ", known, 0.003)
    if abs(along - 0.5 - alpha) > 0.025:
        known = {
            "½ is the variance along μ; you took it for the standard deviation": HALF_AS_STD + alpha,
            "the ½ along μ is missing": alpha,
            "the noise αI is in every direction, along μ too": 0.5,
            "√½ is the standard deviation along μ; you took it for the variance": math.sqrt(0.5) + alpha,
        }
        _compare(along, 0.5 + alpha, "the variance along μ", known, 0.018)


def _same_weights(got, expected: Tensor, what: str, known: Mapping[str, Tensor]) -> None:
    got = _vector(got, tuple(expected.shape), what)
    if got.isnan().any():
        hint = "a high power of e overflows; divide by it above and below, or use torch.sigmoid"
        raise Wrong(f"{what}: not a number", expected, got, hint)
    if torch.allclose(got, expected, atol=CLOSE):
        return
    for mistake, theirs in known.items():
        if torch.allclose(got, theirs, atol=CLOSE):
            raise Wrong(f"{what}: {mistake}", expected, got)
    raise Wrong(f"{what}: other weights", expected, got)


NORMS = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5, 2.5], dtype=torch.float64)
FAR = torch.tensor([-3.0, 1.0, 4.0], dtype=torch.float64)  # e^(300·4) is more than a double can hold


@exercise("one_head_weight", lambda norm, beta: soft_lookup.one_head_weight(norm, beta))
def check_one_head_weight(attempt: Callable) -> None:
    """Six norms at β = 4, and a β at which the plain formula overflows."""
    expected = soft_lookup.one_head_weight(NORMS, 4.0)
    known = {
        "that is the weight of b": 1 - expected,
        "the score of b is β, not 0": torch.sigmoid(4 * NORMS),
        "β is missing": torch.sigmoid(NORMS - 1),
        "the second head's or the other keys' scores do not belong here: only a and b count": torch.sigmoid(
            4 * NORMS - math.log(7)
        ),
    }
    _same_weights(attempt(NORMS.clone(), 4.0), expected, "β = 4, ε from -0.5 to 2.5", known)
    _same_weights(
        attempt(FAR.clone(), 300.0), soft_lookup.one_head_weight(FAR, 300.0), "β = 300, ε = -3, 1, 4", {}
    )


def _simulated(attempt: Callable, argument: float):
    """What `attempt` returns; a simulation without a seed of its own gives the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return attempt(argument)


def one_head_variance(beta: float) -> float:
    """Var α_a of one head by quadrature."""
    return soft_lookup.one_head_variance(beta)


@exercise("one_head_variance", one_head_variance, draws=True)
def check_one_head_variance(attempt: Callable) -> None:
    """Four values of β, by whatever method: the tolerance leaves room for a few thousand samples."""
    for beta in (1.0, 4.0, 10.0, 30.0):
        expected, std_instead = one_head_variance(beta), soft_lookup.one_head_variance(beta, HALF_AS_STD)
        got = as_number(_simulated(attempt, beta), f"β = {beta:g}")
        known = {
            "that is the standard deviation": math.sqrt(expected),
            "you took ½ for the standard deviation of ε; it is its variance": std_instead,
            "that is E α²; the squared mean must go": expected + 0.25,
            "that is the limit for β without bound": 0.25,
        }
        _compare(got, expected, f"β = {beta:g}", known, 0.008)


def share_undecided(beta: float) -> float:
    """P(.01 < α_a < .99) of one head."""
    return soft_lookup.share_undecided(beta)


@exercise("share_undecided", share_undecided, draws=True)
def check_share_undecided(attempt: Callable) -> None:
    """Four values of β, by formula or by simulation: 10,000 samples are six standard errors within."""
    for beta in (4.0, 10.0, 30.0, 100.0):
        expected, reach = share_undecided(beta), math.log(99) / beta
        got = as_number(_simulated(attempt, beta), f"β = {beta:g}")
        known = {
            "that is the share of the decided": 1 - expected,
            "cut off at one side only": soft_lookup.normal_cdf(reach * math.sqrt(2)),
            "you took ½ for the standard deviation of ε; it is its variance": 2
            * soft_lookup.normal_cdf(2 * reach)
            - 1,
            "in percent; a share is from 0 to 1": 100 * expected,
            "the standard deviation of the logit is β√½, not β": 2 * soft_lookup.normal_cdf(reach) - 1,
        }
        _compare(got, expected, f"β = {beta:g}", known, 0.03)


def two_queries(means: Tensor, a: int, b: int, beta: float) -> Tensor:
    """q_1 = βμ_a and q_2 = βμ_b, stacked."""
    return beta * means[[a, b]]


@exercise("two_queries", two_queries)
def check_two_queries(attempt: Callable) -> None:
    """The scores of the two heads, the first one's for a."""
    means, beta = _means(), 5.0
    got = _vector(attempt(means.clone(), 1, 3, beta), (2, 6), "the two queries")
    scores = got @ means.T  # (2, 4)
    lengths = got.norm(dim=1)
    wanted = torch.zeros(2, 4, dtype=torch.float64)
    wanted[0, 1] = wanted[1, 3] = beta
    if torch.allclose(scores, wanted.flip(0), atol=CLOSE):
        raise Wrong("the heads are swapped: here the first one asks for a", wanted, scores)
    if torch.allclose(got[0], got[1], atol=CLOSE):
        raise Wrong("both heads ask the same: then there are no two", wanted, scores)
    if torch.allclose(scores, wanted / beta, atol=CLOSE):
        raise Wrong("the queries do not grow with β", wanted, scores)
    if torch.allclose(scores, wanted / 2, atol=CLOSE):
        raise Wrong("half as long: the mean is taken of the outputs, not of the queries", wanted, scores)
    if not torch.allclose(scores, wanted, atol=CLOSE) or not torch.allclose(
        lengths, 0 * lengths + beta, atol=CLOSE
    ):
        raise Wrong("the scores q·μ of four means, a = 1, b = 3, β = 5, a row for each head", wanted, scores)


@exercise("first_head_weight", soft_lookup.two_head_weight)
def check_first_head_weight(attempt: Callable) -> None:
    """Six norms at β = 4 and n = 8, and a β at which the plain formula overflows."""
    expected = soft_lookup.two_head_weight(NORMS, 4.0, 8)
    known = {
        "there are n - 1 others, not n": torch.sigmoid(4 * NORMS - math.log(8)),
        "there are n - 1 others: b is one of them for this head": torch.sigmoid(4 * NORMS - math.log(6)),
        "that is one head's weight; this query asks for a alone, so b's score is 0": torch.sigmoid(
            4 * (NORMS - 1)
        ),
        "this query asks for a alone, so b's score is 0, not β": soft_lookup.one_head_weight(NORMS, 4.0, 8),
        "the others are left out: each has e⁰ = 1": torch.sigmoid(4 * NORMS),
        "that is the weight of the others": 1 - expected,
        "half of it: that is a's share in the mean of the two heads": expected / 2,
    }
    _same_weights(attempt(NORMS.clone(), 4.0, 8), expected, "β = 4, n = 8, ε from -0.5 to 2.5", known)
    far = soft_lookup.two_head_weight(FAR, 300.0, 8)
    _same_weights(attempt(FAR.clone(), 300.0, 8), far, "β = 300, n = 8, ε = -3, 1, 4", {})


@exercise("switch_norm", soft_lookup.switch)
def check_switch_norm(attempt: Callable) -> None:
    """Two settings."""
    for beta, n in ((10.0, 8), (4.0, 3)):
        case = f"β = {beta:g}, n = {n}"
        known = {
            "there are n - 1 others, not n": math.log(n) / beta,
            "there are n - 1 others: b is one of them for this head": math.log(n - 2) / beta,
            "β is missing: the score is βε": math.log(n - 1),
            "1 is where a single head is undecided between a and b": 1.0,
            "turned over": beta / math.log(n - 1),
        }
        _compare(as_number(attempt(beta, n), case), soft_lookup.switch(beta, n), case, known)


@exercise("variance_left", soft_lookup.two_head_limit, draws=True)
def check_variance_left(attempt: Callable) -> None:
    """Two variances of the norm, by formula or by samples: 100,000 are ten standard errors within."""
    for variance in (0.5, 1.0):
        p, std = soft_lookup.share_negative(variance), math.sqrt(variance)
        wrong_p = soft_lookup.normal_cdf(-1 / variance)
        known = {
            "that is P(ε < 0); the variance of a coin that falls so is wanted, a quarter of it": p,
            "the quarter is missing: c is the mean of two heads, and one of them is certain": p * (1 - p),
            "half a head's output has a quarter of its variance, not a half": p * (1 - p) / 2,
            "that is the standard deviation": math.sqrt(p * (1 - p)) / 2,
            "the argument is the variance of ε, so its standard deviation is the root": wrong_p
            * (1 - wrong_p)
            / 4,
        }
        case = f"variance of the norm {variance:g}, so its standard deviation {std:.3g}"
        got = as_number(_simulated(attempt, variance), case)
        _compare(got, soft_lookup.two_head_limit(variance), case, known, 2e-3)
