"""Checks for the first half of notebook 04: one head in matrix form, then several, then the layer.

Letters: B batch, T length, C channels, H heads, D = C / H head size.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from a5lib.attention import causal_mask
from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import as_tensor, normal, require, same, seeded
from a5lib.model import GPTConfig

# The notebook's functions, as the library would write them.


def masked_weights(q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
    """softmax(q kᵀ / √D) over the keys that the mask allows: (..., T, D) twice to (..., T, T)."""
    scores = q @ k.mT / math.sqrt(q.size(-1))
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)


def split_heads(x: Tensor, n_head: int) -> Tensor:
    """(B, T, C) to (B, H, T, D): head h takes channels hD to (h + 1)D - 1."""
    return x.unflatten(-1, (n_head, -1)).transpose(1, 2)


def merge_heads(y: Tensor) -> Tensor:
    """(B, H, T, D) to (B, T, C), the inverse of `split_heads`."""
    return y.transpose(1, 2).flatten(2)


def attention_forward(self: nn.Module, x: Tensor) -> Tensor:
    """Multi-head causal self-attention by the four projections of `self`: (B, T, C) to (B, T, C)."""
    q, k, v = (split_heads(part(x), self.n_head) for part in (self.query, self.key, self.value))
    mask = self.mask[:, :, : x.size(1), : x.size(1)].bool()
    weights = self.attn_drop(masked_weights(q, k, mask))
    return self.resid_drop(self.proj(merge_heads(weights @ v)))


@exercise("causal_mask", causal_mask)
def check_causal_mask(attempt: Callable) -> None:
    """Every cell of the mask of four positions, and its type."""
    T = 4
    got, all_true = attempt(T), torch.ones(T, T, dtype=torch.bool)
    numbers = as_tensor(got)
    if numbers is not None and numbers.dtype != torch.bool:
        hint = "masked_fill and ~ want bool: compare, as in `a <= b`, or end with .bool()"
        raise Wrong("ones where truth values belong", "torch.bool", numbers.dtype, hint)
    mistakes = {
        "upside down: position t would see what comes after it": all_true.triu(),
        "upside down, and without the diagonal: True means `may look`": all_true.triu(1),
        "off by one: the diagonal is hidden, so position 0 sees nothing": all_true.tril(-1),
        "off by one: each position sees the next one, the very thing it should predict": all_true.tril(1),
        "every position sees every other: nothing is hidden": all_true,
    }
    require(got, all_true.tril(), mistakes, "row t is True at columns 0 to t")
    require(attempt(1), torch.tensor([[True]]), {}, "a text of one character sees itself")
    require(attempt(7), torch.ones(7, 7, dtype=torch.bool).tril(), {}, "T is the argument")


@exercise("masked_weights", masked_weights)
def check_masked_weights(attempt: Callable) -> None:
    """A batch of two heads, D = 4: the scale, the mask, the axis."""
    q, k, mask = normal(2, 3, 5, 4), normal(2, 3, 5, 4, seed=1), causal_mask(5)
    raw = q @ k.mT

    def weights(scores: Tensor, allowed: Tensor = mask, axis: int = -1) -> Tensor:
        return scores.masked_fill(~allowed, float("-inf")).softmax(axis)

    mistakes = {
        "the scores are not divided by √D": weights(raw),
        "the scores are divided by D: it is √D": weights(raw / 4),
        "the scores are multiplied by √D": weights(raw * 2),
        "the scores are divided by √T: D is the last axis of q, not the one before": weights(
            raw / math.sqrt(5)
        ),
        "these are the scores: the softmax is missing": (raw / 2).masked_fill(~mask, float("-inf")),
        "softmax over the wrong axis: a query's weights over the keys, dim=-1, sum to 1": weights(
            raw / 2, axis=-2
        ),
        "the mask is not applied": (raw / 2).softmax(-1),
        "the mask is used the wrong way round: it hides what it should show": weights(raw / 2, ~mask),
        "masked after the softmax: rows no longer sum to 1": (raw / 2).softmax(-1) * mask,
        "masked scores are set to 0, but e⁰ is 1: they need -inf": (raw / 2 * mask).softmax(-1),
        "keys and queries are swapped: row t belongs to query t": weights(raw.mT / 2),
    }
    require(
        attempt(q.clone(), k.clone(), mask.clone()),
        weights(raw / 2),
        mistakes,
        "scale, then mask, then softmax",
    )


@exercise("split_heads", split_heads)
def check_split_heads(attempt: Callable) -> None:
    """Channels numbered, so that each wrong order shows."""
    x = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    mistakes = {
        "cut straight into (B, H, T, D): this mixes positions; cut C into (H, D), then swap T and H": x.view(
            2, 2, 3, 4
        ),
        "T and H are not swapped: (B, T, H, D)": x.view(2, 3, 2, 4),
        "a head takes every H-th channel: it should take D neighbours": x.view(2, 3, 4, 2).permute(
            0, 3, 1, 2
        ),
        "the last two axes are swapped: (B, H, D, T)": split_heads(x, 2).mT,
    }
    require(attempt(x.clone(), 2), split_heads(x, 2), mistakes, "(B, T, C) -> (B, T, H, D) -> (B, H, T, D)")


@exercise("merge_heads", merge_heads)
def check_merge_heads(attempt: Callable) -> None:
    """Splitting and merging gives the same numbers back; y lies in order, as a product of matrices does."""
    x = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    y = split_heads(x, 2)
    mistakes = {
        "merged without transposing back: one position's row holds several positions": y.reshape(2, 3, 8),
        "the heads' channels are interleaved: head 0's D channels come first": y.permute(0, 2, 3, 1).reshape(
            2, 3, 8
        ),
        "transposed back, but not merged: (B, T, H, D)": y.transpose(1, 2),
    }
    require(attempt(y.contiguous()), x, mistakes, "merge_heads(split_heads(x, H)) should be x")


class _Layer(nn.Module):
    """What an attention layer owns before it has a forward: projections, dropouts, mask."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        C, self.n_head = config.n_embd, config.n_head
        self.key, self.query, self.value, self.proj = (nn.Linear(C, C) for _ in range(4))
        self.attn_drop, self.resid_drop = nn.Dropout(config.dropout), nn.Dropout(config.dropout)
        self.register_buffer("mask", causal_mask(config.block_size).float()[None, None])


