"""Checks for notebook 11: rotary positions, a synthesizer's scores, equal exposures."""

from collections.abc import Callable

import torch
from torch import Tensor

from a5lib import variants
from a5lib.classroom.checks import Wrong, exercise
from a5lib.classroom.exercises.comparing import as_number, normal, require


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Pairs (x_2i, x_2i+1) of x (..., T, D), turned by angles (T, D/2)."""
    return variants.rotate(x, angles.cos(), angles.sin())


@exercise("rotate", rotate)
def check_rotate(attempt: Callable) -> None:
    """Neighbours are a pair; each is turned counter-clockwise."""
    x, angles = normal(2, 3, 5, 6), torch.arange(5)[:, None] * torch.tensor([1.0, 0.3, 0.1])
    before = x.clone()
    got = attempt(x, angles)
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    first, second = even * cos - odd * sin, even * sin + odd * cos
    left, right = before.chunk(2, dim=-1)
    halves = torch.cat((left * cos - right * sin, left * sin + right * cos), dim=-1)
    interleave = _interleave
    mistakes = {
        "turned clockwise: the angle's sign": rotate(before, -angles),
        "sine and cosine have changed places": interleave(even * sin - odd * cos, even * cos + odd * sin),
        "the pairs are right, their order is not: the result has all first numbers, then all second": (
            torch.cat((first, second), dim=-1)
        ),
        "the first half is paired with the second; that turns, too, but here neighbours are a pair": halves,
        "the second number of a pair turns with a minus before the sine": (
            interleave(even * cos - odd * sin, odd * cos - even * sin)
        ),
        "both numbers of a pair have a plus: that is no rotation": (
            interleave(even * cos + odd * sin, odd * cos + even * sin)
        ),
        "only stretched: each number needs its partner as well": interleave(even * cos, odd * cos),
        "x comes back as it was": before,
    }
    if not torch.equal(x, before):
        raise Wrong("x itself was changed: make a new tensor", hint="even = x[..., 0::2]; then new names")
    require(got, rotate(before, angles), mistakes, "a pair is (x[..., 2i], x[..., 2i + 1])")


def _interleave(first: Tensor, second: Tensor) -> Tensor:
    return torch.stack((first, second), dim=-1).flatten(-2)


def synthesizer_scores(x: Tensor, A1: Tensor, b1: Tensor, A2: Tensor, b2: Tensor) -> Tensor:
    """(T, S): relu(x A1 + b1) A2 + b2, for x (T, D), A1 (D, D), A2 (D, S)."""
    return (x @ A1 + b1).relu() @ A2 + b2


@exercise("synthesizer_scores", synthesizer_scores)
def check_synthesizer_scores(attempt: Callable) -> None:
    """A two-layer map of each position alone."""
    shapes = ((5, 4), (4, 4), (4,), (4, 7), (7,))
    x, A1, b1, A2, b2 = (normal(*shape, seed=i) for i, shape in enumerate(shapes))
    hidden = x @ A1 + b1
    mistakes = {
        "without the relu both layers are one, and the map is linear": hidden @ A2 + b2,
        "the relu belongs between the two layers, not behind them": (hidden @ A2 + b2).relu(),
        "a relu too many, behind the second layer": (hidden.relu() @ A2 + b2).relu(),
        "A1 is transposed": (x @ A1.T + b1).relu() @ A2 + b2,
        "b1 is not added": (x @ A1).relu() @ A2 + b2,
        "b1 is added behind the relu": ((x @ A1).relu() + b1) @ A2 + b2,
        "b2 is not added": hidden.relu() @ A2,
        "nothing is to be scaled: there are no queries and keys whose product grows with d": (
            (hidden.relu() @ A2 + b2) / 2
        ),
        "scores are asked for, not weights: the softmax comes after the mask": (
            (hidden.relu() @ A2 + b2).softmax(dim=-1)
        ),
        "a GELU, where the equation has a relu": torch.nn.functional.gelu(hidden) @ A2 + b2,
    }
    require(
        attempt(*(t.clone() for t in (x, A1, b1, A2, b2))),
        synthesizer_scores(x, A1, b1, A2, b2),
        mistakes,
        "x A1 is x @ A1",
    )


def equal_passes(phrasings: int, usual_phrasings: int = 4, usual_passes: float = 27) -> float:
    """Passes over a world of so many lines a person, for each fact to be read as often as usual."""
    return usual_phrasings * usual_passes / phrasings


@exercise("equal_passes", equal_passes)
def check_equal_passes(attempt: Callable) -> None:
    """Lines times passes is what is held equal."""
    for phrasings, usual_phrasings, usual_passes in ((8, 4, 27), (1, 4, 27), (2, 6, 10)):
        expected = usual_phrasings * usual_passes / phrasings
        got = attempt(phrasings, usual_phrasings, usual_passes)
        case = f"{phrasings} phrasings, usually {usual_phrasings} in {usual_passes} passes"
        got = as_number(got, case)
        if abs(got - expected) < 1e-4:
            continue
        if got == usual_passes and phrasings != usual_phrasings:
            mistake = "as many passes as usual: then a world with fewer lines is read less"
        elif abs(got - usual_passes * phrasings / usual_phrasings) < 1e-6:
            mistake = "the wrong way round: fewer lines need more passes"
        elif abs(got - usual_passes / phrasings) < 1e-6:
            mistake = "usually there is more than one line a person, too"
        elif abs(got - usual_passes * usual_phrasings) < 1e-6:
            mistake = "that is how often a fact is read, not in how many passes"
        else:
            mistake = "lines a person times passes must be the same"
        raise Wrong(f"{mistake} ({case})", f"{expected:g}", f"{got:g}")
