"""The training loop. Knows no model by name: it needs `model(x, y)` to return (logits, loss).

What happens around the loop (bars, curves, files) is in callbacks: functions that take the trainer
after each step. The loop's own state is small and exact, so that a run that was interrupted ends
like one that was not.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from a5lib.batches import Batch, epoch_seed
from a5lib.errors import InputError
from a5lib.optim import build_optimizers, learning_rate_at
from a5lib.precision import DTYPES, Precision, choose_precision
from a5lib.ranks import ALONE, Ranks
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
    `precision` is one of `precision.DTYPES`, or `auto` for what the device is fastest with.
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
    precision: str = "fp32"

    def __post_init__(self):
        for name in ("max_epochs", "lr", "clip", "decay"):
            if not 0 < getattr(self, name) <= 1e9:
                raise InputError(f"{name} {getattr(self, name)}: must be a number above 0, at most 1e9")
        for name in ("muon_lr", "weight_decay", "max_steps"):
            if not 0 <= getattr(self, name) <= 1e9:
                raise InputError(f"{name} {getattr(self, name)}: must be a number from 0 to 1e9")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"seed {self.seed}: must be a whole number from 0 to {2**32 - 1}")
        if self.schedule not in ("linear", "cosine"):
            raise InputError(f"schedule {self.schedule!r}: must be linear or cosine")
        if self.precision not in ("auto", *DTYPES):
            raise InputError(f"precision {self.precision!r}: must be auto or one of {', '.join(DTYPES)}")


class Trainer:
    """Trains a model on batches. `step`, `loss`, `lr`, `progress`, `tokens` tell how far it is.

    Args:
        model: `model(x, y)` returns (logits, loss).
        callbacks: called with the trainer after every step.
        ranks: the processes that train together. With more than one, `model.n_targets(x, y)` must say how
            many targets the mean loss of `model(x, y)` is taken over.

    `tokens` counts target positions, `real_tokens` those that are no padding, of all ranks together.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Batches,
        config: TrainConfig,
        callbacks: Sequence[Callable[["Trainer"], None]] = (),
        ranks: Ranks = ALONE,
    ):
        self.model, self.batches, self.config, self.callbacks = model, batches, config, callbacks
        self.ranks, self.wrapped = ranks, ranks.wrap(model)
        self.precision = self._choose_precision()
        self.optimizers = build_optimizers(model, config, self.precision.for_directions)
        self.base_rates = [[group["lr"] for group in o.param_groups] for o in self.optimizers]
        self.epoch = self.position = self.step = self.tokens = self.real_tokens = 0
        self.batches_in_epoch = 0
        self.total_steps = 0  # an estimate until the last epoch: batches are planned epoch by epoch
        self.loss = math.nan
        self.lr = self.progress = self.seconds = 0.0

    def _choose_precision(self) -> Precision:
        name = self.config.precision
        first = next(self.model.parameters())
        return Precision(
            choose_precision(first.device, first.size(-1)) if name == "auto" else name, first.device
        )

    def train(self) -> None:
        """Run until the configured end; the model is left in evaluation mode.

        Raises:
            LossNotFinite: the loss, the gradient or a weight is no longer a finite number.
        """
        for _ in self.steps():
            pass
        self.require_finite()
        self.model.eval()

    def steps(self) -> Iterator[None]:
        """Train, and come back after each step and its callbacks.

        Raises:
            LossNotFinite: the loss or the gradient is no longer a finite number.
        """
        self.model.train()
        started = time.monotonic() - self.seconds
        for x, y in self._remaining():
            self._step(x, y)
            self.seconds = time.monotonic() - started
            for callback in self.callbacks:
                callback(self)
            yield

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
        with _seeded(self._seed_of_step(), x.device), self.ranks.watched():
            loss = self._loss_of_own_rows(x, y)
            for optimizer in self.optimizers:
                optimizer.zero_grad(set_to_none=True)
            norm = self.precision.backward(loss, self.optimizers, self.config.clip, self.model)
            self.loss = self.ranks.mean(loss).item()
        for name, value in (("loss", self.loss), ("gradient's norm", norm.item())):
            may_be = self.precision.may_overflow and name != "loss"
            if not (may_be or math.isfinite(value)):  # seen before the weights are spoiled
                raise LossNotFinite(f"the {name} is {value} at step {self.step}: try a smaller learning rate")
        self.precision.step(self.optimizers, norm)

    def _seed_of_step(self) -> int:
        # Each rank drops out others of its rows' numbers.
        return epoch_seed(self.config.seed, self.step) + (self.ranks.rank << 40)

    def _loss_of_own_rows(self, x: Tensor, y: Tensor) -> Tensor:
        """The mean loss over this rank's rows, weighted so that the mean over ranks is the whole batch's."""
        weight, rows = 1.0, self.ranks.own_rows(len(x))
        if not self.ranks.alone:
            own, all_targets = self.model.n_targets(x[rows], y[rows]), self.model.n_targets(x, y)
            weight = self.ranks.weight(len(x), own, all_targets)
        with self.precision.autocast():
            _, loss = self.wrapped(x[rows], y[rows])
        return loss * weight

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
            "precision": self.precision.scaler.state_dict(),
            "counters": {name: getattr(self, name) for name in self._COUNTERS},
            "callbacks": {name: callback.state_dict() for name, callback in self._remembering().items()},
        }

    def load_state_dict(self, state: dict) -> None:
        """Take up where `state_dict` was called; callbacks that were not there then begin anew."""
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.precision.scaler.load_state_dict(state["precision"])
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
