"""Notebooks 01 to 03: loops, matrices, einsum, numpy, torch's own functions, 32-bit numbers, lists."""

import bisect
import math
from itertools import accumulate

import numpy as np
import torch

# 01


def weights_by_loops(keys, query):
    powers = []
    for key in keys:
        score = 0.0
        for k, q in zip(key, query, strict=True):
            score += k * q
        powers.append(math.exp(score))
    return [power / sum(powers) for power in powers]


def weights_in_numpy(keys, query):
    scores = np.array(keys) @ np.array(query)
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def weights_in_torch(keys, query, temperature=1.0):
    return torch.softmax(torch.tensor(keys) @ torch.tensor(query) / temperature, dim=0)


def draw_by_loop(weights, u):
    passed, index = 0.0, 0
    for index, weight in enumerate(weights):  # noqa: B007
        passed += weight
        if passed > u:
            break
    return index


def draw_by_bisection(weights, u):
    return min(bisect.bisect_right(list(accumulate(weights)), u), len(weights) - 1)


def draw_in_numpy(weights, u):
    index = np.searchsorted(np.cumsum(weights), u, side="right")
    return np.minimum(index, len(weights) - 1)


def softmax_in_lists(scores):
    numbers = [float(score) for score in scores]
    powers = [math.exp(number - max(numbers)) for number in numbers]
    return [power / math.fsum(powers) for power in powers]


def softmax_by_logsumexp(scores):
    return torch.exp(scores - torch.logsumexp(scores, dim=0))


def softmax_in_place_on_a_copy(scores):
    powers = scores.clone()
    powers -= powers.max()
    powers.exp_()
    powers /= powers.sum()
    return powers


def query_by_least_squares(keys, j, weight):
    n = len(keys)
    wanted = torch.zeros(n, dtype=keys.dtype)
    wanted[j] = math.log(weight * (n - 1) / (1 - weight))
    return torch.linalg.pinv(keys) @ wanted


def error_by_looking_up(values, j, gap):
    scores = torch.zeros(len(values), dtype=values.dtype)
    scores[j] = gap
    return torch.linalg.vector_norm(torch.einsum("n,ne->e", scores.softmax(0), values) - values[j])


def error_in_numpy(values, j, gap):
    v = values.numpy()
    alpha = np.exp(gap) / (np.exp(gap) + len(v) - 1)
    return np.linalg.norm((1 - alpha) * (np.delete(v, j, 0).mean(0) - v[j]))


def error_in_lists(values, j, gap):
    rows, n = values.tolist(), len(values)
    weights = [math.exp(gap) if i == j else 1.0 for i in range(n)]
    c = [sum(w * row[e] for w, row in zip(weights, rows, strict=True)) / sum(weights) for e in range(3)]
    return math.dist(c, rows[j])


# 02


def extract_column_by_column(A):
    M = torch.zeros(len(A), len(A), dtype=A.dtype)
    for column in range(A.shape[1]):
        for i in range(len(A)):
            for k in range(len(A)):
                M[i, k] += A[i, column] * A[k, column]
    return M


def extract_exact_by_inverse(A, B):
    away = torch.eye(len(A), dtype=A.dtype) - B @ torch.linalg.inv(B.T @ B) @ B.T
    return A @ torch.linalg.solve(A.T @ away @ A, A.T @ away)


def extract_exact_in_numpy(A, B):
    both = np.hstack([A.numpy(), B.numpy()])
    return A.numpy() @ np.linalg.pinv(both)[: A.shape[1]]


def extract_exact_by_least_squares(A, B):
    both = torch.cat([A, B], dim=1)
    wanted = torch.cat([A, torch.zeros_like(B)], dim=1)
    return torch.linalg.lstsq(both.T, wanted.T).solution.T


# 03


def working_beta_by_search(n, alpha):
    for step in range(1, 40_000):
        beta = step / 1000
        flat = (n - 2) / (2 * math.exp(beta) + n - 2)
        if flat <= 0.05 and 2 * beta * math.sqrt(alpha) <= 0.2:
            return beta
    return None


def working_beta_from_above(n, alpha):
    lowest = math.log(n - 2) + math.log(9.5)
    highest = 0.1 / math.sqrt(alpha) if alpha > 0 else lowest
    return np.float64(highest if highest < 30 else lowest) if highest >= lowest else None


def keys_by_loop(mean, alpha, samples, generator):
    z = torch.randn(samples, len(mean) + 1, generator=generator, dtype=torch.float64)
    rows = [(1 + math.sqrt(0.5) * row[0]) * mean + math.sqrt(alpha) * row[1:] for row in z]
    return torch.stack(rows)


def keys_by_cholesky(mean, alpha, samples, generator):
    d = len(mean)
    root = torch.linalg.cholesky(alpha * torch.eye(d).double() + 0.5 * torch.outer(mean, mean))
    return mean + torch.randn(samples, d, generator=generator).double() @ root.T


