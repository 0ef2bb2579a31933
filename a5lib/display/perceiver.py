"""Figures of notebook 09: the bottleneck, its masks, what they hide, how it learns, what it saves.

Letters: T length, M latents, R rows of logits.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch, Rectangle
from matplotlib.ticker import FixedLocator, NullLocator
from torch import Tensor

from a5lib.display.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY
from a5lib.evaluation import wilson_interval

LOOKS = (("-", "o", BLUE), ("--", "s", ORANGE), (":", "D", GREEN), ("-.", "^", PURPLE))
READ, DOWN, UP = "#dcebf5", "#fbe3c8", "#e3f2ec"


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


# The model.


def bottleneck_diagram(n_layer: int = 4) -> Figure:
    """Vanilla above, the perceiver below: a column of cells for each sequence, a box for each layer."""
    figure = Figure(figsize=(8.8, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1)
    blocks = [("block", READ)] * n_layer
    _draw_flow(above, "vanilla", [LONG] * (n_layer + 1), blocks)
    parts = [("down", DOWN), *[("block", READ)] * (n_layer - 2), ("up", UP)]
    _draw_flow(below, "perceiver", [LONG, *[SHORT] * (n_layer - 1), LONG], parts)
    _draw_sources(below, n_layer)
    for axes in (above, below):
        axes.set(xlim=(-0.7, STEP * n_layer + 1.1), ylim=(-5.2, 6.2))
        axes.axis("off")
    return figure


LONG, SHORT, STEP, CELL = 14, 5, 2.0, 0.5


def _draw_flow(axes: Axes, title: str, lengths: Sequence[int], boxes: Sequence[tuple[str, str]]) -> None:
    """Sequences of so many cells, and between them layers with a name and a colour."""
    for i, length in enumerate(lengths):
        x, top = STEP * i, length * CELL / 2
        for cell in range(length):
            colour = SKY if length == LONG else ORANGE
            axes.add_patch(
                Rectangle((x - 0.16, top - (cell + 1) * CELL), 0.32, 0.82 * CELL, facecolor=colour)
            )
        name = "ℓ" if length == LONG else "m"
        axes.text(x, top + 0.25, f"{name} × d", ha="center", va="bottom", fontsize=10)
    for i, (name, colour) in enumerate(boxes):
        left, right = (lengths[j] * CELL / 2 for j in (i, i + 1))
        _funnel(axes, STEP * i + 0.36, left, STEP * (i + 1) - 0.36, right, colour)
        axes.text(STEP * (i + 0.5), 0, name, ha="center", va="center", fontsize=11)
    axes.set_title(title, loc="left", weight="bold")


def _funnel(axes: Axes, x: float, left: float, x_end: float, right: float, colour: str) -> None:
    corners = [(x, -left), (x, left), (x_end, right), (x_end, -right)]
    axes.fill(*zip(*corners, strict=True), facecolor=colour, edgecolor=INK, linewidth=1)


def _draw_sources(axes: Axes, n_layer: int) -> None:
    """Where the queries come from: the basis C into the first layer, the inputs into the last."""
    look = {"arrowstyle": "-|>", "mutation_scale": 12, "color": INK, "linewidth": 1.3}
    box = FancyBboxPatch(
        (0.42, -4.9), 1.75, 0.95, boxstyle="round,pad=0.02,rounding_size=0.15", facecolor=ORANGE, alpha=0.55
    )
    axes.add_patch(box)
    axes.text(1.3, -4.43, "basis C, m × d", ha="center", va="center", fontsize=9.5)
    axes.add_patch(FancyArrowPatch((1.3, -3.9), (1.15, -2.45), **look))
    axes.text(2.35, -4.43, "learned: it asks", va="center", fontsize=9.5)
    end = STEP * (n_layer - 0.5)
    path = FancyArrowPatch((0.1, 3.6), (end, 2.45), connectionstyle="arc3,rad=-0.13", linestyle="--", **look)
    axes.add_patch(path)
    axes.text(STEP * n_layer / 2, 5.5, "the inputs ask again, and are added", ha="center", fontsize=9.5)


# The mask.


def mask_panels(masks: Mapping[str, Tensor], axis_names: Sequence[tuple[str, str]]) -> Figure:
    """Boolean masks (Q, K) side by side, cells of one size: dark where a query may look at a key."""
    widths = [mask.shape[1] for mask in masks.values()]
    tallest = max(len(mask) for mask in masks.values())
    figure = Figure(figsize=(0.21 * sum(widths) + 2.6, 0.21 * tallest + 0.9), layout="constrained")
    panels = figure.subplots(1, len(masks), width_ratios=widths)
    for axes, (name, mask), (queries, keys) in zip(panels, masks.items(), axis_names, strict=True):
        axes.imshow(mask.numpy(), cmap="Blues", vmin=0, vmax=1.3)
        _cell_borders(axes, *mask.shape)
        axes.set(xlabel=keys, ylabel=queries, title=name, anchor="N")
    return figure


def _cell_borders(axes: Axes, rows: int, columns: int) -> None:
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.9)
    axes.grid(which="major", visible=False)
    axes.tick_params(which="minor", length=0)
    axes.set_xticks(range(0, columns, 4))
    axes.set_yticks(range(0, rows, 4))


KINDS = {  # face, hatch, and what it says
    "seen": (BLUE, None, "depends on it"),
    "hidden": ("#fbe3c8", "////", "hidden, though it came before"),
    "future": ("#f6f6f6", None, "comes after"),
    "silent": ("#e2e2e2", "..", "no output here"),
}


def dependence(matrices: Mapping[str, Tensor], horizon: int | None = None) -> Figure:
    """Which inputs each output depends on; what a causal model could see and this one cannot is hatched.

    Args:
        matrices: name to (R, T) truth values; the R rows are the last R of T outputs.
        horizon: the number of latents, drawn as a line before that input.
    """
    figure = Figure(figsize=(3.35 * len(matrices) + 0.2, 4.2), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(matrices)))
    used = set()
    for axes, (name, matrix) in zip(panels, matrices.items(), strict=True):
        used |= _draw_dependence(axes, matrix.numpy())
        axes.set(xlabel="input", ylabel="output", title=name)
        if horizon is not None:
            axes.axvline(horizon - 0.5, color=RED, linestyle="--", linewidth=1.6)
    handles = [
        Patch(facecolor=face, hatch=hatch, edgecolor=GREY, label=label)
        for kind, (face, hatch, label) in KINDS.items()
        if kind in used
    ]
    if horizon is not None:
        from matplotlib.lines import Line2D

        handles.append(Line2D([], [], color=RED, linestyle="--", label=f"horizon: input {horizon}"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles) if len(matrices) > 1 else 2)
    return figure


def _draw_dependence(axes: Axes, matrix: np.ndarray) -> set[str]:
    """Cells of one matrix; returns the kinds that occur."""
    R, T = matrix.shape
    used = set()
    for t in range(T):
        for s in range(T):
            kind = "silent" if t < T - R else "future" if s > t else "hidden"
            if kind != "silent" and matrix[t - (T - R), s]:
                kind = "seen"
            face, hatch, _ = KINDS[kind]
            cell = Rectangle(
                (s - 0.5, t - 0.5), 1, 1, facecolor=face, hatch=hatch, edgecolor="white", linewidth=0.7
            )
            if hatch:
                cell.set_edgecolor("#b0a090" if kind == "hidden" else "#bbbbbb")
            axes.add_patch(cell)
            used.add(kind)
    axes.set(xlim=(-0.5, T - 0.5), ylim=(T - 0.5, -0.5), aspect="equal")
    axes.set_xticks(range(0, T, 4))
    axes.set_yticks(range(0, T, 4))
    axes.grid(visible=False)
    return used


def share_curve(
    latents: Sequence[int], shares: Mapping[str, Sequence[float]], marks: Mapping[str, tuple[int, float]]
) -> Figure:
    """The share of positions past the horizon against m, a line a corpus, and single figures as stars."""
    figure, axes = _panel(7, 3.1)
    for (name, values), (dash, marker, colour) in zip(shares.items(), LOOKS, strict=False):
        percent = [100 * value for value in values]
        axes.plot(latents, percent, dash, marker=marker, markersize=4, color=colour, label=name)
    for name, (m, share) in marks.items():
        axes.plot(m, 100 * share, "*", color=RED, markersize=13, linestyle="none", label=name)
    axes.set(xlabel="latents m", ylabel="positions past m (%)", ylim=(0, 100), xticks=latents)
    axes.set_title("How much of pretraining lies past the horizon")
    axes.legend()
    return figure


# How it learns.


def attention_maps(maps: Mapping[str, Tensor], text: str) -> Figure:
    """Weights (M, T) side by side, white 0 to dark 1 by their roots, so that small ones show."""
    figure = Figure(figsize=(2.9 * len(maps) + 0.8, 3.2), layout="constrained")
    panels = figure.subplots(1, len(maps), sharey=True)
    for axes, (name, weights) in zip(panels, maps.items(), strict=True):
        image = axes.imshow(np.sqrt(weights.numpy()), cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(text)), text.replace(" ", "␣"), family="monospace", fontsize=6.5)
        axes.tick_params(axis="x", length=0, pad=1)
        axes.grid(visible=False)
        axes.set(xlabel="input: what is read", title=name)
    panels[0].set_ylabel("latent: who reads")
    bar = figure.colorbar(image, ax=panels, shrink=0.8, ticks=np.sqrt([0, 0.01, 0.1, 0.5, 1]))
    bar.ax.set_yticklabels(["0", ".01", ".1", ".5", "1"])
    bar.set_label("weight")
    return figure


def start_curves(rows: Sequence[Mapping[str, Any]], names: Mapping[bool, str]) -> Figure:
    """Pretraining losses of perceivers by how they start, and what they answer after finetuning.

    Args:
        rows: of ``figures/start.json``.
        names: what a start is called: `diagonals` to label.
    """
    figure, axes = _panel(7.4, 3.4)
    for (diagonals, name), (dash, _, colour) in zip(names.items(), LOOKS, strict=False):
        runs = [row for row in rows if row["diagonals"] == diagonals]
        if not runs:
            continue
        right = ", ".join(f"{100 * run['correct'] / run['total']:.1f}" for run in runs)
        for i, run in enumerate(runs):
            steps, losses = zip(*((point["step"], point["loss"]) for point in run["curve"]), strict=True)
            label = f"{name}: {right} % right on dev" if i == 0 else None
            axes.plot(steps, losses, dash, color=colour, label=label)
    axes.set(xlabel="step of pretraining", ylabel="loss (nats a character)", ylim=(0, None))
    axes.set_title("A perceiver with two starts")
    axes.legend()
    return figure


def bottleneck_sweep(rows: Sequence[Mapping[str, Any]], baseline: float) -> Figure:
    """Accuracy on dev with 95 % intervals against m; vanilla and a baseline (%) as lines; seeds pooled."""
    figure, axes = _panel(7.4, 3.5)
    marks = ("perceiver", "perceiver_ar")
    for shift, variant, (dash, marker, colour) in zip((0.985, 1.015), marks, LOOKS, strict=False):
        sizes = sorted({row["m"] for row in rows if row["variant"] == variant})
        scores = [_pooled(rows, variant, m) for m in sizes]
        if not sizes:
            continue
        middle, low, high = (np.array(column) for column in zip(*scores, strict=True))
        axes.errorbar(
            np.array(sizes) * shift, middle, (middle - low, high - middle), linestyle=dash, marker=marker,
            color=colour, markersize=6, capsize=3, label=variant,
        )  # fmt: skip
    middle, low, high = _pooled(rows, "vanilla", None)
    axes.axhspan(low, high, color=GREY, alpha=0.25, linewidth=0)
    axes.axhline(middle, color=INK, linewidth=1.2, label="vanilla, and its interval")
    axes.axhline(baseline, color=GREY, linestyle=(0, (1, 2)), label="London")
    axes.set_xscale("log", base=2)
    latents = sorted({row["m"] for row in rows if row["m"]})
    axes.xaxis.set_major_locator(FixedLocator(latents))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(latents, [str(m) for m in latents])
    axes.set(xlabel="latents m", ylabel="correct (%), 95 % interval", ylim=(0, 100))
    axes.set_title("What the number of latents buys")
    figure.legend(loc="outside lower center", ncols=4, fontsize=9)
    return figure


def _pooled(rows: Sequence[Mapping], variant: str, m: int | None) -> tuple[float, float, float]:
    """Accuracy and its interval, in percent, of all seeds of one shape together."""
    here = [row for row in rows if row["variant"] == variant and row["m"] == m]
    correct, total = (sum(row[name] for row in here) for name in ("correct", "total"))
    return 100 * correct / total, *wilson_interval(correct, total)


# What it saves.


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Figure:
    """Words and numbers in columns, the first to the left, the others right; heads of one or two lines."""
    figure, axes = _panel(1.4 + 1.0 * len(heads), 0.3 * len(rows) + 0.85)
    axes.axis("off")
    right = np.linspace(0.08, 1, len(heads))
    right[0] = 0
    for r, row in enumerate([heads, *rows]):
        look = {"va": "center"} if r else {"va": "bottom", "weight": "bold"}
        for c, (text, x) in enumerate(zip(row, right, strict=True)):
            axes.text(x, r or 0.3, text, ha="right" if c else "left", fontsize=10, **look)
    axes.axhline(0.5, color=INK, linewidth=0.8)
    axes.set(xlim=(0, 1), ylim=(len(rows) + 0.5, -1.3))
    return figure


def saved_lines(
    lengths: Sequence[int], shares: Mapping[str, Sequence[float]], at: tuple[int, str] | None = None
) -> Figure:
    """Shares of work saved against length, named in a legend; `at` marks a length."""
    figure, axes = _panel(7.6, 3.9)
    for (name, values), (dash, marker, colour) in zip(shares.items(), LOOKS, strict=False):
        percent = [100 * value for value in values]
        axes.plot(lengths, percent, dash, marker=marker, markersize=4, color=colour, label=name)
    if at is not None:
        axes.axvline(at[0], color=RED, linestyle=(0, (1, 2)), linewidth=1.4)
        axes.text(at[0] * 1.1, 3, at[1], color=RED, va="bottom", fontsize=9)
    axes.set_xscale("log", base=2)
    ticks = lengths[::2]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.set_xticks(ticks, [f"{length:,}" for length in ticks])
    axes.set(xlabel="length ℓ, with m = ℓ/2", ylabel="multiply-adds saved (%)", ylim=(0, 100))
    axes.set_title("Where 75 % is true")
    axes.legend(loc="lower right", fontsize=9)
    return figure
