"""Figures of notebook 11: a synthesizer's scores, rotary positions, all variants, phrasings, and the recap.

Letters: T length, D head size.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from a5lib.complexity.exponents import t_quantile
from a5lib.display.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED
from a5lib.evaluation import wilson_interval

LOOKS = ((BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, ":", "D"), (RED, "-.", "^"), (PURPLE, "-", "v"))
Row = Mapping[str, Any]


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def weight_bars(weights: Mapping[str, Sequence[Sequence[float]]], texts: Sequence[str]) -> Figure:
    """What the last position reads in two texts of one length: a panel a layer, a colour for each text."""
    figure = Figure(figsize=(8.4, 1.9 * len(weights) + 0.4), layout="constrained")
    panels = np.atleast_1d(figure.subplots(len(weights), 1, sharex=True))
    for axes, (name, rows) in zip(panels, weights.items(), strict=True):
        for i, (row, text, colour) in enumerate(zip(rows, texts, (BLUE, ORANGE), strict=True)):
            x = np.arange(len(row)) + (i - 0.5) * 0.38
            axes.bar(x, row, width=0.38, color=colour, label=text, hatch="//" * i, edgecolor="white")
        axes.set(title=name, ylabel="weight")
        axes.grid(axis="x", visible=False)
    labels = [a if a == b else f"{a}\n{b}" for a, b in zip(*texts, strict=True)]
    panels[-1].set_xticks(range(len(labels)), labels, family="monospace")
    panels[-1].set_xlabel("the character at each position; where there are two, the second text's below")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8.5)
    return figure


def lookup_curves(curves: Mapping[str, Sequence[float]], every: int, chance: float) -> Figure:
    """Accuracy (%) on fresh batches while learning to look up, one line a layer; `chance` (%) dashed."""
    figure, axes = _panel(7, 3.1)
    for (name, values), (colour, dash, _) in zip(curves.items(), LOOKS, strict=False):
        axes.plot(every * np.arange(1, len(values) + 1), values, dash, color=colour, label=name)
    label = f"guessing one of the values: {chance:.0f} %"
    axes.axhline(chance, color=GREY, linestyle=(0, (1, 2)), label=label)
    axes.set(xlabel="step", ylabel="looked up right (%)", ylim=(0, 104), title="Look-up with one layer")
    axes.legend(fontsize=9, loc="center right")
    return figure


def rotation_arrows(turned: np.ndarray, angles: np.ndarray) -> Figure:
    """The pairs of one vector at positions 0 to T-1, (T, D/2, 2): a panel a pair, an arrow a position."""
    T, pairs, _ = turned.shape
    figure = Figure(figsize=(2.5 * pairs, 2.9), layout="constrained")
    for i, axes in enumerate(np.atleast_1d(figure.subplots(1, pairs))):
        size = 1.15 * np.abs(turned[:, i]).max() * 2**0.5
        for t in range(T):
            shade = 0.25 + 0.75 * t / max(1, T - 1)
            look = {"color": BLUE, "alpha": shade, "linewidth": 1.6}
            axes.annotate("", turned[t, i], (0, 0), arrowprops={"arrowstyle": "-|>", **look})
            if angles[T - 1, i] > 0.6:  # else the arrows are too close to be told apart
                axes.annotate(str(t), turned[t, i] * 1.14, fontsize=8, ha="center", va="center", color=INK)
        if angles[T - 1, i] <= 0.6:
            axes.annotate(f"0 to {T - 1}", turned[0, i] * 1.25, fontsize=8, ha="center", va="center")
        axes.set(xlim=(-size, size), ylim=(-size, size), aspect="equal", xticks=[], yticks=[])
        axes.set_title(f"pair {i}: {angles[1, i]:.3g} rad a step", fontsize=9.5)
        axes.axhline(0, color=GREY, linewidth=0.6)
        axes.axvline(0, color=GREY, linewidth=0.6)
        axes.set_xlabel(f"number {2 * i}")
        axes.set_ylabel(f"number {2 * i + 1}")
    return figure


def score_matrices(matrices: Mapping[str, np.ndarray]) -> Figure:
    """Scores of one query with one key, for all pairs of positions, side by side."""
    figure = Figure(figsize=(4.0 * len(matrices), 3.5), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(matrices)))
    for axes, (name, scores) in zip(panels, matrices.items(), strict=True):
        limit = np.abs(scores).max()
        image = axes.imshow(scores, cmap="PuOr", vmin=-limit, vmax=limit)
        axes.set(xlabel="where the key stands", ylabel="where the query stands", title=name)
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes, label="score", shrink=0.85)
    return figure


# From the experiments.


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean of a few runs, and how far its 95 % interval reaches (Student's t); nan for a single run."""
    mean, n = float(np.mean(values)), len(values)
    return mean, t_quantile(n - 1) * float(np.std(values, ddof=1)) / n**0.5 if n > 1 else float("nan")


