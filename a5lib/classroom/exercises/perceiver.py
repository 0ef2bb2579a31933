"""Checks for notebook 09: the down- and the up-projection, what the mask hides, and the cost.

A check computes what each known mistake would give, and names the one that the attempt agrees with.
Letters: B batch, T length, C channels, M latents, L layers.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from a5lib import model
from a5lib.attention import CausalSelfAttention
from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import CLOSE, as_number, as_tensor
from a5lib.complexity import growth


@dataclass
class _Config:
    """A config that can be changed, as the handout's can, so that a change does not go unseen."""

    vocab_size: int = 9
    block_size: int = 9
    n_layer: int = 4
    n_head: int = 2
    n_embd: int = 8
    bottleneck_dim: int = 5
    dropout: float = 0.0


class _FarDevice(TorchFunctionMode):
    """Moving a parameter gives a plain tensor, as it does wherever the device is really another one."""

    moved = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func in (Tensor.to, Tensor.cuda) and isinstance(args[0], nn.Parameter):
            self.moved = True
            return result.clone()
        return result


# Of both blocks: how they are built.


def _built(attempt: Callable, reference: type[nn.Module], config: _Config) -> nn.Module:
    """The attempt's block, in evaluation mode, with the names and shapes of the reference's state dict."""
    before = _Config(**vars(config))
    with torch.random.fork_rng(devices=[]), _FarDevice() as far:
        torch.manual_seed(0)
        block = attempt(config)
        if not isinstance(block, nn.Module):
            raise Wrong("a class of modules is expected", "class …(nn.Module)", block)
        _check_config(config, before)
        expected = reference(config)
    if hasattr(expected, "C"):
        _check_basis_is_learned(block, expected.C, far.moved)
    _check_names(block, expected)
    return block.eval()


def _check_config(config: _Config, before: _Config) -> None:
    changed = {name: value for name, value in vars(config).items() if value != vars(before)[name]}
    for name, value in changed.items():
        raise Wrong(
            f"the constructor changes the config's {name}, and whatever is built after it gets that",
            f"{name} {vars(before)[name]}, as before",
            f"{name} {value}",
            "read from the config, never write to it; dataclasses.replace makes a changed copy",
        )


def _check_basis_is_learned(block: nn.Module, expected: Tensor, moved: bool) -> None:
    if not isinstance(getattr(block, "C", None), Tensor):
        raise Wrong("the block has no basis C", "self.C, (1, M, C)", hint="nn.Parameter(torch.empty(…))")
    if "C" in dict(block.named_buffers()):
        raise Wrong("C is a buffer: saved, but never trained", "nn.Parameter", "a buffer")
    if "C" not in dict(block.named_parameters()):
        why = "C is a plain tensor, no parameter: neither trained nor saved"
        if moved:
            why = (
                "nn.Parameter(…).to(device) gives a plain tensor on another device: neither trained nor saved"
            )
        hint = "self.C = nn.Parameter(…), and nothing behind it; the model's own .to(device) moves it"
        raise Wrong(why, "nn.Parameter", type(block.C).__name__, hint)
    if block.C.shape != expected.shape:
        shapes = tuple(expected.shape), tuple(block.C.shape)
        raise Wrong("C has the wrong shape: (1, bottleneck_dim, n_embd)", *shapes)


def _check_names(block: nn.Module, expected: nn.Module) -> None:
    wanted = {name: tuple(t.shape) for name, t in expected.state_dict().items()}
    got = {name: tuple(t.shape) for name, t in block.state_dict().items()}
    for part in ("ln1", "ln2", "attn", "mlp"):
        if not any(name.startswith(f"{part}.") for name in got):
            what = "LayerNorm forgotten: there is no " if part.startswith("ln") else "there is no "
            raise Wrong(f"{what}{part}", f"self.{part}", sorted({name.split(".")[0] for name in got}))
    if isinstance(block.attn, CausalSelfAttention):
        hint = "CausalCrossAttention(config)"
        raise Wrong("attn is self-attention: here queries and keys come from two places", hint=hint)
    if got.keys() != wanted.keys():
        odd = sorted(got.keys() ^ wanted.keys())
        raise Wrong("other names than the library's in the state dict", hint=f"they differ in {odd[:4]}")
    for name, shape in wanted.items():
        if got[name] != shape:
            hint = "the mask must hold all of block_size keys or queries" if name == "attn.mask" else ""
            raise Wrong(f"{name} has the wrong shape", shape, got[name], hint)


