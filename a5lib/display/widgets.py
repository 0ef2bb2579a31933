"""Small interactive views that close a section. Each comes after a static figure of the same thing.

Only what ipywidgets 7 and 8 share is used.
"""

import html
import io
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence

from matplotlib.figure import Figure

from a5lib.display.alt_text import alt_text, image_tag


def explorer(show: Callable[[str], Figure], choices: Sequence[str], label: str, free_text: bool = False):
    """A choice, and the figure that `show` makes of it; with `free_text` the reader may type their own.

    `show` may raise an exception: its message is shown in the figure's place.
    """
    import ipywidgets as widgets

    layout = widgets.Layout(width="28em")
    style = {"description_width": "5em"}
    if free_text:
        options = tuple(choices)
        control = widgets.Combobox(
            options=options,
            value=options[0],
            description=label,
            layout=layout,
            style=style,
            continuous_update=False,
        )
    else:
        control = widgets.Dropdown(options=list(choices), description=label, layout=layout, style=style)
    return _panel([control], show)


def slider_explorer(show: Callable[[int], Figure], low: int, high: int, label: str):
    """As `explorer`, for a whole number from `low` to `high`."""
    return controls_explorer(show, {label: (low, high, low, 1)})


def controls_explorer(show: Callable[..., Figure], controls: Mapping[str, tuple | list]):
    """Several controls, and the figure that `show` makes of their values, given in the controls' order.

    Args:
        controls: label to `(low, high, start, step)`, a slider (for whole numbers if all four are), or to
            a list of choices, of which the first is shown.
    """
    made = [_control(label, spec) for label, spec in controls.items()]
    return _panel(made, show)


def _control(label: str, spec: tuple | list):
    import ipywidgets as widgets

    shared = {
        "description": label,
        "layout": widgets.Layout(width="32em"),
        "style": {"description_width": "10em"},
    }
    if isinstance(spec, list):
        return widgets.Dropdown(options=spec, **shared)
    low, high, start, step = spec
    kind = widgets.IntSlider if all(isinstance(n, int) for n in spec) else widgets.FloatSlider
    return kind(value=start, min=low, max=high, step=step, continuous_update=False, **shared)


def _panel(controls: Sequence, show: Callable[..., Figure]):
    """Controls, a place for messages, and the figure of the controls' values, drawn anew when one changes."""
    import ipywidgets as widgets

    # An `Image` has no place for an alt text, so the picture is HTML.
    picture = widgets.HTML(layout=widgets.Layout(max_width="100%", align_self="flex-start"))
    message = widgets.HTML()

    def refresh(_=None) -> None:
        try:
            figure = show(*(control.value for control in controls))
            words = alt_text(figure)
            picture.value, message.value = image_tag(b64encode(png(figure)).decode(), words), ""
        except Exception as error:
            message.value = f"<p role='alert'>{html.escape(str(error))}</p>"

    for control in controls:
        control.observe(refresh, names="value")
    refresh()
    return widgets.VBox([*controls, message, picture])


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
