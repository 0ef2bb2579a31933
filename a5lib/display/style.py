"""One look for all figures. Knows nothing about what they show."""

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
