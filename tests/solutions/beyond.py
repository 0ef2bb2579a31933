"""Notebooks 10 and 11: what a signal tells, calibration, abstention, rotations, equal exposures."""

import numpy as np
import torch

# 10


def auroc_by_ranks(signal, right):
    signal, right = np.array(signal, dtype=float), np.array(right)
    return float(np.mean([np.mean((a > signal[~right]) + (a == signal[~right]) / 2) for a in signal[right]]))


def auroc_in_torch(signal, right):
    s, r = torch.tensor(signal, dtype=torch.float32), torch.tensor(right)
    return (0.5 + 0.5 * (s[r][:, None] - s[~r][None]).sign()).mean()


def auroc_by_counting(signal, right):
    good = [s for s, ok in zip(signal, right, strict=True) if ok]
    bad = [s for s, ok in zip(signal, right, strict=True) if not ok]
    wins = sum(1 for a in good for b in bad if a > b)
    ties = sum(1 for a in good for b in bad if a == b)
    return (wins + 0.5 * ties) / (len(good) * len(bad))


def calibration_by_loop(confidence, right, bins=10):
    total = 0.0
    for b in range(bins):
        members = [i for i, c in enumerate(confidence) if min(int(c * bins), bins - 1) == b]
        if members:
            mean = sum(confidence[i] for i in members) / len(members)
            share = sum(right[i] for i in members) / len(members)
            total += len(members) / len(confidence) * abs(mean - share)
    return total


def calibration_in_numpy(confidence, right):
    c, r = np.array(confidence), np.array(right, dtype=float)
    which = np.minimum((c * 10).astype(int), 9)
    return np.abs(np.bincount(which, c - r, minlength=10)).sum() / len(c)


def calibration_in_torch(confidence, right):
    c, r = torch.tensor(confidence), torch.tensor(right).float()
    which = (c * 10).long().clamp(max=9)
    return torch.zeros(10).index_add(0, which, c - r).abs().sum() / len(c)


def errors_by_sorting(signal, right, share):
    pairs = sorted(zip(signal, right, strict=True), key=lambda pair: pair[0], reverse=True)
    pairs = pairs[: round(share * len(pairs))]
    return len([1 for _, ok in pairs if not ok]) / len(pairs)


def errors_in_numpy(signal, right, share):
    order = np.argsort(-np.array(signal))[: int(share * len(signal) + 0.5)]
    return 1 - np.array(right)[order].mean()


def errors_in_torch(signal, right, share):
    kept = torch.tensor(signal).float().topk(round(share * len(signal))).indices
    return (~torch.tensor(right)[kept]).float().mean()


# 11


def rotate_as_complex(x, angles):
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * torch.polar(
        torch.ones_like(angles), angles
    )
    return torch.view_as_real(turned).flatten(-2)


def rotate_by_matrices(x, angles):
    c, s = angles.cos(), angles.sin()
    turn = torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)  # (T, D/2, 2, 2)
    return torch.einsum("tpij,...tpj->...tpi", turn, x.unflatten(-1, (-1, 2))).flatten(-2)


def rotate_pair_by_pair(x, angles):
    y = torch.empty_like(x)
    for i in range(x.shape[-1] // 2):
        a, b = x[..., 2 * i], x[..., 2 * i + 1]
        y[..., 2 * i] = a * torch.cos(angles[:, i]) - b * torch.sin(angles[:, i])
        y[..., 2 * i + 1] = a * torch.sin(angles[:, i]) + b * torch.cos(angles[:, i])
    return y


RIGHT = {
    "auroc": [auroc_by_ranks, auroc_in_torch, auroc_by_counting],
    "calibration_error": [calibration_by_loop, calibration_in_numpy, calibration_in_torch],
    "errors_left": [errors_by_sorting, errors_in_numpy, errors_in_torch],
    "rotate": [rotate_as_complex, rotate_by_matrices, rotate_pair_by_pair],
    "synthesizer_scores": [
        lambda x, A1, b1, A2, b2: torch.clamp(x @ A1 + b1, min=0) @ A2 + b2,
        lambda x, A1, b1, A2, b2: torch.stack([torch.relu(row @ A1 + b1) @ A2 + b2 for row in x]),
        lambda x, *layers: np.maximum(x.numpy() @ layers[0].numpy() + layers[1].numpy(), 0)
        @ layers[2].numpy() + layers[3].numpy(),
    ],
    "equal_passes": [
        lambda phrasings, usual_phrasings=4, usual_passes=27: usual_passes * (usual_phrasings / phrasings),
        lambda phrasings, *usual: np.prod(usual) / phrasings,
        lambda p, q=4, n=27: torch.tensor(float(q * n)) / p,
    ],
}  # fmt: skip
