"""Figures of notebook 04: attention weights, the block, parameters, dependence, what comes next.

Letters: T length, L layers, H heads, D head size.
"""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import StrMethodFormatter
from torch import Tensor

from a5lib.display.style import BLUE, GREY, INK, ORANGE, SKY


def visible(character: str) -> str:
    """A character as a label: blanks and line breaks get a sign."""
    return {" ": "␣", "\n": "↵"}.get(character, character)


# Attention weights.


def _draw_weights(axes: Axes, weights: Tensor) -> "object":
    """A matrix of weights as squares, white 0 to dark 1; the root of a weight, so that small ones show."""
    image = axes.imshow(np.sqrt(weights.numpy()), cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.spines[:].set_visible(True)
    axes.set(xticks=[], yticks=[])
    return image


def _label_characters(axes: Axes, text: str, size: float) -> None:
    names, places = [visible(character) for character in text], range(len(text))
    axes.set_xticks(places, names, family="monospace", fontsize=size)
    axes.set_yticks(places, names, family="monospace", fontsize=size)
    axes.tick_params(length=0, pad=1)


def attention_map(weights: Tensor, text: str, title: str = "") -> Figure:
    """The weights (T, T) of one head: row t is what the position of character t reads."""
    figure = Figure(figsize=(0.13 * len(text) + 2.6, 0.13 * len(text) + 1.7), layout="constrained")
    axes = figure.subplots()
    image = _draw_weights(axes, weights)
    _label_characters(axes, text, 8)
    axes.set(xlabel="key: what is read", ylabel="query: who reads", title=title)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=np.sqrt([0, 0.01, 0.1, 0.5, 1]))
    bar.ax.set_yticklabels(["0", ".01", ".1", ".5", "1"])
    bar.set_label("weight")
    return figure


def attention_maps(weights: Tensor, text: str) -> Figure:
    """All heads (L, H, T, T) as small multiples, a row for each layer; the text stands below.

    Its characters are at the lowest left panel, too, where they can be read.
    """
    L, H = weights.shape[:2]
    side = min(2.3, 9.6 / H)  # inches
    figure = Figure(figsize=(side * H + 0.4, side * L + 0.4), layout="constrained")
    panels = figure.subplots(L, H, squeeze=False)
    for layer, head in np.ndindex(L, H):
        axes = panels[layer, head]
        _draw_weights(axes, weights[layer, head])
        if head == 0:
            axes.set_ylabel(f"layer {layer}", weight="bold")
        if layer == 0:
            axes.set_title(f"head {head}")
    size = min(7.0, 65 * side / len(text))
    if size >= 6:  # points; smaller is no help
        _label_characters(panels[-1, 0], text, size)
    figure.align_ylabels(panels[:, 0])
    figure.supxlabel(f"key: what is read, in “{text.strip()}”", fontsize=10)
    figure.supylabel("query: who reads", fontsize=10)
    return figure


def head_profile(share: Tensor, even: Tensor, kinds: Sequence[str]) -> Figure:
    """What each head reads: its weight on some kinds of characters, in percent.

    Args:
        share: (L, H, K), the share of a head's weight on each kind.
        even: (K,), the same for a head that reads everything equally; shade is share over even.
    """
    L, H, K = share.shape
    labels = [f"layer {layer}, head {head}" for layer, head in np.ndindex(L, H)]
    rows = np.concatenate([even[None].numpy(), share.reshape(L * H, K).numpy()])
    figure = Figure(figsize=(7.5, 0.25 * len(rows) + 1.2), layout="constrained")
    axes = figure.subplots()
    ratio = np.log2((rows + 1e-3) / (even.numpy() + 1e-3))
    image = axes.imshow(ratio, cmap="PuOr", vmin=-2.5, vmax=2.5, aspect="auto")
    for row, column in np.ndindex(*rows.shape):
        ink = "white" if abs(ratio[row, column]) > 1.6 else INK
        percent = f"{100 * rows[row, column]:.0f}"
        axes.text(column, row, percent, ha="center", va="center", fontsize=8.5, color=ink)
    axes.set_xticks(range(K), [textwrap.fill(kind, 14) for kind in kinds])
    axes.set_yticks(range(len(rows)), ["reading all equally", *labels], fontsize=8.5)
    axes.hlines([H * i + 0.5 for i in range(L)], -0.5, K - 0.5, color=INK, linewidth=1)
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.xaxis.tick_top()
    bar = figure.colorbar(image, ax=axes, ticks=[-2, -1, 0, 1, 2])
    bar.ax.set_yticklabels(["¼ ×", "½ ×", "1 ×", "2 ×", "4 ×"])
    bar.set_label("against reading all equally")
    figure.suptitle("Weight on kinds of characters (%)", fontsize=11, weight="bold", x=0.01, ha="left")
    return figure


