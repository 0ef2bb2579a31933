"""The points: 60 in all, each earned by something that exists, and told alike in notebooks and table."""

from collections import Counter
from pathlib import Path

import pytest

from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES
from a5lib.classroom.points import CODE, PREDICTIONS, QUESTIONS, TABLE, WRITING, points_of, question_of
from a5lib.classroom.written import WRITTEN

SOURCES = sorted((Path(__file__).parent.parent / "notebooks/source").glob("*.py"))


def test_the_items_add_up_to_their_questions_and_the_questions_to_sixty():
    per_question = Counter()
    for item in TABLE:
        per_question[item.question] += item.points
    assert per_question == QUESTIONS and sum(QUESTIONS.values()) == 60
    assert len({item.name for item in TABLE}) == len(TABLE)
    by_kind = Counter()
    for item in TABLE:
        by_kind[item.kind] += item.points
    assert by_kind == {CODE: 44, WRITING: 6, PREDICTIONS: 10}


def test_each_item_exists():
    assert {item.name for item in TABLE if item.kind == CODE} <= EXERCISES.keys()
    assert {item.name for item in TABLE if item.kind == WRITING} == {
        name for name, written in WRITTEN.items() if written.points
    }
    assert EXERCISES["truncate"].points == 2.5 and EXERCISES["truncate"].question == "2e"
    assert (points_of("split_xy"), question_of("split_xy")) == (0, "")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_rubric_adds_up_to_what_its_answer_is_worth(name):
    written = WRITTEN[name]
    assert sum(line.points for line in written.rubric) == written.points
    assert written.question in QUESTIONS and written.max_words >= 50
