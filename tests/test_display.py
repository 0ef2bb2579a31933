"""Figures are made of the data that they are given, and widgets redraw when they are moved."""

import io

import pytest

from a5lib.corpus import Question
from a5lib.display import figures
from a5lib.display.widgets import controls_explorer, explorer, slider_explorer
from a5lib.evaluation import Evaluation
from a5lib.vocab import MASK, PAD

QUESTIONS = tuple(
    Question(f"Where was P{i} born?", place) for i, place in enumerate(["Oslo", "Lima", "Oslo"])
)
EVALUATION = Evaluation(QUESTIONS, ("Oslo", "Rome", "Oslo"))
POINTS = [{"step": s, "tokens": 10 * s, "seconds": s, "loss": 3 / s, "lr": 1e-3} for s in (1, 2, 3)]


def texts(figure):
    figure.draw_without_rendering()
    axes = figure.axes
    shown = [t.get_text() for a in axes for t in [*a.texts, a.title, a.xaxis.label, *a.get_yticklabels()]]
    return shown + [a.get_title(loc="left") for a in axes]


CASES = {
    "places": (figures.place_counts(["Oslo", "Lima", "Oslo"]), ["Oslo", "66.7", "33.3"]),
    "accuracy": (figures.accuracy_bars({"London": EVALUATION}, baseline="London"), ["66.7 %"]),
    "answers": (figures.answer_table(EVALUATION), ["✓ Oslo", "✗ Rome", "Where was P1 born?"]),
    "next": (figures.next_characters([("O", {"O": 0.9, " ": 0.1}), (MASK, {MASK: 1.0})], "q"), ["O", MASK]),
    "padding": (figures.padding_figure({"mixed": [2, 4, 2, 4]}, 2), ["mixed: 25 % padding"]),
    "pair": (figures.pair_figure(f"ab{MASK}c{PAD}", f"{PAD}{MASK}c{MASK}{PAD}"), ["a", MASK, "c"]),
    "corruption": (figures.corruption_figure("abcdef", f"ab{MASK}e{MASK}cd{PAD}{PAD}"), ["f", MASK, "d"]),
    "loss": (figures.loss_curve({"one": POINTS, "two": POINTS}, x="tokens"), ["characters trained on"]),
    "passes": (
        figures.accuracy_by_pass({"train": [1, 2], "dev": [2, 1]}, 80.0),
        ["passes over the questions"],
    ),
    "kept": (figures.kept_places([4, 5], {"a": [1.0, 0.5]}), ["the place ends at character"]),
    "rates": (figures.rate_schedules({"a": ([0, 1], [1, 0])}, "pass"), ["pass"]),
    "histogram": (figures.histogram([1, 2, 2], "length", "Spans", expected=1.5), ["length"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_figure_shows_its_data(name):
    figure, expected = CASES[name]
    found = texts(figure)
    assert all(text in found for text in expected), found
    figure.savefig(io.BytesIO(), format="png")


def test_a_moved_slider_redraws():
    asked = []

    def show(number):
        asked.append(number)
        return figures.histogram(list(range(number + 2)), "n", "t")

    box = slider_explorer(show, 0, 5, "draw")
    control, message, picture = box.children
    before = picture.value
    control.value = 4
    assert message.value == ""
    assert asked == [0, 4] and picture.value != before and "data:image/png" in picture.value


def test_each_of_several_controls_redraws_with_all_values_in_order():
    asked = []

    def show(*values):
        asked.append(values)
        return figures.histogram([len(asked)], "n", "t")

    controls = {"β": (0.0, 30.0, 10.0, 0.5), "heads": ["one", "two"], "keys": (1, 9, 4, 2)}
    *moved, message, picture = controls_explorer(show, controls).children
    assert [control.description for control in moved] == ["β", "heads", "keys"]
    assert [type(control).__name__ for control in moved] == ["FloatSlider", "Dropdown", "IntSlider"]
    assert [(c.min, c.max, c.step) for c in (moved[0], moved[2])] == [(0.0, 30.0, 0.5), (1, 9, 2)]
    pictures = [picture.value]
    for control, value in zip(moved, (12.5, "two", 6), strict=True):
        control.value = value
        pictures.append(picture.value)
    assert asked == [(10.0, "one", 4), (12.5, "one", 4), (12.5, "two", 4), (12.5, "two", 6)]
    assert len(set(pictures)) == 4 and message.value == ""


def test_a_slider_redraws_when_it_is_let_go_not_on_the_way():
    moved = controls_explorer(
        lambda *_: figures.histogram([1], "n", "t"), {"a": (0, 5, 0, 1), "b": (0.0, 1, 0, 1)}
    )
    assert [control.continuous_update for control in moved.children[:2]] == [False, False]


def test_a_typed_text_redraws_and_a_bad_one_is_explained():
    def show(text):
        if "<" in text:
            raise ValueError("no <b> here")
        return figures.histogram([len(text)], "n", text)

    control, message, picture = explorer(show, ["one", "other"], "Text", free_text=True).children
    before = picture.value
    control.value = "a text of mine"
    assert picture.value != before and message.value == ""
    control.value = "<b>"
    assert "no &lt;b&gt; here" in message.value
    control.value = "one"
    assert message.value == "" and picture.value == before
