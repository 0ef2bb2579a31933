"""A training curve that grows while the model trains: a callback for notebooks."""

import time

from a5lib.callbacks import History
from a5lib.display.figures import loss_curve
from a5lib.trainer import Trainer


class LiveCurve:
    """Shows loss, speed and time left in one notebook output, drawn anew every few seconds.

    It updates a display by its handle, not by clearing the output: what is above stays, and a notebook
    run in batch keeps the last picture.
    """

    def __init__(self, title: str = "Training loss", every_seconds: float = 5):
        self.title, self.every_seconds = title, every_seconds
        self.history = History(every=10)
        self.handle = None
        self.shown_at = -float("inf")

    def __call__(self, trainer: Trainer) -> None:
        self.history(trainer)
        last = trainer.step >= trainer.total_steps
        if self.history.points and (last or time.monotonic() - self.shown_at > self.every_seconds):
            self.shown_at = time.monotonic()
            self._show(trainer, last)

    def _show(self, trainer: Trainer, last: bool) -> None:
        from IPython.display import display

        left = trainer.seconds * (trainer.total_steps / trainer.step - 1)
        state = f"{trainer.seconds:.0f} s" if last else f"about {left:.0f} s left"
        title = f"{self.title}: {trainer.loss:.2f} after {trainer.step} steps, {trainer.tokens_per_second:,.0f} characters/s, {state}"
        figure = loss_curve({"loss": self.history.as_dicts()}, title=title)
        if self.handle is None:
            self.handle = display(figure, display_id=True)
        else:
            self.handle.update(figure)
