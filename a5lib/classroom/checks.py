"""Exercises and their checks: whatever the reader's object is or does, the answer is a `Result`.

    result = run_check("corrupt_span", corrupt_span)

A check is a function that raises `Wrong` with what was expected and what came; its exercise is registered
under a name. The reader's code runs guarded (see `guard`): it cannot raise, hang or leave traces. Knows
nothing about single exercises, nor where results are kept (see `progress`).
"""

import copy
import dis
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from a5lib.classroom.guard import SEED, Outcome, run_guarded
from a5lib.classroom.points import points_of, question_of

PASSED, FAILED, NOT_ATTEMPTED = "passed", "failed", "not attempted"
SECONDS = 30.0  # for one check; the library's own answers take under 3


class Wrong(Exception):
    """What a check found: a sentence on the mistake, what was expected, what came, a hint, the tolerance.

    The sentence is the mistake's name where the check recognizes it.
    """

    def __init__(
        self, mistake: str, expected: Any = None, got: Any = None, hint: str = "", tolerance: float | str = ""
    ):
        super().__init__(mistake)
        self.mistake, self.expected, self.got, self.hint = mistake, expected, got, hint
        self.tolerance = f"{tolerance:g}" if isinstance(tolerance, float) else tolerance


@dataclass(frozen=True)
class Result:
    """The outcome of one check. Values are given as text, with their shape and type where they have them.

    `seed` is what the generators of `random`, numpy and torch were seeded with before the check, so that
    what came can be had again. `printed` is what the attempt wrote to standard output and error.
    """

    exercise: str
    state: str
    points: float
    worth: float = 0.0
    question: str = ""
    mistake: str = ""
    expected: str = ""
    got: str = ""
    tolerance: str = ""
    hint: str = ""
    seed: int = SEED
    printed: str = ""

    def __str__(self) -> str:
        points = f" ({self.points:g} of {self.worth:g} points)" if self.worth else ""
        lines = [f"{self.exercise}: {self.state}{points if self.state != NOT_ATTEMPTED else ''}"]
        for label in ("mistake", "expected", "got", "tolerance", "hint", "printed"):
            if getattr(self, label):
                lines.append(f"  {label + ':':10} {getattr(self, label).rstrip()}")
        if self.state == FAILED and EXERCISES[self.exercise].draws:
            lines.append(f"  {'seed:':10} {self.seed}, for random, numpy and torch, as the check begins")
        if self.state != PASSED:
            lines.append("  The cells below go on with the library's version.")
        return "\n".join(lines)

    def as_dict(self) -> dict:
        """The fields, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Exercise:
    """A named exercise: what a right solution is, how to tell, and whether the check draws at random."""

    name: str
    reference: Any
    test: Callable[[Any], None]
    draws: bool = False

    @property
    def points(self) -> float:
        return points_of(self.name)

    @property
    def question(self) -> str:
        """Such as `2e`; empty for practice."""
        return question_of(self.name)


EXERCISES: dict[str, Exercise] = {}


def exercise(name: str, reference: Any, *, draws: bool = False) -> Callable:
    """Register the decorated function as the check of an exercise; it raises `Wrong` on a mistake.

    What the exercise is worth stands in `points`.
    """

    def register(test: Callable[[Any], None]) -> Callable[[Any], None]:
        EXERCISES[name] = Exercise(name, reference, test, draws)
        return test

    return register


def run_check(name: str, attempt: Any, seconds: float = SECONDS) -> Result:
    """Check an attempt, for at most `seconds`. Whatever it is and does, the answer is a `Result`.

    Raises:
        KeyError: no exercise of that name.
        KeyboardInterrupt: somebody pressed Ctrl-C meanwhile.
    """
    from a5lib.classroom import exercises  # noqa: F401  registers them

    entry, found = EXERCISES[name], []

    def judge() -> None:
        found.append(_judge(entry, attempt))

    outcome = run_guarded(judge, seconds)
    if not found or outcome.stopped is not None:
        found = [_result(entry, *_explain(outcome, seconds))]
    return replace(found[0], printed="" if found[0].state == PASSED else outcome.printed)


def _judge(entry: Exercise, attempt: Any) -> Result:
    """Inside the guard: what is shown of the reader's values is made here, too."""
    if attempt is None or attempt is Ellipsis or _is_empty(attempt):
        return _result(entry, NOT_ATTEMPTED)
    if not callable(attempt):
        return _result(entry, FAILED, Wrong("a function or a class is expected", got=attempt))
    try:
        entry.test(_copy(attempt))
    except Wrong as wrong:
        return _result(entry, FAILED, wrong)
    return _result(entry, PASSED)


