"""A grade written down: Gradescope's results.json, a table for people, and a CSV for many.

Whatever a student could have chosen (names, messages) is cut and freed of control characters, and in the CSV
no cell begins as a formula would.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any

from a5lib.classroom.checks import PASSED
from a5lib.classroom.grading.plain import clean
from a5lib.classroom.grading.scoring import Grade, Line
from a5lib.classroom.points import QUESTIONS

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "|", "%")


def results(grade: Grade) -> dict[str, Any]:
    """What Gradescope reads: points, visibility and messages, a test for each item."""
    numbers: dict[str, int] = dict.fromkeys(QUESTIONS, 0)
    tests = []
    for line in grade.lines:
        numbers[line.item.question] += 1
        tests.append(_test(line, f"{line.item.question}.{numbers[line.item.question]}"))
    return {
        "score": round(grade.points, 4),
        "execution_time": round(grade.seconds),
        "output": "\n".join(clean(m) for m in grade.messages[:40]) or "Everything could be examined.",
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [*tests, _for_graders(grade)],
        "extra_data": {"accuracy": grade.accuracy, "memory_mb": grade.memory_mb},
    }


def _test(line: Line, number: str) -> dict[str, Any]:
    test: dict[str, Any] = {"name": line.item.name, "number": number, "visibility": line.visibility,
                            "output": clean(line.message, 2000), "output_format": "text",
                            "tags": [line.item.question, line.item.kind]}  # fmt: skip
    if line.points is None:
        return test | {"output": f"{line.state}: {test['output']}, {line.item.points:g} points"}
    passed = "passed" if line.state == PASSED else "failed"
    return test | {"score": line.points, "max_score": line.item.points, "status": passed}


def _for_graders(grade: Grade) -> dict[str, Any]:
    said = "\n".join(clean(m) for m in grade.for_graders) or "Nothing to look at."
    return {
        "name": "for graders",
        "number": "9",
        "visibility": "hidden",
        "output": said,
        "output_format": "text",
    }


def table(grade: Grade) -> str:
    """The grade for a terminal: a line for each item, messages below."""
    lines = [f"{clean(grade.name, 80)}: {grade.points:g} of {grade.most:g} points, without what people read"]
    for line in grade.lines:
        earned = "  - " if line.points is None else f"{line.points:4g}"
        first = (clean(line.message, 200).split("\n") or [""])[0]
        said = first if first.startswith(line.state) else f"{line.state}: {first}"
        said = said.removeprefix(f"{line.item.name}: ").replace(f": {line.item.name}: {line.state}", "")
        lines.append(f"  {line.item.question}  {earned} of {line.item.points:<4g} {line.item.name:36} {said}")
    lines += [f"  ! {clean(message)}" for message in grade.messages]
    lines += [f"  ? {clean(message)}" for message in grade.for_graders]
    return "\n".join(lines) + "\n"


def summary(grades: Sequence[Grade]) -> str:
    """Many grades as CSV: a row each, in the order of their names."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    accuracies = sorted({name for grade in grades for name in grade.accuracy})
    writer.writerow(["submission", "points", *QUESTIONS, *(f"{name} %" for name in accuracies),
                     "seconds", "CPU seconds", "memory MB", "messages", "for graders"])  # fmt: skip
    for grade in sorted(grades, key=lambda grade: grade.name):
        percents = [f"{grade.accuracy[n]:.1f}" if n in grade.accuracy else "" for n in accuracies]
        questions = [f"{grade.of(question):g}" for question in QUESTIONS]
        row = [
            grade.name, f"{grade.points:g}", *questions, *percents,
            *(f"{used:g}" for used in (grade.seconds, grade.cpu_seconds, grade.memory_mb)),
            "; ".join(grade.messages), "; ".join(grade.for_graders),
        ]  # fmt: skip
        writer.writerow([cell(value) for value in row])
    return file.getvalue()


def cell(value: str) -> str:
    """A text for a CSV: one line, and nothing that a spreadsheet would compute."""
    text = " ".join(clean(value, 1000).split())
    return f"'{text}" if text.startswith(FORMULAS) else text