def accuracies(rows: Sequence[Row], **wanted: Any) -> list[float]:
    """The accuracies (%) of the runs with these fields, one a seed."""
    return [100 * r["correct"] / r["total"] for r in rows if all(r[k] == v for k, v in wanted.items())]


def variant_scores(rows: Sequence[Row], baseline: float) -> Figure:
    """A dot for each run of each variant; bars: the mean with its interval over seeds. `baseline` is in %."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    figure, axes = _panel(7.4, 0.52 * len(names) + 1.2)
    for i, name in enumerate(names):
        runs = accuracies(rows, variant=name)
        mean, reach = mean_interval(runs)
        if reach == reach:
            low, high = max(0.0, mean - reach), min(100.0, mean + reach)
            axes.plot([low, high], [i, i], color=GREY, linewidth=7, alpha=0.45, solid_capstyle="butt")
        axes.plot([mean] * 2, [i - 0.3, i + 0.3], color=INK, linewidth=2)
        axes.scatter(runs, [i] * len(runs), s=34, color=BLUE, zorder=3, edgecolor="white")
        spread = f" ± {reach:.1f}" if reach == reach else ""
        axes.text(101, i, f"{mean:.1f}{spread}", va="center", fontsize=9)
    label = f"always London: {baseline:.1f} %"
    axes.axvline(baseline, color=RED, linestyle="--", linewidth=1.2, label=label)
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 118), xticks=range(0, 101, 20))
    axes.set(xlabel="correct on dev (%): a dot for each seed, mean and 95 % interval", title="The variants")
    axes.invert_yaxis()
    figure.legend(fontsize=8, loc="outside upper right")
    return figure


def whole_curves(rows: Sequence[Row]) -> dict[str, Sequence[Row]]:
    """The training curves of the first seed with vanilla and most others, uninterrupted runs only."""
    by_seed: dict[int, dict[str, Sequence[Row]]] = {}
    for row in rows:
        curve = row.get("curve", [])
        if curve and curve[0]["step"] < curve[-1]["step"] / 20:
            by_seed.setdefault(row["seed"], {})[row["variant"]] = curve
    with_vanilla = [curves for curves in by_seed.values() if "vanilla" in curves]
    return max(with_vanilla, key=len, default={})


def variant_curves(curves: Mapping[str, Sequence[Row]], bins: int = 20) -> Figure:
    """Losses less vanilla's in the same stretch of training, the mean of each of `bins` stretches."""
    end = max(p["step"] for p in curves["vanilla"])
    edges = np.linspace(0, end, bins + 1)

    def means(curve: Sequence[Row]) -> np.ndarray:
        which = np.clip(np.digitize([p["step"] for p in curve], edges) - 1, 0, bins - 1)
        losses = np.array([p["loss"] for p in curve])
        return np.array([losses[which == b].mean() if (which == b).any() else np.nan for b in range(bins)])

    figure, axes = _panel(7.4, 3.2)
    axes.axhline(0, color=INK, linewidth=1.2, label="vanilla")
    others = ((name, curve) for name, curve in curves.items() if name != "vanilla")
    for (name, curve), (colour, dash, marker) in zip(others, LOOKS, strict=False):
        behind = means(curve) - means(curves["vanilla"])
        x = (edges[1:] + edges[:-1]) / 2
        axes.plot(x, behind, dash, color=colour, marker=marker, markersize=3, label=name)
    axes.set(xlabel="step of pretraining", ylabel="loss less vanilla's\n(nats a character)")
    axes.set_title("Who is ahead (below 0), and when")
    axes.legend(fontsize=8)
    return figure


