"""The answers in prose: what they are worth, how long they may be, and the rubric that they are read by.

An answer stands in the markdown cell tagged ``written:NAME`` of the student edition. Reading one needs the
notebook only, as a dict (`json.load`) or from `nbformat`. Questions whose points are earned by code (see
`points`) have a rubric too, of lines worth nothing: they are handed in, and read beside the code. Grades
nothing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from a5lib.classroom.editions_build import TEXT_STUB
from a5lib.classroom.points import points_of
from a5lib.errors import InputError

TAG = "written:"
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]*\$|\\\[.*?\\\]|\\\(.*?\\\)", re.DOTALL)


@dataclass(frozen=True)
class Criterion:
    """One line of a rubric: what an answer must say, and the points for it."""

    says: str
    points: float = 0.0


@dataclass(frozen=True)
class Written:
    """A question to be answered in words.

    `name` is the assignment's own (`1a-iv`), `question` the part that it counts to (`1a`); `max_words` counts
    a formula as one word; `asks` is the question in short, for people who grade.
    """

    name: str
    question: str
    max_words: int
    asks: str
    rubric: tuple[Criterion, ...]

    @property
    def points(self) -> float:
        return points_of(self.name)


def _written(name: str, max_words: int, asks: str, *rubric: tuple[str, float] | str) -> Written:
    lines = (Criterion(*((line, 0.0) if isinstance(line, str) else line)) for line in rubric)
    return Written(name, name.split("-")[0], max_words, asks, tuple(lines))


WRITTEN: dict[str, Written] = {
    written.name: written
    for written in (
        _written(
            "1a-i", 120, "Why is α a categorical distribution?",
            "Each weight is positive, since an exponential is",
            "The weights add up to 1, since each is divided by the sum of all",
        ),
        _written(
            "1a-ii", 120, "When does α put almost all of its weight on one index?",
            "One score is far larger than each of the others",
            "How far depends on how many the others are: the gap against ln(n - 1)",
        ),
        _written(
            "1a-iii", 120, "What is the output then?",
            "c is almost equal to v_j",
            "The error is bounded by the weight of the others times the largest distance of a value from v_j",
        ),
        _written(
            "1a-iv", 60, "What do 1a-ii and 1a-iii say about attention, in plain words?",
            ("It happens where the query fits one key far better than all others", 0.5),
            ("Then attention copies: that key's value is handed on almost unchanged", 0.5),
        ),
        _written(
            "1b-i", 150, "Why is Ms = v_a, and which conditions are used?",
            "AᵀA = I, since A's columns are orthonormal",
            "AᵀB = 0, since A's columns are orthogonal to B's",
            "So M = AAᵀ gives A c_a = v_a: a vector, not its coordinates",
        ),
        _written(
            "1b-ii", 200, "Why does the query average, and for which β?",
            "The scores are β, β and 0, since the keys are orthonormal",
            "α_a = α_b = e^β / (2e^β + n - 2), which tends to ½",
            "The condition: 2e^β is much larger than n - 2",
            "The output's error is the others' share times the distance of their mean from the middle",
        ),
        _written(
            "1c-i", 150, "Which query, why, and for which β, when the keys are sampled with a vanishing α?",
            "The query is β(μ_a + μ_b): the means are known, the keys are not",
            "β is large enough against the number of keys: 2e^β is much larger than n - 2",
            "And small enough against the noise: αβ² is much smaller than 1",
        ),
        _written(
            "1c-ii", 200, "What does the output do when the length of k_a varies?",
            "k_a is about ε μ_a with ε around 1, so its score is about εβ, while that of b stays β",
            "Each sample gives nearly v_a or nearly v_b, by the side of 1 on which ε falls, not their mean",
            "So the output's variance is large, and a larger β makes it larger, not smaller",
        ),
        _written(
            "1d-i", 100, "Which two queries, and why do two heads average?",
            "q_1 = β μ_a and q_2 = β μ_b (or the other way round), with a large β",
            "Each head copies one value, and the mean of the heads is the average of the two",
        ),
        _written(
            "1d-ii", 200, "What does the output do now when the length of k_a varies?",
            "The second head does not see k_a's length: it gives v_b always",
            "The first head gives v_a whenever εβ is far above ln(n - 1), so for nearly every ε > 0",
            "So the variance is far smaller than with one head; what is left comes from the rare ε near 0 "
            "and below",
        ),
        _written(
            "2g-ii", 250, "The time complexity of both models in ℓ, m, L and d",
            "Vanilla's attention: O(L ℓ² d)",
            "The perceiver's: O((ℓ m + (L - 2) m²) d)",
            "What else costs, and when it rules: linear layers, O(d²) for each vector that meets them",
        ),
        _written(
            "3a", 150, "Why does the pretrained model answer for people that finetuning never showed?",
            ("The facts about these people stood in the text of pretraining, and finetuning only taught the "
             "form of question and answer that reads them out", 1),
        ),
        _written(
            "3b", 200, "Why does it matter that a retrieved answer looks like an invented one? Two reasons",
            ("A first reason that names who is harmed or misled, and how: people act on a wrong answer that "
             "reads like a right one", 1),
            ("A second reason of another kind: the system gives no source and no sign of doubt, so nobody "
             "can check it, trust it, or correct it", 1),
        ),
        _written(
            "3c", 200, "How may the model come to its answer about somebody it never read about, and what is "
            "wrong with that?",
            ("A mechanism: it goes by what is near, such as names that are spelled or sound alike, or by the "
             "most frequent place", 1),
            ("The concern: that is a guess about a person by the look of a name, a stereotype, stated as a "
             "fact about somebody real", 1),
        ),
    )
}  # fmt: skip


def answers(notebook: Mapping[str, Any]) -> dict[str, str]:
    """The written answers of a notebook by name; an empty text is one not attempted.

    Raises:
        InputError: a tag that names no written answer, or two cells with the same one.
    """
    found: dict[str, str] = {}
    for number, cell in enumerate(notebook["cells"], 1):
        for tag in cell.get("metadata", {}).get("tags", []):
            if tag.startswith(TAG):
                name = tag.removeprefix(TAG)
                if name not in WRITTEN or name in found:
                    what = "two cells have this tag" if name in found else "no question has this name"
                    raise InputError(f"cell {number}, tag {tag}: {what}; take the notebook as it came")
                found[name] = _own_text(cell)
    return found


def _own_text(cell: Mapping[str, Any]) -> str:
    """What stands in a cell apart from the placeholder."""
    source = cell["source"]
    text = source if isinstance(source, str) else "".join(source)
    return text.replace(TEXT_STUB, "").strip()


def count_words(text: str) -> int:
    """Words between blanks; a formula is one word, and signs alone (`-`, `**`) are none."""
    return sum(any(c.isalnum() for c in word) for word in FORMULA.sub(" formula1 ", text).split())


def require_short(name: str, text: str) -> None:
    """Check an answer's length.

    Raises:
        InputError: it has more words than the question allows.
    """
    words, most = count_words(text), WRITTEN[name].max_words
    if words > most:
        raise InputError(f"{name}: {words} words, at most {most} are read; shorten it by {words - most}")


def too_long(texts: Mapping[str, str]) -> list[str]:
    """One line for each answer that is over its limit; an empty list if none is."""
    lines = []
    for name, text in texts.items():
        try:
            require_short(name, text)
        except InputError as error:
            lines.append(str(error))
    return lines


def self_assessed(name: str, ticks: Iterable[int]) -> float:
    """The points of the rubric lines (from 1) that the reader ticks.

    Raises:
        InputError: a number that no line has.
    """
    rubric, ticked = WRITTEN[name].rubric, set(ticks)
    odd = sorted(tick for tick in ticked if tick not in range(1, len(rubric) + 1))
    if odd:
        raise InputError(f"{name}: there is no line {odd[0]}; the rubric has lines 1 to {len(rubric)}")
    return sum(rubric[tick - 1].points for tick in ticked)
