"""From one source to two notebooks, in memory: reads the source, writes nothing, runs nothing.

A source is a jupytext percent script. What stands between ``### BEGIN SOLUTION`` and ``### END SOLUTION``
is a stub in the student edition, and a cell tagged ``solved-only`` is not in it. The set-up of the solved
one says which it is, so that nothing goes into the reader's folder. Each source has one cell tagged
``parameters``, after it one code cell ``{{setup}}``, and one markdown cell ``{{badge}}``. It may say
``{{repository}}``, ``{{owner_repo}}`` and ``{{notebook}}``; the address comes from pyproject.toml. With
``a5: {gpu: true}`` under ``jupyter:`` in the source's header, Colab opens the notebook with a GPU; ``about``
beside it is for the README (``editions_readme``). A code cell may be tagged ``figure:short-name``; what
becomes of its picture is said in ``editions_figures``. A markdown cell tagged ``written:NAME`` is for an
answer in prose (see ``written``).
"""

import copy
import hashlib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from a5lib.errors import InputError

if TYPE_CHECKING:  # the tools of authors are imported where they are used: students need none of them
    from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = 'raise NotImplementedError("your turn")'
TEXT_STUB = "*Your answer here.*"
TELLING_LENGTH = 12  # shorter lines (`return x`) occur everywhere and give nothing away
FIGURE_TAG = re.compile(r"figure:[a-z0-9]+(-[a-z0-9]+)*")
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}

BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{{owner_repo}}/blob/main/notebooks/{{notebook}}.ipynb)"
)
# Before the clone there is no library to hold any logic; all the rest is in `classroom.setup`.
SETUP = """\
import os
import sys

if "google.colab" in sys.modules:  # on Colab only: fetch the course once, and work in its folder
    if not os.path.isdir("/content/a5"):
        !git clone --quiet --depth 1 {{repository}} /content/a5
    sys.path.insert(0, "/content/a5")
    os.chdir("/content/a5")
from a5lib.classroom.setup import ready

a5 = ready("{{notebook}}", profile=profile, data=data, seed=seed, runs=runs)"""
SET_UP = "\nfrom a5lib.classroom.setup import ready\n"  # in no other cell


def build(source: Path, repository: str | None = None) -> tuple["NotebookNode", "NotebookNode"]:
    """The student and the solved edition of one source, neither with outputs; writes nothing.

    `repository` is the course's address; without it, the one in the pyproject.toml two folders up.

    Raises:
        InputError: the source breaks a rule (markers, parameters, set-up, badge, tags of figures); names
            source and cell.
    """
    filled = filled_source(source, repository or repository_address(source.parents[2]))
    solved, student = copy.deepcopy(filled), _clear_solutions(copy.deepcopy(filled))
    for cell in solved.cells:
        if SET_UP in cell.source:
            cell.source = cell.source.removesuffix(")") + ', edition="solved")'
        cell.source = "\n".join(line for line in cell.source.split("\n") if line.strip() not in (BEGIN, END))
    for notebook, edition in ((student, "student"), (solved, "solved")):
        _give_ids(notebook, f"{source.stem}/{edition}")
    return student, solved


def repository_address(root: Path) -> str:
    """The `Repository` address of `root`'s pyproject.toml.

    Raises:
        InputError: there is no such file, or no such address in it.
    """
    path = root / "pyproject.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))["project"]["urls"]["Repository"].rstrip("/")
    except (OSError, KeyError):
        raise InputError(f"{path}: needs a Repository under [project.urls]") from None


def folder_of(address: str) -> str:
    """The folder into which `git clone` puts the repository."""
    return address.rsplit("/", 1)[-1].removesuffix(".git")


def filled_source(source: Path, repository: str) -> "NotebookNode":
    """The source as a notebook: rules checked, metadata canonical, placeholders filled, markers still in."""
    import jupytext
    from nbformat.v4 import new_notebook

    notebook = jupytext.read(source, fmt="py:percent")
    _check_rules(notebook, source.name)
    for cell in notebook.cells:
        cell.metadata.pop("lines_to_next_cell", None)
        cell.source = fill(cell.source, repository, source.stem)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    if notebook.metadata.get("a5", {}).get("gpu"):
        metadata |= {"accelerator": "GPU", "colab": {"gpuType": "T4", "provenance": []}}
    return new_notebook(cells=notebook.cells, metadata=metadata)


