"""What happens around training: a bar, a curve, TensorBoard, saved states.

A callback takes the ``Trainer`` after each step. These know the trainer and files, and no model by name.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from a5lib.checkpoint import save_run
from a5lib.files import require_writable
from a5lib.trainer import Trainer

Callback = Callable[[Trainer], None]


class ProgressBar:
    """A bar on the terminal: loss, learning rate, real tokens a second, time left."""

    def __init__(self, title: str):
        from tqdm import tqdm

        self.bar = tqdm(desc=title, unit="step", file=sys.stderr, disable=None, mininterval=0.5)

    def __call__(self, trainer: Trainer) -> None:
        self.bar.total = trainer.total_steps
        if self.bar.n == 0 and trainer.step > 1:  # resumed: the steps of before took none of our time
            self.bar.initial = self.bar.n = trainer.step - 1
        shown = f"loss {trainer.loss:.3f}, rate {trainer.lr:.1e}, {trainer.tokens_per_second:,.0f} tokens/s"
        self.bar.set_postfix_str(shown, refresh=False)
        self.bar.update()
        if trainer.step >= trainer.total_steps:
            self.bar.close()


@dataclass(frozen=True)
class Point:
    """One place on a training curve; `loss` is the mean since the point before."""

    step: int
    tokens: int
    seconds: float
    loss: float
    lr: float


class History:
    """The training curve, one point each `every` steps."""

    def __init__(self, every: int = 10):
        self.every = every
        self.points: list[Point] = []
        self._losses: list[float] = []

    def __call__(self, trainer: Trainer) -> None:
        self._losses.append(trainer.loss)
        if trainer.step % self.every == 0 or trainer.step >= trainer.total_steps:
            loss = sum(self._losses) / len(self._losses)
            self.points.append(Point(trainer.step, trainer.real_tokens, trainer.seconds, loss, trainer.lr))
            self._losses.clear()

    def as_dicts(self) -> list[dict]:
        return [asdict(point) for point in self.points]


class TensorBoard:
    """Scalars `train/loss` and `train/lr` under `folder`."""

    def __init__(self, folder: str):
        from torch.utils.tensorboard import SummaryWriter

        require_writable(f"{folder}/events")
        self.writer = SummaryWriter(folder)

    def __call__(self, trainer: Trainer) -> None:
        self.writer.add_scalar("train/loss", trainer.loss, trainer.step)
        self.writer.add_scalar("train/lr", trainer.lr, trainer.step)
        if trainer.step >= trainer.total_steps:
            self.writer.close()


class StateSaver:
    """Writes the run's full state every `seconds`, and once more when asked to stop.

    `stop` may be set from a signal handler: the step under way is ended and saved, then
    `KeyboardInterrupt` leaves the loop.
    """

    def __init__(self, path: str, made_from: dict, seconds: float):
        self.path, self.made_from, self.seconds = path, made_from, seconds
        self.stop = False
        self.saved_at = time.monotonic()

    def __call__(self, trainer: Trainer) -> None:
        if not self.stop and time.monotonic() - self.saved_at < self.seconds:
            return
        save_run(self.path, self.made_from, trainer.state_dict())
        self.saved_at = time.monotonic()
        if self.stop:
            raise KeyboardInterrupt
