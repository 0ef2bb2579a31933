"""The character GPT and its Perceivers, with the handout's shapes and state-dict names.

    vanilla       embeddings, n_layer blocks, layer norm, head
    perceiver     embeddings, a down-projection to M latents, n_layer - 2 blocks on the latents,
                  an up-projection back to T positions, layer norm, head
    perceiver_ar  embeddings, a block in which the last M positions ask and all T answer,
                  n_layer - 1 blocks on those M, layer norm, head: logits for M positions
    rope          vanilla with rotary attention in the place of learned positions
    synthesizer   vanilla with scores from each position alone, without queries and keys

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
from a5lib.variants import RotaryAttention, SynthesizerAttention
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


class LatentBlock(Block):
    """The first block of Perceiver AR (Hawthorne et al. 2022): some positions ask, all of them answer.

    Where all positions are latents it is the plain block, with the same weights and names.
    """

    def __init__(self, config: GPTConfig, attention: type[nn.Module] = CausalCrossAttention):
        super().__init__(config, attention)

    def forward(self, x: Tensor, cache: KeyValueCache | None = None, positions=None, latents=None) -> Tensor:
        """(B, T, C) to (B, M, C) for `latents` (B, M), the positions that ask; None means all T."""
        h = self.ln1(x)
        if latents is None:
            x = x + self.attn(h, h, cache, (positions, positions))
        else:
            x = rows_at(x, latents) + self.attn(h, rows_at(h, latents), None, (latents, None))
        return x + self.mlp(self.ln2(x))


def rows_at(x: Tensor, positions: Tensor) -> Tensor:
    """(B, T, C) to (B, M, C): the rows at positions (B, M)."""
    return x.gather(1, positions[:, :, None].expand(-1, -1, x.size(-1)))


def latent_positions(lengths: Tensor, n_latent: int) -> Tensor:
    """(B, M): the last M positions of rows of `lengths` (B,); a row shorter than M begins at 0."""
    first = (lengths - n_latent).clamp(min=0)
    return first[:, None] + torch.arange(n_latent, device=lengths.device)


def real_lengths(idx: Tensor) -> Tensor:
    """(B,): how long each row of ids (B, T) is without the padding at its end."""
    return ((idx != PAD_ID) * torch.arange(1, idx.size(1) + 1, device=idx.device)).amax(dim=1)


@dataclass(frozen=True)
class Parts:
    """The classes that a model is built from. Put your own in the place of any of them."""

    attention: type[nn.Module] = CausalSelfAttention
    down_block: type[nn.Module] = DownProjectBlock
    up_block: type[nn.Module] = UpProjectBlock


class GPT(nn.Module):
    """A character-level language model: ids in, the logits of each next character out."""

    usual_parts = Parts()

    def __init__(self, config: GPTConfig, parts: Parts | None = None):
        super().__init__()
        self.config, self.parts = config, parts or self.usual_parts
        self.tok_emb = nn.Embedding(config.vocab_size, config.n_embd)
        self.pos_emb = nn.Parameter(torch.zeros(1, config.block_size, config.n_embd))
        self.drop = nn.Dropout(config.dropout)
        self.build_blocks()
        self.ln_f = nn.LayerNorm(config.n_embd)
        self.head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.apply(_initialize)

    def build_blocks(self) -> None:
        """Make the layers between embeddings and the last layer norm."""
        self.blocks = self.stack(self.config, self.config.n_layer)

    def stack(self, config: GPTConfig, n: int) -> nn.Sequential:
        """`n` blocks of self-attention."""
        return nn.Sequential(*(Block(config, self.parts.attention) for _ in range(n)))

    def embed(self, idx: Tensor) -> Tensor:
        """Ids (B, T) to characters plus positions (B, T, C).

        Raises:
            InputError: T is larger than the block size.
        """
        T = idx.size(1)
        if self.config.block_size < T:
            raise InputError(f"{T} characters do not fit the model's block of {self.config.block_size}")
        return self.drop(self.placed(self.tok_emb(idx)))

    def placed(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Characters (B, T, C) with their positions (B, T) added; None is 0..T-1."""
        return x + (self.pos_emb[:, : x.size(1)] if positions is None else self.pos_emb[0][positions])

    def transform(self, x_input: Tensor) -> Tensor:
        """What the layers make of the embeddings: (B, T, C) to (B, T, C)."""
        return self.blocks(x_input)

    def read_out(self, x: Tensor, targets: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Logits (B, T, V) of hidden states (B, T, C), and the mean loss over targets that are no padding."""
        logits = self.head(self.ln_f(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PAD_ID)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits (B, T, V) of ids (B, T), and the mean loss over targets that are no padding.

        Raises:
            InputError: T is larger than the block size.
        """
        return self.read_out(self.transform(self.embed(idx)), targets)

    def n_targets(self, idx: Tensor, targets: Tensor) -> int:
        """How many targets the mean loss of `forward` is taken over."""
        return int((targets != PAD_ID).sum())

    def next_logits(self, idx: Tensor, lengths: Tensor) -> Tensor:
        """(B, V): the logits of what follows each row of ids (B, T), whose `lengths` are (B,)."""
        logits, _ = self(idx)
        return logits[torch.arange(len(idx), device=idx.device), lengths - 1]

    # Decoding with a cache: the same sums as `forward`, for new positions only.

    def cacheable(self, length: int) -> bool:
        """Whether sequences of up to `length` can be decoded from a cache: every layer must take one."""
        blocks = [block for block in self.modules() if hasattr(block, "attn")]
        return all(_takes_cache(layer) for layer in (*blocks, *(block.attn for block in blocks)))

    def new_cache(self, length: int) -> list[KeyValueCache]:
        """An empty cache for sequences of up to `length`, one for each layer, in the order of the layers."""
        return [KeyValueCache(length) for _ in self.blocks]

    def extend(self, idx: Tensor, positions: Tensor, cache: list[KeyValueCache]) -> Tensor:
        """Logits (B, T, V) of new ids (B, T) at `positions` (B, T), after what the cache holds.

        Rows may stand at different positions. Equal to `forward` on the whole sequences.
        """
        x_input = self.placed(self.tok_emb(idx), positions)  # (B, T, C)
        return self.head(self.ln_f(self.extend_blocks(x_input, positions, cache)))

    def extend_blocks(self, x: Tensor, positions: Tensor, cache: list[KeyValueCache]) -> Tensor:
        """`transform` for new positions, after what the cache holds."""
        for block, layer_cache in zip(self.blocks, cache, strict=True):
            x = block(x, layer_cache, positions)
        return x


class Perceiver(GPT):
    """The assignment's bottleneck: `n_layer` - 2 blocks work on M latents instead of T positions."""

    def build_blocks(self) -> None:
        """The down-projection, the blocks on the latents, the up-projection."""
        self.down_block = self.parts.down_block(self.config)
        self.up_block = self.parts.up_block(self.config)
        self.blocks = self.stack(on_latents(self.config), self.config.n_layer - 2)

    def transform(self, x_input: Tensor) -> Tensor:
        """(B, T, C) to (B, T, C), through latents (B, min(T, M), C)."""
        latents = self.blocks(self.down_block(x_input))
        return self.up_block(latents, x_input)

    def new_cache(self, length: int) -> list[KeyValueCache]:
        """The down-projection keeps T positions, the layers after it M latents."""
        M = min(self.config.bottleneck_dim, length)
        return [KeyValueCache(length), *(KeyValueCache(M) for _ in self.blocks), KeyValueCache(M)]

    def extend_blocks(self, x: Tensor, positions: Tensor, cache: list[KeyValueCache]) -> Tensor:
        """`transform` for new positions: position t < M makes latent t, the later ones make none."""
        latent = positions[:, : self.config.bottleneck_dim]
        y = self.down_block(x, cache[0], (latent, positions))
        y = super().extend_blocks(y, latent, cache[1:-1])
        return self.up_block(y, x, cache[-1], (positions, latent))


class PerceiverAR(GPT):
    """Perceiver AR proper (Hawthorne et al. 2022): the latents are the last M real positions themselves.

    Each reads all inputs up to itself, so there is no horizon. The price: logits, and so the training
    signal, exist for those positions only. Where T <= M it is the vanilla model, number for number.
    """

    def build_blocks(self) -> None:
        """One block from all positions to the latents, the others on the latents."""
        inner = self.stack(on_latents(self.config), self.config.n_layer - 1)
        self.blocks = nn.Sequential(LatentBlock(self.config), *inner)

    def latents(self, idx: Tensor, lengths: Tensor | None = None) -> Tensor | None:
        """(B, M): the positions that have logits; None where they are all T.

        Args:
            lengths: (B,) how much of each row is real; None goes by the padding at its end.
        """
        if idx.size(1) <= self.config.bottleneck_dim:
            return None
        return latent_positions(real_lengths(idx) if lengths is None else lengths, self.config.bottleneck_dim)

    def forward(
        self, idx: Tensor, targets: Tensor | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Logits (B, min(T, M), V) of the latents, and the mean loss over their targets, as in `GPT`."""
        x_input, latents = self.embed(idx), self.latents(idx, lengths)
        first, *others = self.blocks
        x = first(x_input, latents=latents)  # (B, M, C)
        for block in others:
            x = block(x)
        if targets is not None and latents is not None:
            targets = targets.gather(1, latents)
        return self.read_out(x, targets)

    def n_targets(self, idx: Tensor, targets: Tensor) -> int:
        """As in `GPT`: those of the latents alone."""
        latents = self.latents(idx)
        return super().n_targets(idx, targets if latents is None else targets.gather(1, latents))

    def next_logits(self, idx: Tensor, lengths: Tensor) -> Tensor:
        """(B, V): as in `GPT`; a row's last real position is its last real latent."""
        logits, _ = self(idx, lengths=lengths)
        last = lengths.clamp(max=self.config.bottleneck_dim) - 1
        return logits[torch.arange(len(idx), device=idx.device), last]

    def cacheable(self, length: int) -> bool:
        """Past M each new character makes other positions the latents: all is computed again."""
        return length <= self.config.bottleneck_dim and super().cacheable(length)


class Rope(GPT):
    """Rotary positions (Su et al. 2021): the attention turns queries and keys, the input is left alone."""

    usual_parts = Parts(attention=RotaryAttention)

    def __init__(self, config: GPTConfig, parts: Parts | None = None):
        super().__init__(config, parts)
        self.pos_emb = None

    def placed(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """Characters as they are: where they stand is the attention's affair."""
        return x


class Synthesizer(GPT):
    """The dense synthesizer (Tay et al. 2020), as in the assignment of 2021."""

    usual_parts = Parts(attention=SynthesizerAttention)


def on_latents(config: GPTConfig) -> GPTConfig:
    """The config of the blocks that work on M latents."""
    return replace(config, block_size=config.bottleneck_dim, bottleneck_dim=None)


def _initialize(module: nn.Module) -> None:
    """GPT-2's initialization, as in the handout: weights from N(0, 0.02²), biases zero."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)


def _takes_cache(layer: nn.Module) -> bool:
    return not {"cache", "cached"}.isdisjoint(inspect.signature(layer.forward).parameters)


MODELS: dict[str, type[GPT]] = {
    "vanilla": GPT,
    "perceiver": Perceiver,
    "perceiver_ar": PerceiverAR,
    "rope": Rope,
    "synthesizer": Synthesizer,
}
VARIANTS = tuple(MODELS)
WITH_BOTTLENECK = ("perceiver", "perceiver_ar")


def build_model(variant: str, config: GPTConfig, seed: int = 0, parts: Parts | None = None) -> GPT:
    """A freshly initialized model; all its randomness comes from `seed`, torch's own generator is left alone.

    Raises:
        InputError: no such variant, or a perceiver without `bottleneck_dim`, or with too small a one.
    """
    if variant not in MODELS:
        raise InputError(f"{variant!r}: no such variant; there are {', '.join(VARIANTS)}")
    if variant not in WITH_BOTTLENECK:
        config = replace(config, bottleneck_dim=None)
    elif config.bottleneck_dim is None:
        raise InputError(f"a {variant} needs a bottleneck_dim")
    elif variant == "perceiver_ar" and config.bottleneck_dim < 2:
        raise InputError("bottleneck_dim 1: a perceiver_ar needs 2, for a row's last latent predicts padding")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[variant](config, parts)
