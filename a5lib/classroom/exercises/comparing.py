"""Telling mistakes apart by what they would give: for checks whose answers are tensors. Registers nothing."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from a5lib.classroom.checks import Wrong


def require(got: Tensor, expected: Tensor, mistakes: Mapping[str, Tensor], hint: str = "") -> None:
    """Raise `Wrong` unless both agree, by the name of the mistake whose result `got` agrees with."""
    if got is None:
        raise Wrong("nothing comes back: is there a return?", f"a tensor {tuple(expected.shape)}", "None")
    if not isinstance(got, Tensor):
        raise Wrong("a tensor is expected", f"a tensor {tuple(expected.shape)}", type(got).__name__)
    if same(got, expected):
        return
    for mistake, result in mistakes.items():
        if same(got, result):
            raise Wrong(mistake, expected, got, hint)
    if got.shape != expected.shape:
        raise Wrong("the shape is wrong", tuple(expected.shape), tuple(got.shape), hint)
    if got.isnan().any():
        raise Wrong("not a number: somewhere a row has every key hidden", expected, got)
    raise Wrong("the shape is right, the numbers are not", expected, got, hint)


def same(a: Tensor, b: Tensor) -> bool:
    """Of the same shape, and equal but for the rounding of 32-bit numbers."""
    return a.shape == b.shape and torch.allclose(a.double(), b.double(), atol=1e-6, equal_nan=True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers, the same each time."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(make: Callable[[], nn.Module], spread: float = 0.5) -> nn.Module:
    """A module in evaluation mode with weights and biases from N(0, spread²), the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make().eval()
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=spread)
    return module
