"""Costs as expressions in l, m, L, d, h and V: nothing is run.

All rests on one rule: a matrix (n, k) times a matrix (k, p) takes n·k·p multiply-adds. So a linear layer
from d to d costs d² a row. Where q rows ask and k answer, their scores, (q, d) times (d, k), cost q·k·d,
and the sums of values, (q, k) times (k, d), cost as much again. Heads cut d into h pieces: no difference.
"""

from itertools import count
from typing import NamedTuple

from a5lib.errors import InputError
from a5lib.model import VARIANTS, WITH_BOTTLENECK, GPTConfig


class Layer(NamedTuple):
    """How many rows of a layer ask, how many answer, and how many its first layer norm reads."""

    queries: int
    keys: int
    normed: int


def layers(config: GPTConfig, variant: str, length: int) -> list[Layer]:
    """The rows that each layer works on, from the first to the last; every cost below follows from them.

    Raises:
        InputError: no such variant, or a perceiver without `bottleneck_dim`.
    """
    if variant not in VARIANTS:
        raise InputError(f"{variant!r}: its layers are not known here")
    if variant not in WITH_BOTTLENECK:
        keys = min(length, config.block_size - 1) if variant == "synthesizer" else length  # see its class
        return [Layer(length, keys, length)] * config.n_layer
    if config.bottleneck_dim is None:
        raise InputError(f"a {variant} needs a bottleneck_dim")
    m = min(config.bottleneck_dim, length)
    inner = Layer(m, m, m)
    if variant == "perceiver":  # the basis asks the inputs; the inputs ask the latents
        return [Layer(m, length, m), *[inner] * (config.n_layer - 2), Layer(length, m, m)]
    return [Layer(m, length, length), *[inner] * (config.n_layer - 1)]  # the last m inputs ask all of them


def multiply_adds(config: GPTConfig, variant: str, length: int) -> dict[str, int]:
    """The matrix products of a forward pass, part by part; ``scores and sums`` is attention alone.

    vanilla L·2l²d, perceiver 2·2lmd + (L-2)·2m²d, perceiver_ar 2lmd + (L-1)·2m²d. Around them each row
    that asks or answers is projected twice (query and output, key and value), and each row that asks
    goes through an MLP, from d to 4d and back: 8d². A synthesizer has three projections in the place of
    four, and scores of the same price; rotary positions cost no multiply-add (see `flops`).
    """
    d, rows = config.n_embd, layers(config, variant, length)
    if variant == "synthesizer":
        projections = sum(3 * q * d * d for q, _, _ in rows)
    else:
        projections = sum(2 * (q + k) * d * d for q, k, _ in rows)
    return {
        "scores and sums": sum(2 * q * k * d for q, k, _ in rows),
        "projections": projections,
        "MLPs": sum(8 * q * d * d for q, _, _ in rows),
        "head": rows[-1].queries * d * config.vocab_size,
    }


# FLOPs for each number that goes in; as many come out.
LAYER_NORM = 7  # sum, subtract the mean, square, sum, divide, gain, bias
SOFTMAX = 5  # compare for the largest, subtract it, exp, sum, divide
GELU = 5  # x · ½ · (1 + erf(x / √2))


def flops(config: GPTConfig, variant: str, length: int) -> dict[str, int]:
    """Every floating-point operation of a forward pass: the matrix products, and all that is none."""
    d, rows = config.n_embd, layers(config, variant, length)
    asking, answering = sum(r.queries for r in rows), sum(r.keys for r in rows)
    normed = sum(r.normed for r in rows) + asking + rows[-1].queries  # ln1, ln2, ln_f
    scores = config.n_head * sum(r.queries * r.keys for r in rows)
    if variant == "synthesizer":
        return _synthesizer_flops(config, length, scores)
    turned = d * (asking + answering) if variant == "rope" else 0  # numbers of the queries and of the keys
    rotations = {"rotations": 5 * turned // 2} if turned else {}  # a pair: four products, a difference, a sum
    return rotations | {
        "matrix products": 2 * sum(multiply_adds(config, variant, length).values()),
        "biases": (2 * (asking + answering) + (4 + 1) * asking) * d,  # projections, and both of an MLP
        "softmax": (2 + SOFTMAX) * scores,  # with the scale and the mask
        "GELU": GELU * 4 * d * asking,
        "layer norms": LAYER_NORM * d * normed,
        # positions, and two residuals a layer
        "additions": (length * (variant != "rope") + 2 * asking) * d + turned // 2,
    }


def _synthesizer_flops(config: GPTConfig, length: int, scores: int) -> dict[str, int]:
    d, rows = config.n_embd, config.n_layer * length
    return {
        "matrix products": 2 * sum(multiply_adds(config, "synthesizer", length).values()),
        "biases": (3 + 4 + 1) * rows * d,
        "ReLU": rows * d,
        "softmax": (1 + SOFTMAX) * scores,  # with the mask, without a scale
        "GELU": GELU * 4 * d * rows,
        "layer norms": LAYER_NORM * d * (2 * rows + length),
        "additions": (length + 2 * rows) * d + scores,  # and b2 to each score
    }


def attention_share(config: GPTConfig, variant: str, length: int) -> float:
    """The share of a variant's multiply-adds that are scores and sums.

    For vanilla it is l / (l + 6d + V/2L), so linear terms hide l² until l is 6d + V/2L, where it is one
    half. On log-log axes vanilla's slope at l is 1 + its share.
    """
    parts = multiply_adds(config, variant, length)
    return parts["scores and sums"] / sum(parts.values())


def saved_by_halving(config: GPTConfig, length: int) -> float:
    """What vanilla saves on half the length: ½ + ¼ · its attention share. ¾ is attention alone."""
    return 0.5 + 0.25 * attention_share(config, "vanilla", length)


def saved_by_bottleneck(config: GPTConfig, variant: str, length: int) -> tuple[float, float]:
    """The share of vanilla's multiply-adds that a variant saves: of attention alone, and of the model."""
    full, small = (multiply_adds(config, v, length) for v in ("vanilla", variant))
    alone = small["scores and sums"] / full["scores and sums"]
    return 1 - alone, 1 - sum(small.values()) / sum(full.values())


def pays_from(config: GPTConfig, variant: str) -> int:
    """The first length at which a perceiver needs fewer multiply-adds than vanilla. It is m + 1.

    Raises:
        InputError: vanilla itself, or no such variant.
    """
    if variant == "vanilla":
        raise InputError("vanilla never needs fewer multiply-adds than vanilla")
    return next(n for n in count(1) if saved_by_bottleneck(config, variant, n)[1] > 0)
