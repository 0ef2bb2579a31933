"""The series' figures: each takes data and returns a matplotlib figure."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from a5lib.display.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY
from a5lib.evaluation import Evaluation, wilson_interval
from a5lib.vocab import MASK, PAD


def _new(width: float = 7.0, height: float = 3.2) -> tuple[Figure, "object"]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def place_counts(places: Sequence[str], most: int = 15) -> Figure:
    """How often the most frequent answers occur, as bars in percent."""
    counts = Counter(places).most_common(most)
    figure, axes = _new(7, 0.22 * len(counts) + 0.9)
    shares = [100 * n / len(places) for _, n in counts]
    colours = [RED, *[BLUE] * (len(counts) - 1)]
    bars = axes.barh([place for place, _ in counts], shares, color=colours, height=0.72)
    axes.bar_label(bars, [f"{share:.1f}" for share in shares], padding=3, fontsize=9)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set(xlabel=f"share of {len(places):,} answers (%)", title="Where people were born")
    return figure


COLOURS = {"prefix": "#dcebf5", "suffix": "#e3f2ec", "span": "#fbe3c8", "mask": "#555555", "pad": "#f4f4f4"}


def character_strip(rows: Mapping[str, str], kinds: Mapping[str, Sequence[str]]) -> Figure:
    """Strings as rows of coloured boxes, one a character.

    Args:
        rows: label to string.
        kinds: label to one of `prefix`, `suffix`, `span`, `mask`, `pad` for each character.
    """
    longest = max(len(row) for row in rows.values())
    figure = Figure(figsize=(9.5, 0.42 * len(rows) + 0.5), layout="constrained")
    axes = figure.subplots()
    for r, (label, row) in enumerate(rows.items()):
        for c, (character, kind) in enumerate(zip(row, kinds[label], strict=True)):
            axes.add_patch(_box(c, r, COLOURS[kind]))
            ink = "white" if kind == "mask" else GREY if kind == "pad" else INK
            axes.text(
                c + 0.5,
                r + 0.5,
                character,
                ha="center",
                va="center",
                color=ink,
                fontsize=7.5,
                family="monospace",
            )
    axes.set(xlim=(0, longest), ylim=(len(rows), 0), xticks=[], yticks=np.arange(len(rows)) + 0.5)
    axes.set_yticklabels(list(rows), fontsize=9)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return figure


def _box(x: float, y: float, colour: str):
    from matplotlib.patches import Rectangle

    return Rectangle((x + 0.04, y + 0.08), 0.92, 0.84, facecolor=colour, edgecolor="none")


def corruption_figure(document: str, row: str) -> Figure:
    """A document above its corruption; each piece keeps its colour as it moves."""
    prefix, suffix, span = row.rstrip(PAD).split(MASK)
    kept = len(prefix) + len(span) + len(suffix)
    before = (
        ["prefix"] * len(prefix)
        + ["span"] * len(span)
        + ["suffix"] * len(suffix)
        + ["pad"] * (len(document) - kept)
    )
    after = ["prefix"] * len(prefix) + ["mask"] + ["suffix"] * len(suffix) + ["mask"] + ["span"] * len(span)
    shown = row.rstrip(PAD) + PAD * 3
    after += ["pad"] * 3
    return character_strip(
        {"document": document, "corrupted": shown}, {"document": before, "corrupted": after}
    )


def pair_figure(x: str, y: str) -> Figure:
    """The input and target of one item, boxes in the colours of what the loss looks at."""
    kinds_x = ["mask" if c == MASK else "pad" if c == PAD else "prefix" for c in x]
    kinds_y = ["mask" if c == MASK else "pad" if c == PAD else "span" for c in y]
    return character_strip({"x": x, "y": y}, {"x": kinds_x, "y": kinds_y})


def histogram(values: Sequence[float], xlabel: str, title: str, expected: float | None = None) -> Figure:
    """Whole numbers as bars, with an expected mean marked if given."""
    figure, axes = _new(7, 2.6)
    low, high = min(values), max(values)
    axes.hist(values, bins=np.arange(low, high + 2) - 0.5, color=SKY, edgecolor="white", linewidth=0.4)
    if expected is not None:
        axes.axvline(expected, color=RED, linestyle="--", label=f"expected mean {expected:.2f}")
        axes.axvline(
            float(np.mean(values)), color=INK, linestyle=":", label=f"measured mean {np.mean(values):.2f}"
        )
        axes.legend(loc="upper center", ncols=2)
    axes.margins(y=0.25)
    axes.set(xlabel=xlabel, ylabel="draws", title=title)
    return figure


def accuracy_bars(
    evaluations: Mapping[str, Evaluation], title: str = "Accuracy on people held out", baseline: str = ""
) -> Figure:
    """Accuracies with their 95 % intervals; the one named `baseline` also as a dashed line."""
    figure, axes = _new(7, 0.45 * len(evaluations) + 1.1)
    for row, (name, evaluation) in enumerate(evaluations.items()):
        low, high = wilson_interval(evaluation.correct, evaluation.total)
        colour = GREY if name == baseline else BLUE
        axes.barh(row, evaluation.accuracy, color=colour, height=0.6)
        axes.plot([low, high], [row, row], color=INK, linewidth=1.2, marker="|")
        axes.text(max(high, evaluation.accuracy) + 1.5, row, f"{evaluation.accuracy:.1f} %", va="center")
    if baseline:
        axes.axvline(evaluations[baseline].accuracy, color=GREY, linestyle="--", linewidth=1)
    axes.set(
        yticks=range(len(evaluations)),
        yticklabels=list(evaluations),
        xlabel="correct (%), with 95 % interval",
    )
    axes.set(xlim=(0, 112), xticks=range(0, 101, 20), title=title)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    return figure


def loss_curve(
    histories: Mapping[str, Sequence[Mapping]], x: str = "step", title: str = "Training loss"
) -> Figure:
    """Loss against steps, tokens or seconds, for one or several training histories."""
    figure, axes = _new()
    for (name, points), dash in zip(histories.items(), ("-", "--", ":", "-."), strict=False):
        axes.plot([p[x] for p in points], [p["loss"] for p in points], dash, label=name)
    labels = {"step": "step", "tokens": "characters trained on", "seconds": "seconds"}
    axes.set(xlabel=labels[x], ylabel="loss (nats a character)", title=title, ylim=(0, None))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    if len(histories) > 1:
        axes.legend()
    return figure


def rate_schedules(schedules: Mapping[str, tuple[Sequence[float], Sequence[float]]], xlabel: str) -> Figure:
    """Learning-rate factors over a run: label to (x, factor)."""
    figure, axes = _new(7, 2.8)
    for (name, (x, factor)), dash in zip(schedules.items(), ("-", "--", ":"), strict=False):
        axes.plot(x, factor, dash, label=name)
    axes.set(xlabel=xlabel, ylabel="share of the highest rate", ylim=(0, 1.08), title="Learning rate")
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.legend()
    return figure


def padding_figure(lengths: Mapping[str, Sequence[int]], batch_size: int) -> Figure:
    """Rows of a run in their order, as wide as they are, and the padding to the widest row of each batch."""
    figure = Figure(figsize=(8, 3.0), layout="constrained")
    for axes, (name, rows) in zip(
        np.atleast_1d(figure.subplots(1, len(lengths), sharey=True)), lengths.items(), strict=True
    ):
        widest = [max(rows[i - i % batch_size : i - i % batch_size + batch_size]) for i in range(len(rows))]
        axes.bar(range(len(rows)), widest, width=1.0, color=ORANGE, label="padding")
        axes.bar(range(len(rows)), rows, width=1.0, color=BLUE, label="text")
        wasted = 1 - sum(rows) / sum(widest)
        axes.set(xlabel="row", title=f"{name}: {100 * wasted:.0f} % padding")
        axes.grid(axis="x", visible=False)
    figure.axes[0].set_ylabel("characters")
    figure.axes[-1].legend(loc="upper left", fontsize=8)
    return figure


def kept_places(ends: Sequence[int], share_kept: Mapping[str, Sequence[float]]) -> Figure:
    """The probability that a truncation keeps a place, against where it ends, for ways to draw lengths."""
    figure, axes = _new(7, 2.8)
    for (name, share), dash in zip(share_kept.items(), ("-", "--", ":"), strict=False):
        axes.plot(ends, [100 * s for s in share], dash, label=name)
    axes.set(
        xlabel="the place ends at character", ylabel="kept (%)", ylim=(0, 104), title="What truncation keeps"
    )
    axes.legend()
    return figure


def accuracy_by_pass(passes: Mapping[str, Sequence[float]], recipe: float) -> Figure:
    """Accuracies (%) after each pass over the training questions, and the recipe's own on dev as a line."""
    figure, axes = _new(7, 2.8)
    for (name, accuracies), style in zip(passes.items(), ("o--", "s-"), strict=True):
        axes.plot(range(1, len(accuracies) + 1), accuracies, style, markersize=4, label=name)
    axes.axhline(recipe, color=GREY, linestyle=":", label="dev, by the recipe")
    axes.set(
        xlabel="passes over the questions",
        ylabel="correct (%)",
        ylim=(0, 104),
        title="High rates and no replay",
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="center right")
    return figure


