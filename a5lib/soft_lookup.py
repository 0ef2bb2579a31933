"""Part 1 of the assignment: attention as a soft look-up, on single vectors, beside its closed forms.

Letters: n keys, d their dimension, e the values', S samples, H heads. Everything is float64, so that a
simulation and its closed form differ by sampling only. Knows nothing about models.
"""

import math

import torch
from torch import Tensor

NORM_VARIANCE = 0.5  # of ε in k_a = ε μ_a, question 1(c)-ii


# Looking up.


def attention_weights(keys: Tensor, query: Tensor) -> Tensor:
    """α_i = exp(k_i·q) / Σ_j exp(k_j·q): keys (..., n, d), query (d,), weights (..., n)."""
    return (keys @ query).softmax(dim=-1)


def look_up(keys: Tensor, values: Tensor, query: Tensor) -> Tensor:
    """c = Σ_i α_i v_i: keys (..., n, d), values (n, e), query (d,), output (..., e)."""
    return attention_weights(keys, query) @ values


def look_up_heads(keys: Tensor, values: Tensor, queries: Tensor) -> Tensor:
    """The mean of H look-ups, one for each query (H, d), over the same keys: output (..., e)."""
    return torch.stack([look_up(keys, values, query) for query in queries]).mean(dim=0)


# Vectors to look up with.


def orthonormal_rows(n: int, d: int, generator: torch.Generator) -> Tensor:
    """(n, d): n random directions of length 1, orthogonal to each other; n is at most d."""
    if n > d:
        raise ValueError(f"{n} orthogonal directions do not fit into {d} dimensions")
    basis, _ = torch.linalg.qr(torch.randn(d, n, generator=generator, dtype=torch.float64))
    return basis.T


def subspaces(
    d: int, dim_a: int, dim_b: int, generator: torch.Generator, degrees: float = 90.0
) -> tuple[Tensor, Tensor]:
    """Orthonormal columns A (d, dim_a) and B (d, dim_b), `degrees` between each pair of axes.

    All principal angles are `degrees`: 90 is orthogonal, at 0 one lies inside the other.
    """
    columns = orthonormal_rows(dim_a + dim_b, d, generator).T
    A, beside = columns[:, :dim_a], columns[:, dim_a:]
    shared = min(dim_a, dim_b)
    angle = math.radians(degrees)
    B = beside.clone()
    B[:, :shared] = math.cos(angle) * A[:, :shared] + math.sin(angle) * beside[:, :shared]
    return A, B


def projection(A: Tensor) -> Tensor:
    """M = AAᵀ (d, d), which keeps what lies in the span of A's orthonormal columns. Question 1(b)-i."""
    return A @ A.T


# One peak, question 1(a).


def peak_weight(gap: float, n: int) -> float:
    """α_j when k_j·q exceeds each of the other n - 1 scores by `gap`: e^g / (e^g + n - 1)."""
    return 1 / (1 + (n - 1) * math.exp(-gap))


def gap_needed(weight: float, n: int) -> float:
    """The gap at which one of n keys has that weight: ln(n - 1) + ln(α / (1 - α))."""
    return math.log(n - 1) + math.log(weight / (1 - weight))


# Averaging several, question 1(b)-ii. Keys are orthonormal, the query is β times the sum of those asked for.


def shared_weight(beta: float, n: int, asked: int = 2) -> float:
    """The weight of each of the `asked` keys: e^β / (asked e^β + n - asked)."""
    return 1 / (asked + (n - asked) * math.exp(-beta))


def shortfall(beta: float, n: int, asked: int = 2) -> float:
    """What is missing to 1 / asked in each weight; for two keys (n - 2) / (2 (2e^β + n - 2))."""
    others = (n - asked) * math.exp(-beta)  # no difference of near numbers: exact at any β
    return others / (asked * (asked + others))


def averaging_error(values: Tensor, chosen: list[int], beta: float) -> Tensor:
    """‖c - mean of the chosen values‖: the others' share of the weight times the distance of the means."""
    rest = [i for i in range(len(values)) if i not in chosen]
    others_share = len(chosen) * shortfall(beta, len(values), len(chosen))
    return others_share * (values[rest].mean(dim=0) - values[chosen].mean(dim=0)).norm()


# Sampled keys, questions 1(c) and 1(d).


def sample_keys(
    means: Tensor, alpha: float, stretch: Tensor | None, samples: int, generator: torch.Generator
) -> Tensor:
    """Keys (S, n, d), each k_i from N(μ_i, αI + s_i μ_i μ_iᵀ).

    Args:
        means: μ (n, d).
        alpha: variance of the noise in every direction.
        stretch: s (n,), the variance of the norm along each mean; None for none. In 1(c)-ii it is ½ for a.
    """
    n, d = means.shape
    noise = torch.randn(samples, n, d, generator=generator, dtype=torch.float64)
    stretch = torch.zeros(n, dtype=torch.float64) if stretch is None else stretch
    norm = 1 + stretch.sqrt() * torch.randn(samples, n, generator=generator, dtype=torch.float64)  # (S, n)
    return norm[..., None] * means + math.sqrt(alpha) * noise


