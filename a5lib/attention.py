"""Attention layers: causal self-attention, and the cross-attention of the Perceiver.

Letters: B batch, T length, C channels (n_embd), H heads, D = C / H head size, Q queries, K keys.
Knows nothing about the model around it: it reads four numbers from its config.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def causal_mask(n_query: int, n_key: int | None = None) -> Tensor:
    """(Q, K) bool, True where query i may look at key j: j <= i.

    For Q != K it is the corner of the square mask, so in a down-projection latent i sees inputs 0..i only.
    """
    n_key = n_query if n_key is None else n_key
    return torch.arange(n_key)[None, :] <= torch.arange(n_query)[:, None]


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
    """softmax(q kᵀ / √D) v, written out. The layers call torch's fused version of it, where that is faster.

    Args:
        q: (B, H, Q, D).  k, v: (B, H, K, D).  mask: broadcasts to (B, H, Q, K), True where allowed.

    Returns:
        (B, H, Q, D). Vaswani et al. 2017, equation 1.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))  # (B, H, Q, K)
    scores = scores.masked_fill(~mask, float("-inf"))
    weights = F.dropout(scores.softmax(dim=-1), dropout)
    return weights @ v


def visible_keys(positions: Tensor, n_key: int) -> Tensor:
    """(B, 1, Q, K) bool for queries at positions (B, Q): the one at position t sees keys 0..t."""
    return (torch.arange(n_key, device=positions.device) <= positions[:, :, None])[:, None]


@dataclass
class KeyValueCache:
    """The keys and values that one attention layer has already computed, for rows of different lengths.

    `positions` (B, T) says where the new keys belong. A position past the last slot (a Perceiver has
    no latent for it) is written to a spare slot that no query sees.
    """

    slots: int
    k: Tensor | None = field(default=None)
    v: Tensor | None = field(default=None)

    def append(self, k: Tensor, v: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Store (B, H, T, D) keys and values at their positions; return all, (B, H, slots, D) each."""
        if self.k is None:
            shape = (k.size(0), k.size(1), self.slots + 1, k.size(3))
            self.k, self.v = k.new_zeros(shape), v.new_zeros(shape)
        slot = positions.clamp(max=self.slots)[:, None, :, None].expand_as(k)  # (B, H, T, D)
        self.k.scatter_(2, slot, k)
        self.v.scatter_(2, slot, v)
        return self.k[:, :, :-1], self.v[:, :, :-1]

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but these (N,)."""
        self.k, self.v = self.k[rows], self.v[rows]

    def repeat(self, B: int) -> None:
        """Let B rows go on from what one row has stored."""
        self.k, self.v = (stored.expand(B, -1, -1, -1).contiguous() for stored in (self.k, self.v))


Positions = tuple[Tensor | None, Tensor | None]


class _Attention(nn.Module):
    """What both attentions share: four projections, the mask, and the split into heads."""

    def __init__(self, config):
        super().__init__()
        C = config.n_embd
        self.n_head = config.n_head
        self.key, self.query, self.value, self.proj = (nn.Linear(C, C) for _ in range(4))
        self.attn_dropout = config.dropout
        self.resid_drop = nn.Dropout(config.dropout)
        # A float buffer of this shape stands in the handout's files, so it stands in ours.
        mask = causal_mask(config.block_size).float()[None, None]
        self.register_buffer("mask", mask)  # (1, 1, block_size, block_size)

    def heads(self, x: Tensor) -> Tensor:
        """(B, T, C) to (B, H, T, D)."""
        B, T, C = x.shape
        return x.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)

    def placed(self, x: Tensor, positions: Tensor | None) -> Tensor:
        """Queries or keys (B, H, T, D) at positions (B, T), None for 0..T-1; here they are as they are."""
        return x

    def attend(self, x_q: Tensor, x_kv: Tensor, cache: KeyValueCache | None, positions: Positions) -> Tensor:
        """Queries from x_q (B, Q, C), keys and values from x_kv (B, K, C); returns (B, Q, C).

        `positions` is a pair: where the queries stand (B, Q), None for 0..Q-1, and, with a cache, where
        the new keys stand (B, K). A query at position t sees keys 0..t.
        """
        q = self.placed(self.heads(self.query(x_q)), positions[0])
        k, v = self.placed(self.heads(self.key(x_kv)), positions[1]), self.heads(self.value(x_kv))
        dropout = self.attn_dropout if self.training and cache is None else 0.0
        if cache is not None:
            k, v = cache.append(k, v, positions[1])
        # In bf16 on a CPU the fused version's backward pass takes four times as long as that written out.
        written_out = q.dtype == torch.bfloat16 and q.device.type == "cpu"
        if positions[0] is None and q.size(2) == k.size(2) and not written_out:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout)
        else:
            if positions[0] is None:
                mask = self.mask[:, :, : q.size(2), : k.size(2)].bool()
            else:
                mask = visible_keys(positions[0], k.size(2))
            y = (attend if written_out else F.scaled_dot_product_attention)(q, k, v, mask, dropout)
        y = y.transpose(1, 2).flatten(2)  # (B, H, Q, D) -> (B, Q, C)
        return self.resid_drop(self.proj(y))


class CausalSelfAttention(_Attention):
    """Multi-head attention of a sequence to itself: position t reads positions 0..t."""

    def forward(
        self, x: Tensor, cache: KeyValueCache | None = None, positions: Tensor | None = None
    ) -> Tensor:
        """(B, T, C) to (B, T, C)."""
        return self.attend(x, x, cache, (positions, positions))


class CausalCrossAttention(_Attention):
    """Multi-head attention from one sequence to another: query i reads keys 0..i."""

    def forward(
        self,
        x_kv: Tensor,
        x_q: Tensor,
        cache: KeyValueCache | None = None,
        positions: Positions = (None, None),
    ) -> Tensor:
        """Keys and values from (B, K, C), queries from (B, Q, C); returns (B, Q, C)."""
        return self.attend(x_q, x_kv, cache, positions)
