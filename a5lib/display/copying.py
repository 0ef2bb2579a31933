"""Figures of notebook 01: a look-up drawn in the plane, and how its weight and its error follow the gap."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import torch
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter
from torch import Tensor

from a5lib.display.style import BLUE, GREEN, INK, ORANGE, PURPLE, RED, SKY
from a5lib.soft_lookup import attention_weights, gap_needed, look_up, peak_weight

COLOURS, MARKERS = (BLUE, ORANGE, GREEN, PURPLE, SKY), "osD^v"
LEVELS = (0.01, 0.1, 0.5, 0.9, 0.99)  # of the weight, the lines of `weight_map`
SHADES = ("#f7f7f7", "#dfe8ef", "#b9d0e0", "#84add0", "#4a83b8", "#1f4e87")  # light to dark in grey, too


def plane_look_up(keys: Tensor, values: Tensor, query: Tensor) -> Figure:
    """One look-up: keys and query as arrows, weights as bars, the output among the values.

    Args:
        keys: (n, 2), at most 5 of them.
        values: (n, 2).
        query: (2,).
    """
    figure = Figure(figsize=(8.6, 3.1), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.15, 0.8, 1.15])
    _arrows(left, keys, query)
    _weight_bars(middle, attention_weights(keys, query))
    _values(right, keys, values, query)
    return figure


def _arrows(axes, keys: Tensor, query: Tensor) -> None:
    """Keys as they are; of the query the direction, since it may be many times as long."""
    reach = 1.45 * keys.norm(dim=1).max().item()
    for i, (x, y) in enumerate(keys.tolist()):
        _arrow(axes, x, y, COLOURS[i], 1.8)
        axes.text(1.12 * x - 0.2 * y, 1.12 * y + 0.2 * x, f"$k_{i + 1}$", ha="center", va="center")
    length = query.norm().item()
    if length > 0:
        x, y = (query / length * reach * 0.86).tolist()
        axes.plot([0, x], [0, y], color=INK, linestyle=(0, (4, 2)), linewidth=1.2)
        axes.text(1.1 * x, 1.1 * y, "$q$", ha="center", va="center")
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    axes.set_title(f"Keys; a query {length:.3g} long")


def _arrow(axes, x: float, y: float, colour: str, width: float) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (x, y), (0, 0), arrowprops=look)


def _weight_bars(axes, weights: Tensor) -> None:
    n = len(weights)
    bars = axes.bar(range(n), weights.tolist(), color=COLOURS[:n], edgecolor=INK, linewidth=0.6)
    axes.bar_label(bars, [f"{w:.2f}" for w in weights.tolist()], fontsize=8, padding=2)
    axes.set_xticks(range(n), [rf"$\alpha_{i + 1}$" for i in range(n)])
    axes.set(ylim=(0, 1.1), title="Weights")
    axes.grid(axis="x", visible=False)


def _values(axes, keys: Tensor, values: Tensor, query: Tensor) -> None:
    """The values, their convex hull, the output, and its way there as the query grows from nothing."""
    for corners in combinations(values.numpy(), 3):  # the hull is the union of all triangles
        axes.fill(*np.array(corners).T, color="#ececec", linewidth=0)
    middle = values.mean(dim=0)
    for i, (x, y) in enumerate(values.tolist()):
        axes.plot(x, y, MARKERS[i], color=COLOURS[i], markersize=9, markeredgecolor=INK)
        away = (values[i] - middle) / (values[i] - middle).norm() * 0.34
        axes.text(x + away[0].item(), y + away[1].item(), f"$v_{i + 1}$", ha="center", va="center")
    way = torch.stack([look_up(keys, values, t * query) for t in torch.linspace(0, 1, 60).double()])
    axes.plot(*way.T.numpy(), color=INK, linestyle=":", linewidth=1.2)
    axes.plot(*way[0].tolist(), "+", color=INK, markersize=9)
    axes.plot(*way[-1].tolist(), "*", color=RED, markersize=15, markeredgecolor=INK)
    reach = 1.3 * values.abs().max().item()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    axes.set_title("Values, and the output ★")


def draws_and_weights(weights: Sequence[float], counts: Sequence[int]) -> Figure:
    """How often each index was drawn, with two standard errors either way, on the weights as bars."""
    figure = Figure(figsize=(7, 2.7), layout="constrained")
    axes, total, index = figure.subplots(), sum(counts), range(len(weights))
    errors = [2 * math.sqrt(w * (1 - w) / total) for w in weights]
    axes.bar(index, weights, color=SKY, edgecolor=INK, linewidth=0.6, width=0.6, label=r"weight $\alpha_i$")
    axes.errorbar(
        index,
        [count / total for count in counts],
        errors,
        fmt="o",
        color=INK,
        markersize=4,
        capsize=4,
        label=f"share of {total:,} draws, ± 2 standard errors",
    )
    axes.set_xticks(index, [str(i) for i in index])
    axes.set(xlabel="index i", ylabel="share", title="Drawn as often as the weights say")
    axes.grid(axis="x", visible=False)
    axes.set_ylim(0, 1.4 * max(weights))
    axes.legend(ncols=2, loc="upper center")
    return figure


def weight_map(gaps: Sequence[float], sizes: Sequence[int], weights: Tensor) -> Figure:
    """Measured weights over gap and number of keys, with the closed form's lines drawn over them.

    Args:
        weights: (len(sizes), len(gaps)), measured.
    """
    figure = Figure(figsize=(7, 3.9), layout="constrained")
    axes = figure.subplots()
    norm = BoundaryNorm([0, *LEVELS, 1], len(SHADES))
    gaps = [float(gap) for gap in gaps]
    axes.pcolormesh(gaps, sizes, weights.numpy(), cmap=ListedColormap(SHADES), norm=norm, shading="nearest")
    many = np.geomspace(max(sizes[0], 2), sizes[-1], 200)
    for level in LEVELS:
        edge = [gap_needed(level, n) for n in many]
        axes.plot(edge, many, color=ORANGE, linestyle="--", linewidth=1.4)
        axes.annotate(
            f"{100 * level:g} %", (edge[-1], many[-1]), (0, 3), textcoords="offset points", ha="center"
        )
    axes.set(yscale="log", xlim=(gaps[0], gaps[-1]), ylim=(many[0], many[-1]))
    axes.text(0.02, 0.95, "spread over\nall keys", transform=axes.transAxes, va="top")
    axes.text(0.97, 0.07, "one key has it all", transform=axes.transAxes, ha="right", color="white")
    axes.set(xlabel="gap g between the highest score and the others", ylabel="number of keys n")
    axes.set_title("Weight of the key that stands out: measured (shades), predicted (lines)", pad=20)
    axes.grid(visible=False)
    return figure


def error_against_gap(measured: Mapping[int, tuple[Sequence[float], Sequence[float], float]]) -> Figure:
    """How far the output is from the copied value, measured (markers) and by the closed form (lines).

    Args:
        measured: number of keys to (gaps, errors, ‖v_j - mean of the others‖).
    """
    figure = Figure(figsize=(7, 3.3), layout="constrained")
    axes = figure.subplots()
    looks = zip(("-", "--", ":"), "osD", (BLUE, RED, GREEN), strict=True)
    for (n, (gaps, errors, distance)), (dash, marker, colour) in zip(measured.items(), looks, strict=False):
        smooth = np.linspace(min(gaps), max(gaps), 200)
        closed = [(1 - peak_weight(g, n)) * distance for g in smooth]
        axes.plot(smooth, closed, dash, color=colour, linewidth=1.4)
        axes.plot(gaps, errors, marker, color=colour, markersize=4.5, label=f"n = {n:,}")
        axes.plot(math.log(n - 1), distance / 2, "|", color=INK, markersize=16)
    axes.set(yscale="log", xlabel="gap g", ylabel=r"error $\|c - v_j\|$")
    axes.set_title("The copy's error: flat up to g = ln(n − 1) (ticks), then e times less per unit")
    axes.legend()
    return figure


def weight_against_length(betas: Sequence[float], weights: Mapping[str, Sequence[float]]) -> Figure:
    """The weight of key j against β in q = β k_j, for kinds of keys."""
    figure = Figure(figsize=(7, 3.0), layout="constrained")
    axes = figure.subplots()
    looks = zip(("-", "--", ":", "-."), (BLUE, ORANGE, GREEN, RED), strict=True)
    for (label, line), (dash, colour) in zip(weights.items(), looks, strict=False):
        axes.plot(betas, line, dash, color=colour, label=label)
    axes.set(xlabel=r"β in q = β k$_j$", ylabel="weight of key j (%)", ylim=(-0.02, 1.04))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=""))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_title("A longer query helps only the key that stands out")
    axes.legend(loc="center right")
    return figure
