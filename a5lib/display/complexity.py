"""Figures of cost: time and memory on log-log axes, and multiply-adds part by part."""

from collections.abc import Mapping
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from a5lib.complexity import Series, slope
from a5lib.display.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY

LOOKS = ((BLUE, "o", "-"), (RED, "s", "--"), (GREEN, "^", ":"), (PURPLE, "D", "-."), (INK, "v", (0, (5, 1))))


def time_against(series: Mapping[str, Series], title: str, x: str = "length ℓ (characters)") -> Figure:
    """Seconds a sequence, several rounds at each x; each line's slope over its last two octaves.

    Args:
        series: label to seconds at each x; a mark is their median, a bar reaches from least to most.
    """
    figure, axes = _log_log(title, x, "time of one sequence")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _seconds(value)))
    _lines(axes, series)
    return figure


def memory_against(series: Mapping[str, Series], title: str, x: str = "length ℓ (characters)") -> Figure:
    """Bytes at the peak, at each x; each line's slope over its last two octaves."""
    figure, axes = _log_log(title, x, "peak memory of one sequence")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _bytes(value)))
    _lines(axes, series)
    return figure


def _log_log(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.6, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel=y, title=title)
    return figure, axes


def _lines(axes: Axes, series: Mapping[str, Series]) -> None:
    for (name, values), (colour, marker, dash) in zip(series.items(), LOOKS, strict=False):
        x, middle = list(values), [median(v) for v in values.values()]
        spread = [[m - min(v), max(v) - m] for m, v in zip(middle, values.values(), strict=True)]
        axes.errorbar(
            x,
            middle,
            list(zip(*spread, strict=True)),
            color=colour,
            marker=marker,
            markersize=5,
            linestyle=dash,
            elinewidth=1,
            capsize=2,
            label=f"{name}\n{_slope_label(values)}",
        )
    ticks = sorted({n for values in series.values() for n in values})
    axes.set_xticks(ticks, [f"{n:,.0f}" for n in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 100 else (1,)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.figure.legend(loc="outside right center", fontsize=9, labelspacing=1.1, handlelength=3.2)


def _slope_label(values: Series) -> str:
    found = slope(values, octaves=2)
    if max(map(len, values.values())) == 1:  # no chance in it: an interval would only say how the line bends
        return f"slope {found.value:.2f}"
    return f"slope {found.value:.2f}  ({found.low:.2f} to {found.high:.2f})"


def _seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= 0.999 * size:
            return f"{value / size:g} {unit}"
    return f"{value / 1e-6:g} µs"


def _bytes(value: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if value >= 0.999 * size:
            return f"{value / size:g} {unit}"
    return f"{value / 1e3:g} kB"


FILLS = ((BLUE, "//"), (SKY, ""), (ORANGE, ".."), (GREY, "xx"))


def where_multiply_adds_go(accounts: Mapping[str, Mapping[str, int]], title: str) -> Figure:
    """One bar a variant, made of its parts, with the total at its end.

    Args:
        accounts: variant to its `a5lib.complexity.multiply_adds`.
    """
    figure = Figure(figsize=(8.6, 0.5 * len(accounts) + 1.5), layout="constrained")
    axes = figure.subplots()
    left = dict.fromkeys(accounts, 0.0)
    for part, (colour, hatch) in zip(next(iter(accounts.values())), FILLS, strict=True):
        widths = [account[part] / 1e6 for account in accounts.values()]
        axes.barh(
            list(accounts),
            widths,
            0.62,
            list(left.values()),
            color=colour,
            hatch=hatch,
            edgecolor="white",
            label=part,
        )
        left = {name: left[name] + width for name, width in zip(accounts, widths, strict=True)}
    for row, total in enumerate(left.values()):
        axes.text(total, row, f"  {total:,.0f}", va="center")
    axes.set(
        xlabel="multiply-adds of one sequence (millions)", title=title, xlim=(0, 1.12 * max(left.values()))
    )
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=4, fontsize=9)
    return figure
