"""What a figure shows, in words: for readers who listen to the page, and where a picture does not load.

The words are read off the figure: titles, axes, bars, lines, and what is written in it. `describe` gives a
figure words of its own. Knows nothing of any one figure.
"""

import html
import re
import unicodedata
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

MOST_BARS, MOST_PANELS, MOST_WRITTEN, MOST_CHARACTERS = 8, 4, 240, 900
NUMERAL = re.compile(r"[\d\s.,%^×·/½¼eE+−-]*")
SIGNS = {"sqrt": "√", "|": "‖", "times": "×", "cdot": "·", "leq": "≤", "geq": "≥", "approx": "≈", "in": "∈"}


def describe(figure: Figure, words: str) -> Figure:
    """Give `figure` words of its own, instead of those that `alt_text` would make; returns it."""
    figure.set_label(words)
    return figure


def alt_text(figure: Figure) -> str:
    """What `figure` shows, in at most 900 characters; never empty."""
    if figure.get_label():
        return figure.get_label()
    figure.draw_without_rendering()  # only then do ticks have their labels
    titles = [_plain(text.get_text()) for text in figure.texts]
    panels = [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    words = [*titles, *(_panel(axes) for axes in panels[:MOST_PANELS])]
    if len(panels) > MOST_PANELS:
        words.append(f"{len(panels)} panels in all")
    scales = dict.fromkeys(_plain(bar.get_ylabel() or bar.get_xlabel()) for bar in bars)
    words += [f"Colour: {scale}" for scale in scales if scale]
    text = _sentences(words) or f"A figure of {len(panels)} panels."
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1].rstrip() + "…"


def image_tag(png: str, words: str) -> str:
    """A picture (base64) and its words as HTML."""
    source = f"data:image/png;base64,{png.strip()}"
    return f'<img class="a5-figure" style="max-width: 100%" alt="{html.escape(words)}" src="{source}">'


def _panel(axes: Axes) -> str:
    """One panel: title, what is drawn, what is written, axes."""
    title = next(filter(None, (axes.get_title(side) for side in ("left", "center", "right"))), "")
    parts = [_plain(title), _bars(axes), *_lines(axes), *_points(axes), *_grids(axes), _written(axes)]
    if axes.axison and not hasattr(axes, "get_zlim"):  # a drawing in space has no scale to read
        parts += [_axis(axes.xaxis, "Horizontal axis"), _axis(axes.yaxis, "Vertical axis")]
    return _sentences(parts)


def _bars(axes: Axes) -> str:
    """Few bars with their values, many with their range; a bar is called as its tick."""
    boxes = [c for c in axes.containers if isinstance(c, BarContainer) and len(c.patches)]
    if not boxes:
        return ""
    flat = boxes[0].orientation == "horizontal"
    names = _names(axes.yaxis if flat else axes.xaxis)
    bars = [(_middle(patch, flat), value) for box in boxes for patch, value in
            zip(box.patches, np.asarray(box.datavalues, dtype=float), strict=True)]  # fmt: skip
    kinds = [f"“{label}”" for box in boxes if (label := _public(box.get_label()))]
    of = f" ({', '.join(kinds)})" if kinds else ""
    if not names or (len(bars) > MOST_BARS and len(boxes) > 1):
        peak, highest = max(bars, key=lambda bar: bar[1])
        low = min(value for _, value in bars)
        return f"{len(bars)} bars{of}, {_number(low)} to {_number(highest)}, the highest at {_number(peak)}"
    shown = [f"{names.get(round(at, 2), _number(at))} {_number(value)}" for at, value in bars[:MOST_BARS]]
    more = f" and {len(bars) - MOST_BARS} more" if len(bars) > MOST_BARS else ""
    return f"Bars{of}: {', '.join(shown)}{more}"


def _middle(patch, flat: bool) -> float:
    return patch.get_y() + patch.get_height() / 2 if flat else patch.get_x() + patch.get_width() / 2


def _lines(axes: Axes) -> list[str]:
    """Each line with a label: where it starts, where it ends, and what lies beyond the two."""
    found = [(_public(str(line.get_label())), line) for line in axes.lines]
    found += [(_public(str(box.get_label())), box.lines[0]) for box in axes.containers
              if hasattr(box, "has_yerr") and box.lines[0] is not None]  # fmt: skip
    named = [f"“{label}” {_course(line)}".strip() for label, line in found if label]
    nameless = [line for label, line in found if not label and _is_curve(line)]
    if named:
        return [("Lines: " if len(named) > 1 else "Line: ") + ", ".join(named)]
    if len(nameless) > 1:
        return [f"{len(nameless)} lines"]
    return [f"A line {_course(line)}" for line in nameless]