def _copy(attempt: Any) -> Any:
    """A copy of an object that can be called, so that checking does not change it; functions and classes are
    their own copies, and so is what cannot be copied."""
    try:
        return copy.deepcopy(attempt)
    except Exception:
        return attempt


def _result(entry: Exercise, state: str, wrong: Wrong | None = None) -> Result:
    points = entry.points if state == PASSED else 0.0
    if wrong is None:
        return Result(entry.name, state, points, entry.points, entry.question)
    expected, got = ("" if value is None else shorten(value) for value in (wrong.expected, wrong.got))
    return Result(
        entry.name, state, points, entry.points, entry.question, wrong.mistake, expected, got,
        wrong.tolerance, wrong.hint,
    )  # fmt: skip


# What it means that the reader's code raised.


def _explain(outcome: Outcome, seconds: float) -> tuple[str, Wrong | None]:
    """State and mistake of a call that did not come to its end."""
    error = outcome.error
    if outcome.stopped is not None:
        hint = "is there a loop that never ends? look at the condition that should end it"
        return FAILED, Wrong(f"not done after {seconds:g} seconds{_where(outcome.stopped)}", hint=hint)
    if isinstance(error, NotImplementedError) and _is_a_stub(error):
        return NOT_ATTEMPTED, None
    frames = traceback.extract_tb(error.__traceback__)
    if not _where(frames) and isinstance(error, TypeError) and "argument" in str(error):
        return FAILED, Wrong(f"it cannot be called as the exercise says: {_said(error)}")
    if not _where(frames):
        what = f"what came back is of a kind that cannot be compared: {_said(error)}"
        return FAILED, Wrong(what, hint="call it yourself with a small input and look at what comes back")
    hints = {
        RecursionError: "it calls itself without end: where does it stop?",
        SystemExit: "exit() and quit() end the program; use return",
        MemoryError: "it asks for more memory than there is",
    }
    known = (text for kind, text in hints.items() if isinstance(error, kind))
    hint = next(known, "call it yourself with a small input and look")
    return FAILED, Wrong(_said(error, _where(frames)), hint=hint)


def _said(error: BaseException, where: str = "") -> str:
    """`ValueError in line 3 of truncate: …`."""
    try:
        text = str(error)
    except BaseException:  # an exception of the reader's own may do anything
        text = "(it cannot be shown)"
    return shorten(f"{type(error).__name__}{where}: {text}", 300)


def _where(frames: list[traceback.FrameSummary]) -> str:
    """` in line 3 of truncate`, the innermost of the reader's own lines that the check has called."""
    inside = [i for i, f in enumerate(frames) if f.name == _judge.__name__ and not _is_own(f.filename)]
    own = [f for f in frames[inside[0] if inside else 0 :] if _is_own(f.filename)]
    return f" in line {own[-1].lineno} of {own[-1].name}" if own else ""


OTHERS = tuple(
    str(Path(folder))
    for folder in {Path(__file__).parents[1], *map(sysconfig.get_path, ("stdlib", "purelib", "platlib"))}
)


def _is_own(filename: str) -> bool:
    return not filename.startswith((*OTHERS, "<frozen"))


def _is_a_stub(error: NotImplementedError) -> bool:
    """Raised by a `raise` of the reader's, at whatever depth; torch raises it for bugs, too."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not _is_own(last.tb_frame.f_code.co_filename):
        return False
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


def _is_empty(attempt: Any) -> bool:
    """A function whose body is no more than a docstring, `pass` or `...`."""
    if not isinstance(attempt, FunctionType) or attempt.__name__ == "<lambda>":
        return False
    return _instructions(attempt.__code__) == _instructions(_nothing.__code__)


def _nothing():
    """Nothing."""


def _instructions(code: CodeType) -> list[str]:
    return [step.opname for step in dis.get_instructions(code) if step.opname not in ("NOP", "CACHE")]


# Values as text.


def shorten(value: Any, limit: int = 160) -> str:
    """A value as text on one line, with its shape and type where it has them."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return _shorten_array(value)
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split("\n"))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _shorten_array(value: Any) -> str:
    kind = f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    try:
        numbers = value.reshape(-1)[:9].tolist()
        inside = ", ".join(f"{n:.4g}" for n in numbers[:8]) + (", …" if len(numbers) > 8 else "")
    except (TypeError, ValueError, RuntimeError, NotImplementedError):  # text, or a tensor without values
        return kind
    return f"{kind}: {inside}"