def _spread(block: nn.Module, reference: type[nn.Module], config: _Config) -> nn.Module:
    """Give the attempt's block wide weights, and return the reference's block with the same ones."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(std=0.5, generator=generator)
    with torch.random.fork_rng(devices=[]):
        twin = reference(config).eval()
    twin.load_state_dict(block.state_dict())
    return twin


def _normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _require(got: Tensor, expected: Tensor, mistakes: Mapping[str, Tensor], hint: str = "") -> None:
    """Raise `Wrong` unless both agree, by the name of the mistake whose result `got` agrees with."""
    given, got = got, as_tensor(got)
    if got is None:
        raise Wrong("a tensor is expected", tuple(expected.shape), given)
    if _same(got, expected):
        return
    for mistake, result in mistakes.items():
        if _same(got, result):
            raise Wrong(mistake, expected, got, hint)
    if got.shape != expected.shape:
        raise Wrong("the shape is wrong", tuple(expected.shape), tuple(got.shape), hint)
    raise Wrong("the shape is right, the numbers are not", expected, got, hint)


def _same(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or a.is_complex() or a.is_meta:
        return False
    return torch.allclose(a.double(), b.double(), atol=1e-5)


def _endings(block: nn.Module, middle: Tensor) -> dict[str, Tensor]:
    """What the second half of a block may become of the right first half."""
    ln1, ln2, mlp = block.ln1, block.ln2, block.mlp
    return {
        "LayerNorm forgotten: the MLP reads ln2 of what attention has added to": middle + mlp(middle),
        "ln1 is used twice: the MLP has its own norm, ln2": middle + mlp(ln1(middle)),
        "no residual around the MLP": mlp(ln2(middle)),
        "the MLP is missing": middle,
    }


# Exercises 1 and 2.


@exercise("DownProjectBlock", model.DownProjectBlock)
def check_down(attempt: Callable) -> None:
    """Built right; then as many inputs as latents, where all shapes agree and mistakes show as numbers."""
    config = _Config()
    block = _built(attempt, model.DownProjectBlock, config)
    _check_xavier(attempt)
    twin = _spread(block, model.DownProjectBlock, config)
    C, ln1, ln2, attn, mlp = twin.C, twin.ln1, twin.ln2, twin.attn, twin.mlp

    def whole(middle: Tensor) -> Tensor:
        return middle + mlp(ln2(middle))

    x, M = _normal(2, config.bottleneck_dim, config.n_embd), config.bottleneck_dim
    middle = C + attn(x, ln1(C))
    mistakes = {
        "the residual is of the wrong input: the latents begin as C, not as the inputs": whole(
            x + attn(x, ln1(C))
        ),
        "query and key swapped: the basis asks, the inputs answer; attn(x_kv, x_q)": whole(
            C + attn(ln1(C), x)
        ),
        "query and key swapped, and the residual of the wrong input": whole(x + attn(ln1(C), x)),
        "LayerNorm forgotten: the queries are ln1(C)": whole(C + attn(x, C)),
        "ln1 stands before the inputs: it belongs before the queries, C": whole(C + attn(ln1(x), C)),
        "ln1 stands before the inputs, too: it belongs before the queries, C, alone": whole(
            C + attn(ln1(x), ln1(C))
        ),
        "no residual around attention: C itself is lost": whole(attn(x, ln1(C))),
        "the normed C is added: the sum takes C as it is": whole(ln1(C) + attn(x, ln1(C))),
        "ln1 and ln2 are swapped": (lambda z: z + mlp(ln1(z)))(C + attn(x, ln2(C))),
        **_endings(twin, middle),
    }
    hint = "x = C + attn(x_input, ln1(C)); then x + mlp(ln2(x))"
    _require(block(x), whole(middle), mistakes, hint)
    long, short = _normal(2, config.block_size, 8, seed=2), _normal(2, 3, 8, seed=3)
    _require(block(long), twin(long), {}, f"{config.block_size} inputs, {M} latents")
    _require(block(short)[:, :3], twin(short), {}, f"fewer inputs than the {M} latents: 3")
    block(long).square().sum().backward()
    if block.C.grad is None or not block.C.grad.any():
        raise Wrong(
            "no gradient reaches C: it stays as it is", hint="use self.C itself, no .data or .detach()"
        )


def _check_xavier(attempt: Callable) -> None:
    """The largest and the spread of 2,048 numbers; torch's bound for all three axes is let pass, too."""
    config = _Config(block_size=64, n_embd=64, bottleneck_dim=32)
    C = _built(attempt, model.DownProjectBlock, config).C.detach()
    M, width = C.shape[1:]
    bounds = math.sqrt(6 / (M + width)), math.sqrt(6 / (M * width + width))
    largest, spread = C.abs().max().item(), C.std().item()
    for bound in bounds:
        if 0.97 * bound < largest <= 1.0001 * bound and abs(spread - bound / math.sqrt(3)) < 0.04 * bound:
            return
    expected = f"uniform in ±{bounds[0]:.3f}, for M = {M} and n_embd = {width}"
    got = f"standard deviation {spread:.3g}, largest {largest:.3g}"
    hint = "nn.init.xavier_uniform_"
    if spread == 0 or not math.isfinite(spread):
        raise Wrong("C is not Xavier uniform: all latents begin alike", expected, got, hint)
    farthest = (C - C.mean()).abs().max().item()  # uniform: 1.7 standard deviations; normal: 3 and more
    kind = "it looks normal" if farthest > 2.5 * spread else "the bound is another"
    raise Wrong(f"C is not Xavier uniform: {kind}", expected, got, hint)


