"""The site as its readers meet it: built without running anything, no link that leads nowhere, no network."""

import functools
import http.server
import importlib.util
import re
import threading
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from a5lib.classroom.editions_build import repository_address

ROOT = Path(__file__).parent.parent
SOLVED = sorted(path.stem for path in (ROOT / "notebooks/solved").glob("*.ipynb"))
NEEDS = ("myst_nb", "sphinx_book_theme", "axe_playwright_python")
MISSING = [name for name in NEEDS if importlib.util.find_spec(name) is None]
WIDE_LIGHT, PHONE_DARK = (1280, "light"), (390, "dark")  # width in pixels, colours
PNG = "image/png"
# The many parts of a formula would take most of the time; it counts as one picture, with MathML behind it.
AXE = """async () => {
    const options = {resultTypes: ["violations"], preload: false};
    const found = await axe.run({exclude: [["mjx-container > *"]]}, options);
    return found.violations.filter(fault => ["serious", "critical"].includes(fault.impact))
        .map(fault => `${fault.id}: ${fault.help}: ` + fault.nodes.map(node => node.target).join("  "));
}"""


def load_build():
    spec = importlib.util.spec_from_file_location("site_build", ROOT / "site/build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILD = load_build()


def test_a_page_has_its_link_below_the_title_and_an_alt_text_for_each_picture():
    told = new_output("display_data", data={PNG: "eA=="}, metadata={PNG: {"alt": "Two trees."}})
    mute = new_output("display_data", data={PNG: "eA=="})
    badge = "[![Open in Colab](https://x.org/b.svg)](https://colab.research.google.com/github/o/r/n.ipynb)"
    texts = [badge, "# 01 · One\n\n**Takes** 5 minutes of\nyours; no more.", "text\n\n## Trees"]
    cells = [*map(new_markdown_cell, texts), *(new_code_cell(outputs=[out]) for out in (told, mute))]
    notebook = BUILD.page(new_notebook(cells=cells))
    assert notebook.cells[0].source.startswith("# 01 · One\n\n<a ")
    assert 'href="https://colab.research.google.com/github/o/r/n.ipynb"' in notebook.cells[0].source
    alts = [cell.metadata["mystnb"]["image"]["alt"] for cell in notebook.cells if cell.cell_type == "code"]
    assert alts == ["Two trees.", "Figure of the section “Trees”"]
    assert BUILD.opening(notebook) == ("01 · One", "5 minutes")


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    (tmp_path / "n").mkdir()
    (tmp_path / "index.html").write_text('<a href="n/p.html#here">1</a><a href="https://x.org/y">2</a>')
    (tmp_path / "n/p.html").write_text('<p id="here"><a href="../index.html">1</a><a href="#top">2</a>')
    assert BUILD.broken_links(tmp_path) == []
    bad = ["n/p.html#there", "gone.html", "../outside.html", "http://nowhere", "htps://x.org"]
    (tmp_path / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in bad))
    assert [line.split(": ")[1] for line in BUILD.broken_links(tmp_path)] == bad


# The whole site, built once.


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if MISSING:
        pytest.skip(f"{', '.join(MISSING)} not installed; run `make site`")
    folder = tmp_path_factory.mktemp("built") / "site"
    assert BUILD.build(ROOT, folder) == 0
    return folder


@pytest.mark.notebooks
def test_the_site_has_every_solved_notebook_with_its_pictures_and_link_to_colab(site):
    colab = "https://colab.research.google.com/github" + repository_address(ROOT).removeprefix(
        "https://github.com"
    )
    for name in SOLVED:
        page = (site / f"notebooks/{name}.html").read_text(encoding="utf-8")
        assert f'href="{colab}/blob/main/notebooks/{name}.ipynb"' in page
        images = re.findall(r"<img [^>]*/_images/[^>]*>", page)
        outputs = [output for cell in nbformat.read(ROOT / f"notebooks/solved/{name}.ipynb", 4).cells
                   for output in cell.get("outputs", [])]  # fmt: skip
        assert len(images) == sum(PNG in output.get("data", {}) for output in outputs)
        assert all(re.search(r'alt="[^"]', image) for image in images)


@pytest.fixture(scope="module")
def address(site):
    """The site on a server of its own."""
    handler = functools.partial(Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def page(browser, address, request):
    """A page of the width and colours asked for; nothing may fail in it, or be asked of another server."""
    width, colours = request.param
    page, amiss = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=colours), []
    page.route(lambda url: not url.startswith((address, "data:", "blob:")), lambda route: (
        amiss.append(f"asked for {route.request.url}"), route.abort()))  # fmt: skip
    page.on("console", lambda said: amiss.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: amiss.append(f"uncaught: {error}"))
    yield page
    page.close()
    assert not amiss, "\n".join(amiss)


def visit(page, url):
    page.goto(url)
    page.evaluate("async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }")


def barriers(page, url):
    """What keeps somebody from reading a page: axe's serious faults, and text beyond the window's edge."""
    visit(page, url)
    page.evaluate((Path(importlib.util.find_spec(NEEDS[-1]).origin).parent / "axe.min.js").read_text())
    wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
    return [f"{url}: {fault}" for fault in page.evaluate(AXE) + ["is wider than the window"] * wide]


@pytest.mark.slow
@pytest.mark.notebooks
@pytest.mark.parametrize("page", [WIDE_LIGHT, PHONE_DARK], indirect=True, ids=str)
def test_no_page_has_a_serious_barrier(page, address, site):
    pages = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    faults = [fault for path in pages for fault in barriers(page, f"{address}/{path.relative_to(site)}")]
    assert len(pages) > len(SOLVED) and not faults, "\n".join(faults)


@pytest.mark.notebooks
@pytest.mark.parametrize("page", [PHONE_DARK], indirect=True, ids=str)
def test_formulas_pictures_folds_and_the_search_work_without_a_network(page, address):
    assert barriers(page, f"{address}/notebooks/06_span_corruption.html") == []
    assert page.locator("mjx-container mjx-assistive-mml math").count() > 0
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    hint = page.locator("details", has=page.locator("summary", has_text="Hint")).first
    hint.locator("summary").press("Enter")
    assert hint.get_attribute("open") is not None
    visit(page, f"{address}/search.html?q=softmax")
    page.locator("#search-results li a").first.wait_for()