@exercise("attention_forward", attention_forward)
def check_attention_forward(attempt: Callable) -> None:
    """Two heads on a text shorter than the block; then what dropout does in evaluation and in training."""
    theirs = attempt

    def attempt(layer: nn.Module, x: Tensor) -> Tensor:
        return theirs(layer, x.clone())

    config = GPTConfig(vocab_size=9, block_size=7, n_layer=1, n_head=2, n_embd=8, dropout=0.0)
    layer, x = seeded(lambda: _Layer(config)), normal(2, 5, 8)
    q, k, v = (split_heads(part(x), 2) for part in (layer.query, layer.key, layer.value))
    allowed = causal_mask(5)

    def result(q=q, k=k, mask=allowed, merge=merge_heads, proj=layer.proj) -> Tensor:
        return proj(merge(masked_weights(q, k, mask) @ v))

    by_columns = (q @ k.mT / 2).masked_fill(~allowed, float("-inf")).softmax(-2)
    cut = [part(x).view(2, 2, 5, 4) for part in (layer.query, layer.key, layer.value)]
    mistakes = {
        "merged without transposing back: (B, H, T, D) was reshaped to (B, T, C)": result(
            merge=lambda y: y.reshape(2, 5, 8)
        ),
        "cut into heads without transposing: (B, T, C) was viewed as (B, H, T, D)": layer.proj(
            merge_heads(masked_weights(cut[0], cut[1], allowed) @ cut[2])
        ),
        "scaled by √C: a score is a sum over one head's D channels, so it is √D": result(q=q / math.sqrt(2)),
        "the scores are not divided by √D": result(q=q * 2),
        "the scores are divided by D: it is √D": result(q=q / 2),
        "keys and queries are swapped": result(q=k, k=q),
        "nothing is masked: each position sees the whole text": result(mask=torch.ones_like(allowed)),
        "the mask is used the wrong way round": result(mask=~allowed),
        "the mask is off by one: each position sees the next one": result(mask=allowed.roll(-1, 0) | allowed),
        "the mask is off by one: no position sees itself": result(mask=allowed.tril(-1)),
        "softmax over the wrong axis: dim=-1": layer.proj(merge_heads(by_columns @ v)),
        "the last projection, self.proj, is missing": result(proj=nn.Identity()),
        "the heads are not split: that is one head over all C channels": layer.proj(
            masked_weights(layer.query(x), layer.key(x), allowed) @ layer.value(x)
        ),
        "x itself is added: that is the block's part, not the layer's": x + result(),
    }
    with torch.no_grad():
        if not _calm(attempt, layer, x):
            raise Wrong(LEFT_ON, "twice the same", "two results", REST)
        require(attempt(layer, x), result(), mistakes, "split, weigh, sum, merge, project")
        _check_dropout(attempt, config, x)
        _check_places(attempt, layer, x, masked_weights(q, k, allowed))


