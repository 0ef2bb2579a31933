"""Telling mistakes apart by what they would give. Registers nothing.

An answer may come as a tensor, an array, a list or a number of any precision: here it becomes a tensor or a
float, or the sentence that it cannot.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from a5lib.classroom.checks import Wrong

CLOSE = 1e-5  # relative, and a tenth of it absolute: room for 32-bit numbers


def as_tensor(got: Any) -> Tensor | None:
    """A tensor of the same numbers, without a graph; None of what holds no numbers, or not in a grid."""
    try:
        if isinstance(got, list | tuple):
            return torch.stack([torch.as_tensor(as_tensor(part)) for part in got])
        if isinstance(got, np.ndarray):
            got = np.array(got, order="C")  # torch takes no reversed arrays
        return torch.as_tensor(got).detach()
    except (TypeError, ValueError, RuntimeError):
        return None


def as_number(got: Any, what: str = "") -> float:
    """A number as a float; one in a tensor or an array counts as well.

    Raises:
        Wrong: it is none, or not a number; `what` says of which case.
    """
    before = f"{what}: " if what else ""
    if got is None:
        raise Wrong(f"{before}nothing comes back: is there a return?", "a number", "None")
    try:
        number = float(got)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise Wrong(f"{before}one number is expected", "a number", got) from None
    if math.isnan(number):
        raise Wrong(f"{before}the result is not a number", "a number", "nan")
    return number


def require(got: Any, expected: Tensor, mistakes: Mapping[str, Tensor], hint: str = "") -> None:
    """Raise `Wrong` unless both agree, by the name of the mistake whose result `got` agrees with."""
    if got is None:
        raise Wrong("nothing comes back: is there a return?", f"a tensor {tuple(expected.shape)}", "None")
    given, got = got, as_tensor(got)
    if got is None:
        raise Wrong("a tensor is expected", f"a tensor {tuple(expected.shape)}", type(given).__name__)
    if same(got, expected):
        return
    for mistake, result in mistakes.items():
        if same(got, result):
            raise Wrong(mistake, expected, got, hint, CLOSE)
    if got.shape != expected.shape:
        raise Wrong("the shape is wrong", tuple(expected.shape), tuple(got.shape), hint)
    if got.is_floating_point() and got.isnan().any():
        raise Wrong("not a number: somewhere a row has every key hidden", expected, got)
    raise Wrong("the shape is right, the numbers are not", expected, got, hint, CLOSE)


def same(a: Tensor, b: Tensor) -> bool:
    """Of the same shape, and equal but for the rounding of 32-bit numbers."""
    if a.shape != b.shape or a.is_meta or a.is_complex():
        return False
    return torch.allclose(a.double(), b.double(), rtol=CLOSE, atol=CLOSE / 10, equal_nan=True)


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
