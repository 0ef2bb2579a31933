"""Sphinx's settings for the course's site; `site/build.py` writes the pages and calls Sphinx."""

from pathlib import Path

from a5lib.classroom.editions_build import repository_address

REPOSITORY = repository_address(Path(__file__).resolve().parents[1])

project = "A5"
author = "A5 contributors"
language = "en"
extensions = ["myst_nb"]

nb_execution_mode = "off"  # a page shows what is in the notebook's file
nb_ipywidgets_js = {}  # widgets need a kernel; their scripts would come from elsewhere
nb_merge_streams = True
nb_code_prompt_show = "Set-up, the same in every notebook"
nb_code_prompt_hide = "Set-up, the same in every notebook"
myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 3

html_theme = "sphinx_book_theme"
html_title = "A5 · How a Transformer stores facts"
html_short_title = "A5"
html_static_path = ["static"]
html_css_files = ["a5.css"]
html_show_sourcelink = False
html_copy_source = False
html_use_index = False  # the pages define no terms; the search finds words
mathjax_path = "mathjax/tex-chtml.js"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's device
html_theme_options = {
    "repository_url": REPOSITORY,
    "repository_branch": "main",
    "use_repository_button": True,
    "use_download_button": False,  # Sphinx's copy of a page; the notebooks are in the repository
    "use_fullscreen_button": False,
    "home_page_in_toc": True,
    "navbar_persistent": [],  # the search stands at the side
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
}
