"""How exactly a training step computes: in fp32, or its matrix products in a 16-bit type.

Weights, their gradients and the optimizer's memory are fp32 in all cases. Knows nothing about models.
"""

import contextlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WORTHWHILE = 192  # channels; at 128 bf16 was twice as fast, and its answers worse (tests/benchmarks/LOG.md)


def choose_precision(device: str | torch.device, channels: int) -> str:
    """The fastest safe precision of a device for a model of so many channels.

    A GPU takes bf16 from capability 8.0 on. Before (a T4, which claims bf16 and only emulates it) it takes
    fp16. A CPU takes bf16 where it has the instructions: without, bf16 is 44 to 500 times slower than fp32.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return "bf16" if channels >= WORTHWHILE and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    # torch has no public name for these two yet; a version without them computes in fp32.
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)


class Precision:
    """One of `DTYPES` by name, on a device: the context of the forward pass, and the step after it.

    fp16 has no numbers under 6e-8, so there the loss is scaled up before the backward pass; a step in which
    any gradient overflows is left out, and the scale halved.
    """

    def __init__(self, name: str, device: torch.device):
        self.name, self.device = name, device
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")

    def autocast(self) -> contextlib.AbstractContextManager:
        """Inside, matrix products are computed in this precision."""
        if self.name == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, DTYPES[self.name])

    def backward(
        self, loss: Tensor, optimizers: Sequence[torch.optim.Optimizer], clip: float, model: nn.Module
    ) -> Tensor:
        """Compute the gradients, in their true size, cut to norm `clip`; returns the norm before."""
        self.scaler.scale(loss).backward()
        for optimizer in optimizers:
            self.scaler.unscale_(optimizer)
        return nn.utils.clip_grad_norm_(model.parameters(), clip)

    def step(self, optimizers: Sequence[torch.optim.Optimizer], norm: Tensor) -> None:
        """Let all optimizers make their step, or none where a gradient overflowed.

        Args:
            norm: of the gradients of them all. The scaler looks at each optimizer's alone, and lets the
                others step with gradients that were cut to an infinite norm.
        """
        if norm.isfinite() or not self.may_overflow:
            for optimizer in optimizers:
                self.scaler.step(optimizer)
        self.scaler.update()

    @property
    def for_directions(self) -> torch.dtype:
        """What an optimizer computes directions in: bf16's few digits do, fp16's range does not."""
        return torch.bfloat16 if self.name == "bf16" else torch.float32

    @property
    def may_overflow(self) -> bool:
        """Whether a gradient that is not finite is part of the method (fp16's scale is being found)."""
        return self.scaler.is_enabled()
