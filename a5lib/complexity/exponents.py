"""By which power a cost grows: read off an expression, or off measurements with their scatter.

Doubling x multiplies x^p by 2^p, so on log-log axes a power is a slope. Knows nothing about models.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from statistics import fmean, linear_regression, median
from typing import NamedTuple

# Of an expression.


class Growth(NamedTuple):
    """By which power of a letter an expression f(L, l, m) grows; nan where there is nothing that could.

    The perceiver's a·lm + b·(L-2)m², a and b > 0, has 1, 1, 2, 0, 2 here whatever a and b are, with L in
    the place of L - 2 too, and a last 1 if it is asked for d. A check reads them off:

        length        1: doubling l, for l far above m.     2: some layer still compares l with l.
        few_latents   1: doubling m, for m far below l.     0: m is missing from the layers that touch l.
        many_latents  2: doubling m, for m far above l.     1: no layer compares m with m.
        layer_length  0: one more layer, doubling l.        1: each layer reads the l inputs.  2: vanilla.
        layer_latents 2: one more layer, doubling m.        1: each layer reads the l inputs.  nan: free.
        width         1: doubling d; None if f has no d.    2: projections and MLPs are counted too.
    """

    length: float
    few_latents: float
    many_latents: float
    layer_length: float
    layer_latents: float
    width: float | None


def growth(f: Callable[..., float]) -> Growth:
    """How an expression f(L, l, m) or f(L, l, m, d) grows, from its values at powers of two."""
    with_width = len(signature(f).parameters) > 3
    few, many = 2**5, 2**25  # so far apart that one term hides all others
    short, long, d = 2**9, 2**10, 2**7

    def cost(length: int, latents: int, width: int = d, n_layer: int = 6) -> float:
        letters = (n_layer, length, latents, width)
        return float(f(*letters) if with_width else f(*letters[:3]))

    def one_more(length: int, latents: int) -> float:
        return cost(length, latents, n_layer=7) - cost(length, latents)

    def power(before: float, doubled: float) -> float:
        return math.log2(doubled / before) if before > 0 and doubled > 0 else math.nan

    return Growth(
        length=power(cost(many, few), cost(2 * many, few)),
        few_latents=power(cost(many, few), cost(many, 2 * few)),
        many_latents=power(cost(few, many), cost(few, 2 * many)),
        layer_length=power(one_more(long, short), one_more(2 * long, short)),
        layer_latents=power(one_more(long, short), one_more(long, 2 * short)),
        width=power(cost(long, short, d), cost(long, short, 2 * d)) if with_width else None,
    )


# Of measurements.

Series = Mapping[float, Sequence[float]]  # at each x, one measurement or more


class Slope(NamedTuple):
    """A slope on log-log axes, and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def slope(series: Series, octaves: float = math.inf) -> Slope:
    """The least-squares slope of log y against log x, with a 95 % interval from Student's t.

    Args:
        series: the measurements at each x: n in all, so n - 2 degrees of freedom.
        octaves: take only those x within so many doublings of the largest.

    The interval takes all scatter about the line as chance, so it also widens where the line bends.

    Raises:
        ValueError: fewer than three measurements, or all at one x.
    """
    points = [
        (math.log(x), math.log(y)) for x, ys in series.items() if x >= max(series) / 2**octaves for y in ys
    ]
    if len(points) < 3 or len({x for x, _ in points}) == 1:
        raise ValueError("a slope with an interval needs three measurements, not all at one x")
    xs, ys = zip(*points, strict=True)
    value, start = linear_regression(xs, ys)
    rest = sum((y - start - value * x) ** 2 for x, y in points)
    spread = sum((x - fmean(xs)) ** 2 for x in xs)
    free = len(points) - 2
    half = t_quantile(free) * math.sqrt(rest / free / spread)
    return Slope(value, value - half, value + half)


def t_quantile(free: int, inside: float = 0.95) -> float:
    """The t for which Student's distribution with `free` degrees of freedom has `inside` within ±t.

    By bisection of the finite series of Abramowitz and Stegun, 26.7.3 and 26.7.4.
    """

    def within(t: float) -> float:
        angle, odd = math.atan(t / math.sqrt(free)), free % 2
        term, total = math.cos(angle) ** odd, 0.0
        for i in range(1 + odd, free, 2):
            total += term
            term *= math.cos(angle) ** 2 * i / (i + 1)
        total *= math.sin(angle)
        return 2 / math.pi * (angle + total) if odd else total

    low, high = 0.0, 1e3
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < inside else (low, middle)
    return high


def crossing(a: Series, b: Series) -> float | None:
    """From which x on, going up, a's median stays under b's: log-log interpolation between their common x.

    The first x where it is under at all of them, None where it is not at the last.
    """
    x = sorted(a.keys() & b.keys())
    ratio = [math.log(median(a[n]) / median(b[n])) for n in x]
    i = max((i for i, r in enumerate(ratio) if r >= 0), default=None)
    if i is None:
        return x[0]
    if i == len(x) - 1:
        return None
    return x[i] * (x[i + 1] / x[i]) ** (ratio[i] / (ratio[i] - ratio[i + 1]))
