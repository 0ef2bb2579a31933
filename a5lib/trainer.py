"""The training loop. Knows no model by name: it needs `model(x, y)` to return (logits, loss).

What happens around the loop (bars, curves, files) is in callbacks: functions that take the trainer
after each step. The loop's own state is small and exact, so that a run that was interrupted ends
like one that was not.
"""

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from a5lib.batches import Batch, epoch_seed
from a5lib.errors import InputError
from a5lib.optim import build_optimizers, learning_rate_at
from a5lib.vocab import PAD_ID


class LossNotFinite(InputError):
    """The loss, its gradient or a weight has become infinite or no number at all."""


class Batches(Protocol):
    """What the trainer needs of its data."""

    def epoch(self, number: int) -> list[Batch]:
        """All batches of one epoch, (x, y) each (B, T); the same for the same number."""
        ...


@dataclass(frozen=True)
class TrainConfig:
    """How to train. Rates are the highest of their schedule (see `learning_rate_at`).

    `max_epochs` may be a fraction: 1.5 stops in the middle of the second epoch. `muon_lr` 0 means
    AdamW for all parameters. `max_steps` 0 means no limit; with one, the schedule is not shortened.
    """

    max_epochs: float
    lr: float
    muon_lr: float = 0.0
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    schedule: str = "linear"
    decay: float = 0.7
    warmup_tokens: int = 0
    final_tokens: int = 0
    max_steps: int = 0
    seed: int = 0

    def __post_init__(self):
        for name in ("max_epochs", "lr", "clip", "decay"):
            if not 0 < getattr(self, name) <= 1e9:
                raise InputError(f"{name} {getattr(self, name)}: must be a number above 0, at most 1e9")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed {self.seed}: must be a whole number from 0 to {2**32 - 1}")
        if self.schedule not in ("linear", "cosine"):
            raise InputError(f"schedule {self.schedule!r}: must be linear or cosine")


class Trainer:
    """Trains a model on batches. `step`, `loss`, `lr`, `progress`, `tokens` tell how far it is.

    Args:
        model: `model(x, y)` returns (logits, loss).
        callbacks: called with the trainer after every step.

    `tokens` counts target positions, `real_tokens` those that are no padding.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        config: TrainConfig,
        callbacks: Sequence[Callable[["Trainer"], None]] = (),
    ):
        self.model, self.batches, self.config, self.callbacks = model, batches, config, callbacks
        self.optimizers = build_optimizers(model, config)
        self.base_rates = [[group["lr"] for group in o.param_groups] for o in self.optimizers]
        self.epoch = self.position = self.step = self.tokens = self.real_tokens = 0
        self.batches_in_epoch = 0
        self.total_steps = 0  # an estimate until the last epoch: batches are planned epoch by epoch
        self.loss = math.nan
        self.lr = self.progress = self.seconds = 0.0

    def train(self) -> None:
        """Run until the configured end; the model is left in evaluation mode.

        Raises:
            LossNotFinite: the loss, the gradient or a weight is no longer a finite number.
        """
        self.model.train()
        started = time.monotonic() - self.seconds
        for x, y in self._remaining():
            self._step(x, y)
            self.seconds = time.monotonic() - started
            for callback in self.callbacks:
                callback(self)
        self.require_finite()
        self.model.eval()

    def _remaining(self):
        """The batches still to come, from `epoch` and `position` on; keeps both up to date."""
        while self.epoch < self.config.max_epochs:
            batches = self.batches.epoch(self.epoch)
            self._estimate_total(len(batches))
            while self.position < len(batches):
                if self.step >= self.total_steps:
                    return
                self.progress = (self.epoch + self.position / len(batches)) / self.config.max_epochs
                self.position += 1
                yield batches[self.position - 1]
            self.epoch, self.position = self.epoch + 1, 0

    def _estimate_total(self, n_batches: int) -> None:
        self.batches_in_epoch = n_batches
        # Rounded first: (1.1 - 1) * 30 is a little over 3, and would make 4 steps of 3.
        ahead = max(1, math.ceil(round((self.config.max_epochs - self.epoch) * n_batches, 6)))
        self.total_steps = self.step - self.position + ahead
        if self.config.max_steps:
            self.total_steps = min(self.total_steps, self.config.max_steps)

    @property
    def tokens_per_second(self) -> float:
        """Real target positions trained on in a second, so far."""
        return self.real_tokens / self.seconds if self.seconds else 0.0

    def _step(self, x: Tensor, y: Tensor) -> None:
        self.step += 1
        self.tokens += y.numel()
        self.real_tokens += int((y != PAD_ID).sum())
        self._set_learning_rate()
        # Dropout draws from torch's own generator. Seeding it by the step makes a step the same
        # whether or not the run was interrupted before it.
        with _seeded(epoch_seed(self.config.seed, self.step), x.device):
            _, loss = self.model(x, y)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.loss = loss.item()
        for name, value in (("loss", self.loss), ("gradient's norm", norm.item())):
            if not math.isfinite(value):  # seen before the weights are spoiled
                raise LossNotFinite(f"the {name} is {value} at step {self.step}: try a smaller learning rate")
        for optimizer in self.optimizers:
            optimizer.step()

    def require_finite(self) -> None:
        """Check the weights: a step that was too long shows in the next loss only.

        Raises:
            LossNotFinite: a weight is infinite or no number.
        """
        for name, parameter in self.model.named_parameters():
            if not parameter.isfinite().all():
                what = f"{name} is not finite after step {self.step}"
                raise LossNotFinite(f"{what}: try a smaller learning rate")

    def _set_learning_rate(self) -> None:
        factor = learning_rate_at(self.config, self.tokens, self.progress)
        for optimizer, rates in zip(self.optimizers, self.base_rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
        self.lr = self.config.lr * factor

    def state_dict(self) -> dict:
        """All that is needed to go on: weights, optimizers, place in the data, the callbacks' memory."""
        return {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "counters": {name: getattr(self, name) for name in self._COUNTERS},
            "callbacks": {name: callback.state_dict() for name, callback in self._remembering().items()},
        }

    def load_state_dict(self, state: dict) -> None:
        """Take up where `state_dict` was called; callbacks that were not there then begin anew."""
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        for name in self._COUNTERS:
            value = state["counters"][name]
            if type(value) is not type(getattr(self, name)):
                raise TypeError(f"{name} {value!r}")
            setattr(self, name, value)
        for name, callback in self._remembering().items():
            if name in state["callbacks"]:
                callback.load_state_dict(state["callbacks"][name])

    def _remembering(self) -> dict:
        return {type(c).__name__: c for c in self.callbacks if hasattr(c, "state_dict")}

    _COUNTERS = ("epoch", "position", "step", "tokens", "real_tokens", "loss", "seconds")


@contextlib.contextmanager
def _seeded(seed: int, device: torch.device):
    """torch's own generators start from `seed` inside, and are as before outside."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
