"""Written answers: read from a notebook, counted, refused when too long; the solved ones keep the rules."""

import re
from pathlib import Path

import jupytext
import pytest

from a5lib.classroom.editions_build import TEXT_STUB, build, tags
from a5lib.classroom.written import (
    WRITTEN,
    answers,
    count_words,
    require_short,
    self_assessed,
    too_long,
)
from a5lib.errors import InputError

SOURCES = sorted((Path(__file__).parent.parent / "notebooks/source").glob("*.py"))


def cell(name, source):
    return {"source": source, "metadata": {"tags": [f"written:{name}"]}}


def test_answers_are_read_and_the_placeholder_is_none():
    cells = [
        cell("1a-iv", f"{TEXT_STUB}\n"),
        cell("3a", ["It read\n", f"{TEXT_STUB}the facts."]),
        {"source": "x", "metadata": {}},
        {"source": "y"},
    ]
    assert answers({"cells": cells}) == {"1a-iv": "", "3a": "It read\nthe facts."}


@pytest.mark.parametrize("cells", [[cell("9z", "x")], [cell("3a", "x"), cell("3a", "y")]])
def test_unknown_and_double_tags_are_refused_with_their_cell(cells):
    with pytest.raises(InputError, match=f"cell {len(cells)}, tag written:"):
        answers({"cells": cells})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two, three-four.", 3),
        ("- a list\n- of **bold** words", 5),
        ("so $e^x > 0$ and\n$$\\sum_i \\alpha_i\n= 1.$$", 4),
        ("naïve Łódź 3.5 %", 3),
    ],
)
def test_a_formula_counts_as_a_word_and_signs_do_not(text, words):
    assert count_words(text) == words


def test_what_is_too_long_is_refused_with_one_line():
    most = WRITTEN["1a-iv"].max_words
    require_short("1a-iv", "word " * most)
    with pytest.raises(
        InputError, match=f"1a-iv: {most + 3} words, at most {most} are read; shorten it by 3"
    ):
        require_short("1a-iv", "word " * (most + 3))
    assert too_long({"1a-iv": "word " * 999, "3a": "short", "3b": ""}) == [
        f"1a-iv: 999 words, at most {most} are read; shorten it by {999 - most}"
    ]


def test_self_assessment_adds_up_the_ticked_lines_once():
    assert (
        self_assessed("3b", []) == 0 and self_assessed("3b", [1, 1]) == 1 and self_assessed("3b", (2, 1)) == 2
    )
    with pytest.raises(InputError, match="there is no line 0; the rubric has lines 1 to 2"):
        self_assessed("3b", [0])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_students_find_a_placeholder_and_the_solved_answers_are_short_enough(path):
    student, solved = build(path, "https://example.org/a/b")
    assert all(text == "" for text in answers(student).values())
    texts = answers(solved)
    assert texts.keys() == answers(student).keys() and all(texts.values())
    assert too_long(texts) == []
    source = path.read_text(encoding="utf-8")
    for name in texts:
        most = WRITTEN[name].max_words
        question = re.sub(r"\n# > ?", " ", source[: source.index(f"written:{name}")]).split("In writing")[-1]
        assert f"at most {most} words" in question and f"question {name})" in question


def test_every_written_answer_stands_in_one_notebook():
    found = [
        tag.removeprefix("written:")
        for path in SOURCES
        for one in jupytext.read(path).cells
        for tag in tags(one)
        if tag.startswith("written:")
    ]
    assert sorted(found) == sorted(WRITTEN)