@exercise("UpProjectBlock", model.UpProjectBlock)
def check_up(attempt: Callable) -> None:
    """As the down-projection, with the roles of the two sequences exchanged."""
    config = _Config()
    block = _built(attempt, model.UpProjectBlock, config)
    twin = _spread(block, model.UpProjectBlock, config)
    ln1, ln2, attn, mlp = twin.ln1, twin.ln2, twin.attn, twin.mlp

    def whole(middle: Tensor) -> Tensor:
        return middle + mlp(ln2(middle))

    x, y = _normal(2, 5, 8), _normal(2, 5, 8, seed=1)  # inputs and latents, as many of both
    middle = x + attn(ln1(y), x)
    mistakes = {
        "the residual is of the wrong input: the outputs begin as the inputs, not as the latents": whole(
            y + attn(ln1(y), x)
        ),
        "query and key swapped: the inputs ask, the latents answer; attn(x_kv, x_q)": whole(
            x + attn(x, ln1(y))
        ),
        "the arguments are swapped: the latents y come first, then the inputs": twin(x, y),
        "LayerNorm forgotten: the latents are read through ln1": whole(x + attn(y, x)),
        "ln1 stands before the inputs: it belongs before the latents": whole(x + attn(y, ln1(x))),
        "ln1 stands before the inputs, too: it belongs before the latents alone": whole(
            x + attn(ln1(y), ln1(x))
        ),
        "no residual around attention: the inputs themselves are lost": whole(attn(ln1(y), x)),
        "the normed inputs are added: the sum takes them as they came": whole(ln1(x) + attn(ln1(y), x)),
        "ln1 and ln2 are swapped": (lambda z: z + mlp(ln1(z)))(x + attn(ln2(y), x)),
        **_endings(twin, middle),
    }
    before = x.clone(), y.clone()
    hint = "x = x_input + attn(ln1(y), x_input); then x + mlp(ln2(x))"
    _require(block(y, x), whole(middle), mistakes, hint)
    if not (torch.equal(x, before[0]) and torch.equal(y, before[1])):
        raise Wrong("an input is changed in place: write x = x_input + …, not +=")
    x = _normal(2, config.block_size, 8, seed=2)
    _require(block(y, x), twin(y, x), {}, f"5 latents, {config.block_size} outputs")


# What the mask hides.


def dependencies(x: Tensor, logits: Tensor) -> Tensor:
    """(R, T) bool: whether a row of logits (1, R, V) depends on a row of x (1, T, C), from gradients."""
    rows = []
    for row in logits[0]:
        (gradient,) = torch.autograd.grad(row.square().sum(), x, retain_graph=True)
        rows.append((gradient[0] != 0).any(dim=-1))
    return torch.stack(rows)


@exercise("dependencies", dependencies)
def check_dependencies(attempt: Callable) -> None:
    """Four outputs of six inputs; some effects are tiny, and the gradient's parts add up to nothing."""
    strength = torch.tensor(
        [[1, 0, 0, 0, 0, 0], [1e-8, 1, 0, 0, 0, 0], [1, 1e-8, 0, 1, 0, 0], [1, 1, 0, 0, 0, 1e-8]]
    ).double()
    directions = torch.tensor([[1.0, 2.0, 3.0], [-1.0, -2.0, -3.0]]).double()  # (C, V)
    x = _normal(1, 6, 2).double().requires_grad_()
    logits = strength @ (x @ directions)
    expected, got = strength != 0, attempt(x, logits)
    given = as_tensor(got)
    if given is not None and given.dtype != torch.bool:
        raise Wrong("truth values are expected", "torch.bool", given.dtype, "compare with 0 at the end")
    mistakes = {
        "transposed: a row belongs to an output, a column to an input": expected.T,
        "rows add up: .backward() adds to x.grad, so each row holds the earlier ones, too": expected.int()
        .cummax(dim=0)
        .values.bool(),
        "small effects are missed: exact means any gradient that is not 0": strength > 1e-4,
        "the gradient's parts are added up, and cancel: ask whether any of them is not 0": torch.zeros_like(
            expected
        ),
    }
    _require(got, expected, mistakes, "one gradient for each row of logits")


