"""The character GPT and its Perceiver, with the handout's shapes and state-dict names.

    vanilla     embeddings, n_layer blocks, layer norm, head
    perceiver   embeddings, a down-projection to M latents, n_layer - 2 blocks on the latents,
                an up-projection back to T positions, layer norm, head

Letters: B batch, T length, C channels (n_embd), M latents (bottleneck_dim), V vocabulary.
Knows nothing about data, training, or files.
"""

import inspect
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a5lib.attention import CausalCrossAttention, CausalSelfAttention, KeyValueCache
from a5lib.errors import InputError
from a5lib.vocab import PAD_ID


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model. `bottleneck_dim` is None for a model without a Perceiver's bottleneck.

    Raises:
        InputError: numbers that contradict each other.
    """

    vocab_size: int
    block_size: int = 128
    n_layer: int = 4
    n_head: int = 8
    n_embd: int = 256
    bottleneck_dim: int | None = None
    dropout: float = 0.1

    def __post_init__(self):
        for name in ("vocab_size", "block_size", "n_layer", "n_head", "n_embd"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)}: must be at least 1")
        if self.n_embd % self.n_head:
            raise InputError(f"n_embd {self.n_embd}: must be a multiple of n_head {self.n_head}")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout {self.dropout}: must be at least 0 and under 1")
        if self.bottleneck_dim is None:
            return
        if not 1 <= self.bottleneck_dim < self.block_size:
            raise InputError(
                f"bottleneck_dim {self.bottleneck_dim}: must be at least 1 and smaller than the block size "
                f"{self.block_size}, or nothing is compressed"
            )
        if self.n_layer < 2:
            raise InputError(f"n_layer {self.n_layer}: a perceiver needs 2, to project down and up")


def mlp(config: GPTConfig) -> nn.Sequential:
    """The feed-forward network of a block: C to 4C to C, with a GELU between."""
    C = config.n_embd
    return nn.Sequential(nn.Linear(C, 4 * C), nn.GELU(), nn.Linear(4 * C, C), nn.Dropout(config.dropout))


class Block(nn.Module):
    """A pre-norm Transformer block: x + attention(ln1(x)), then x + mlp(ln2(x))."""

    def __init__(self, config: GPTConfig, attention: type[nn.Module] = CausalSelfAttention):
        super().__init__()
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.attn = attention(config)
        self.mlp = mlp(config)

    def forward(self, x: Tensor, *cached) -> Tensor:
        """(B, T, C) to (B, T, C). `cached` is nothing, or a cache and the positions of x's rows."""
        x = x + self.attn(self.ln1(x), *cached)
        return x + self.mlp(self.ln2(x))


class DownProjectBlock(nn.Module):
    """T inputs to M latents by cross-attention: the queries are a learned basis C, not the inputs.

    Perceiver AR (Hawthorne et al. 2022), simplified as in the assignment: latent i reads inputs 0..i.
    """

    def __init__(self, config: GPTConfig, attention: type[nn.Module] = CausalCrossAttention):
        super().__init__()
        self.C = nn.Parameter(torch.empty(1, config.bottleneck_dim, config.n_embd))  # (1, M, C)
        nn.init.xavier_uniform_(self.C[0])
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.attn = attention(config)
        self.mlp = mlp(config)

    def forward(self, x_input: Tensor, *cached) -> Tensor:
        """(B, T, C) to (B, min(T, M), C): latents past T would only repeat what latent T - 1 sees."""
        basis = self.basis(x_input.size(1), *cached)
        x = basis + self.attn(x_input, self.ln1(basis), *cached)
        return x + self.mlp(self.ln2(x))

    def basis(self, length: int, cache: KeyValueCache | None = None, positions=None) -> Tensor:
        """The rows of C that are asked for: the first `length`, or those at the latents' positions."""
        if cache is None:
            return self.C[:, :length]
        return self.C[0][positions[0].clamp(max=self.C.size(1) - 1)]


class UpProjectBlock(nn.Module):
    """M latents back to T outputs by cross-attention: each position t asks latents 0..min(t, M-1)."""

    def __init__(self, config: GPTConfig, attention: type[nn.Module] = CausalCrossAttention):
        super().__init__()
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.attn = attention(config)
        self.mlp = mlp(config)

    def forward(self, y: Tensor, x_input: Tensor, *cached) -> Tensor:
        """Latents y (B, M, C) and the model's inputs (B, T, C) to (B, T, C)."""
        x = x_input + self.attn(self.ln1(y), x_input, *cached)
        return x + self.mlp(self.ln2(x))


