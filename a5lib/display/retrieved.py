"""Figures and the game of notebook 10: what was retrieved, what was made up, and whether one can tell."""

import html
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from a5lib.corpus import Question
from a5lib.display.style import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, SKY
from a5lib.evaluation import wilson_interval

LOOKS = ((BLUE, "-", "o"), (ORANGE, "--", "s"), (GREEN, ":", "D"), (RED, "-.", "^"), (PURPLE, "-", "v"))


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def group_bars(groups: Mapping[str, tuple[int, int]], prior: float, title: str) -> Figure:
    """Accuracies of groups, (right, asked) each, with 95 % intervals; `prior` (%) as a dashed line."""
    figure, axes = _panel(7.5, 0.4 * len(groups) + 1.1)
    for row, (right, asked) in enumerate(groups.values()):
        low, high = wilson_interval(right, asked)
        axes.barh(row, 100 * right / asked, color=BLUE, height=0.6)
        axes.plot([low, high], [row, row], color=INK, linewidth=1.2, marker="|")
        label = f"{100 * right / asked:.1f} %  ({low:.0f} to {high:.0f})"
        axes.text(max(high, prior) + 1.5, row, label, va="center", fontsize=9)
    axes.axvline(prior, color=RED, linestyle="--", linewidth=1.2, label=f"always London: {prior:.1f} %")
    names = [f"{name}, n = {asked}" for name, (_, asked) in groups.items()]
    axes.set(yticks=range(len(groups)), yticklabels=names, xlim=(0, 128), xticks=range(0, 101, 20))
    axes.set(xlabel="correct (%), with 95 % interval", title=title)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper right", fontsize=8)
    return figure


def exposure_lines(rows: Sequence[Mapping], prior: float) -> Figure:
    """Accuracy against how often a fact was read, one line for each number of phrasings; seeds are pooled."""
    figure, axes = _panel(7, 3.4)
    kinds = sorted({r["phrasings"] for r in rows})
    for i, (phrasings, (colour, dash, marker)) in enumerate(zip(kinds, LOOKS, strict=False)):
        here = [r for r in rows if r["phrasings"] == phrasings and not r["city_first"]]
        x = sorted({r["exposures"] for r in here})
        shares, errors = _pooled([[r for r in here if r["exposures"] == e] for e in x])
        x_drawn = [e * 1.03 ** (i - 1.5) for e in x]  # a little apart, for the intervals to be seen
        label = f"{phrasings} phrasing{'s' * (phrasings > 1)}"
        axes.errorbar(x_drawn, shares, yerr=errors, color=colour, linestyle=dash, marker=marker, capsize=3,
                      markersize=5, label=label)  # fmt: skip
    axes.axhline(prior, color=GREY, linestyle="--", linewidth=1.2, label="always London")
    axes.set_xscale("log", base=2)
    ticks = sorted({r["exposures"] for r in rows})
    axes.set_xticks(ticks, [f"{t:.0f}" for t in ticks])
    axes.set(xlabel="how often a line about the person was read", ylabel="correct (%)", ylim=(0, 100))
    axes.set(title="One model, people told in different ways")
    axes.legend(fontsize=8, loc="upper left")
    return figure


def _pooled(groups: Sequence[Sequence[Mapping]]) -> tuple[list[float], np.ndarray]:
    """Percent right in each group of rows, and how far its 95 % interval goes down and up."""
    sums = [(sum(r["correct"] for r in rows), sum(r["total"] for r in rows)) for rows in groups]
    shares = [100 * right / asked for right, asked in sums]
    bounds = np.array([wilson_interval(*s) for s in sums]).T
    return shares, np.abs(bounds - np.array(shares))


# The game.


class Card(NamedTuple):
    """A question and the model's answer; `kind` says what the corpus knows."""

    question: str
    answer: str
    kind: str

    @property
    def retrieved(self) -> bool:
        return self.kind == RETRIEVED


RETRIEVED, CONFUSED, INVENTED = "retrieved", "made up: a line tells another place", "made up: in no line"


