"""What happens around training: a bar, a curve, TensorBoard, saved states.

A callback takes the ``Trainer`` after each step. One that has ``state_dict`` and ``load_state_dict`` is saved
with the run. These know the trainer and files, and no model by name.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from a5lib.files import require_writable
from a5lib.run_state import RunState
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

    def state_dict(self) -> dict:
        """What an interrupted run needs to go on with the same curve."""
        return {"points": self.as_dicts(), "losses": list(self._losses)}

    def load_state_dict(self, state: dict) -> None:
        self.points, self._losses = [Point(**point) for point in state["points"]], list(state["losses"])


class TensorBoard:
    """Scalars `train/loss` and `train/lr` under `folder`. A full disk ends the curve, not the run."""

    def __init__(self, folder: str):
        require_writable(f"{folder}/events")
        self.folder, self.writer, self.ended = folder, None, False

    def __call__(self, trainer: Trainer) -> None:
        if self.ended:
            return
        try:
            self._write(trainer)
        except OSError as error:
            self.ended = True
            print(f"{self.folder}: no more TensorBoard scalars ({error.strerror})", file=sys.stderr)

    def _write(self, trainer: Trainer) -> None:
        if self.writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # What an interrupted run did after its last state is done again: hide its points.
            self.writer = SummaryWriter(self.folder, purge_step=trainer.step)
        self.writer.add_scalar("train/loss", trainer.loss, trainer.step)
        self.writer.add_scalar("train/lr", trainer.lr, trainer.step)
        if trainer.step >= trainer.total_steps:
            self.writer.close()


class StateSaver:
    """Writes the run's full state every `seconds`, and once more when asked to stop.

    When `stop` is set, the step under way is ended and saved, then `KeyboardInterrupt` leaves the loop. Of
    several ranks the first writes, the others have no `state`; one that is asked to stop stops them all.
    """

    def __init__(self, state: RunState | None, seconds: float):
        self.state, self.seconds, self.stop = state, seconds, False
        self.saved_at = time.monotonic()

    def __call__(self, trainer: Trainer) -> None:
        with trainer.ranks.watched():
            stop = trainer.ranks.any(self.stop, next(trainer.model.parameters()).device)
        if self.state is not None and (stop or time.monotonic() - self.saved_at >= self.seconds):
            trainer.require_finite()  # or the last good state would be written over
            self.state.save(trainer.step, trainer.state_dict())
            self.saved_at = time.monotonic()
        if stop:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Inside, Ctrl-C, a notebook's stop button and SIGTERM set `stop`, however often they come."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread is asked
            return

        def stop(*_):
            if not self.stop:  # not print: it may be at work where the signal came
                os.write(2, b"\nstopping: the step under way is ended and the state saved\n")
            self.stop = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
