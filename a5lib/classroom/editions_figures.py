"""The figures folder: what cells tagged ``figure:short-name`` show, as ``figures/short-name.png``.

A figure is the last PNG among the outputs of the solved edition's cell, byte for byte: what the README shows
is what the notebook shows. A PNG with a JSON file of its name beside it may also be a benchmark's, drawn from
that file. Other kinds of files in the folder are left alone. Runs nothing, and knows nothing of sources.
"""

import base64
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from a5lib.classroom.editions_build import FIGURE_TAG, tags
from a5lib.files import atomic_path

if TYPE_CHECKING:  # the tools of authors are imported where they are used: students need none of them
    from nbformat import NotebookNode

PNG = "image/png"


class Tagged(NamedTuple):
    """A tagged cell: its figure's name, its number (from 1), and its picture, None if it shows none."""

    name: str
    cell: int
    png: bytes | None


def tagged(notebook: "NotebookNode") -> list[Tagged]:
    """The tagged cells of a notebook, in order."""
    return [
        Tagged(tag.removeprefix("figure:"), number, _last_png(cell))
        for number, cell in enumerate(notebook.cells, 1)
        for tag in tags(cell)
        if FIGURE_TAG.fullmatch(tag)
    ]


def write_figures(root: Path, notebook: "NotebookNode") -> int:
    """Write the pictures that the solved edition `notebook` shows to `root`/figures; returns how many.

    Raises:
        InputError: a file cannot be written.
    """
    pictures = {figure.name: figure.png for figure in tagged(notebook) if figure.png}
    for name, png in pictures.items():
        with atomic_path(_path(root, name)) as temporary:
            temporary.write_bytes(png)
    return len(pictures)


def remove_figures(root: Path, names: set[str]) -> None:
    """Remove the pictures called `names` from `root`/figures, except those that a solved edition tags."""
    kept = {figure.name for _, figure in _all_tagged(root)} if names else set()
    for name in names - kept:
        _path(root, name).unlink(missing_ok=True)


def figure_faults(root: Path) -> list[str]:
    """Where `root`/figures and the solved editions disagree, one line each; an empty list if nowhere."""
    found = _all_tagged(root)
    uses = Counter(figure.name for _, figure in found)
    faults = []
    for path, figure in found:
        where = f"cell {figure.cell} of {path.relative_to(root)}"
        if uses[figure.name] > 1:
            faults.append(f"{where}: figure:{figure.name} is the tag of {uses[figure.name]} cells")
        elif figure.png is None:
            faults.append(f"{where}: is tagged figure:{figure.name}, but shows no PNG")
        elif not _path(root, figure.name).is_file():
            faults.append(f"figures/{figure.name}.png: is missing; run `make editions`")
        elif _path(root, figure.name).read_bytes() != figure.png:
            faults.append(f"figures/{figure.name}.png: differs from {where}; run `make editions`")
    pictures = sorted((root / "figures").glob("*.png"))
    there = [path.stem for path in pictures if not path.with_suffix(".json").is_file()]
    return faults + [
        f"figures/{name}.png: no cell is tagged for it; remove it" for name in there if not uses[name]
    ]


def _path(root: Path, name: str) -> Path:
    return root / "figures" / f"{name}.png"


def _all_tagged(root: Path) -> list[tuple[Path, Tagged]]:
    """Every tagged cell of every solved edition on disk, with its notebook's path."""
    import nbformat

    paths = sorted((root / "notebooks/solved").glob("*.ipynb"))
    return [(path, figure) for path in paths for figure in tagged(nbformat.read(path, as_version=4))]


def _last_png(cell: "NotebookNode") -> bytes | None:
    pictures = [output.data[PNG] for output in cell.get("outputs", []) if PNG in output.get("data", {})]
    return base64.b64decode(pictures[-1]) if pictures else None
