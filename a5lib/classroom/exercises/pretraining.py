"""Checks for notebook 07: the learning rate's schedule, and what padding costs."""

from collections.abc import Callable, Sequence

from a5lib.classroom.checks import Wrong, exercise
from a5lib.optim import learning_rate_at
from a5lib.trainer import TrainConfig


def rate_factor(tokens: int, warmup_tokens: int, final_tokens: int) -> float:
    """Linear warm-up, then a cosine down to `final_tokens`, never under 10 %, as the handout has it."""
    config = TrainConfig(1, 1.0, schedule="cosine", warmup_tokens=warmup_tokens, final_tokens=final_tokens)
    return learning_rate_at(config, tokens, progress=0)


@exercise("rate_factor", rate_factor)
def check_rate_factor(attempt: Callable) -> None:
    """Warm-up, the cosine's middle, its floor, and what happens behind its end."""
    cases = {
        50: "half of the warm-up",
        100: "the end of the warm-up: the full rate",
        600: "half of the cosine",
        1100: "the end of the cosine: the floor, not 0",
        1600: "behind the end: the handout's cosine is not clamped, it rises again",
        2100: "twice the length: back at the full rate",
    }
    for tokens, what in cases.items():
        expected, got = rate_factor(tokens, 100, 1100), attempt(tokens, 100, 1100)
        if abs(got - expected) > 1e-9:
            raise Wrong(f"{what} ({tokens} tokens, warm-up 100, final 1100)", f"{expected:.4f}", got)


def padding_share(lengths: Sequence[int], batch_size: int) -> float:
    """The share of a run's positions that are padding, if each batch is as wide as its longest row."""
    batches = [lengths[i : i + batch_size] for i in range(0, len(lengths), batch_size)]
    positions = sum(max(batch) * len(batch) for batch in batches)
    return 1 - sum(lengths) / positions


@exercise("padding_share", padding_share)
def check_padding_share(attempt: Callable) -> None:
    """Small batches counted by hand; the last one may be short."""
    cases = {((4, 4, 4, 4), 2): 0.0, ((2, 4, 2, 4), 2): 0.25, ((2, 2, 4, 4), 2): 0.0, ((1, 3, 2), 2): 0.25}
    for (lengths, batch_size), expected in cases.items():
        got = attempt(list(lengths), batch_size)
        if abs(got - expected) > 1e-9:
            hint = "the last batch may have fewer rows" if len(lengths) % batch_size else ""
            raise Wrong(f"lengths {list(lengths)} in batches of {batch_size}", expected, got, hint)