def keys_in_32_bits(mean, alpha, samples, generator):
    epsilon = torch.normal(1.0, 0.5**0.5, (samples, 1), generator=generator)
    noise = alpha**0.5 * torch.randn(samples, mean.numel(), generator=generator)
    return epsilon * mean.float() + noise


def one_head_by_logits(beta):
    generator = torch.Generator().manual_seed(3)
    draws = 1 + math.sqrt(0.5) * torch.randn(100_000, generator=generator, dtype=torch.float64)
    return torch.sigmoid(beta * (draws - 1))


def grid_variance(beta):
    total = mean = square = 0.0
    for step in range(-4000, 4001):
        z = step / 500
        w = math.exp(-z * z / 2)
        x = beta * math.sqrt(0.5) * z
        a = 1 / (1 + math.exp(-x)) if x > -700 else 0.0
        total, mean, square = total + w, mean + w * a, square + w * a * a
    return square / total - (mean / total) ** 2


def numpy_variance(beta):
    rng = np.random.default_rng(0)
    return np.var(1 / (1 + np.exp(-beta * np.sqrt(0.5) * rng.standard_normal(100_000))))


def undecided_by_erf(beta):
    return math.erf(math.log(99) / beta)


def undecided_counted(beta):
    rng = np.random.default_rng(1)
    a = 1 / (1 + np.exp(-beta * np.sqrt(0.5) * rng.standard_normal(100_000)))
    return np.mean((a > 0.01) & (a < 0.99))


