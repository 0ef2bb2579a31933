"""Where the heads of a fresh perceiver look first.

Letters: M latents (bottleneck_dim), C channels (n_embd), H heads, D = C / H head size.

As the assignment initializes it, a latent has about equal scores for all inputs up to its own place, and no
copy of any of them: it reads their average until it has learned where to look, and all that a model learns
from single characters comes later. The same happens again on the way up. But a query that is learned for each
latent can point at a place; one made from a character cannot. So here

- down, head h of latent i starts at input i - h: a latent begins with its own character and the H - 1 before;
- up, half of the heads of position t start at latent t. The others are as they were: a third layer that looks
  for things, after the two between. Without them the facts stay out (``tests/benchmarks/LOG.md``).

All of it is trained from there; C stays Xavier uniform. What it is worth: ``figures/start.json``.
"""

import math

import torch
from torch import Tensor, nn

from a5lib.model import Perceiver

POSITIONS = 0.02  # of the normed basis, in the position embeddings: as large as a character's embedding
SHARPNESS = 10.0  # the mean score of the place that a head is to look at; about 0 for any other
GAIN = 20.0  # of what the down-projection copies: characters of size 0.02 beside a basis of size 0.1


@torch.no_grad()
def start_on_diagonals(model: Perceiver, seed: int) -> None:
    """Point the heads of the way down at the last H characters, half of those up at their own latent."""
    generator = torch.Generator().manual_seed(seed)
    basis = model.down_block.ln1(model.down_block.C)[0]  # (M, C)
    model.pos_emb[:, : len(basis)] = POSITIONS * basis
    H = model.config.n_head
    _look_back(model.down_block.attn, basis, range(H), H, GAIN, generator)
    _look_back(model.up_block.attn, basis, [0] * (H // 2), H, 1.0, generator)


def _look_back(
    attn: nn.Module,
    basis: Tensor,
    steps: range | list[int],
    n_head: int,
    gain: float,
    generator: torch.Generator,
) -> None:
    """Let head h, for each of the `steps`, find place i - steps[h] from place i, and hand on what is there.

    With keys K (s b_j), s = POSITIONS, the query that fits is K b_{i - step}: their product over √D has the
    mean s · std² · C · √D = SHARPNESS. The matrix K S gives it, where S takes each b_i to b_{i - step}. What
    is found goes through D orthogonal directions, a head's own, and back, `gain` times as large.
    """
    M, C = basis.shape
    D = C // n_head
    std = math.sqrt(SHARPNESS / (POSITIONS * C * math.sqrt(D)))
    directions = nn.init.orthogonal_(torch.empty(C, C), generator=generator)
    for head, step in enumerate(steps):
        rows = slice(head * D, (head + 1) * D)
        K = attn.key.weight[rows].normal_(std=std, generator=generator)  # (D, C)
        before = basis[(torch.arange(M) - step).clamp(min=0)]  # (M, C): b_{i - step}
        S = (torch.linalg.pinv(basis) @ before).T if step else torch.eye(C)
        attn.query.weight[rows] = K @ S
        attn.value.weight[rows] = directions[rows]
        attn.proj.weight[:, rows] = gain * directions[rows].T
