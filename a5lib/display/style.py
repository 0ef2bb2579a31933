"""One look for all figures, and the words that go with them. Knows nothing about what they show."""

import os

INK, GREY = "#222222", "#999999"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"

STYLE = {
    "figure.figsize": (7.0, 3.2),
    "figure.dpi": 110,
    "savefig.dpi": 160,
    "savefig.bbox": "tight",
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
}


def use_style() -> None:
    """Set matplotlib's defaults, and let notebooks show our figures, which are made without pyplot."""
    import matplotlib as mpl
    from cycler import cycler
    from IPython import get_ipython
    from IPython.core.pylabtools import select_figure_formats

    mpl.rcParams.update(STYLE)
    mpl.rcParams["axes.prop_cycle"] = cycler(color=[BLUE, ORANGE, GREEN, RED, PURPLE, SKY])
    if get_ipython() is not None:
        select_figure_formats(get_ipython(), {"png"}, bbox_inches="tight")
        _give_alt_text(get_ipython().display_formatter.formatters)


def _give_alt_text(formatters: dict) -> None:
    """Let each figure that is shown carry its words: `alt` in the metadata of its `image/png`.

    nbconvert and the course's site read that, JupyterLab does not; there the picture is also HTML, which has
    a place for them. Where nobody sits before the notebook (papermill, nbval) there is no HTML, so that the
    files that are kept hold each picture once.
    """
    from matplotlib.figure import Figure

    from a5lib.display.alt_text import alt_text, image_tag

    formatter = formatters["image/png"]
    png = formatter.lookup_by_type(Figure)
    formatter.for_type(Figure, lambda figure: (png(figure), {"alt": alt_text(figure)}))
    if "JPY_SESSION_NAME" in os.environ:  # set by a Jupyter server, for the kernels of its notebooks
        formatters["text/html"].for_type(Figure, lambda figure: image_tag(png(figure), alt_text(figure)))