def score_difference_std(alpha: float, beta: float) -> float:
    """Standard deviation 2β√α of (k_a - k_b)·q under isotropic noise, q = β(μ_a + μ_b). Question 1(c)-i."""
    return 2 * beta * math.sqrt(alpha)


def normal_cdf(x: float) -> float:
    """Φ(x)."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def expectation(f, norm_variance: float = NORM_VARIANCE, above: float = -math.inf) -> float:
    """E[f(ε) | ε > above] for ε ~ N(1, norm_variance), by the trapezoid rule over ±10 standard deviations.

    Args:
        f: maps a tensor of ε to a tensor of the same shape.
    """
    std = math.sqrt(norm_variance)
    lowest = -10.0 if math.isinf(above) else (above - 1) / std
    z = torch.linspace(max(-10.0, lowest), 10, 100_001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    return (torch.trapezoid(density * f(1 + std * z), z) / torch.trapezoid(density, z)).item()


def variance(f, norm_variance: float = NORM_VARIANCE, above: float = -math.inf) -> float:
    """Var[f(ε) | ε > above] for ε ~ N(1, norm_variance)."""
    mean = expectation(f, norm_variance, above)
    return expectation(lambda norm: (f(norm) - mean).square(), norm_variance, above)


def spread(outputs: Tensor) -> tuple[float, float]:
    """Sampled outputs (S, e) to the trace of their covariance, and the standard error of that estimate."""
    squared = (outputs - outputs.mean(dim=0)).square().sum(dim=-1)  # (S,)
    samples = len(outputs)
    return squared.sum().item() / (samples - 1), squared.std().item() / math.sqrt(samples)


def unit_length(keys: Tensor) -> Tensor:
    """Each key (..., d) divided by its length, as QK-norm does: of ε only its sign is left."""
    return keys / keys.norm(dim=-1, keepdim=True)


# One head, k_a = ε μ_a and q = β(μ_a + μ_b). Question 1(c)-ii. With n = 2 these are the lesson's formulas,
# right for any n as long as 2e^β >> n - 2; with n given they are exact.


def one_head_weight(norm: Tensor, beta: float, n: int = 2) -> Tensor:
    """α_a = e^{βε} / (e^{βε} + e^β + n - 2), which is σ(β(ε - 1)) for n = 2."""
    return torch.sigmoid(beta * (norm - 1) - math.log1p((n - 2) * math.exp(-beta)))


def one_head_variance(beta: float, norm_variance: float = NORM_VARIANCE, n: int = 2) -> float:
    """Var α_a: .25 in the limit of large β, a fair coin.

    It is the trace of the output's covariance, in units of ‖v_a - what the head finds without a‖²: that
    is v_b for n = 2.
    """
    return variance(lambda norm: one_head_weight(norm, beta, n), norm_variance)


def one_head_density(weight: Tensor, beta: float, norm_variance: float = NORM_VARIANCE) -> Tensor:
    """The density of α_a in (0, 1), logit-normal: its logit is N(0, β² · variance of the norm)."""
    sigma = beta * math.sqrt(norm_variance)
    logit = torch.log(weight) - torch.log1p(-weight)
    normal = torch.exp(-(logit / sigma).square() / 2) / (sigma * math.sqrt(2 * math.pi))
    return normal / (weight * (1 - weight))


def share_undecided(beta: float, margin: float = 0.01, norm_variance: float = NORM_VARIANCE) -> float:
    """P(margin < α_a < 1 - margin) = 2Φ(logit(1 - margin) / (β · std of the norm)) - 1."""
    reach = math.log((1 - margin) / margin)
    return 2 * normal_cdf(reach / (beta * math.sqrt(norm_variance))) - 1


# Two heads, q_1 = βμ_a and q_2 = βμ_b. Question 1(d)-ii. Exact for any n.


def two_head_weight(norm: Tensor, beta: float, n: int) -> Tensor:
    """The first head's α_a = e^{βε} / (e^{βε} + n - 1); the second head always finds b."""
    return torch.sigmoid(beta * norm - math.log(n - 1))


def switch(beta: float, n: int) -> float:
    """ε* = ln(n - 1) / β: the norm at which the first head gives a half of its weight."""
    return math.log(n - 1) / beta


def share_negative(norm_variance: float = NORM_VARIANCE) -> float:
    """P(ε < 0), where the first head finds everything but a, however large β is."""
    return normal_cdf(-1 / math.sqrt(norm_variance))


def two_head_variance(
    beta: float, n: int, norm_variance: float = NORM_VARIANCE, above: float = -math.inf
) -> float:
    """¼ Var α_{1,a}, the trace of the output's covariance in units of ‖v_a - mean of the others‖².

    Args:
        above: only for norms above this one, as with `switch(beta, n)`.
    """
    return variance(lambda norm: two_head_weight(norm, beta, n), norm_variance, above) / 4


def two_head_limit(norm_variance: float = NORM_VARIANCE) -> float:
    """¼ p(1 - p), p = P(ε < 0): what is left of that variance for β without bound."""
    p = share_negative(norm_variance)
    return p * (1 - p) / 4