RIGHT = {
    "lookup_weights": [weights_by_loops, weights_in_numpy, weights_in_torch],
    "draw_index": [draw_by_loop, draw_by_bisection, draw_in_numpy],
    "stable_softmax": [
        softmax_in_lists, softmax_by_logsumexp, softmax_in_place_on_a_copy,
        lambda s: np.exp(s.numpy() - s.numpy().max()) / np.exp(s.numpy() - s.numpy().max()).sum(),
    ],
    "peak_weight": [
        lambda gap, n: math.exp(gap) / (math.exp(gap) + n - 1),
        lambda gap, n: torch.softmax(torch.tensor([gap] + [0.0] * (n - 1)), 0)[0],
        lambda gap, n: 1 / (1 + np.exp(np.log(n - 1) - gap)),
    ],
    "gap_needed": [
        lambda weight, n: math.log(n - 1) + math.log(weight / (1 - weight)),
        lambda weight, n: np.log((n - 1) * weight) - np.log(1 - weight),
        lambda weight, n: torch.logit(torch.tensor(weight)) + math.log(n - 1),
    ],
    "copying_query": [
        lambda keys, j, weight: (math.log(len(keys) - 1) + math.log(weight / (1 - weight))) * keys[j],
        query_by_least_squares,
        lambda keys, j, weight: (keys[j] * math.log(weight * (len(keys) - 1) / (1 - weight))).tolist(),
        lambda keys, j, weight: keys[j].float().numpy() * np.log(weight * (len(keys) - 1) / (1 - weight)),
    ],
    "copy_error": [error_by_looking_up, error_in_numpy, error_in_lists],
    "extract": [
        lambda A: torch.einsum("ik,jk->ij", A, A), extract_column_by_column, lambda A: (A @ A.mT).tolist(),
        lambda A: A.numpy() @ A.numpy().T, lambda A: A.float() @ torch.linalg.pinv(A.float()),
    ],
    "extract_exact": [extract_exact_by_inverse, extract_exact_in_numpy, extract_exact_by_least_squares],
    "averaging_query": [
        lambda k_a, k_b, beta: beta * k_a + beta * k_b,
        lambda k_a, k_b, beta: [beta * (x + y) for x, y in zip(k_a.tolist(), k_b.tolist(), strict=True)],
        lambda k_a, k_b, beta: torch.stack([k_a, k_b]).float().sum(dim=0) * beta,
        lambda k_a, k_b, beta: (k_a.numpy() + k_b.numpy()) * beta,
    ],
    "shortfall": [
        lambda beta, n: 0.5 - 1 / (2 + (n - 2) * math.exp(-beta)),
        lambda beta, n: (n - 2) * math.exp(-beta) / (4 + 2 * (n - 2) * math.exp(-beta)),
        lambda beta, n: 0.5 - torch.tensor([beta, beta] + [0.0] * (n - 2)).double().softmax(0)[0],
        lambda beta, n: (n - 2) / (4 * np.exp(min(beta, 500)) + 2 * (n - 2)),
    ],
    "beta_needed": [
        lambda share, n, asked=2: math.log((n - asked) * (1 - share) / (asked * share)),
        lambda share, n, asked=2: np.log(n - asked) - np.log(asked) + np.log1p(-share) - np.log(share),
        lambda share, n, asked=2: -torch.logit(torch.tensor(share)) + math.log((n - asked) / asked),
    ],
    "weighted_query": [
        lambda k_a, k_b, beta, ratio: (beta + math.log(ratio)) * k_a + beta * k_b,
        lambda k_a, k_b, beta, ratio: beta * (k_a + k_b).numpy() + np.log(ratio) * k_a.numpy(),
        lambda k_a, k_b, beta, ratio: (
            torch.tensor([beta + math.log(ratio), beta]) @ torch.stack([k_a, k_b]).float()
        ),
    ],
    "query_for_both": [
        lambda means, a, b, beta: beta * means[a] + beta * means[b],
        lambda means, a, b, beta: means[[a, b]].sum(dim=0).mul(beta).float(),
        lambda means, a, b, beta: (beta * (means.numpy()[a] + means.numpy()[b])),
        lambda means, a, b, beta: [beta * (x + y).item() for x, y in zip(means[a], means[b], strict=True)],
    ],
    "score_noise": [
        lambda alpha, beta: 2 * beta * alpha**0.5,
        lambda alpha, beta: math.sqrt(4 * alpha * beta**2),
        lambda alpha, beta: torch.tensor(alpha).sqrt() * math.sqrt(2) * math.sqrt(2) * beta,
    ],
    "working_beta": [working_beta_by_search, working_beta_from_above,
                     lambda n, alpha: (lambda b: b if 4 * alpha * b * b <= 0.04 else None)(
                         torch.tensor(19 * (n - 2) / 2).log())],
    "stretched_keys": [keys_by_loop, keys_by_cholesky, keys_in_32_bits],
    "one_head_weight": [
        lambda norm, beta: torch.stack([beta * norm, beta + 0 * norm]).softmax(0)[0],
        lambda norm, beta: 1 / (1 + torch.exp(beta * (1 - norm))),
        lambda norm, beta: torch.sigmoid(beta * (norm - 1)).float(),
        lambda norm, beta: [0.5 + 0.5 * math.tanh(beta * (x - 1) / 2) for x in norm.tolist()],
    ],
    "one_head_variance": [grid_variance, numpy_variance, lambda beta: one_head_by_logits(beta).var(),
                          lambda beta: (beta * 0.5**0.5 * torch.randn(100_000)).sigmoid().var().item()],
    "share_undecided": [
        undecided_by_erf, undecided_counted,
        lambda beta: ((one_head_by_logits(beta) - 0.5).abs() < 0.49).double().mean(),
    ],
    "two_queries": [
        lambda means, a, b, beta: torch.stack([beta * means[a], beta * means[b]]),
        lambda means, a, b, beta: (beta * means[a], beta * means[b]),
        lambda means, a, b, beta: np.stack([beta * means[a].numpy(), beta * means[b].numpy()]),
        lambda means, a, b, beta: beta * means.float()[[a, b]],
    ],
    "first_head_weight": [
        lambda norm, beta, n: 1 / (1 + (n - 1) * torch.exp(-beta * norm)),
        lambda norm, beta, n: torch.cat(
            [beta * norm[:, None], torch.zeros(len(norm), n - 1)], dim=1).softmax(dim=1)[:, 0],
        lambda norm, beta, n: torch.sigmoid((beta * norm - math.log(n - 1)).float()),
    ],
    "switch_norm": [
        lambda beta, n: math.log(n - 1) / beta,
        lambda beta, n: np.log(n - 1) / beta,
        lambda beta, n: torch.tensor(float(n - 1)).log() / beta,
    ],
    "variance_left": [
        lambda s: (lambda p: p - p * p)(0.5 * math.erfc(1 / math.sqrt(2 * s))) / 4,
        lambda s: np.var(np.random.default_rng(0).normal(1, np.sqrt(s), 200_000) > 0) / 4,
        lambda s: ((1 + math.sqrt(s) * torch.randn(200_000)) > 0).double().var().item() / 4,
        lambda s: (lambda p: p * (1 - p) / 4)(torch.distributions.Normal(1.0, s**0.5).cdf(torch.tensor(0.0))),
    ],
}  # fmt: skip

WRONG = [
    (
        "lookup_weights",
        lambda keys, query: weights_by_loops([key[:2] for key in keys], query[:2]),
        "in three",
    ),
    ("draw_index", lambda w, u: torch.multinomial(torch.tensor(w), 1).item(), "all the chance is in u"),
    ("extract", lambda A: A.T, "coordinates along A's columns"),
    ("extract", lambda A: (A @ A.T)[0], "the wrong shape"),
    ("working_beta", lambda n, alpha: math.log(19 * (n - 2) / 2), "no β meets both bounds"),
    ("working_beta", lambda n, alpha: math.log(n - 2), "too flat"),
]
