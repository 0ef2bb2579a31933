"""Figures of notebook 03: keys that are drawn anew each time. Data in, figure out."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from a5lib.display.style import BLUE, GREEN, GREY, INK, ORANGE, RED, SKY

DASHES = ("-", "--", ":", "-.")
MARKS = ("o", "s", "^", "D")


def averaging_map(
    betas: Sequence[float], alphas: Sequence[float], missed: np.ndarray, n: int, flat: float, noisy: float
) -> Figure:
    """How often one head's α_a misses ½ by more than .1, over β and α, with a border for each condition.

    Args:
        missed: (len(alphas), len(betas)), probabilities.
        flat: the β below which the n - 2 other keys keep too much weight.
        noisy: the β√α above which the noise is too strong.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    image = axes.pcolormesh(betas, alphas, missed, cmap="Greys", vmin=0, vmax=1, shading="nearest")
    line = np.linspace(min(betas), max(betas), 200)
    halo = [withStroke(linewidth=4.5, foreground="white")]  # so that the lines show on every grey
    axes.axvline(
        flat, color=RED, linestyle=(0, (4, 1.5)), path_effects=halo, label=f"too flat: left of β = {flat:.2f}"
    )
    label = f"too noisy: above $β\\sqrt{{α}}$ = {noisy:.2f}"
    axes.plot(line, (noisy / line) ** 2, color=BLUE, path_effects=halo, label=label)
    axes.set(yscale="log", xlim=(min(betas), max(betas)), ylim=(min(alphas), max(alphas)))
    axes.set(xlabel="β, the score of a and of b", ylabel="α, the variance of the noise")
    axes.set_title(f"Averaging two of {n} keys works in the light wedge only")
    axes.grid(visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
    figure.colorbar(image, ax=axes, label="P(|$α_a$ - ½| > .1)")
    return figure


def streaks(flat: np.ndarray, solid: np.ndarray) -> Figure:
    """Sampled keys in the plane (n, S, 2) and in space (n, S, 3); the first of the n is stretched."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left = figure.add_subplot(1, 2, 1)
    right = figure.add_subplot(1, 2, 2, projection="3d")
    names = ("$k_a$", "$k_b$", "$k_c$")
    for axes, clouds in ((left, flat), (right, solid)):
        for name, cloud, colour, mark in zip(names, clouds, (BLUE, ORANGE, GREEN), MARKS, strict=False):
            axes.scatter(*cloud.T, s=6, marker=mark, color=colour, alpha=0.5, linewidths=0, label=name)
            tip = cloud.mean(axis=0)
            axes.plot(*np.stack([0 * tip, tip]).T, color=INK, linewidth=1.6)
        axes.set(xlabel="along $μ_a$", ylabel="along $μ_b$", yticks=[0, 1])
    left.set(title="In the plane", aspect="equal")
    right.set(zlabel="along $μ_c$", zticks=[0, 1], xticks=[-1, 0, 1, 2, 3])
    right.set_title("In space", y=0.88)
    right.view_init(elev=20, azim=-55)
    right.set_box_aspect((2.2, 1.2, 1.2), zoom=1.05)
    legend = right.legend(loc="upper right", markerscale=3)
    for handle in legend.legend_handles:
        handle.set_alpha(1)
    return figure


def weight_histograms(
    weights: Mapping[float, np.ndarray], densities: Mapping[float, tuple[np.ndarray, np.ndarray]]
) -> Figure:
    """For each β the histogram of α_a over samples, and its density as a line."""
    figure = Figure(figsize=(9, 2.7), layout="constrained")
    panels = figure.subplots(1, len(weights), sharey=True)
    for axes, (beta, sample) in zip(panels, weights.items(), strict=True):
        axes.hist(
            sample, bins=np.linspace(0, 1, 26), density=True, color=SKY, edgecolor="white", linewidth=0.4
        )
        axes.plot(*densities[beta], color=INK, linewidth=1.4)
        axes.set(title=f"β = {beta:g}", xlabel="weight $α_a$", ylim=(0, 6), xlim=(0, 1))
        axes.set_xticks([0, 0.5, 1], ["0", "½", "1"])
        for side, bar in ((0.06, sample < 0.04), (0.94, sample >= 0.96)):
            if bar.mean() / 0.04 > 6:  # taller than the panel: say how tall
                anchor = "left" if side < 0.5 else "right"
                axes.text(side, 5.6, f"↑ {bar.mean() / 0.04:.0f}", ha=anchor, va="center", fontsize=9)
    panels[0].set_ylabel("density")
    return figure


def variance_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    points: Mapping[str, Sequence[tuple[float, float, float]]],
    limits: Mapping[str, float],
) -> Figure:
    """Variances against β: closed forms as lines, samples as points with ± 2 standard errors, limits dashed.

    Args:
        curves: name to (β, variance).
        points: the same name to (β, variance, standard error) of simulations.
        limits: the same name to the value for β without bound.
    """
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for (name, line), colour, mark in zip(curves.items(), (BLUE, RED, GREEN), MARKS, strict=False):
        axes.plot(*line, color=colour, label=f"{name}, closed form")
        beta, value, error = np.array(points[name]).T
        axes.errorbar(
            beta, value, 2 * error, fmt=mark, color=colour, mfc="white", capsize=3, markersize=5,
            elinewidth=1, label=f"{name}, samples ± 2 s.e.",
        )  # fmt: skip
        axes.axhline(limits[name], color=colour, linestyle="--", linewidth=1)
        axes.annotate(
            f"limit {limits[name]:.3g}", (1, limits[name]), (0, 4), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", fontsize=9,
        )  # fmt: skip
    low = min(min(line[1]) for line in curves.values())
    axes.set(
        xscale="log", yscale="log", xlabel="β", ylabel="variance (moved distance = 1)", ylim=(low / 1.3, 0.5)
    )
    axes.set_title("What is left of the noise")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=len(curves), fontsize=9)
    return figure


def weight_against_norm(
    norms: Sequence[float],
    weights: Mapping[str, Sequence[float]],
    density: Sequence[float],
    marks: Mapping[str, float],
    negative: float,
) -> Figure:
    """α_a against the norm ε for several ways of asking, above ε's density with the share below 0 shaded.

    Args:
        marks: label to an ε that is marked on the axis.
        negative: P(ε < 0).
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    norms, density = np.asarray(norms), np.asarray(density)
    for (name, weight), colour, dash in zip(weights.items(), (BLUE, RED, GREEN), DASHES, strict=False):
        top.plot(norms, weight, dash, color=colour, label=name)
    for label, at in marks.items():
        top.plot([at, at], [0, 1], color=GREY, linewidth=1, zorder=1)
        top.text(at, 1.04, label, ha="center", va="bottom", fontsize=9)
    top.set(ylabel="weight on a", ylim=(-0.03, 1.15), yticks=[0, 0.5, 1], yticklabels=["0", "½", "1"])
    top.legend(loc="lower right")
    bottom.plot(norms, density, color=INK)
    below = norms <= 0
    bottom.fill_between(norms[below], density[below], color=RED, alpha=0.5, hatch="///", linewidth=0)
    bottom.annotate(
        f"{100 * negative:.1f} % of the samples", (-0.25, 0.08), (-0.6, 0.42), ha="center",
        arrowprops={"arrowstyle": "-", "color": GREY},
    )  # fmt: skip
    bottom.set(xlabel="ε, how long the key is this time ($k_a = ε\\,μ_a$)", ylabel="density", ylim=(0, None))
    bottom.set_xlim(norms[0], norms[-1])
    return figure


def output_clouds(panels: Mapping[str, np.ndarray], values: np.ndarray) -> Figure:
    """Outputs c (S, 2) as dots among the values (n, 2) they are mixed of; the first two values are a and b.

    Dots that lie on each other would look like one, so each is moved a little (0.02) at random.
    """
    figure = Figure(figsize=(3.3 * len(panels) + 0.4, 3.7), layout="constrained")
    jitter = np.random.default_rng(0)
    (xa, ya), (xb, yb) = values[:2]
    for axes, (title, outputs) in zip(
        np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
    ):
        moved = outputs + 0.02 * jitter.standard_normal(outputs.shape)
        axes.scatter(*moved.T, s=6, color=BLUE, alpha=0.25, linewidths=0)
        axes.plot(*values[2:].T, "x", color=GREY, markersize=6)
        axes.plot([xa, xb], [ya, yb], "s", mfc="none", color=INK, markersize=11)
        axes.plot(
            (xa + xb) / 2, (ya + yb) / 2, "D", mfc="none", color=RED, markersize=12, markeredgewidth=1.8
        )
        for name, x, y in (("$v_a$", xa, ya), ("$v_b$", xb, yb)):
            axes.annotate(name, (x, y), (0, 9), textcoords="offset points", ha="center")
        axes.annotate("wanted", ((xa + xb) / 2, (ya + yb) / 2), (0, 10), textcoords="offset points",
                      ha="center", color=RED)  # fmt: skip
        axes.set(xlim=(-1.3, 1.3), ylim=(-1.25, 1.1), xticks=[], yticks=[], aspect="equal")
        axes.set_title(title, fontsize=10)
        axes.grid(visible=False)
    return figure


def variance_by_heads(
    heads: Sequence[int], series: Mapping[str, Sequence[tuple[float, float]]], promised: Sequence[float]
) -> Figure:
    """(variance, standard error) against the number of heads, beside what independent errors would give."""
    figure = Figure(figsize=(7, 3.3), layout="constrained")
    axes = figure.subplots()
    axes.plot(heads, promised, color=GREY, linestyle="--", label="falling as 1 / heads")
    for (name, found), colour, mark in zip(series.items(), (RED, BLUE), MARKS, strict=False):
        value, error = np.array(found).T
        axes.errorbar(heads, value, 2 * error, fmt=mark, color=colour, mfc="white", capsize=3, label=name)
    axes.set(xscale="log", yscale="log", xlabel="heads, half of them on a and half on b")
    axes.set(ylabel="variance of the output", title="More heads do not help if they read the same keys")
    axes.set_xticks(heads, [str(h) for h in heads])
    axes.minorticks_off()
    ticks = [
        t for t in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05) if 0.5 * min(promised) < t < 3 * max(promised)
    ]
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.legend()
    return figure


def remedies(rows: Mapping[str, tuple[float, float]]) -> Figure:
    """For each way of asking the variance of the output, and its mean squared distance to ½(v_a + v_b)."""
    figure = Figure(figsize=(8, 0.42 * len(rows) + 1.3), layout="constrained")
    axes = figure.subplots()
    variance, error = np.array(list(rows.values())).T
    places = np.arange(len(rows))
    axes.hlines(places, variance, error, color=GREY, linewidth=1)
    axes.plot(variance, places, "o", color=BLUE, label="variance")
    axes.plot(
        error, places, "D", mfc="white", color=RED, markersize=8, zorder=1.5, label="mean squared error"
    )
    for place, value in zip(places, error, strict=True):
        axes.annotate(
            f"{value:.2g}", (value, place), (9, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set(yticks=places, yticklabels=list(rows), xscale="log", xlim=(variance.min() / 2, error.max() * 4))
    axes.set(xlabel="squared distance ($\\|v_a - v_b\\|^2 = 1$), log scale", title="What mends it")
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    return figure