@dataclass(frozen=True)
class Parts:
    """The classes that a model is built from. Put your own in the place of any of them."""

    attention: type[nn.Module] = CausalSelfAttention
    down_block: type[nn.Module] = DownProjectBlock
    up_block: type[nn.Module] = UpProjectBlock


class GPT(nn.Module):
    """A character-level language model: ids in, the logits of each next character out."""

    def __init__(self, config: GPTConfig, parts: Parts | None = None):
        super().__init__()
        self.config, self.parts = config, parts or Parts()
        self.tok_emb = nn.Embedding(config.vocab_size, config.n_embd)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, config.n_embd))
        self.drop = nn.Dropout(config.dropout)
        self._build_blocks()
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.apply(_initialize)

    def _build_blocks(self) -> None:
        config, parts = self.config, self.parts
        inner, n_inner = config, config.n_layer
        if config.bottleneck_dim is not None:
            self.down_block = parts.down_block(config)
            self.up_block = parts.up_block(config)
            inner = replace(config, block_size=config.bottleneck_dim, bottleneck_dim=None)
            n_inner = config.n_layer - 2
        self.blocks = nn.Sequential(*(Block(inner, parts.attention) for _ in range(n_inner)))

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits (B, T, V) of ids (B, T), and the mean loss over targets that are no padding.

        Raises:
            InputError: T is larger than the block size.
        """
        T = idx.size(1)
        if self.config.block_size < T:
            raise InputError(f"{T} characters do not fit the model's block of {self.config.block_size}")
        x_input = self.drop(self.tok_emb(idx) + self.pos_emb[:, :T])  # (B, T, C)
        if self.config.bottleneck_dim is None:
            x = self.blocks(x_input)
        else:
            latents = self.blocks(self.down_block(x_input))  # (B, M, C)
            x = self.up_block(latents, x_input)  # (B, T, C)
        logits = self.head(self.ln_f(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD_ID)

    # Decoding with a cache: the same sums as `forward`, for new positions only.

    @property
    def cacheable(self) -> bool:
        """Whether every layer's `forward` takes a cache to continue from; a class of your own need not."""
        blocks = [block for block in self.modules() if hasattr(block, "attn")]
        return all(_takes_cache(layer) for layer in (*blocks, *(block.attn for block in blocks)))

    def new_cache(self, length: int) -> list[KeyValueCache]:
        """An empty cache for sequences of up to `length`, one for each layer, in the order of the layers."""
        if self.config.bottleneck_dim is None:
            return [KeyValueCache(length) for _ in self.blocks]
        M = min(self.config.bottleneck_dim, length)
        return [KeyValueCache(length), *(KeyValueCache(M) for _ in self.blocks), KeyValueCache(M)]

    def extend(self, idx: Tensor, positions: Tensor, cache: list[KeyValueCache]) -> Tensor:
        """Logits (B, T, V) of new ids (B, T) at `positions` (B, T), after what the cache holds.

        Rows may stand at different positions. Equal to `forward` on the whole sequences.
        """
        x_input = self.tok_emb(idx) + self.pos_emb[0][positions]  # (B, T, C)
        if self.config.bottleneck_dim is None:
            x = self._extend_blocks(x_input, positions, cache)
        else:
            latent = positions[:, : self.config.bottleneck_dim]  # position t < M makes latent t
            x = self.down_block(x_input, cache[0], (latent, positions))
            x = self._extend_blocks(x, latent, cache[1:-1])
            x = self.up_block(x, x_input, cache[-1], (positions, latent))
        return self.head(self.ln_f(x))

    def _extend_blocks(self, x: Tensor, positions: Tensor, cache: list[KeyValueCache]) -> Tensor:
        for block, layer_cache in zip(self.blocks, cache, strict=True):
            x = block(x, layer_cache, positions)
        return x


def _initialize(module: nn.Module) -> None:
    """GPT-2's initialization, as in the handout: weights from N(0, 0.02²), biases zero."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _takes_cache(layer: nn.Module) -> bool:
    return not {"cache", "cached"}.isdisjoint(inspect.signature(layer.forward).parameters)


VARIANTS = ("vanilla", "perceiver")


def build_model(variant: str, config: GPTConfig, seed: int = 0, parts: Parts | None = None) -> GPT:
    """A freshly initialized model; all its randomness comes from `seed`, torch's own generator is left alone.

    Raises:
        InputError: no such variant, or a perceiver without `bottleneck_dim`.
    """
    if variant not in VARIANTS:
        raise InputError(f"{variant!r}: no such variant; there are {', '.join(VARIANTS)}")
    if variant == "vanilla":
        config = replace(config, bottleneck_dim=None)
    elif config.bottleneck_dim is None:
        raise InputError("a perceiver needs a bottleneck_dim")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return GPT(config, parts)
