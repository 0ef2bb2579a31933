"""Exercises and their checks: one call per exercise, an answer that helps, never an exception.

    corrupt_span = check("corrupt_span", corrupt_span)

shows whether the reader's object passed, and returns what the cells below go on with: the reader's own if it
passed, the library's if not. A check is a function that raises `Wrong` with what was expected and
what came; its exercise is registered under a name. Knows nothing about single exercises.
"""

import builtins
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PASSED, FAILED, NOT_ATTEMPTED = "passed", "failed", "not attempted"


class Wrong(Exception):
    """What a check found: a sentence on the mistake, what was expected, what came, and a hint."""

    def __init__(self, mistake: str, expected: Any = None, got: Any = None, hint: str = ""):
        super().__init__(mistake)
        self.mistake, self.expected, self.got, self.hint = mistake, expected, got, hint


@dataclass(frozen=True)
class Result:
    """The outcome of one check."""

    exercise: str
    state: str
    points: float
    mistake: str = ""
    expected: str = ""
    got: str = ""
    hint: str = ""

    def __str__(self) -> str:
        worth = EXERCISES[self.exercise].points
        points = f" ({self.points:g} of {worth:g} points)" if worth and self.state != NOT_ATTEMPTED else ""
        lines = [f"{self.exercise}: {self.state}{points}"]
        for label in ("mistake", "expected", "got", "hint"):
            if getattr(self, label):
                lines.append(f"  {label + ':':9} {getattr(self, label)}")
        if self.state != PASSED:
            lines.append("  The cells below go on with the library's version.")
        return "\n".join(lines)


@dataclass(frozen=True)
class Exercise:
    """A named exercise: how many points, what a right solution is, and how to tell."""

    name: str
    points: float
    reference: Any
    test: Callable[[Any], None]


EXERCISES: dict[str, Exercise] = {}


def exercise(name: str, points: float, reference: Any) -> Callable:
    """Register the decorated function as the check of an exercise; it raises `Wrong` on a mistake."""

    def register(test: Callable[[Any], None]) -> Callable[[Any], None]:
        EXERCISES[name] = Exercise(name, points, reference, test)
        return test

    return register


def run_check(name: str, attempt: Any) -> Result:
    """Check an attempt. Whatever the attempt does, the answer is a `Result`.

    Raises:
        KeyError: no exercise of that name.
    """
    entry = EXERCISES[name]
    if attempt is None or attempt is Ellipsis:
        return Result(name, NOT_ATTEMPTED, 0)
    try:
        entry.test(attempt)
    except NotImplementedError:
        return Result(name, NOT_ATTEMPTED, 0)
    except Wrong as wrong:
        return _failed(name, wrong)
    except Exception as error:  # a bug in the reader's code is an answer too, not a crash of the check
        return _failed(
            name, Wrong(_what_was_raised(error), hint="call it yourself with a small input and look")
        )
    return Result(name, PASSED, entry.points)


def _failed(name: str, wrong: Wrong) -> Result:
    shown = ["" if value is None else shorten(value) for value in (wrong.expected, wrong.got)]
    return Result(name, FAILED, 0, wrong.mistake, *shown, wrong.hint)


def _what_was_raised(error: Exception) -> str:
    """`ValueError in line 3 of truncate: …`, the line being the reader's own where there is one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "a5lib" not in f.filename] or frames
    return f"{type(error).__name__} in line {own[-1].lineno} of {own[-1].name}: {error}"


def shorten(value: Any, limit: int = 160) -> str:
    """A value as text on one line, with its shape and dtype where it has them."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        numbers = value.flatten().tolist()
        inside = ", ".join(f"{n:.4g}" for n in numbers[:8]) + (", …" if len(numbers) > 8 else "")
        return f"{tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}: {inside}"
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split("\n"))
    return text if len(text) <= limit else text[: limit - 1] + "…"


def check(name: str, attempt: Any) -> Any:
    """Show how an attempt fares, and return what to go on with: it, if it passed, else the library's."""
    from a5lib.classroom import exercises  # noqa: F401  registers them

    result = run_check(name, attempt)
    builtins.print(result)
    return attempt if result.state == PASSED else EXERCISES[name].reference
