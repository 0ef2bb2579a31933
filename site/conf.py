"""Sphinx's settings for the course's site; `site/build.py` writes the pages and calls Sphinx."""

from pathlib import Path

from a5lib.classroom.editions_build import repository_address

REPOSITORY = repository_address(Path(__file__).resolve().parents[1])

project = "A5"
author = "A5 contributors"
language = "en"
extensions = ["myst_nb"]

nb_execution_mode = "off"  # a page shows what is in the notebook's file
nb_merge_streams = True
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # a section may begin with a small heading, as `Predict` does

html_theme = "sphinx_book_theme"
html_title = "A5 · How a Transformer stores facts"
html_short_title = "A5"
html_static_path = ["static"]
html_css_files = ["a5.css"]
html_show_sourcelink = False
html_copy_source = False
mathjax_path = "mathjax/tex-chtml.js"
html_theme_options = {
    "repository_url": REPOSITORY,
    "repository_branch": "main",
    "use_repository_button": True,
    "use_download_button": False,  # Sphinx's copy of a page; the notebooks are in the repository
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
}