def recall_figure(rows: Sequence[Row]) -> Figure:
    """For each variant where the name stands, and how often the place is found: means over its seeds."""
    names = list(dict.fromkeys(row["variant"] for row in rows))
    sentences = list(rows[0]["recall"])
    figure, axes = _panel(7.4, 0.48 * len(names) + 1.5)
    labels = [f"“{s.format(name='NAME').strip()} …”, before finetuning" for s in sentences]
    found = [[np.mean([r["recall"][s] for r in rows if r["variant"] == v]) for v in names] for s in sentences]
    labels.append("the question, after finetuning")
    found.append([mean_interval(accuracies(rows, variant=v))[0] for v in names])
    for i in range(len(names)):
        line = [shares[i] for shares in found]
        axes.plot([min(line), max(line)], [i, i], color=GREY, linewidth=1.5, zorder=1)
    for label, shares, (colour, _, marker) in zip(labels, found, LOOKS, strict=False):
        axes.scatter(shares, range(len(names)), s=44, color=colour, marker=marker, label=label, zorder=2)
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 101), xlabel="right (%)")
    axes.set(ylim=(len(names) - 0.5, -0.5), title="Stored, and found where the name stands elsewhere")
    figure.legend(loc="outside lower center", fontsize=8.5, ncols=1)
    return figure


def phrasing_figure(rows: Sequence[Row], baseline: float) -> Figure:
    """Accuracy against phrasings at equal exposures: a dot a seed, Wilson's interval of all together."""
    figure, axes = _panel(7, 3.2)
    counts = sorted({row["phrasings"] for row in rows})
    means = []
    for n in counts:
        runs = [row for row in rows if row["phrasings"] == n]
        right, asked = sum(r["correct"] for r in runs), sum(r["total"] for r in runs)
        low, high = wilson_interval(right, asked)
        means.append(100 * right / asked)
        axes.plot([n, n], [low, high], color=INK, linewidth=1.2, marker="_")
        axes.scatter([n] * len(runs), accuracies(runs), s=34, color=BLUE, zorder=3, edgecolor="white")
    axes.plot(counts, means, color=BLUE, linewidth=1.4, linestyle="--")
    axes.axhline(baseline, color=RED, linestyle="--", linewidth=1.2, label="always London")
    axes.set_xscale("log", base=2)
    axes.set_xticks(counts, [str(n) for n in counts])
    axes.set(xlabel="different sentences about each person", ylabel="correct on dev (%)", ylim=(0, 100))
    axes.set_title(f"Each fact read {rows[0]['exposures']:.0f} times")
    axes.legend(fontsize=8)
    return figure


def recap_table(predictions: Mapping[str, Row]) -> Figure:
    """Predictions beside what came out, notebook by notebook; a full dot before those that were made."""
    items = sorted(predictions.items(), key=lambda item: item[0][:2])  # and as they came within a notebook
    figure, axes = _panel(9.4, 0.22 * len(items) + 0.7)
    axes.axis("off")
    heads = ("notebook and question", "you predicted", "came out")
    columns = (0.03, 0.4, 0.7)
    for x, head in zip(columns, heads, strict=True):
        axes.text(x, -0.9, head, weight="bold", fontsize=9, va="center")
    for r, (name, row) in enumerate(items):
        made = row["predicted"] is not None
        cells = (name, _said(row, "predicted"), _said(row, "measured"))
        axes.text(0.0, r, "●" if made else "○", fontsize=8, va="center", color=BLUE if made else GREY)
        for x, text in zip(columns, cells, strict=True):
            colour = GREY if x == columns[1] and not made else INK
            axes.text(x, r, text, fontsize=8.5, va="center", color=colour)
    axes.set(xlim=(0, 1), ylim=(len(items) - 0.4, -1.6))
    return figure


def _said(row: Row, which: str) -> str:
    value = row[which]
    if value is None:
        return "no prediction"
    if isinstance(value, int | float):
        return f"{value:.4g} {row['unit']}".strip()
    text = row.get("choices", {}).get(value, str(value))
    return text if len(text) <= 44 else text[:43] + "…"