def answer_table(evaluation: Evaluation, most: int = 12) -> Figure:
    """Some questions with the true and the predicted place; right answers marked by more than colour."""
    rows = list(zip(evaluation.questions, evaluation.predictions, strict=True))[:most]
    figure = Figure(figsize=(7.5, 0.27 * len(rows) + 0.45), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    for column, heading in ((0.0, "question"), (0.5, "true place"), (0.72, "the model says")):
        axes.text(column, -0.9, heading, weight="bold", fontsize=9, va="center")
    for r, (question, prediction) in enumerate(rows):
        right = question.place == prediction
        axes.text(0.0, r, question.text, fontsize=9, va="center")
        axes.text(0.5, r, question.place, fontsize=9, va="center")
        mark, colour = ("✓", GREEN) if right else ("✗", RED)
        axes.text(0.72, r, f"{mark} {prediction}", fontsize=9, va="center", color=colour)
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -1.6))
    return figure


def next_characters(steps: Sequence[tuple[str, Mapping[str, float]]], title: str) -> Figure:
    """For each decoded character, the likeliest candidates and their probabilities."""
    figure = Figure(figsize=(min(10.0, 1.05 * len(steps) + 0.6), 2.3), layout="constrained")
    all_axes = np.atleast_1d(figure.subplots(1, len(steps), sharey=True))
    for axes, (chosen, candidates) in zip(all_axes, steps, strict=True):
        names = [_visible(c) for c in candidates]
        colours = [PURPLE if c == chosen else GREY for c in candidates]
        axes.bar(range(len(names)), list(candidates.values()), color=colours)
        axes.set_xticks(range(len(names)), names, family="monospace", fontsize=8)
        axes.set(title=_visible(chosen), ylim=(0, 1))
        axes.title.set_ha("center")
        axes.grid(axis="x", visible=False)
    all_axes[0].set_ylabel("probability")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    return figure


def _visible(character: str) -> str:
    return "␣" if character == " " else character
