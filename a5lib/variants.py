"""The attention layers of two other years' editions of the assignment.

    RotaryAttention       2024: queries and keys are turned by an angle that grows with their position
    SynthesizerAttention  2021: scores from x_i alone, by a small network, with no query and no key

Letters: B batch, T length, C channels (n_embd), H heads, D = C / H head size, S = block_size - 1.
Knows nothing about the model around it, as `attention.py`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a5lib.attention import CausalSelfAttention, KeyValueCache, visible_keys
from a5lib.errors import InputError

SLOWEST = 10_000.0  # the longest wave takes about 2π times as many positions (Su et al. 2021, section 3.2.2)


def rotary_angles(length: int, size: int) -> Tensor:
    """(length, size / 2): the angle t · 10000^(-2i / size) of pair i at position t, in radians.

    Raises:
        InputError: an odd `size`, which leaves a number without a partner.
    """
    if size % 2:
        raise InputError(f"a head of {size} channels: rotary positions turn pairs, so it must be even")
    waves = SLOWEST ** (-torch.arange(0, size, 2) / size)  # (D/2,)
    return torch.arange(length)[:, None] * waves  # (T, D/2)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x_2i, x_2i+1) of x (..., T, D) by an angle, given by its cos and sin (..., T, D/2).

    The complex number x_2i + i·x_2i+1 times e^(i·angle), written with real numbers (RoFormer, Su et al.
    2021, equation 34).
    """
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


class RotaryAttention(CausalSelfAttention):
    """Self-attention whose scores depend on how far apart query and key stand, not on where."""

    def __init__(self, config):
        super().__init__(config)
        angles = rotary_angles(config.block_size, config.n_embd // config.n_head)
        # (block_size, D/2, 2): cos and sin; in the file it also tells how many heads there are.
        self.register_buffer("rope_cache", torch.stack((angles.cos(), angles.sin()), dim=-1))

    def placed(self, x: Tensor, positions: Tensor | None) -> Tensor:
        """Queries or keys (B, H, T, D), turned by the angles of their positions (B, T)."""
        turn = self.rope_cache[: x.size(2)] if positions is None else self.rope_cache[positions][:, None]
        return rotate(x, turn[..., 0], turn[..., 1]).to(x.dtype)  # turned in fp32, also under autocast


class SynthesizerAttention(nn.Module):
    """Scores without comparison: position i says, from x_i alone, how much it wants each position j.

    For a head, relu(x W1 + b1) W2 + b2 is a row of S = block_size - 1 scores (Tay et al. 2020, the dense
    synthesizer). W1 is cut into heads, W2 and b2 are shared by them. S is the length of a training row; a
    key at the very last position of a full block has no score and is read by nobody.
    """

    def __init__(self, config):
        super().__init__()
        C, S = config.n_embd, config.block_size - 1
        self.n_head = config.n_head
        self.w1, self.value, self.proj = (nn.Linear(C, C) for _ in range(3))
        self.w2 = nn.Parameter(torch.empty(C // config.n_head, S).normal_(std=0.02))
        self.b2 = nn.Parameter(torch.zeros(S))
        self.attn_dropout = config.dropout
        self.resid_drop = nn.Dropout(config.dropout)
        mask = torch.ones(config.block_size, config.block_size).tril()[None, None]
        self.register_buffer("mask", mask)  # (1, 1, block_size, block_size)

    heads = CausalSelfAttention.heads

    def forward(
        self, x: Tensor, cache: KeyValueCache | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """(B, T, C) to (B, T, C). With a cache, x are the rows at `positions` (B, T)."""
        v = self.heads(self.value(x))  # (B, H, T, D)
        if cache is not None:
            v, _ = cache.append(v, v, positions)
        v = v[:, :, : self.b2.numel()]
        K = v.size(2)
        scores = self.heads(self.w1(x)).relu() @ self.w2[:, :K] + self.b2[:K]  # (B, H, T, K)
        T = x.size(1)
        mask = self.mask[:, :, :T, :K].bool() if cache is None else visible_keys(positions, K)
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
        y = F.dropout(weights, self.attn_dropout, self.training) @ v  # (B, H, T, D)
        return self.resid_drop(self.proj(y.transpose(1, 2).flatten(2)))  # (B, T, C)
