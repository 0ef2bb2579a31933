"""The written answers of some notebooks, in the assignment's order, as they are printed."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from a5lib.classroom.written import WRITTEN, answers
from a5lib.classroom.written_page import Answer
from a5lib.errors import InputError


def answers_of(path: Path) -> dict[str, str]:
    """The written answers of one notebook by name; '' for one not attempted.

    Raises:
        InputError: no notebook, or tags that are not as they came.
    """
    try:
        return answers(json.loads(path.read_bytes()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
        raise InputError(f"no notebook that can be read ({type(error).__name__}); save it again") from None


def written_answers(notebooks: Iterable[Path]) -> list[Answer]:
    """Every written question with the answer that one of the notebooks gives, the longest if several do.

    Raises:
        InputError: as `answers_of`; names the notebook.
    """
    found: dict[str, str] = {}
    for path in notebooks:
        try:
            given = answers_of(path)
        except InputError as error:
            raise InputError(f"{path.name}: {error}") from None
        for name, text in given.items():
            found[name] = max(found.get(name, ""), text, key=len)
    return as_answers(found)


def as_answers(found: Mapping[str, str]) -> list[Answer]:
    """Every written question with its answer by name, if there is one."""
    return [
        Answer(w.name, f"{w.asks} (points: {w.points:g})" if w.points else w.asks, found.get(w.name, ""))
        for w in WRITTEN.values()
    ]
