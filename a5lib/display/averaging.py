"""Figures of notebook 02: vectors as boxes, two ways back to v_a, weights, outputs, marks on closed forms."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from a5lib.display.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED

LINES = (("-", "o"), ("--", "s"), (":", "D"), ("-.", "^"))  # dash and marker, so that greyscale works


def vector_strips(rows: Mapping[str, Sequence[float]]) -> Figure:
    """Vectors as rows of boxes with a number in each: blue below zero, orange above; short ones end early."""
    rows = {label: np.asarray(row) for label, row in rows.items()}
    longest, span = max(map(len, rows.values())), max(np.abs(row).max() for row in rows.values())
    figure = Figure(figsize=(0.58 * longest + 1.2, 0.42 * len(rows) + 0.2), layout="constrained")
    axes = figure.subplots()
    for r, row in enumerate(rows.values()):
        for c, number in enumerate(row):
            _number_box(axes, c, r, number, abs(number) / span)
    axes.set(xlim=(0, longest), ylim=(len(rows), 0), xticks=[], yticks=np.arange(len(rows)) + 0.5)
    axes.set_yticklabels(list(rows), fontsize=10)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _number_box(axes: Axes, column: int, row: int, number: float, strength: float) -> None:
    from matplotlib.patches import Rectangle

    colour = ORANGE if number > 0 else BLUE
    place, size = (column + 0.03, row + 0.08), (0.94, 0.84)
    axes.add_patch(Rectangle(place, *size, facecolor=colour, alpha=0.7 * strength, edgecolor="none"))
    text = f"{number:.2f}".replace("-0.00", "0.00").replace("-", "−")
    axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=8)


def two_extractions(v_a: Sequence[float], v_b: Sequence[float], plain: Sequence[float]) -> Figure:
    """The plane of v_a and v_b: from s, the plain projection falls straight, the exact one slides along v_b.

    Args:
        v_a, v_b: points of the plane (2,), v_a along the first axis.
        plain: where the plain projection puts s = v_a + v_b, (2,).
    """
    v_a, v_b, plain = (np.asarray(vector, dtype=float) for vector in (v_a, v_b, plain))
    s = v_a + v_b
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    right, top = max(s[0], plain[0], v_a[0]) + 0.5, max(s[1], 0.3) + 0.45
    axes.plot([-0.2, right], [0, 0], color=GREY, linewidth=1, zorder=1)
    along = v_b / np.linalg.norm(v_b)
    along *= min(top / along[1], right / max(along[0], 1e-9))  # as far as the picture goes
    axes.plot([0, along[0]], [0, along[1]], color=GREY, linewidth=1, zorder=1)
    for tip, colour in ((v_b, GREEN), (s, INK), (v_a, BLUE)):
        axes.annotate("", xy=tip, xytext=(0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2})
    axes.plot(*zip(s, plain, strict=True), "--", color=RED, label="plain: straight down")
    axes.plot(*zip(s, v_a, strict=True), ":", color=PURPLE, linewidth=2.4, label="exact: along the span of B")
    axes.plot(*plain, "X", color=RED, markersize=9)
    axes.plot(*v_a, "o", color=PURPLE, markersize=8)
    for tip, name, shift in ((v_b, "$v_b$", (-14, 4)), (s, "$s$", (8, 2)), (v_a, "$v_a$", (0, -16))):
        axes.annotate(name, tip, xytext=shift, textcoords="offset points", fontsize=12, ha="center")
    turned = {"rotation": np.degrees(np.arctan2(v_b[1], v_b[0])), "rotation_mode": "anchor"}
    side = "bottom" if turned["rotation"] < 45 else "top"  # where the arrows leave room
    axes.text(*(0.97 * along), " span of B ", ha="right", va=side, color=GREY, **turned)
    axes.annotate("span of A", (right, 0), xytext=(0, 4), textcoords="offset points", ha="right", color=GREY)
    axes.set(xlim=(-0.2, right), ylim=(-0.28, top), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.grid(visible=False)
    axes.set_title(f"The plain projection misses $v_a$ by {abs(plain[0] - v_a[0]):.2f}")
    axes.legend(loc="upper left", fontsize=9, bbox_to_anchor=(1.0, 1.0))
    return figure


def marks_on_lines(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    marks: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    labels: tuple[str, str, str],
    log: str = "",
    at: tuple[float, str] | None = None,
) -> Figure:
    """Closed forms as lines, what was measured as marks of the same colour on them.

    Args:
        lines, marks: label to (x, y); a label in both gives line and marks of one colour.
        labels: of the x axis, of the y axis, and the title.
        log: the axes with a logarithmic scale: `x`, `y` or `xy`.
        at: an x to mark, and what to call it.
    """
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    colours = [BLUE, RED, GREEN, PURPLE]
    for (name, (x, y)), (dash, marker), colour in zip(lines.items(), LINES, colours, strict=False):
        axes.plot(np.asarray(x), np.asarray(y), dash, color=colour)
        points = map(np.asarray, marks.get(name, ([], [])))
        axes.plot(
            *points, marker, color=colour, markersize=5, markerfacecolor="white", clip_on=False, zorder=3
        )
        axes.plot([], [], dash, marker=marker, color=colour, markerfacecolor="white", label=name)
    if at is not None:
        axes.axvline(at[0], color=GREY, linewidth=1)
        axes.annotate(at[1], (at[0], 1), xycoords=("data", "axes fraction"), xytext=(4, -10),
                      textcoords="offset points", fontsize=9)  # fmt: skip
    axes.set(xlabel=labels[0], ylabel=labels[1], title=labels[2])
    for axis in log:
        _log_scale(axes, axis)
    if "y" not in log:
        axes.set_ylim(bottom=0)
    if len(lines) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return figure


def _log_scale(axes: Axes, which: str) -> None:
    """A logarithmic axis; one that spans less than three decades has plain numbers at 1, 2 and 5."""
    axes.set(**{f"{which}scale": "log"})
    axis, (low, high) = getattr(axes, f"{which}axis"), getattr(axes, f"get_{which}lim")()
    if high / low < 1000:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter("{:g}".format))
        axis.set_minor_formatter(NullFormatter())


def weight_bars(panels: Mapping[str, Sequence[float]], wanted: Mapping[int, float]) -> Figure:
    """Attention weights as bars, a panel each; the keys asked for are dark, with a dash at the weight wanted.

    Args:
        panels: title to the weights of all keys (n,).
        wanted: number of a key that is asked for, to the weight that it should get.
    """
    figure = Figure(figsize=(max(6.5, 2.2 * len(panels) + 0.4), 2.7), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for axes, (title, weights) in zip(all_axes, panels.items(), strict=True):
        n = len(weights)
        axes.bar(
            range(n),
            np.asarray(weights),
            color=[BLUE if i in wanted else "#c9c9c9" for i in range(n)],
            width=0.8,
        )
        reach = max(0.8, 0.02 * n)
        for key, weight in wanted.items():
            axes.plot([key - reach, key + reach], [weight, weight], color=RED, linewidth=2.2)
        axes.set_title(title, fontsize=10, fontweight="normal")
        axes.set(xlabel="key (dark: asked for)", xticks=[])
        axes.grid(axis="x", visible=False)
    axes.plot([], [], color=RED, linewidth=2.2, label="wanted")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=9, borderaxespad=0)
    highest = max(*wanted.values(), *(max(map(float, weights)) for weights in panels.values()))
    all_axes[0].set(ylabel="weight", ylim=(0, 1.08 * highest))
    return figure


def output_path(
    values: Sequence[Sequence[float]],
    asked: Sequence[int],
    path: Sequence[Sequence[float]],
    betas: Sequence[float],
) -> Figure:
    """Values in the plane (n, 2), and the outputs (len(betas), 2) from the mean of all to the middle."""
    values, path = np.asarray(values), np.asarray(path)
    rest = [i for i in range(len(values)) if i not in asked]
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(*values[rest].T, "o", color=GREY, markersize=7, label="values not asked for")
    axes.plot(*values[asked].T, "s", color=BLUE, markersize=8, label="$v_a$ and $v_b$")
    axes.plot(*values[asked].T, "--", color=BLUE, linewidth=1)
    axes.plot(*values[rest].mean(axis=0), "X", color=ORANGE, markersize=9, label="mean of the others")
    axes.plot(*values[asked].mean(axis=0), "*", color=RED, markersize=15, label="the middle: the target")
    axes.plot(*path.T, "-", color=INK, marker="o", markersize=4, markerfacecolor="white", label="output")
    apart = 0.2 * np.linalg.norm(path[-1] - path[0])  # closer to the end, labels would cover each other
    for place, beta in zip(path[:-1], betas, strict=False):
        if np.linalg.norm(place - path[-1]) > apart:
            axes.annotate(f"β={beta:g}", place, xytext=(6, 5), textcoords="offset points", fontsize=8)
    axes.annotate(f"β={betas[-1]:g}", path[-1], xytext=(9, -12), textcoords="offset points", fontsize=8)
    axes.set(xlabel="first component", ylabel="second component", aspect="equal")
    axes.set_title("The output goes straight from the mean of all to the middle")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=9)
    return figure
