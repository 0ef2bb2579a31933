"""A training curve that grows while the model trains: a callback for notebooks."""

import time

from a5lib.callbacks import History
from a5lib.display.figures import loss_curve
from a5lib.trainer import Trainer


class LiveCurve:
    """Shows loss, speed and time left in one notebook output, drawn anew every few seconds.

    It updates a display by its handle, not by clearing the output, so what stands above stays. At the
    end a line with steps, seconds and speed takes the picture's place.
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

    def state_dict(self) -> dict:
        """Saved with the run, so that one that is taken up shows its whole curve."""
        return self.history.state_dict()

    def load_state_dict(self, state: dict) -> None:
        self.history.load_state_dict(state)

    def _show(self, trainer: Trainer, last: bool) -> None:
        from IPython.display import Markdown, display

        speed = f"{trainer.tokens_per_second:,.0f} characters a second"
        if last:  # the notebook's next cell shows the finished curve
            words = f"{self.title}: {trainer.step} steps in {trainer.seconds:.0f} s, {speed}."
            shown = Markdown(words)
        else:
            left = trainer.seconds * (trainer.total_steps / trainer.step - 1)
            title = f"{self.title}, step {trainer.step} of {trainer.total_steps}, about {left:.0f} s left"
            shown = loss_curve({"loss": self.history.as_dicts()}, title=title)
        if self.handle is None:
            self.handle = display(shown, display_id=True)
        else:
            self.handle.update(shown)
