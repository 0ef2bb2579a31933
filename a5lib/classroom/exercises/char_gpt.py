"""Checks for the second half of notebook 04: the block, the model, what it sees, how it writes.

The first half, attention itself, is in `multi_head`.
Letters: B batch, T length, C channels, H heads, D = C / H head size, V vocabulary.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import as_tensor, normal, require, seeded
from a5lib.model import GPTConfig

# The notebook's functions, as the library would write them.


def block_forward(self: nn.Module, x: Tensor) -> Tensor:
    """x + attention(ln1(x)), then x + mlp(ln2(x)): (B, T, C) to (B, T, C)."""
    x = x + self.attn(self.ln1(x))
    return x + self.mlp(self.ln2(x))


def count_parameters(config: GPTConfig) -> dict[str, int]:
    """The number of parameters of a vanilla GPT, by part."""
    V, C, L = config.vocab_size, config.n_embd, config.n_layer
    return {
        "embeddings": V * C + config.block_size * C,
        "attention": L * 4 * (C * C + C),
        "MLPs": L * (8 * C * C + 5 * C),
        "layer norms": (2 * L + 1) * 2 * C,
        "head": V * C,
    }


def sees(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(T, T) bool: whether output t of `forward` depends on input s, x (T, C) being changed row by row."""
    before = forward(x)
    rows = []
    for s in range(len(x)):
        changed = x.clone()
        changed[s] += torch.linspace(-1, 2, x.size(1), dtype=x.dtype)  # no constant: a norm would hide it
        rows.append((forward(changed) - before).abs().amax(dim=1) > 1e-9)
    return torch.stack(rows, dim=1)


def next_distribution(logits: Tensor, temperature: float = 1.0, top_k: int | None = None) -> Tensor:
    """softmax(logits / temperature) among the `top_k` highest: (..., V) to (..., V)."""
    if top_k is not None:
        lowest = logits.topk(top_k).values[..., -1:]
        logits = logits.masked_fill(logits < lowest, float("-inf"))
    return (logits / temperature).softmax(dim=-1)


class _AffineBlock(nn.Module):
    """A block whose attention and MLP are cheap stand-ins; the order of its steps is what counts."""

    def __init__(self, C: int):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.attn, self.mlp = nn.Linear(C, C), nn.Sequential(nn.Linear(C, C), nn.GELU())


@exercise("block_forward", block_forward)
def check_block_forward(attempt: Callable) -> None:
    """Which norm stands where, and what is added to what."""
    block, x = seeded(lambda: _AffineBlock(4), spread=1.0), normal(2, 3, 4)
    ln1, ln2, attn, mlp = block.ln1, block.ln2, block.attn, block.mlp
    middle = x + attn(ln1(x))
    post, normed = ln1(x + attn(x)), ln1(x)
    mistakes = {
        "post-norm: the norms stand behind the sums; ours stand before attention and MLP": ln2(
            post + mlp(post)
        ),
        "no residual around attention: x itself is lost": attn(ln1(x)) + mlp(ln2(attn(ln1(x)))),
        "no residual around the MLP": mlp(ln2(middle)),
        "no residual at all": mlp(ln2(attn(ln1(x)))),
        "the MLP reads the block's input: it should read what attention has added to": middle + mlp(ln2(x)),
        "ln1 is used twice: the MLP has its own norm, ln2": middle + mlp(ln1(middle)),
        "ln1 and ln2 are swapped": x + attn(ln2(x)) + mlp(ln1(x + attn(ln2(x)))),
        "no norms": x + attn(x) + mlp(x + attn(x)),
        "the MLP without its norm": middle + mlp(middle),
        "the normed x is added: the sum takes x as it came": (
            lambda a: ln2(a) + mlp(ln2(a))
        )(normed + attn(normed)),
        "the MLP is missing": middle,
        "MLP first: attention comes before it": (lambda a: a + attn(ln1(a)))(x + mlp(ln2(x))),
    }  # fmt: skip
    before = x.clone()
    with torch.no_grad():
        require(attempt(block, x), block_forward(block, before), mistakes, "x + f(norm(x)), twice")
    if not torch.equal(x, before):
        raise Wrong("the block changes its input in place: write x = x + …, not x += …", before, x)


@exercise("count_parameters", count_parameters)
def check_count_parameters(attempt: Callable) -> None:
    """Part by part, at a size where no two counts agree by chance."""
    config = GPTConfig(vocab_size=11, block_size=7, n_layer=3, n_head=2, n_embd=6)
    V, C, L, H = 11, 6, 3, 2
    expected, got = count_parameters(config), attempt(config)
    if not isinstance(got, dict) or set(got) != set(expected):
        raise Wrong("a dict with one number for each part is expected", list(expected), got)
    mistakes = {
        ("embeddings", V * C): "the positions are forgotten: one vector for each place in the block",
        ("attention", L * 4 * C * C): "the biases are forgotten: a Linear has C of them",
        ("attention", L * 3 * (C * C + C)): "the fourth matrix is forgotten: the last projection",
        ("attention", L * 4 * H * (C * C + C)): "heads cost nothing extra: they share the C channels",
        ("attention", 4 * (C * C + C)): "this is one layer: there are n_layer",
        ("MLPs", L * 8 * C * C): "the biases are forgotten: 4C in the first Linear, C in the second",
        ("MLPs", L * (8 * C * C + 2 * C)): "the first Linear has 4C biases, one for each of its outputs",
        ("MLPs", 8 * C * C + 5 * C): "this is one layer: there are n_layer",
        ("layer norms", 2 * L * 2 * C): "the last norm, ln_f, is forgotten",
        ("layer norms", (2 * L + 1) * C): "a norm has two vectors: a scale and a shift",
        ("layer norms", (L + 1) * 2 * C): "a block has two norms",
        ("head", V * C + V): "our head has no bias",
        ("head", 0): "our head is a matrix of its own, not the token embeddings again",
    }
    for part, number in expected.items():
        if got[part] != number:
            mistake = mistakes.get((part, got[part]), "not the number of its parameters")
            sizes = "vocab_size 11, block_size 7, n_layer 3, n_head 2, n_embd 6"
            raise Wrong(f"{part}: {mistake}", f"{number} for {sizes}", got[part])


