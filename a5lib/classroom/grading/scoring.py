"""From a report on a submission, and the key, to points. Knows nothing of processes or archives.

Accuracy is that of the answers which the parameters gave here, so a row of predictions that was edited by
hand changes no score; where more than 5 % of the rows were, the file earns nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from a5lib.classroom.checks import NOT_ATTEMPTED, PASSED
from a5lib.classroom.grading.handin import MODELS, SAME_ENOUGH, SPLITS
from a5lib.classroom.points import CODE, PREDICTIONS, TABLE, WRITING, Item
from a5lib.classroom.written import WRITTEN, count_words
from a5lib.corpus import Corpus, Question, read_questions
from a5lib.errors import InputError

PEOPLE = "for a person to read"
VISIBLE, AFTER_PUBLISHED = "visible", "after_published"


@dataclass(frozen=True)
class Line:
    """One item of the table of points: what it earned, and why. `points` is None where people decide."""

    item: Item
    points: float | None
    state: str
    message: str
    visibility: str = VISIBLE


@dataclass(frozen=True)
class Grade:
    """A submission's points, what is said to the student, and what only graders see."""

    name: str
    lines: tuple[Line, ...]
    messages: tuple[str, ...] = ()
    for_graders: tuple[str, ...] = ()
    accuracy: Mapping[str, float] = None  # type: ignore[assignment]
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mb: float = 0.0

    @property
    def points(self) -> float:
        return sum(line.points or 0 for line in self.lines)

    @property
    def most(self) -> float:
        """What could be earned without the answers that people read."""
        return sum(line.item.points for line in self.lines if line.points is not None)

    def of(self, question: str) -> float:
        """The points of one question, such as `2e`, without what people read."""
        return sum(line.points or 0 for line in self.lines if line.item.question == question)


def read_key(path: Path, test: Sequence[Question]) -> dict[str, str]:
    """The place for each test question.

    Raises:
        InputError: the key cannot be read, or lacks a question that was asked.
    """
    key = {question.text: question.place for question in read_questions(path, answers=True)}
    lacking = [question for question in test if question.text not in key]
    if lacking:
        raise InputError(
            f"{path}: holds no answer to {len(lacking)} of the {len(test)} test questions, the first being "
            f"{lacking[0].text!r}; it is another world's key, or --data is not these students' data"
        )
    return key


def grade(name: str, report: Mapping[str, Any], corpus: Corpus, key: Mapping[str, str]) -> Grade:
    """A submission's grade.

    Args:
        report: what `job.examine_submission` found.
        key: the places that answer the test questions.
    """
    places = {"dev": [q.place for q in corpus.dev], "test": [key[q.text] for q in corpus.test]}
    accuracy = _accuracies(report, places)
    lines = tuple(_line(item, report, accuracy) for item in TABLE)
    messages = [report["error"]] if report.get("error") else []
    messages += [f"{name} is missing" for name in report.get("missing", [])]
    messages += [f"{n['name']}: {n['ended']}" for n in report.get("notebooks", []) if n["ended"] != "well"]
    messages += report.get("notes", [])
    for_graders = [f"look at {flag}" for flag in report.get("flags", [])]
    for_graders += [f"predictions do not come from the parameters: {line.item.name}"
                    for line in lines if line.state == "not genuine"]  # fmt: skip
    return Grade(
        name, lines, tuple(messages), tuple(for_graders), accuracy,
        report.get("seconds", 0.0),
        report.get("cpu_seconds", 0.0), report.get("memory_mb", 0.0),
    )  # fmt: skip


def _accuracies(report: Mapping[str, Any], places: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Percent right, of the answers that the parameters gave, by `vanilla.pretrain.dev` and the like."""
    found = {}
    for model in MODELS:
        for split in SPLITS:
            answers = report.get("models", {}).get(model.name, {}).get(split, {}).get("answers", [])
            if len(answers) == len(places[split]):
                right = sum(a == place for a, place in zip(answers, places[split], strict=True))
                found[f"{model.name}.{split}"] = 100 * right / len(answers)
    return found


def _line(item: Item, report: Mapping[str, Any], accuracy: Mapping[str, float]) -> Line:
    if item.kind == CODE:
        check = report.get("checks", {}).get(item.name)
        if check is None:
            return Line(item, 0, NOT_ATTEMPTED, "not attempted")
        return Line(item, item.points if check["state"] == PASSED else 0, check["state"], check["text"])
    if item.kind == WRITING:
        text = report.get("written", {}).get(item.name, "")
        words, most = count_words(text), WRITTEN[item.name].max_words
        over = f", of which {most} are read" if words > most else ""
        return Line(item, None, PEOPLE if words else NOT_ATTEMPTED, f"{words} words{over}")
    assert item.kind == PREDICTIONS
    return _predictions_line(item, report, accuracy)


def _predictions_line(item: Item, report: Mapping[str, Any], accuracy: Mapping[str, float]) -> Line:
    name, split = item.name.removesuffix(".predictions").rsplit(".", 1)
    visibility = AFTER_PUBLISHED if split == "test" else VISIBLE
    model = report.get("models", {}).get(name, {"error": "not examined"})
    found = model.get(split, {})
    error = model.get("error") or found.get("error")
    percent = accuracy.get(f"{name}.{split}")
    if error or percent is None:
        return Line(item, 0, "failed", error or "no answers", visibility)
    if found["agreement"] < SAME_ENOUGH:
        same = f"{found['agreement']:.0%} of the rows are what these parameters answer"
        said = f"{same}; {SAME_ENOUGH:.0%} are needed: evaluate again with the parameters that you hand in"
        return Line(item, 0, "not genuine", said, visibility)
    needed = f"; {item.at_least:g} % are needed" if item.at_least else ", reported"
    enough = percent >= item.at_least
    said = f"{percent:.1f} % right{needed}"
    return Line(item, item.points if enough else 0, PASSED if enough else "failed", said, visibility)
