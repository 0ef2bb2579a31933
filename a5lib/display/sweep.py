"""The figure of a sweep: scores by variant, a mark for each seed."""

import statistics
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from a5lib.display.style import BLUE, GREY, INK


def seeds_figure(scores: Mapping[str, Sequence[float]], london: float) -> Figure:
    """Percent correct by variant: a mark for each seed, a bar at their mean, London as a dashed line.

    Args:
        scores: percent, one for each seed, by variant.
        london: percent of the London baseline on the same questions.
    """
    figure = Figure(figsize=(7, 0.5 * len(scores) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.axvline(london, color=GREY, linestyle="--", linewidth=1)
    axes.text(london + 0.7, -0.55, f"always London: {london:.1f} %", color=INK, fontsize=9, va="center")
    for row, values in enumerate(scores.values()):
        axes.scatter(values, [row] * len(values), s=45, facecolors="none", edgecolors=BLUE, linewidths=1.5)
        axes.plot([statistics.mean(values)] * 2, [row - 0.25, row + 0.25], color=INK)
    axes.set(yticks=range(len(scores)), yticklabels=list(scores), ylim=(len(scores) - 0.4, -0.9))
    axes.set(xlim=(0, 100), xlabel="correct on dev (%): a ring for each seed, a bar at their mean")
    axes.set_title("Variants and seeds")
    axes.grid(axis="y", visible=False)
    return figure
