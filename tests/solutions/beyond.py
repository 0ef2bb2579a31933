"""Notebooks 10 and 11: the area under a ROC curve, calibration, abstention; scores, rotations, passes."""

import math

import numpy as np
import torch
from torch.nn import functional as F

from a5lib.confidence import auroc, calibration_error, reliability, risk_coverage

# Notebook 10.


def by_ranks(signal, right):
    order = np.argsort(np.argsort(signal))
    ranks = [np.mean([order[j] + 1 for j, t in enumerate(signal) if t == s]) for s in signal]
    n, m = sum(right), len(right) - sum(right)
    return (sum(r for r, good in zip(ranks, right, strict=True) if good) - n * (n + 1) / 2) / (n * m)


def ece_by_masks(confidence, right, bins=10):
    c, r, total = np.array(confidence), np.array(right, float), 0.0
    for b in range(bins):
        here = (c >= b / bins) & ((c < (b + 1) / bins) | (b == bins - 1))
        total += abs(c[here].sum() - r[here].sum())
    return total / len(c)


def pairs(win):
    """The share of pairs (right, wrong) by a rule for the two signals."""

    def attempt(signal, right):
        both = list(zip(signal, right, strict=True))
        found = [win(a, b) for a, x in both for b, y in both if x and not y]
        return sum(found) / len(found)

    return attempt


def ece(gap=abs, weight=len, centre=lambda b, rows: np.mean([c for c, _ in rows]), top=9):
    def attempt(confidence, right, bins=10):
        inside = {}
        for c, r in zip(confidence, right, strict=True):
            inside.setdefault(min(int(c * 10), top), []).append((c, r))
        parts = [weight(v) * gap(centre(b, v) - np.mean([r for _, r in v])) for b, v in inside.items()]
        return abs(sum(parts)) / sum(weight(v) for v in inside.values())

    return attempt


def left(order=lambda s: -s, counted=lambda r: not r, base=len):
    def attempt(signal, right, share):
        ranked = sorted(range(len(signal)), key=lambda i: order(signal[i]))[: round(share * len(signal))]
        return sum(counted(right[i]) for i in ranked) / base(ranked)

    return attempt


def auroc_in_torch(signal, right):
    s, r = torch.tensor(signal, dtype=torch.float32), torch.tensor(right)
    return (0.5 + 0.5 * (s[r][:, None] - s[~r][None]).sign()).mean()


def calibration_in_torch(confidence, right):
    c, r = torch.tensor(confidence), torch.tensor(right).float()
    which = (c * 10).long().clamp(max=9)
    return torch.zeros(10).index_add(0, which, c - r).abs().sum() / len(c)


def errors_in_torch(signal, right, share):
    kept = torch.tensor(signal).float().topk(round(share * len(signal))).indices
    return (~torch.tensor(right)[kept]).float().mean()


# Notebook 11.


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


RIGHT = {
    "auroc": [
        auroc,
        by_ranks,
        auroc_in_torch,
        pairs(lambda a, b: (a > b) + (a == b) / 2),
    ],
    "calibration_error": [
        calibration_error,
        ece_by_masks,
        calibration_in_torch,
        ece(),
    ],
    "errors_left": [
        left(),
        errors_in_torch,
        lambda s, r, share: 1 - np.mean(np.array(r)[np.argsort(s)[::-1][: int(share * len(s))]]),
        lambda s, r, share: risk_coverage(s, r)[1][round(share * len(s)) - 1],
    ],
    "rotate": [
        complex_numbers,
        in_loops,
        by_matrices,
        by_partner,
    ],
    "synthesizer_scores": [
        scores(),
        lambda x, A1, b1, A2, b2: F.linear(F.relu(F.linear(x, A1.T, b1)), A2.T, b2),
        scores(lambda z: z.clamp(min=0)),
        lambda x, A, b, C, d: torch.stack([(row @ A + b).relu() @ C + d for row in x]),
    ],
    "equal_passes": [
        lambda n, usual, passes: usual * passes / n,
        lambda n, usual=4, passes=27: passes * (usual / n),
        lambda n, usual, passes: np.float64(usual) * passes / n,
        lambda n, usual, passes: torch.tensor(usual * passes / n),
    ],
}  # fmt: skip
WRONG = [
    ("auroc", pairs(lambda a, b: a >= b), "a half, not a whole"),
    ("auroc", pairs(lambda a, b: a > b), "a half, not nothing"),
    ("auroc", pairs(lambda a, b: (a < b) + (a == b) / 2), "the other way round"),
    ("auroc", lambda s, r: auroc(s, r) * sum(r) * (len(r) - sum(r)), "the pairs are counted"),
    ("auroc", lambda s, r: auroc(s, r) * sum(r) * (len(r) - sum(r)) / len(r) ** 2, "not by all pairs"),
    ("auroc", lambda s, r: 100 * auroc(s, r), "not in percent"),
    ("auroc", lambda s, r: None, "nothing comes back"),
    ("auroc", lambda s, r: [auroc(s, r)] * 2, "one number is expected"),
    ("calibration_error", ece(weight=lambda rows: 1), "weight the gaps"),
    ("calibration_error", ece(centre=lambda b, rows: (b + 0.5) / 10), "not its middle"),
    ("calibration_error", ece(top=10), "belongs to the last bin"),
    ("calibration_error", ece(gap=lambda g: g), "must not cancel"),
    ("calibration_error", lambda c, r, bins=10: 100 * calibration_error(c, r), "not in percent"),
    ("calibration_error", lambda c, r, bins=10: len(c) * calibration_error(c, r), "divide by the number"),
    ("calibration_error", lambda c, r: max(abs(m - s) for m, s, _ in reliability(c, r)), "not the largest"),
    ("calibration_error", lambda c, r, bins=10: np.mean(np.abs(np.array(c) - r)), "the gap is one of bins"),
    ("errors_left", left(base=lambda ranked: 8), "not of all"),
    ("errors_left", left(order=lambda s: s), "not the least sure"),
    ("errors_left", left(counted=bool), "the wrong ones are asked for"),
    ("errors_left", left(base=lambda ranked: 1), "their share is asked for"),
    ("errors_left", left(order=lambda s: 0), "the signals are not looked at"),
    ("errors_left", lambda s, r, share: 100 * left()(s, r, share), "not in percent"),
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
    ("equal_passes", lambda n, usual, passes: None, "nothing comes back"),
]  # fmt: skip
