"""What in a notebook a grader should look at: code that reaches for more than an exercise needs.

A flag proves nothing and takes no point away: it says where to look. Nothing of the notebook is run.
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from a5lib.classroom.grading.attempts import code_of, read_cells
from a5lib.errors import InputError

_MODULES = {
    "os", "sys", "subprocess", "ctypes", "inspect", "gc", "atexit", "signal", "socket", "builtins",
    "importlib", "threading", "multiprocessing", "pickle", "shutil", "a5lib",
}  # fmt: skip
_NAMES = {"exec", "eval", "compile", "open", "setattr", "globals", "__import__", "EXERCISES", "Wrong"}
_ATTRIBUTES = {
    "__builtins__", "__globals__", "__closure__", "__code__", "__subclasses__", "_getframe", "EXERCISES",
    "run_check",
}  # fmt: skip
SOLVED = 'edition="solved"'  # in the set-up cell of a notebook that was not the student's to fill in
NOTEBOOKS = Path(__file__).resolve().parents[3] / "notebooks"


@cache
def given(folder: Path = NOTEBOOKS) -> tuple[frozenset[str], frozenset[str]]:
    """Sources of the student edition's cells, and what they import; to be called once, before the fork."""
    sources, imported = set(), set()
    for path in sorted(folder.glob("*.ipynb")):
        for kind, source, _ in read_cells(path):
            if kind == "code":
                sources.add(source)
                imported |= set(_imports(_parse(source)))
    return frozenset(sources), frozenset(imported)


def _parse(source: str) -> ast.AST:
    try:
        return ast.parse(code_of(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _imports(tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _odd(tree: ast.AST, known: frozenset[str]) -> Iterable[str]:
    for name in _imports(tree):
        excused = name.startswith("a5lib") and name in known
        if name.split(".")[0] in _MODULES and not excused:
            yield f"imports {name}"
    for node in ast.walk(tree):
        name = getattr(node, "id", None)
        if name in _NAMES | _ATTRIBUTES or getattr(node, "attr", None) in _ATTRIBUTES:
            yield f"uses {name or node.attr}"


def flags(path: Path, folder: Path = NOTEBOOKS) -> list[str]:
    """One line for each cell, changed or added by the student, that deserves a look."""
    try:
        cells = read_cells(path)
        sources, imported = given(folder)
    except InputError:
        return []
    lines = []
    for number, (kind, source, _) in enumerate(cells, 1):
        if kind == "code" and SOLVED in source:
            lines.append(f"cell {number} is the solved edition's")
        elif kind == "code" and source not in sources:
            odd = sorted(set(_odd(_parse(source), imported)))
            lines += [f"cell {number} {', '.join(odd)}"] * bool(odd)
    return lines[:20]
