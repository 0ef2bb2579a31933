"""Points so far: every check is remembered, in the session and in the student's folder.

    corrupt_span = check("corrupt_span", corrupt_span)    shows, remembers, gives what to go on with
    assess("3a", [1])                                     the rubric's lines that an own answer meets
    points_so_far()                                       the page
    python -m a5lib.classroom progress [--runs runs]      the same from the shell

A pass stays: a later try that fails is shown, and takes no points away. What is kept in ``progress.json`` is
for the reader; grading runs every check again. The solved editions remember for the session only.
"""

import argparse
import html
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a5lib.classroom.checks import EXERCISES, NOT_ATTEMPTED, PASSED, Result, run_check
from a5lib.classroom.points import PREDICTIONS, QUESTIONS, TABLE, WRITING, Item
from a5lib.classroom.written import WRITTEN, answers, count_words, self_assessed
from a5lib.errors import InputError
from a5lib.files import read_json, write_json

ROOT = Path(__file__).resolve().parents[2]
FILE = "progress.json"
Record = dict[str, dict[str, dict[str, Any]]]  # {"checks": {name: …}, "written": {name: …}}


class _Session:
    """What this kernel remembers, and the folder in which it is kept; None keeps it in memory only."""

    def __init__(self):
        self.folder: Path | None = None
        self.record: Record = {"checks": {}, "written": {}}


_session = _Session()


def remember_in(folder: Path | None) -> None:
    """From now on keep results in `folder`, and go on from what it holds."""
    _session.folder, _session.record = folder, read_record(folder) if folder else _Session().record


def read_record(folder: Path) -> Record:
    """What a student's folder remembers; a damaged file counts as an empty one, and is said to."""
    empty: Record = {"checks": {}, "written": {}}
    try:
        found = read_json(folder / FILE) if (folder / FILE).is_file() else {}
        return {part: {name: dict(entry) for name, entry in found.get(part, {}).items()} for part in empty}
    except (InputError, AttributeError, TypeError, ValueError):
        print(f"{folder.name}/{FILE} is damaged: points so far begin anew.")
        return empty


def _store(part: str, name: str, entry: dict[str, Any]) -> None:
    _session.record[part][name] = entry
    if _session.folder is not None:
        write_json(_session.folder / FILE, _session.record)


def _refresh() -> Record:
    """The record as it is now: another notebook may have written meanwhile."""
    if _session.folder is not None:
        _session.record = read_record(_session.folder)
    return _session.record


def check(name: str, attempt: Any) -> Any:
    """Show how an attempt fares, and return what to go on with: it, if it passed, else the library's."""
    result = run_check(name, attempt)
    remember(result)
    print(result)
    return attempt if result.state == PASSED else EXERCISES[name].reference


def remember(result: Result) -> None:
    """Keep a result; not attempted is nothing to keep."""
    if result.state == NOT_ATTEMPTED:
        return
    before = _refresh()["checks"].get(result.exercise, {})
    kept = {
        "points": max(result.points, before.get("points", 0.0)),
        "passed": result.state == PASSED or before.get("passed", False),
        "last": result.state,
        "mistake": result.mistake,
    }
    _store("checks", result.exercise, kept)


def assess(name: str, ticks: Iterable[int] | None = None) -> None:
    """Show a written answer's rubric, and keep the lines (from 1) that the reader finds in their own answer.

    To be called after reading the solved answer. None only shows the rubric.

    Raises:
        InputError: no such written answer, or a line that its rubric does not have.
    """
    if name not in WRITTEN:
        raise InputError(f"{name}: no such written answer; there are {', '.join(WRITTEN)}")
    written, ticked = WRITTEN[name], sorted(set(ticks or ()))
    points = self_assessed(name, ticked)
    for number, line in enumerate(written.rubric, 1):
        worth = f" ({line.points:g})" if line.points else ""
        print(f"{'[x]' if number in ticked else '[ ]'} {number}. {line.says}{worth}")
    if ticks is None:
        print(f"{name}: at most {written.max_words} words; not assessed yet.")
        return
    said = f"{points:g} of {written.points:g} points" if written.points else "no points, practice"
    print(f"{name}: {len(ticked)} of {len(written.rubric)} lines, {said} by your own reading.")
    _refresh()
    _store("written", name, {"points": points, "ticks": ticked})


