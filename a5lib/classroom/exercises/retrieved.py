"""Checks for notebook 10: the area under a ROC curve, calibration error, abstention."""

from collections.abc import Callable, Sequence

import numpy as np

from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import CLOSE, as_number
from a5lib.confidence import calibration_error


def auroc(signal: Sequence[float], right: Sequence[bool]) -> float:
    """The chance that a right answer has the larger signal than a wrong one; equal ones count a half."""
    score, pairs = 0.0, 0
    for a, a_right in zip(signal, right, strict=True):
        for b, b_right in zip(signal, right, strict=True):
            if a_right and not b_right:
                score += 1.0 if a > b else 0.5 if a == b else 0.0
                pairs += 1
    return score / pairs


def _compare(got: float, expected: float, mistakes: dict[str, float], case: str) -> None:
    if abs(got - expected) < CLOSE:
        return
    for mistake, value in mistakes.items():
        if abs(got - value) < CLOSE:
            raise Wrong(mistake, f"{expected:.4g} for {case}", f"{got:.4g}", tolerance=CLOSE)
    raise Wrong("another number", f"{expected:.4g} for {case}", f"{got:.4g}", tolerance=CLOSE)


@exercise("auroc", auroc)
def check_auroc(attempt: Callable) -> None:
    """Pairs of a right and a wrong answer; equal signals count a half."""
    signal, right = [0.9, 0.7, 0.7, 0.4, 0.2], [True, True, False, False, True]
    wins, ties, pairs = 3, 1, 6
    case = f"signal {signal}, right {right}"
    got = as_number(attempt(list(signal), list(right)), "a share of pairs")
    _compare(
        got,
        (wins + ties / 2) / pairs,
        {
            "equal signals tell nothing, so they count a half, not a whole": (wins + ties) / pairs,
            "equal signals tell nothing, so they count a half, not nothing": wins / pairs,
            "the other way round: the right answer should have the larger signal": (2 + ties / 2) / pairs,
            "the pairs are counted, their share is asked for": wins + ties / 2,
            "pairs are one right and one wrong answer: divide by their number, not by all pairs": (
                (wins + ties / 2) / 25
            ),
            "a share from 0 to 1 is asked for, not in percent": 100 * (wins + ties / 2) / pairs,
        },
        case,
    )
    for signal, right, expected in (
        ([3, 2, 1], [True, True, False], 1.0),
        ([1.0, 1.0], [True, False], 0.5),
        ([-2.0, -1.0, -3.0], [False, True, True], 0.5),  # signals need be no probabilities
    ):
        _compare(
            as_number(attempt(list(signal), list(right)), "a share"),
            expected,
            {},
            f"signal {signal}, right {right}",
        )


@exercise("calibration_error", calibration_error)
def check_calibration_error(attempt: Callable) -> None:
    """Gaps of the bins, weighted by how many answers each holds; 1.0 belongs to the last bin."""
    confidence = [0.05, 0.55, 0.58, 0.95, 0.97, 1.0]
    right = [False, True, False, True, True, False]
    gaps, sizes = [0.05, 0.565 - 0.5, 2.92 / 3 - 2 / 3], [1, 2, 3]
    expected = float(np.dot(gaps, sizes)) / 6
    middles = (abs(0.05 - 0) + 2 * abs(0.55 - 0.5) + 3 * abs(0.95 - 2 / 3)) / 6
    signed = (0.05 + 2 * (0.565 - 0.5) + 3 * (2.92 / 3 - 2 / 3)) / 6
    own_bin = (0.05 + 2 * 0.065 + 2 * (1 - 0.96) + 1.0) / 6
    over_all = abs(sum(confidence) - sum(right)) / 6
    one_by_one = float(np.mean([abs(c - r) for c, r in zip(confidence, right, strict=True)]))
    mistakes = {
        "each bin counts as much as it holds answers: weight the gaps": float(np.mean(gaps)),
        "the mean gap is asked for, not the largest": max(gaps),
        "a bin's confidence is the mean of what it holds, not its middle": middles,
        "a confidence of 1.0 belongs to the last bin, not to one of its own": own_bin,
        "each answer by itself is always far off; the gap is one of bins": one_by_one,
        "divide by the number of answers": float(np.dot(gaps, sizes)),
        "from 0 to 1, not in percent": 100 * expected,
    }
    case = f"confidence {confidence}, right {right}"
    _compare(as_number(attempt(list(confidence), list(right)), "the mean gap"), expected, mistakes, case)
    assert abs(signed - expected) < 1e-9 and abs(over_all - expected) < 1e-9  # so the next case is needed
    confidence, right = [0.25, 0.25, 0.75, 0.75], [True, True, False, False]
    mistakes = {"gaps must not cancel: take each bin's absolute value": 0.0}
    got = as_number(attempt(list(confidence), list(right)), "the mean gap")
    _compare(got, 0.75, mistakes, f"confidence {confidence}, right {right}")


def errors_left(signal: Sequence[float], right: Sequence[bool], share: float) -> float:
    """The share of wrong answers among the surest `share` of all."""
    order = sorted(range(len(signal)), key=lambda i: -signal[i])
    answered = order[: round(share * len(signal))]
    return sum(not right[i] for i in answered) / len(answered)


@exercise("errors_left", errors_left)
def check_errors_left(attempt: Callable) -> None:
    """Of the answers that are given, the share that is wrong."""
    signal = [0.1, 0.9, 0.3, 0.8, 0.7, 0.2, 0.6, 0.5]
    right = [False, True, False, True, False, False, True, True]
    got = as_number(attempt(list(signal), list(right), 0.5), "a share of wrong answers")
    mistakes = {
        "of the answers that are given, not of all": 1 / 8,
        "the surest are to answer, not the least sure": 3 / 4,
        "this is the share of right answers; the wrong ones are asked for": 3 / 4,
        "how many are wrong; their share is asked for": 1.0,
        "the signals are not looked at: the first half of the list is no surer than the rest": 2 / 4,
        "from 0 to 1, not in percent": 25.0,
    }
    if abs(got - 3 / 4) < 1e-6:  # two mistakes meet here: another case tells them apart
        least = as_number(attempt([1, 2, 3, 4], [False, False, False, True], 0.5), "a share") > 0.5
        which = "the surest are" if least else "this is the share of right"
        raise Wrong(next(m for m in mistakes if m.startswith(which)), "0.25", "0.75")
    _compare(got, 1 / 4, mistakes, f"signal {signal}, right {right}, share 0.5")
    got = as_number(attempt(list(signal), list(right), 1.0), "a share")
    _compare(got, 1 / 2, {}, "the same with share 1.0: everything is answered")