def largest_weights(sizes: Sequence[int], curves: Mapping[str, Sequence[float]], n_keys: int) -> Figure:
    """The mean largest of `n_keys` attention weights against the head size, for ways to scale scores."""
    figure = Figure(figsize=(7, 2.9), layout="constrained")
    axes = figure.subplots()
    for (name, values), style in zip(curves.items(), ("o-", "s--", "^:"), strict=False):
        axes.plot(sizes, values, style, markersize=5, label=name)
    axes.axhline(1 / n_keys, color=GREY, linestyle=(0, (1, 2)), label=f"all {n_keys} equal")
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set(xlabel="head size D", ylabel="largest weight (mean)", ylim=(0, 1), title="Why √D")
    axes.legend(loc="upper left", fontsize=9)
    return figure


# The model.


def _box(axes: Axes, x: float, y: float, text: str, colour: str, width: float = 2.3) -> None:
    shape = FancyBboxPatch(
        (x - width / 2, y - 0.3), width, 0.6, boxstyle="round,pad=0.02,rounding_size=0.12",
        facecolor=colour, edgecolor=INK, linewidth=1,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5)


def _arrow(axes: Axes, *points: tuple[float, float], head: bool = True) -> None:
    """A line through the points, with a head at its last one."""
    for start, stop in zip(points[:-2], points[1:-1], strict=True):
        axes.plot(*zip(start, stop, strict=True), color=INK, linewidth=1.2, solid_capstyle="round")
    style = "-|>" if head else "-"
    patch = FancyArrowPatch(
        points[-2], points[-1], arrowstyle=style, mutation_scale=11, color=INK, linewidth=1.2,
        shrinkA=0, shrinkB=0,
    )  # fmt: skip
    axes.add_patch(patch)


def _plus(axes: Axes, x: float, y: float) -> None:
    axes.plot(x, y, "o", markersize=15, markerfacecolor="white", markeredgecolor=INK)
    axes.text(x, y, "+", ha="center", va="center", fontsize=13)


NORM, READ, THINK, TABLE = "#f4f4f4", "#dcebf5", "#fbe3c8", "#e3f2ec"


def gpt_diagram(n_layer: int) -> Figure:
    """The model from ids to logits, and beside it one block with its two branches off the residual stream."""
    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _draw_model(left, n_layer)
    _draw_block(right)
    for axes in (left, right):
        axes.axis("off")
        axes.set_aspect("equal")
    return figure


def _draw_model(axes: Axes, n_layer: int) -> None:
    steps = (
        ("token + position embeddings", TABLE, "ids (B, T)"),
        (f"{n_layer} × block", READ, "(B, T, C)"),
        ("layer norm  ln_f", NORM, "(B, T, C)"),
        ("linear  head", TABLE, "(B, T, C)"),
    )
    for i, (text, colour, shape) in enumerate(steps):
        y = 1.0 + 1.55 * i
        _arrow(axes, (0, y - 1.25), (0, y - 0.32))
        axes.text(0.15, y - 0.8, shape, fontsize=9, color="#555555", va="center")
        _box(axes, 0, y, text, colour, width=3.9)
    top = 1.0 + 1.55 * (len(steps) - 1)
    _arrow(axes, (0, top + 0.3), (0, top + 1.15))
    axes.text(0.15, top + 0.75, "logits (B, T, V)", fontsize=9, color="#555555", va="center")
    axes.set(xlim=(-2.2, 2.4), ylim=(-0.5, top + 1.4), title="the model")


def _draw_block(axes: Axes) -> None:
    """The stream runs up at x = 0; each branch leaves it, is normed, works, and is added."""
    axes.plot([0, 0], [-0.4, 6.6], color=INK, linewidth=2.6)
    _arrow(axes, (0, 6.5), (0, 6.85))
    branches = (
        ("ln1", "attention:\nreads other positions", READ),
        ("ln2", "MLP:\neach position alone", THINK),
    )
    for i, (norm, work, colour) in enumerate(branches):
        y = 0.2 + 3.2 * i
        _arrow(axes, (0, y), (2.2, y), (2.2, y + 0.33))
        _box(axes, 2.2, y + 0.65, f"layer norm  {norm}", NORM, width=2.6)
        _arrow(axes, (2.2, y + 0.97), (2.2, y + 1.33))
        _tall_box(axes, 2.2, y + 1.8, work, colour)
        _arrow(axes, (2.2, y + 2.27), (2.2, y + 2.6), (0.24, y + 2.6))
        _plus(axes, 0, y + 2.6)
    axes.text(-0.2, 1.6, "residual stream\n(B, T, C)", fontsize=9, ha="right", va="center", color="#555555")
    axes.set(xlim=(-2.1, 3.9), ylim=(-0.6, 7.0), title="a block")