def fill(text: str, repository: str, notebook: str) -> str:
    """`text` with its ``{{words}}`` replaced by what they stand for in a notebook."""
    words = {"{{badge}}": BADGE, "{{setup}}": SETUP, "{{repository}}": repository,
             "{{owner_repo}}": urlsplit(repository).path.strip("/").removesuffix(".git"),
             "{{notebook}}": notebook}  # fmt: skip
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def _check_rules(notebook: "NotebookNode", name: str) -> None:
    """Raise InputError where the source lacks a cell that each notebook has, or a marker its partner."""
    cells = list(enumerate(notebook.cells))
    whole = [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]
    places = {
        "cells tagged parameters": [i for i, cell in cells if "parameters" in tags(cell)],
        "code cells with only {{setup}}": [i for i, _ in cells if whole[i] == ("code", "{{setup}}")],
        "markdown cells with only {{badge}}": [i for i, _ in cells if whole[i] == ("markdown", "{{badge}}")],
    }
    for what, found in places.items():
        if len(found) != 1:
            raise InputError(f"{name}: has {len(found)} {what}; each notebook has exactly one")
    if places["code cells with only {{setup}}"] < places["cells tagged parameters"]:
        raise InputError(f"{name}: the set-up cell uses the parameters, so it must come after their cell")
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "raw":
            raise InputError(f"{name}: cell {number} is raw; keys of the header stand under `jupyter:`")
        for tag in tags(cell):
            if tag.startswith("figure") and (cell.cell_type != "code" or not FIGURE_TAG.fullmatch(tag)):
                rule = "code cells may be tagged `figure:short-name`, in small letters, digits and hyphens"
                raise InputError(f"{name}: cell {number} is tagged {tag}; {rule}")
        inside = False
        for line in cell.source.split("\n"):
            if (BEGIN in line and inside) or (END in line and not inside):
                raise InputError(f"{name}: cell {number} has `{line.strip()}` without its partner")
            inside = (inside or BEGIN in line) and END not in line
        if inside:
            raise InputError(f"{name}: cell {number} has `{BEGIN}` without `{END}`")


def _clear_solutions(notebook: "NotebookNode") -> "NotebookNode":
    from nbgrader.preprocessors import ClearSolutions

    notebook.cells = [cell for cell in notebook.cells if "solved-only" not in tags(cell)]
    clear = ClearSolutions(begin_solution_delimeter=BEGIN, end_solution_delimeter=END, enforce_metadata=False,
                           code_stub={"python": STUB}, text_stub=TEXT_STUB)  # fmt: skip
    return clear.preprocess(notebook, {})[0]


def _give_ids(notebook: "NotebookNode", name: str) -> None:
    """Ids that depend on what a cell says, so that a change in one cell leaves the ids of the others."""
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        text = f"{name}\n{cell.cell_type}\n{cell.source}"
        seen[text] = seen.get(text, 0) + 1
        cell.id = hashlib.sha256(f"{text}\n{seen[text]}".encode()).hexdigest()[:12]


def tags(cell: "NotebookNode") -> list[str]:
    return list(cell.metadata.get("tags", []))


def leaks(source: Path, student: "NotebookNode") -> list[int]:
    """Numbers (from 1) of student cells with a marker, or a line that the source has in solutions only."""
    import jupytext

    secret, public = set(), set()
    for cell in jupytext.read(source, fmt="py:percent").cells:
        inside = hidden = "solved-only" in tags(cell)
        for line in cell.source.split("\n"):
            inside = (inside or BEGIN in line) and (hidden or END not in line)
            (secret if inside else public).add(line.strip())
    telling = {line for line in secret - public if len(line) >= TELLING_LENGTH} | {BEGIN, END}
    return [
        number
        for number, cell in enumerate(student.cells, 1)
        if any(line.strip() in telling or BEGIN in line or END in line for line in cell.source.split("\n"))
    ]
