"""Small interactive views that close a section. Each comes after a static figure of the same thing.

Only what ipywidgets 7 and 8 share is used.
"""

import html
import io
from collections.abc import Callable, Sequence

from matplotlib.figure import Figure


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
    return _panel(control, show)


def slider_explorer(show: Callable[[int], Figure], low: int, high: int, label: str):
    """As `explorer`, for a whole number from `low` to `high`."""
    import ipywidgets as widgets

    control = widgets.IntSlider(
        value=low,
        min=low,
        max=high,
        description=label,
        continuous_update=False,
        layout=widgets.Layout(width="28em"),
    )
    return _panel(control, show)


def _panel(control, show: Callable[..., Figure]):
    """A control, a place for messages, and the figure of the control's value, drawn anew when it changes."""
    import ipywidgets as widgets

    picture = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", align_self="flex-start"))
    message = widgets.HTML()

    def refresh(_=None) -> None:
        try:
            picture.value, message.value = png(show(control.value)), ""
        except Exception as error:
            message.value = f"<p role='alert'>{html.escape(str(error))}</p>"

    control.observe(refresh, names="value")
    refresh()
    return widgets.VBox([control, message, picture])


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
