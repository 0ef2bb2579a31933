"""The checks against many solutions: at least three right ones of other styles each, and the known mistakes.

Every attempt here is somebody else's way to write it, on purpose: a right one that fails is a false alarm, a
wrong one that passes a miss.
"""

import pytest
from solutions import beyond, facts, part_1, transformer

from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, FAILED, PASSED, run_check

RIGHT = part_1.RIGHT | transformer.RIGHT | facts.RIGHT  # those of `beyond` stand with its notebooks
WRONG = part_1.WRONG + transformer.WRONG + facts.WRONG


@pytest.mark.parametrize(("name", "number"), [(name, i) for name in RIGHT for i in range(len(RIGHT[name]))])
def test_a_right_solution_passes(name, number):
    result = run_check(name, RIGHT[name][number])
    assert result.state == PASSED and result.points == EXERCISES[name].points, str(result)


@pytest.mark.parametrize(("name", "attempt", "says"), WRONG, ids=[f"{w[0]}: {w[2]}" for w in WRONG])
def test_a_wrong_solution_fails_by_its_name(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and result.points == 0 and says in str(result), str(result)


@pytest.mark.parametrize(
    ("name", "attempt", "says"), beyond.WRONG, ids=[f"{w[0]}: {w[2]}" for w in beyond.WRONG]
)
def test_a_wrong_solution_of_10_or_11_is_named_as_the_mistake(name, attempt, says):
    result = run_check(name, attempt)
    assert result.state == FAILED and result.points == 0 and says in result.mistake, str(result)


def test_each_exercise_has_three_right_solutions_of_different_styles():
    every = RIGHT | beyond.RIGHT
    assert {name: len(set(every.get(name, ()))) >= 3 for name in EXERCISES} == dict.fromkeys(EXERCISES, True)


def test_an_attempt_that_changes_what_it_was_given_spoils_no_later_check():
    def in_place(norm, beta):
        return norm.sub_(1).mul_(beta).sigmoid_()

    assert run_check("one_head_weight", in_place).state == PASSED
    assert run_check("one_head_weight", EXERCISES["one_head_weight"].reference).state == PASSED
