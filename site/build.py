"""The course's site: the solved notebooks as web pages, in build/site, ready for any static host.

    python site/build.py [FOLDER]     # or: make site

Nothing is executed: the pages show what is in notebooks/solved. They need no network, for the library that
draws formulas comes along. Every picture gets an alt text, and every link within the site is followed. The
address of the repository comes from pyproject.toml.
"""

import importlib.util
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat

from a5lib.classroom.editions_build import folder_of, repository_address
from a5lib.errors import InputError, run_command
from a5lib.files import write_text

ROOT = Path(__file__).resolve().parents[1]
BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\(([^)]*)\)")
COLAB = '<a class="a5-colab" href="{}">Work through it yourself: open the student edition in Colab</a>'
MATHJAX = "sphinx-mathjax-offline"  # a package, hyphens and all
SETUP = "from a5lib.classroom.setup import ready"  # the cell that has it is the same in all notebooks: folded
PNG = "image/png"


def main(argv: Sequence[str] | None = None) -> int:
    """Build the site into the folder named, else build/site; 1 if Sphinx warns or a link leads nowhere."""
    argv = sys.argv[1:] if argv is None else argv
    return build(ROOT, Path(argv[0]) if argv else ROOT / "build/site")


def build(root: Path, site: Path) -> int:
    """Build the site of the notebooks below `root` into the folder `site`; returns the exit code."""
    from sphinx.cmd.build import main as sphinx

    pages = site.with_name(f"{site.name}-pages")
    prepare(root, pages)

    options = ["-q", "-W", "--keep-going", "-c", str(ROOT / "site"), "-d", f"{pages}/.doctrees"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's: what the theme will have to change; Sphinx's own count
        if sphinx([*options, "-b", "html", str(pages), str(site)]):
            return 1
    copy_mathjax(site)
    broken = broken_links(site)
    print("\n".join(broken) or f"The site is in {site}: open {site / 'index.html'}")
    return 1 if broken else 0


# What Sphinx reads.


def prepare(root: Path, pages: Path) -> None:
    """Write what Sphinx reads to `pages`: notebooks, start page, figures.

    Raises:
        InputError: there is no solved notebook.
    """
    solved = sorted((root / "notebooks/solved").glob("*.ipynb"))
    if not solved:
        raise InputError(f"{root / 'notebooks/solved'}: no notebook; run `make editions`")
    titles, takes = {}, {}
    (pages / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in solved:
        notebook = page(nbformat.read(path, as_version=4))
        titles[path.stem], takes[path.stem] = opening(notebook)
        put(pages / "notebooks" / path.name, nbformat.writes(notebook))
    for old in (pages / "notebooks").glob("*.ipynb"):
        if old.stem not in titles:
            old.unlink()
    shutil.copytree(root / "figures", pages / "figures", dirs_exist_ok=True)
    put(pages / "index.md", start_page(root, titles, takes))


def page(notebook: "nbformat.NotebookNode") -> "nbformat.NotebookNode":
    """A solved notebook as a page: its badge as a link below the title, set-up folded, alt texts."""
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    badge = next((cell for cell in notebook.cells if BADGE.fullmatch(cell.source.strip())), None)
    notebook.cells = [cell for cell in notebook.cells if cell is not badge]
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = next(iter(re.findall(r"^#+ (.*)", cell.source, re.M)[::-1]), heading)
            if badge and cell.source.startswith("# "):
                name, _, text = cell.source.partition("\n")
                cell.source = f"{name}\n\n{COLAB.format(BADGE.search(badge.source)[1])}\n\n{text}"
                badge = None
        elif SETUP in cell.source:
            cell.metadata.setdefault("tags", []).append("hide-input")
        elif words := [output.metadata.get(PNG, {}).get("alt", "") for output in cell.outputs
                       if PNG in output.get("data", {})]:  # fmt: skip
            alt = " ".join(filter(None, words)) or f"Figure of the section “{heading}”"
            cell.metadata["mystnb"] = {"image": {"alt": alt, "width": "100%"}}  # what has a width is a link
    return notebook


def opening(notebook: "nbformat.NotebookNode") -> tuple[str, str]:
    """What a notebook's first cell says: its title, and how long it takes."""
    text = next(cell.source for cell in notebook.cells if cell.source.startswith("# "))
    takes = re.search(r"\*\*Takes\*\* (.*?)(?: of\s+yours)?[.;]", text, re.S)
    return text.split("\n")[0].removeprefix("# ").strip(), " ".join(takes[1].split()) if takes else ""


def start_page(root: Path, titles: dict[str, str], takes: dict[str, str]) -> str:
    """site/index.md with its {{words}} filled in, and the table of contents."""
    repository = repository_address(root)
    listed = "\n".join(f"- [{name}](notebooks/{stem}.ipynb) · {takes[stem]}" for stem, name in titles.items())
    words = {"repository": repository, "name": folder_of(repository), "notebooks": listed}
    words |= {stem[:2]: f"notebooks/{stem}.ipynb" for stem in titles}
    text = (root / "site/index.md").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace("{{" + word + "}}", value)
    contents = "\n".join(f"notebooks/{stem}" for stem in titles)
    return f"{text}\n```{{toctree}}\n:hidden:\n:caption: Notebooks\n\n{contents}\n```\n"


def put(path: Path, text: str) -> None:
    """Write a file if it differs, so that Sphinx reads again only what changed."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)


def copy_mathjax(site: Path) -> None:
    """MathJax with its fonts, 1.5 MB of the package's 20: formulas as HTML, and MathML for screen readers."""
    (package,) = importlib.util.find_spec(MATHJAX).submodule_search_locations
    there, here = Path(package) / "static/mathjax", site / "_static/mathjax"
    shutil.copytree(there / "output/chtml/fonts", here / "output/chtml/fonts", dirs_exist_ok=True)
    shutil.copy(there / "tex-chtml.js", here)


# What a reader follows.


class _Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.anchors = [], {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif name in ("id", "name"):
                self.anchors.add(value)


def broken_links(site: Path) -> list[str]:
    """Links and pictures that lead to no file or no anchor of the site, or to an address of no known kind."""
    files = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]  # no pages
    found = {path: _Page(path.read_text(encoding="utf-8")) for path in files}
    return [f"{path.relative_to(site)}: {link}: {fault}" for path, page in found.items()
            for link in page.links for fault in _faults(site, path, link, found)]  # fmt: skip


def _faults(site: Path, path: Path, link: str, pages: dict[Path, _Page]) -> Iterator[str]:
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        if not re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc):
            yield "is no address"
        return
    if parts.scheme or parts.netloc:
        if parts.scheme not in ("mailto", "data", "javascript"):
            yield "is of an unknown kind"
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file() or not target.is_relative_to(site.resolve()):
        yield "is not there"
    elif target.suffix == ".html" and parts.fragment:
        page = next(page for known, page in pages.items() if known.resolve() == target)
        if unquote(parts.fragment) not in page.anchors:
            yield "has no such anchor"


if __name__ == "__main__":
    run_command(main)
