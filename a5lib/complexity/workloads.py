"""What is run, to be counted or measured: one layer's attention alone, or a whole model."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from a5lib.attention import attend, causal_mask
from a5lib.complexity.closed_form import multiply_adds
from a5lib.complexity.instruments import peak_bytes
from a5lib.model import GPTConfig, build_model


class WrittenOut(TorchFunctionMode):
    """Inside, `F.scaled_dot_product_attention` is `a5lib.attention.attend`: all its operations show."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.scaled_dot_product_attention:
            func = _written_out
        return func(*args, **(kwargs or {}))


def _written_out(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
) -> Tensor:
    """As `F.scaled_dot_product_attention`, its arguments by its names or in its order."""
    if attn_mask is None:
        attn_mask = causal_mask(query.size(-2), key.size(-2)).to(query.device) | (not is_causal)
    return attend(query, key, value, attn_mask, dropout_p)


class Run(NamedTuple):
    """Something to run forward, and the tensors whose gradients the way back is to find."""

    forward: Callable[[], Tensor]
    leaves: list[Tensor]

    def backward(self, output: Tensor) -> None:
        """From a gradient of ones at the output to those of the leaves, which are thrown away."""
        torch.autograd.grad(output, self.leaves, torch.ones_like(output))

    def training_bytes(self, device: str) -> int:
        """The peak of the way there and back."""
        return peak_bytes(lambda: self.backward(self.forward()), device)


# A timed pass takes the sequences that have so many scores, or multiply-adds, together; at least one.
SCORES = {"cpu": 2**23, "cuda": 2**26}
WORK = {"cpu": 2**28, "cuda": 2**34}


@dataclass(frozen=True)
class AttentionShape:
    """One layer's attention alone, all heads: scores, softmax and sums, no projections."""

    config: GPTConfig
    queries: int
    keys: int
    fused: bool

    @property
    def work(self) -> int:
        """Multiply-adds of a sequence, forward."""
        return 2 * self.queries * self.keys * self.config.n_embd

    def batch(self, device: str) -> int:
        """Sequences a pass: those of every length have scores too large for a cache (32 MiB on CPU).

        A fused kernel never holds all scores, so it does with a quarter.
        """
        scores = self.config.n_head * self.queries * self.keys
        return math.ceil(SCORES[torch.device(device).type] / scores / (4 if self.fused else 1))

    def run(self, batch: int, device: str) -> Run:
        """The layer on `batch` sequences of random numbers, masked as the model's layers are."""
        heads, size = self.config.n_head, self.config.n_embd // self.config.n_head
        rows = (self.queries, self.keys, self.keys)
        q, k, v = leaves = [torch.randn(batch, heads, n, size, device=device).requires_grad_() for n in rows]
        mask = causal_mask(self.queries, self.keys).to(device)
        if not self.fused:
            return Run(lambda: attend(q, k, v, mask), leaves)
        visible = {"is_causal": True} if self.queries == self.keys else {"attn_mask": mask}
        return Run(lambda: F.scaled_dot_product_attention(q, k, v, **visible), leaves)


@dataclass(frozen=True)
class ModelShape:
    """A whole model, from ids to logits."""

    config: GPTConfig
    variant: str
    length: int
    fused: bool

    @property
    def work(self) -> int:
        """Multiply-adds of a sequence, forward."""
        return sum(multiply_adds(self.config, self.variant, self.length).values())

    def batch(self, device: str) -> int:
        """Sequences a pass: enough that starting each operation takes no time to speak of."""
        return math.ceil(WORK[torch.device(device).type] / self.work)

    def run(self, batch: int, device: str) -> Run:
        """A fresh model on `batch` sequences of one character, without dropout."""
        with torch.device(device):
            model = build_model(self.variant, replace(self.config, dropout=0.0))
            ids = torch.ones(batch, self.length, dtype=torch.long)
        parameters = list(model.parameters())
        if self.fused:
            return Run(lambda: model(ids)[0], parameters)

        def forward() -> Tensor:
            with WrittenOut():
                return model(ids)[0]

        return Run(forward, parameters)


def fitted(config: GPTConfig, length: int, latents: int | None) -> GPTConfig:
    """The config with so many latents, and a block of `length`, or the smallest that they allow."""
    return replace(config, bottleneck_dim=latents, block_size=max(length, 1 + (latents or 0)))
