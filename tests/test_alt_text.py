"""Every picture says in words what it shows; readers of any colour vision can tell its colours apart."""

import base64
from itertools import combinations
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from test_display import CASES

from a5lib.display import style
from a5lib.display.alt_text import MOST_CHARACTERS, alt_text, describe, image_tag
from a5lib.display.widgets import explorer

SOLVED = sorted((Path(__file__).parent.parent / "notebooks/solved").glob("*.ipynb"))
PALETTE = [style.BLUE, style.ORANGE, style.GREEN, style.RED, style.PURPLE, style.SKY]
PNG = "image/png"
TOLD = {  # figures of test_display to what their words must say
    "places": ["Where people were born. Bars: Oslo 66.7, Lima 33.3.", "share of 3 answers (%), 0 to"],
    "accuracy": ["Accuracy on people held out. Bars: London 66.7."],
    "answers": ["Where was P1 born?, Lima, ✗ Rome"],
    "padding": ["mixed: 25 % padding", "8 bars (“padding”, “text”), 2 to 4"],
    "corruption": ["document: abcdef; corrupted: ab⁇e⁇cd□□□"],
    "loss": ["Training loss. Lines: “one” from 3 to 1, “two” from 3 to 1.", "loss (nats a character)"],
    "passes": ["“dev, by the recipe” at 80"],
    "histogram": ["“expected mean 1.50” upright at 1.5", "Vertical axis: draws"],
}


@pytest.mark.parametrize("name", TOLD)
def test_the_words_tell_title_series_values_and_axes(name):
    words = alt_text(CASES[name][0])
    assert all(said in words for said in TOLD[name]), words


def test_a_curve_is_told_with_what_lies_beyond_its_ends_and_markup_is_read_out():
    axes = (figure := Figure()).subplots()
    axes.plot([1, 10, 100], [3.0, 0.25, 1.0], label=r"$\|c - v_j\|$ at $\beta$")
    axes.set(xscale="log", xlabel=r"$\alpha_1$")
    words = alt_text(figure)
    assert (
        words
        == "Line: “‖c - v_j‖ at β” from 3 to 1 (lowest 0.25). Horizontal axis: α_1, 1 to 100 (logarithmic)."
    )


def test_a_map_has_its_size_and_what_its_colours_mean():
    axes = (figure := Figure()).subplots()
    figure.colorbar(axes.imshow(np.zeros((3, 5))), label="weight")
    assert "3 rows by 5 columns of shaded cells" in alt_text(figure) and "Colour: weight." in alt_text(figure)


def test_words_of_an_author_come_first_and_none_are_without_end_or_empty():
    assert alt_text(describe(Figure(), "Two trees.")) == "Two trees."
    assert alt_text(Figure())
    axes = (figure := Figure()).subplots()
    axes.set_title("long " * 500)
    assert len(alt_text(figure)) == MOST_CHARACTERS


def test_a_picture_as_html_is_safe_and_a_widget_has_one():
    assert 'alt="a &lt;b&gt; &quot;c&quot;"' in image_tag("", 'a <b> "c"')
    picture = explorer(lambda name: CASES["places"][0], ["one"], "which").children[-1].value
    assert 'alt="Where people were born. Bars: Oslo 66.7' in picture
    assert base64.b64decode(picture.split("base64,")[1].split('"')[0]).startswith(b"\x89PNG")


@pytest.fixture
def shell(monkeypatch):
    """A notebook's shell, which nothing else sees."""
    from IPython.core.interactiveshell import InteractiveShell

    monkeypatch.setattr("IPython.get_ipython", lambda: made)
    made = InteractiveShell()
    return made


def test_a_shown_figure_carries_its_words_and_is_html_only_where_somebody_looks(shell, monkeypatch):
    figure = CASES["places"][0]
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    style.use_style()
    data, metadata = shell.display_formatter.format(figure)
    assert metadata[PNG] == {"alt": alt_text(figure)} and "text/html" not in data
    monkeypatch.setenv("JPY_SESSION_NAME", "05.ipynb")
    style.use_style()
    data, _ = shell.display_formatter.format(figure)
    assert "Where people were born" in data["text/html"] and data[PNG].strip() in data["text/html"]


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_every_picture_of_a_solved_notebook_has_words(path):
    words = [(number, output.metadata.get(PNG, {}).get("alt", ""))
             for number, cell in enumerate(nbformat.read(path, 4).cells, 1)
             for output in cell.get("outputs", []) if PNG in output.get("data", {})]  # fmt: skip
    mute = [number for number, said in words if not said.strip()]
    assert words and not mute, f"no words in cells {mute}; run `make editions ALL=1`"


def test_an_exported_page_has_the_words(shell):
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    style.use_style()
    data, metadata = shell.display_formatter.format(CASES["places"][0])
    cell = new_code_cell(outputs=[new_output("display_data", data=data, metadata=metadata)])
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(new_notebook(cells=[cell]))
    assert 'alt="Where people were born' in page


# Linear RGB as seen without one kind of cone (Machado, Oliveira and Fernandes 2009, severity 1).
VISION = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    x, y, z = np.cbrt(TO_XYZ @ rgb.clip(0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_any_two_colours_of_the_palette_differ(vision):
    seen = [lab(VISION[vision] @ linear(colour)) for colour in PALETTE]
    nearest = min(np.linalg.norm(a - b) for a, b in combinations(seen, 2))
    assert nearest > 15, f"{nearest:.1f}: about 2.3 can just be told apart side by side"


def test_words_in_figures_stand_out_from_white():
    luminance = (TO_XYZ @ linear(style.INK))[1]
    assert 1.05 / (luminance + 0.05) > 7