def _tall_box(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    shape = FancyBboxPatch(
        (x - 1.4, y - 0.45), 2.8, 0.9, boxstyle="round,pad=0.02,rounding_size=0.12",
        facecolor=colour, edgecolor=INK, linewidth=1,
    )  # fmt: skip
    axes.add_patch(shape)
    axes.text(x, y, text, ha="center", va="center", fontsize=9.5, linespacing=1.25)


def parameter_bars(predicted: Mapping[str, int], counted: Mapping[str, int]) -> Figure:
    """Parameters by part: counted as bars, predicted as marks, on the bars' ends if all is right."""
    figure = Figure(figsize=(7, 0.42 * len(counted) + 1.1), layout="constrained")
    axes = figure.subplots()
    rows = range(len(counted))
    axes.barh(rows, list(counted.values()), color=SKY, height=0.6, label="counted")
    axes.plot([predicted[part] for part in counted], rows, "D", color=INK, markersize=6, label="predicted")
    total, largest = sum(counted.values()), max(counted.values())
    for row, number in enumerate(counted.values()):
        axes.text(
            number + 0.02 * largest,
            row,
            f"{number:,} ({100 * number / total:.1f} %)",
            va="center",
            fontsize=9,
        )
    axes.set(yticks=rows, yticklabels=list(counted), xlabel="parameters", xlim=(0, 1.4 * largest))
    axes.set_title(f"{total:,} parameters")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    return figure


# Causality.


def logit_change(text: str, changes: Sequence[float], changed: int) -> Figure:
    """How far the logits of each position move when one character is replaced."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    colours = [ORANGE if t == changed else BLUE for t in range(len(text))]
    axes.bar(range(len(text)), changes, color=colours, width=0.75)
    axes.axvline(changed - 0.5, color=INK, linestyle="--", linewidth=1)
    axes.text(changed - 0.7, 0.96 * max(changes), "before", ha="right", va="top", fontsize=9)
    axes.text(changed + 0.6, 0.96 * max(changes), "replaced here", ha="left", va="top", fontsize=9)
    axes.set_xticks(range(len(text)), [visible(c) for c in text], family="monospace", fontsize=9)
    axes.set(xlabel="position", ylabel="largest change of a logit", title="What one character moves")
    axes.grid(axis="x", visible=False)
    return figure


def dependence_matrices(matrices: Mapping[str, Tensor]) -> Figure:
    """(T, T) truth values, dark where an output depends on an input."""
    figure = Figure(figsize=(3.3 * len(matrices), 3.4), layout="constrained")
    for axes, (name, matrix) in zip(
        np.atleast_1d(figure.subplots(1, len(matrices))), matrices.items(), strict=True
    ):
        T = len(matrix)
        axes.imshow(matrix.numpy(), cmap="Blues", vmin=0, vmax=1.25)
        axes.set_xticks(np.arange(T + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(T + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=0.8)
        axes.grid(which="major", visible=False)
        axes.tick_params(which="minor", length=0)
        ticks = range(0, T, max(1, T // 5))
        axes.set(xticks=ticks, yticks=ticks)
        axes.set(xlabel="input position s", ylabel="output position t", title=name)
    return figure


# Training and writing.


def learning_figure(points: Sequence[Mapping], references: Mapping[str, float], held_out: float) -> Figure:
    """The loss over the steps of a run, its end on lines held out, and losses to compare with as lines."""
    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    steps = [point["step"] for point in points]
    losses = [point["loss"] for point in points]
    axes.plot(steps, losses, "o-", markersize=3, color=BLUE, label="lines trained on")
    axes.plot(
        steps[-1], held_out, "D", color=ORANGE, markeredgecolor=INK, label=f"lines held out {held_out:.2f}"
    )
    for (name, loss), dash in zip(references.items(), ("--", "-.", ":"), strict=False):
        axes.axhline(loss, color=GREY, linestyle=dash, linewidth=1.4)
        axes.text(steps[-1], loss + 0.06, f"{name} {loss:.2f}", ha="right", va="bottom", fontsize=9)
    axes.set(xlabel="step", ylabel="loss (nats a character)", title="Next-character prediction")
    axes.set_ylim(0, 1.12 * max(*references.values(), *losses))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 0.46), fontsize=9)
    return figure


def next_distribution_bars(names: Sequence[str], plain: Tensor, shaped: Tensor, title: str) -> Figure:
    """The likeliest next characters: as the model has them, and after temperature and top-k."""
    most = plain.topk(min(14, len(plain))).indices.tolist()
    figure = Figure(figsize=(7.5, 2.9), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(most))
    axes.bar(
        places - 0.2,
        plain[most].tolist(),
        width=0.38,
        color="white",
        edgecolor=INK,
        hatch="////",
        label="the model's",
    )
    axes.bar(places + 0.2, shaped[most].tolist(), width=0.38, color=ORANGE, edgecolor=INK, label="drawn from")
    axes.set_xticks(places, [visible(names[i]) for i in most], family="monospace")
    axes.set(xlabel="next character, likeliest first", ylabel="probability", ylim=(0, 1), title=title)
    axes.grid(axis="x", visible=False)
    axes.legend()
    return figure