def _is_curve(line: Line2D) -> bool:
    """Whether the line has a start and an end to tell of: it is no ring, and no mark at one place."""
    x = np.asarray(line.get_xdata(), dtype=float)
    return len(x) > 2 and bool(np.all(np.diff(x) > 0))


def _course(line: Line2D) -> str:
    x, y = (np.asarray(data, dtype=float) for data in (line.get_xdata(), line.get_ydata()))
    y = y[np.isfinite(y)]
    if not len(y):
        return ""  # drawn for the legend only
    if len(x) == 2 and x[0] == x[1]:
        return f"upright at {_number(x[0])}"
    first, last, low, high = y[0], y[-1], y.min(), y.max()
    if low == high:
        return f"at {_number(first)}"
    between = [f"lowest {_number(low)}"] if low < min(first, last) else []
    between += [f"highest {_number(high)}"] if high > max(first, last) else []
    beyond = f" ({', '.join(between)})" if between else ""
    return f"from {_number(first)} to {_number(last)}{beyond}"


def _points(axes: Axes) -> list[str]:
    clouds = [c for c in axes.collections if isinstance(c, PathCollection)]
    if not clouds:
        return []
    counts = [f"{len(c.get_offsets()):,} {_public(str(c.get_label()))}".strip() for c in clouds]
    return [f"Points: {', '.join(counts)}"]


def _grids(axes: Axes) -> list[str]:
    shapes = [image.get_array().shape[:2] for image in axes.images]
    shapes += [mesh.get_array().shape[:2] for mesh in axes.collections if isinstance(mesh, QuadMesh)]
    return [f"{shape[0]} rows by {shape[1]} columns of shaded cells" for shape in shapes if len(shape) == 2]


def _written(axes: Axes) -> str:
    """The words in a panel, line by line; single characters of a line are put together again."""
    rows: dict[float, list[Text]] = {}
    for text in axes.texts:
        words = _word(text)
        if words and not (axes.containers and NUMERAL.fullmatch(words)):  # a bar's value was told
            rows.setdefault(round(text.get_position()[1], 1), []).append(text)
    names = _names(axes.yaxis)
    lines = []
    for y, texts in rows.items():
        texts.sort(key=lambda text: text.get_position()[0])
        characters = all(len(text.get_text()) == 1 for text in texts)
        line = ("" if characters else ", ").join(_word(text) for text in texts)
        label = names.get(y, names.get(y - 0.5, ""))
        lines.append(f"{label}: {line}" if label else line)
    if axes.yaxis_inverted() is False and len(rows) > 1:
        lines = [line for _, line in sorted(zip(rows, lines, strict=True), key=lambda pair: -pair[0])]
    text = "; ".join(lines)
    text = text if len(text) <= MOST_WRITTEN else text[:MOST_WRITTEN].rsplit(" ", 1)[0] + " …"
    return f"Written in it: {text}" if text else ""


def _word(text: Text) -> str:
    """A text as one line; a single blank stays, as one character of a row of them."""
    return text.get_text() if len(text.get_text()) == 1 else _plain(text.get_text())


def _axis(axis: Axis, direction: str) -> str:
    label, names = _plain(axis.get_label_text()), _names(axis)
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_ticklocs() if low <= tick <= high]
    scale = " (logarithmic)" if axis.get_scale() == "log" else ""
    if not label:
        return ""
    if names or len(ticks) < 2:
        return f"{direction}: {label}{scale}"
    return f"{direction}: {label}, {_number(min(ticks))} to {_number(max(ticks))}{scale}"


def _names(axis: Axis) -> dict[float, str]:
    """Positions of ticks that carry words to these words; empty for an axis of numbers."""
    labels = [_plain(text.get_text()) for text in axis.get_ticklabels()]
    if all(NUMERAL.fullmatch(label) for label in labels):
        return {}
    places = (round(float(at), 2) for at in axis.get_ticklocs())
    return {at: label for at, label in zip(places, labels, strict=True) if label}


def _public(label: str) -> str:
    """A label that a legend would show, else nothing."""
    return "" if label.startswith("_") or label == "None" else _plain(label)


def _plain(text: str) -> str:
    """Text as one line without mathematical markup."""

    def sign(match: re.Match) -> str:
        name = match[1]
        if name in ",;:! ":
            return " "
        if name in SIGNS:
            return SIGNS[name]
        try:
            return unicodedata.lookup(f"GREEK SMALL LETTER {name.upper()}")
        except KeyError:
            return ""

    text = re.sub(r"\\([A-Za-z]+|[|,;:! ])", sign, text)
    return " ".join(re.sub(r"[${}\\]", "", text).split())


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _sentences(parts: Sequence[str]) -> str:
    return " ".join(part if part[-1] in ".…!?:" else part + "." for part in parts if part)