def _dependent(pattern: Tensor, x: Tensor) -> Tensor:
    """Outputs (T, 2) that see what `pattern` says, blind to a constant added to a row, and summing to 0."""
    seen = pattern.to(x) @ F.layer_norm(x, x.shape[-1:])[:, :1]
    return torch.cat([seen, -seen], dim=1)


WEAK = "0.0001 times all so far"


@exercise("sees", sees)
def check_sees(attempt: Callable) -> None:
    """Three known patterns, one of them with dependence as weak as 1e-4."""
    T, x = 5, normal(5, 4).double()
    all_true = torch.ones(T, T, dtype=torch.bool)
    patterns = {"each input once": torch.eye(T), "the input before": torch.eye(T).roll(1, 0).tril(),
                "all so far": all_true.tril(), WEAK: 1e-4 * all_true.tril()}  # fmt: skip
    for name, pattern in patterns.items():
        expected, given = pattern > 0, x.clone()
        got = attempt(lambda x, pattern=pattern: _dependent(pattern, x), given)
        given_back, got = got, as_tensor(got)
        if got is None or got.shape != (T, T):
            raise Wrong("a (T, T) tensor is expected", (T, T), getattr(given_back, "shape", given_back))
        if not torch.equal(given, x):
            raise Wrong("x itself is changed: perturb a clone", "x as it was", "another x")
        if got.dtype != torch.bool:
            raise Wrong("truth values are expected: compare with 0", "torch.bool", got.dtype)
        _name_dependence(got, expected, f"outputs that see {name}")


def _name_dependence(got: Tensor, expected: Tensor, what: str) -> None:
    if torch.equal(got, expected):
        return
    if not got.any() and what.endswith(WEAK):
        raise Wrong(f"{what}: a weak dependence is overlooked", expected, got, "lower the threshold, to 1e-9")
    if not got.any():
        hint = (
            "a norm hides a constant added to all channels, and outputs that sum to 0 hide each other: "
            "change each channel by another amount, and look at every output"
        )
        raise Wrong(f"{what}: no dependence was found at all", expected, got, hint)
    if torch.equal(got, expected.T):
        raise Wrong(f"{what}: transposed; rows are outputs, columns are inputs", expected, got)
    if torch.equal(got, expected.int().cumsum(dim=1) > 0):
        raise Wrong(f"{what}: earlier inputs stay changed; begin from x for each input", expected, got)
    if torch.equal(got, torch.ones_like(expected).tril()):
        raise Wrong(f"{what}: always lower triangular, whatever is measured", expected, got)
    raise Wrong(f"{what}: not what it depends on", expected.int(), got.int())


@exercise("next_distribution", next_distribution)
def check_next_distribution(attempt: Callable) -> None:
    """Six logits, two rows: temperature alone, top-k alone, both."""
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, -2.0, 0.5], [0.1, -0.4, 1.2, 3.0, 0.6, -3.0]])
    given = logits.clone()
    for temperature, k in ((1.0, None), (0.5, None), (1.0, 3), (2.0, 2), (0.5, 1)):
        expected = next_distribution(logits, temperature, k)
        got = attempt(given, temperature, k)
        if not torch.equal(given, logits):
            raise Wrong("the logits that were handed in are changed: work on a new tensor", logits, given)
        require(got, expected, _sampling_mistakes(logits, temperature, k), "divide, cut, softmax")


def _sampling_mistakes(logits: Tensor, temperature: float, k: int | None) -> dict[str, Tensor]:
    """What comes of the usual mistakes; one that changes nothing here is no mistake here."""
    full = next_distribution(logits, temperature)
    mistakes = {
        "multiplied by the temperature: high ones would sharpen; divide": (logits * temperature).softmax(-1),
        "the probabilities are divided: divide the logits by the temperature": logits.softmax(-1)
        / temperature,
        "softmax over the wrong axis: over the characters, dim=-1": (logits / temperature).softmax(0),
    }  # fmt: skip
    if k is None:
        return mistakes
    cut = next_distribution(logits, temperature, k)
    lowest = (-logits).topk(k).values[..., -1:]
    flipped = logits.masked_fill(-logits < lowest, float("-inf")) / temperature
    cuts = {
        "multiplied by the temperature: high ones would sharpen; divide (top-k is right)": next_distribution(
            logits, 1 / temperature, k
        ),
        "top-k from the wrong side: the k *least* likely are kept": flipped.softmax(-1),
        "not renormalized: after the cut the rest must sum to 1 again": full * (cut > 0),
        "top_k is not used": full,
        "the cut logits are set to 0, and e⁰ is 1: they need -inf": (
            (logits / temperature) * (cut > 0)
        ).softmax(-1),
        "one too many is kept": next_distribution(logits, temperature, k + 1),
    }
    if k > 1:
        cuts["one too few is kept: the k-th itself stays"] = next_distribution(logits, temperature, k - 1)
    return cuts | mistakes