# The page.


@dataclass(frozen=True)
class Row:
    """One item of the table of points, as it stands."""

    item: Item
    points: float
    state: str


@dataclass(frozen=True)
class Page:
    """Points so far; shows as a table in a notebook, and as text elsewhere."""

    rows: tuple[Row, ...]
    practice: int

    @property
    def points(self) -> float:
        return sum(row.points for row in self.rows)

    def of(self, question: str) -> float:
        """The points of one question, such as `2e`."""
        return sum(row.points for row in self.rows if row.item.question == question)

    def __str__(self) -> str:
        lines = [self.title]
        for question, worth in QUESTIONS.items():
            lines.append(f"{question}  {self.of(question):4g} of {worth:2}  {self.open(question)}".rstrip())
        return "\n".join([*lines, self.footnote])

    __repr__ = __str__

    @property
    def title(self) -> str:
        return f"Points so far: {self.points:g} of {sum(QUESTIONS.values())}"

    @property
    def footnote(self) -> str:
        plural = "" if self.practice == 1 else "s"
        exercises = f"{self.practice} exercise{plural} for practice passed. " if self.practice else ""
        return exercises + "Written answers count by your own reading; predictions when they are graded."

    def open(self, question: str) -> str:
        """What is still to do in a question, in words."""
        rows = [row for row in self.rows if row.item.question == question and row.points < row.item.points]
        return ", ".join(f"{row.item.name} {row.state}".rstrip() for row in rows)

    def _repr_html_(self) -> str:
        cells = [
            f"<tr><td>{question}</td><td>{self.of(question):g} of {worth}</td>"
            f'<td style="text-align: left">{html.escape(self.open(question))}</td></tr>'
            for question, worth in QUESTIONS.items()
        ]
        head = '<tr><th>question</th><th>points</th><th style="text-align: left">open</th></tr>'
        return f"<b>{self.title}</b><table>{head}{''.join(cells)}</table>{html.escape(self.footnote)}"


def points_so_far(record: Record | None = None, texts: dict[str, str] | None = None) -> Page:
    """The page of points so far.

    Args:
        record: what to show; None takes this session's, and its folder's.
        texts: written answers by name, to say which are there but not assessed.
    """
    from a5lib.classroom import exercises  # noqa: F401  registers them

    if record is None:
        record = _refresh()
    rows = tuple(_row(item, record, texts or {}) for item in TABLE)
    in_table = {item.name for item in TABLE}
    passed = {name for name, kept in record["checks"].items() if kept.get("passed")}
    return Page(rows, len(passed - in_table))


def _row(item: Item, record: Record, texts: dict[str, str]) -> Row:
    if item.kind == PREDICTIONS:
        return Row(item, 0.0, "")
    kept = record["written" if item.kind == WRITING else "checks"].get(item.name)
    if kept is None and texts.get(item.name):
        return Row(item, 0.0, f"({count_words(texts[item.name])} words, not assessed)")
    if kept is None:
        return Row(item, 0.0, "")
    found = kept.get("points")  # of a file that anybody may have changed
    points = min(item.points, max(0.0, found)) if isinstance(found, int | float) else 0.0
    return Row(item, points, "" if item.kind == WRITING else f"({kept.get('last', '')})")


def _texts(folder: Path) -> dict[str, str]:
    """The written answers in a folder of notebooks; what cannot be read has none."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.ipynb")):
        try:
            found |= answers(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
            continue
    return found


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m a5lib.classroom progress", description="Points so far.")
    runs = os.environ.get("A5_RUNS", "runs")
    parser.add_argument("--runs", default=runs, help=f"where results are kept (default: {runs})")
    options = parser.parse_args(argv)
    folder = root / options.runs / "mine"
    if not (folder / FILE).is_file():
        print(f"Nothing is kept in {options.runs}/mine yet: run a notebook's checks first.")
    print(points_so_far(read_record(folder), _texts(root / "notebooks")))
    return 0