def deal_cards(
    asked: Sequence[Question], answers: Sequence[str], unseen: Sequence[Question], invented: Sequence[str],
    n: int, seed: int,
) -> list[Card]:
    """`n` cards in random order: a half retrieved, a quarter confused, a quarter about people in no line.

    Fewer of a kind where the model gave fewer such answers.
    """
    kinds = {RETRIEVED: [], CONFUSED: [], INVENTED: [(q, p) for q, p in zip(unseen, invented, strict=True)]}
    for q, p in zip(asked, answers, strict=True):
        kinds[RETRIEVED if q.place == p else CONFUSED].append((q, p))
    rng, wanted = Random(seed), (n // 2, n // 4, n - n // 2 - n // 4)
    drawn = [
        Card(q.text, p, kind)
        for (kind, pairs), k in zip(kinds.items(), wanted, strict=True)
        for q, p in rng.sample(pairs, min(k, len(pairs)))
    ]
    return rng.sample(drawn, len(drawn))


def card_table(cards: Sequence[Card], reveal: bool = False) -> Figure:
    """Numbered answers; with `reveal`, what each was, told by a mark and words as well as by colour."""
    figure = Figure(figsize=(8.6 if reveal else 6.4, 0.27 * len(cards) + 0.45), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    columns = (0.0, 0.06, 0.46, 0.64) if reveal else (0.0, 0.08, 0.64, 1.0)
    headings = ("", "question", "the model says", "it was" if reveal else "")
    for x, heading in zip(columns, headings, strict=True):
        axes.text(x, -0.9, heading, weight="bold", fontsize=9, va="center")
    for r, card in enumerate(cards):
        cells = (str(r + 1), card.question, card.answer)
        for x, text in zip(columns, cells, strict=False):
            axes.text(x, r, text, fontsize=9, va="center")
        if reveal:
            mark, colour = ("✓", GREEN) if card.retrieved else ("✗", RED)
            axes.text(columns[3], r, f"{mark} {card.kind}", fontsize=9, va="center", color=colour)
    axes.set(xlim=(0, 1), ylim=(len(cards) - 0.4, -1.6))
    return figure


def score_of(guessed: Sequence[int] | None, cards: Sequence[Card]) -> int | None:
    """How many cards are told right, if those with the numbers in `guessed` (from 1) are called retrieved."""
    if guessed is None:
        return None
    return sum((i in set(guessed)) == card.retrieved for i, card in enumerate(cards, 1))


def retrieval_game(cards: Sequence[Card]):
    """The cards one by one, two buttons, and the score so far. Only what ipywidgets 7 and 8 share is used."""
    import ipywidgets as widgets

    text, said = widgets.HTML(), widgets.HTML()
    layout = widgets.Layout(width="14em")
    buttons = [widgets.Button(description=label, layout=layout) for label in ("retrieved", "made up")]
    state = {"at": 0, "hits": 0}

    def show() -> None:
        if state["at"] == len(cards):
            text.value = f"<p>That was all: <b>{state['hits']} of {len(cards)}</b>.</p>"
            for button in buttons:
                button.disabled = True
            return
        card = cards[state["at"]]
        question, answer = html.escape(card.question), html.escape(card.answer)
        text.value = f"<p>{state['at'] + 1} of {len(cards)}. {question} <b>{answer}</b></p>"

    def guess(button) -> None:
        card = cards[state["at"]]
        hit = (button.description == "retrieved") == card.retrieved
        state["at"], state["hits"] = state["at"] + 1, state["hits"] + hit
        verdict = "Right" if hit else "No"
        said.value = f"<p>{verdict}: {html.escape(card.kind)}. Score: {state['hits']} of {state['at']}.</p>"
        show()

    for button in buttons:
        button.on_click(guess)
    show()
    return widgets.VBox([text, widgets.HBox(buttons), said])


# The model's own signals.


def confidence_strips(confidence: Mapping[str, Sequence[float]], xlabel: str, title: str) -> Figure:
    """One row of dots for each group of answers: how sure the model was of each; a bar at the median."""
    figure, axes = _panel(7, 0.62 * len(confidence) + 1.0)
    rng = np.random.default_rng(0)
    for row, ((_, values), (colour, _, marker)) in enumerate(zip(confidence.items(), LOOKS, strict=False)):
        height = row + rng.uniform(-0.28, 0.28, len(values))
        axes.scatter(values, height, s=14, color=colour, marker=marker, alpha=0.55, linewidths=0)
        if len(values):
            axes.plot([np.median(values)] * 2, [row - 0.38, row + 0.38], color=INK, linewidth=2)
    names = [f"{name}, n = {len(values)}" for name, values in confidence.items()]
    axes.set(yticks=range(len(confidence)), yticklabels=names, xlabel=xlabel, title=title, xlim=(-0.02, 1.02))
    axes.set_ylim(len(confidence) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    return figure


def roc_figure(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """ROC curves by name, the diagonal of a coin beside them."""
    figure, axes = _panel(6.6, 4.0)
    for (name, (wrong, right)), (colour, dash, _) in zip(curves.items(), LOOKS, strict=False):
        axes.plot(100 * wrong, 100 * right, dash, color=colour, label=name)
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=1, linestyle=(0, (1, 3)), label="a coin: 0.50")
    axes.set(xlabel="wrong answers taken for right (%)", ylabel="right answers found (%)")
    axes.set(title="Telling right from wrong", xlim=(-1, 101), ylim=(-1, 101), aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8, title="signal, AUROC (95 %)")
    return figure


Bins = Sequence[tuple[float, float, int]]


def reliability_diagram(rows: Mapping[str, Bins]) -> Figure:
    """How often answers of a confidence are right, a panel for each name; a dot's size tells how many."""
    figure = Figure(figsize=(3.7 * len(rows), 3.5), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(rows), sharey=True))
    for axes, (name, bins) in zip(panels, rows.items(), strict=True):
        axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", linewidth=1)
        for mean, share, n in bins:
            axes.plot([100 * mean] * 2, [100 * mean, 100 * share], color=ORANGE, linewidth=2)
            axes.scatter([100 * mean], [100 * share], s=18 + 5 * n, color=BLUE, alpha=0.85, zorder=3)
            at = (100 * mean, 100 * share)
            axes.annotate(str(n), at, (7, -9), textcoords="offset points", fontsize=7.5)
        axes.set(xlim=(-3, 106), ylim=(-5, 108), xlabel="mean confidence (%)", title=name)
    panels[0].set_ylabel("right (%)")
    return figure


def risk_figure(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], marks: Mapping[str, float]) -> Figure:
    """Errors among the answers given, against the share that is given; `marks` are lines at shares."""
    figure, axes = _panel(7, 3.3)
    for (name, (coverage, risk)), (colour, dash, _) in zip(curves.items(), LOOKS, strict=False):
        axes.plot(100 * coverage, 100 * risk, dash, color=colour, label=name)
    for name, share in marks.items():
        axes.axvline(100 * share, color=GREY, linestyle=":", linewidth=1.2)
        axes.annotate(name, (100 * share, 97), (-4, 0), textcoords="offset points", ha="right", fontsize=8,
                      color=INK, va="top")  # fmt: skip
    axes.set(xlabel="answers given, the surest first (%)", ylabel="wrong among them (%)", ylim=(0, 100))
    axes.set(xlim=(0, 101), title="What is left when the model may say “I do not know”")
    axes.legend(fontsize=8, loc="upper left")
    return figure


# People in no line.


def share_pairs(shares: Mapping[str, tuple[float, float]], names: tuple[str, str], title: str) -> Figure:
    """Two shares (%) of each label side by side, as a dumbbell."""
    figure, axes = _panel(7, 0.27 * len(shares) + 1.1)
    for row, (first, second) in enumerate(shares.values()):
        axes.plot([first, second], [row, row], color=GREY, linewidth=1.5, zorder=1)
    rows = range(len(shares))
    axes.scatter([a for a, _ in shares.values()], rows, color=BLUE, marker="o", s=34, label=names[0])
    axes.scatter([b for _, b in shares.values()], rows, color=ORANGE, marker="s", s=34, label=names[1])
    axes.set(yticks=rows, yticklabels=list(shares), xlabel="share (%)", title=title, xlim=(-0.5, None))
    axes.invert_yaxis()
    axes.legend(fontsize=8)
    return figure


def strategy_bars(rows: Mapping[str, tuple[int, int]], chance: Mapping[str, float], title: str) -> Figure:
    """How often answers agree with each source, (agreeing, asked), and what chance would give (%)."""
    figure, axes = _panel(7.5, 0.42 * len(rows) + 1.1)
    for row, (name, (agree, asked)) in enumerate(rows.items()):
        low, high = wilson_interval(agree, asked)
        axes.barh(row, 100 * agree / asked, color=SKY, height=0.6)
        axes.plot([low, high], [row, row], color=INK, linewidth=1.2, marker="|")
        label = "by chance" if row == 0 else None
        axes.plot([chance[name]] * 2, [row - 0.38, row + 0.38], color=RED, linewidth=2.5, label=label)
        axes.text(max(high, chance[name]) + 1, row, f"{100 * agree / asked:.1f} %", va="center", fontsize=9)
    axes.set(yticks=range(len(rows)), yticklabels=[f"{k}, n = {n}" for k, (_, n) in rows.items()])
    axes.set(xlabel="of the answers (%), with 95 % interval", title=title)
    axes.set_xlim(0, max(20, 1.25 * max(wilson_interval(*r)[1] for r in rows.values())))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(fontsize=8, loc="lower right")
    return figure


def region_matrix(shares: np.ndarray, regions: Sequence[str], columns: Sequence[str]) -> Figure:
    """Rows: the region of a name's look; columns: the region of the answer; cells: percent of the row."""
    figure, axes = _panel(8.6, 4.6)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=max(60, shares.max()))
    for (r, c), share in np.ndenumerate(shares):
        ink = "white" if share > 0.6 * image.get_clim()[1] else INK
        weight = "bold" if c < len(regions) and r == c else "normal"
        axes.text(c, r, f"{share:.0f}", ha="center", va="center", color=ink, fontsize=9, weight=weight)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    axes.set_yticks(range(len(regions)), regions)
    axes.set(xlabel="region of the answer", ylabel="look of the name")
    axes.set_title("Answers about invented names (% of a row)")
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="% of the row's answers", shrink=0.8)
    return figure