def share_past(lengths: Sequence[int], m: int) -> float:
    """The share (0 to 1) of all positions that stand at m or later in rows of these lengths."""
    return sum(max(0, n - m) for n in lengths) / sum(lengths)


@exercise("share_past", share_past)
def check_share_past(attempt: Callable) -> None:
    """Four rows counted by hand: of 29 positions 15 stand at 4 or later."""
    lengths, m = [2, 5, 10, 12], 4
    mistakes = {
        "rows are counted: count positions": 3 / 4,
        "the mean of each row's share: long rows have more positions and count more": (
            1 / 5 + 6 / 10 + 8 / 12
        )
        / 4,
        "rows shorter than m are subtracted: they have 0 positions past it": 13 / 29,
        "off by one: positions count from 0, so position m is the first past the horizon": 12 / 29,
        "off by one: position m - 1 still makes a latent": 18 / 29,
        "the share before the horizon": 14 / 29,
        "a share is from 0 to 1, not in percent": 100 * 15 / 29,
    }
    _require_number(attempt(list(lengths), m), 15 / 29, mistakes, f"lengths {lengths}, m = {m}")
    _require_number(attempt([3, 4], 4), 0.0, {}, "no row is longer than m")


def _require_number(got, expected: float, mistakes: Mapping[str, float], case: str) -> None:
    got = as_number(got, case)
    if abs(got - expected) < CLOSE:
        return
    for mistake, result in mistakes.items():
        if abs(got - result) < CLOSE:
            raise Wrong(mistake, f"{expected:.4f}", f"{got:.4f}", case, CLOSE)
    raise Wrong(f"the number is wrong for {case}", f"{expected:.4f}", f"{got:.4f}", tolerance=CLOSE)


# Perceiver AR.


@exercise("last_positions", model.latent_positions)
def check_last_positions(attempt: Callable) -> None:
    """Rows longer than m, as long, and shorter."""
    lengths, m = torch.tensor([9, 2, 4, 6]), 4
    steps, first = torch.arange(m), (lengths - m)[:, None]
    expected = model.latent_positions(lengths, m)
    mistakes = {
        "a row shorter than m gets negative positions: it begins at 0": first + steps,
        "each position is cut off at 0 by itself, so some come twice: cut off the first one": (
            first + steps
        ).clamp(min=0),
        "off by one: the last of n positions is n - 1": first.clamp(min=0) + steps + 1,
        "all rows end where the longest does: each has its own length": (9 - m + steps).expand(4, m),
        "the first m positions: the last ones are wanted": steps.expand(4, m),
        "last first: let them go up": expected.flip(1),
    }
    got = attempt(lengths.clone(), m)
    _require(got, expected, mistakes, f"lengths {lengths.tolist()}, m = {m}")


# The cost.


def attention_cost(L: int, length: int, m: int) -> int:
    """Scores of a perceiver: two layers of length by m, and L - 2 of m by m."""
    return 2 * length * m + (L - 2) * m * m


@exercise("attention_cost", attention_cost)
def check_attention_cost(attempt: Callable) -> None:
    """By its growth, so any constant before a term is right, and d may be there or not."""
    g = growth(attempt)
    found = "l^{:.2g}, m^{:.2g} for small m, m^{:.2g} for large m".format(
        *(0.0 if math.isnan(p) else p for p in g[:3])
    )
    expected = "l^1, m^1 for small m, m^2 for large m"
    mistakes = [
        (_is(g.layer_length, 2), "this is vanilla: every layer compares l positions with l"),
        (_is(g.length, 2), "it grows with l²: no layer compares all inputs with all inputs"),
        (_is(g.length, 0), "it does not grow with l: the first layer reads l inputs, the last writes l"),
        (_is(g.layer_length, 1), "every layer is charged for l: only the first and the last touch it"),
        (_is(g.few_latents, 0), "the projections cost l alone: each of l positions meets m latents"),
        (_is(g.few_latents, 2), "l·m² in a projection: it compares l with m, once"),
        (math.isnan(g.layer_latents), "one more layer costs nothing: the L - 2 inner layers are not there"),
        (_is(g.layer_latents, 1), "an inner layer costs m: it compares m latents with m"),
        (g.width is not None and _is(g.width, 2), "d²: that is the linear layers; attention grows with d"),
        (g.width is not None and _is(g.width, 0), "d is taken, but changes nothing: each product costs d"),
    ]
    for found_here, mistake in mistakes:
        if found_here:
            raise Wrong(mistake, expected, found)
    right = (1, 1, 2, 0, 2, 1 if g.width is not None else None)
    if not all(_is(p, q) for p, q in zip(g, right, strict=True) if q is not None):
        raise Wrong("it does not grow as the perceiver's attention does", expected, found)


def _is(power: float, whole: int) -> bool:
    return abs(power - whole) < 0.05