LEFT_ON = "dropout is left on in evaluation"
REST = "use the layer's own nn.Dropout, which rests after .eval(); F.dropout needs training=…"


def _calm(attempt: Callable, layer: nn.Module, x: Tensor) -> bool:
    """Whether two calls in evaluation mode give the same."""
    first, second = as_tensor(attempt(layer, x)), as_tensor(attempt(layer, x))
    return first is None or second is None or same(first, second)


def _check_dropout(attempt: Callable, config: GPTConfig, x: Tensor) -> None:
    """Half of everything dropped: without effect in evaluation, at two places in training."""
    layer = seeded(lambda: _Layer(replace(config, dropout=0.5)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if not _calm(attempt, layer, x):
            raise Wrong(LEFT_ON, "twice the same", "two results", REST)
        calm = attempt(layer, x)
        for name, other in (("attn_drop", layer.resid_drop), ("resid_drop", layer.attn_drop)):
            layer.train()
            other.eval()
            if torch.equal(attempt(layer, x), calm):
                raise Wrong(f"self.{name} is not used: it does nothing in training", "random zeros", "none")


class _Zeros(nn.Dropout):
    """A dropout that drops everything, and remembers what it was given."""

    seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.seen = x
        return 0 * x


def _sums_to_one(x: Tensor) -> bool:
    """Over some axis: weights as well, if of one head at a time, or laid out in another way."""
    sums = (x.sum(dim=axis) for axis in range(x.dim()))
    return any(torch.allclose(each, torch.ones_like(each), atol=1e-4) for each in sums)


def _check_places(attempt: Callable, layer: nn.Module, x: Tensor, weights: Tensor) -> None:
    """What the first dropout is given, and that nothing comes after the second."""
    layer.attn_drop, rest = _Zeros(0.5), layer.attn_drop
    attempt(layer, x)
    seen, layer.attn_drop = layer.attn_drop.seen, rest
    if seen is not None and not same(seen, weights) and not _sums_to_one(seen):
        raise Wrong("self.attn_drop is given something else than the weights", weights, seen)
    layer.resid_drop = _Zeros(0.5)
    output = attempt(layer, x)
    if layer.resid_drop.seen is not None and output.any():
        hint = "with everything dropped at the very end, only zeros are left"
        raise Wrong("self.resid_drop is not at the very end, behind self.proj", "0", output, hint)
