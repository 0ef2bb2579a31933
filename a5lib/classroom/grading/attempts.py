"""What a student's notebook defines, and how its exercises fare, without the long training.

Cells run in order, statement by statement, each for a few seconds at most; a statement that fails is passed
over, as is one that needs what is not here: a trained model, a figure, a folder to write to. What is handed
to `check("name", …)` is checked then and there, whatever the notebook is called and whatever was added to
it; an exercise whose check was deleted is found by its name. Recorded outputs are never looked at.
Runs in a limited process, and what it reports is the claim of a process with a student's code in it.
"""

import ast
import contextlib
import importlib.abc
import importlib.machinery
import json
import linecache
import re
import sys
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from a5lib.classroom import checks
from a5lib.classroom.grading.messages import Send
from a5lib.classroom.guard import run_guarded
from a5lib.errors import InputError

SECONDS_A_STATEMENT = 5.0
SECONDS_A_CHECK = 2 * checks.SECONDS  # of which a check's own limit is half
RANK = {checks.NOT_ATTEMPTED: 0, checks.FAILED: 1, checks.PASSED: 2}


def read_cells(path: Path) -> list[tuple[str, str, list[str]]]:
    """Kind, source and tags of each cell of a notebook.

    Raises:
        InputError: it is no notebook.
    """
    try:
        notebook = json.loads(path.read_bytes())
        return [_cell(cell) for cell in notebook["cells"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError) as error:
        raise InputError(f"no notebook that can be read ({type(error).__name__}); save it again") from None


def _cell(cell: dict) -> tuple[str, str, list[str]]:
    source = cell["source"]
    source = source if isinstance(source, str) else "".join(source)
    tags = (cell.get("metadata") or {}).get("tags") or []
    return str(cell["cell_type"]), source, [tag for tag in tags if isinstance(tag, str)]


def code_of(source: str) -> str:
    """A code cell as plain Python: what only a notebook understands becomes `pass`."""
    if source.lstrip().startswith("%%"):
        return ""
    with contextlib.suppress(SyntaxError, ValueError):
        ast.parse(source)
        return source
    return re.sub(r"(?m)^(\s*)(?:[%!].*|\??[\w.]+\?{1,2}\s*)$", r"\1pass", source)


def examine(path: Path, surroundings: Any, send: Send) -> None:
    """Run the notebook at `path` and send a message for each check: name, state, points, text.

    Args:
        surroundings: what the notebook's set-up cell gives (`a5`): corpus and vocabulary, no training.
    """
    cells = read_cells(path)
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    recorder = _Recorder(send)
    _stand_in(recorder.check, surroundings)
    for number, (kind, source, _) in enumerate(cells, 1):
        if kind == "code":
            for problem in _run_cell(source, number, vars(main)):
                send({"note": problem})
    for name in checks.EXERCISES:
        attempt = vars(main).get(name)
        if name not in recorder.seen and callable(attempt) and not is_librarys(attempt, None):
            recorder.check(name, attempt)


def _run_cell(source: str, number: int, names: dict[str, Any]) -> Iterator[str]:
    """Run a cell's statements; yields what is wrong with the cell as a whole."""
    code, file = code_of(source), f"<cell {number}>"
    try:
        statements = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        yield f"cell {number} was not run: {type(error).__name__}: {error}"
        return
    lines = [f"{line}\n" for line in code.split("\n")]
    linecache.cache[file] = (len(code), None, lines, file)  # for inspect.getsource, and for messages
    for statement in statements:
        checked = any(getattr(node, "id", "") == "check" for node in ast.walk(statement))
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            compiled = compile(ast.Module([statement], []), file, "exec")
            run_guarded(partial(exec, compiled, names), SECONDS_A_CHECK if checked else SECONDS_A_STATEMENT)


class _Recorder:
    """In the place of `check`: the same check, its result sent instead of shown."""

    def __init__(self, send: Send):
        self._send, self.seen = send, {}

    def check(self, name: str, attempt: Any) -> Any:
        """Check an attempt, and go on with it if it passed, with the library's if not."""
        reference = checks.EXERCISES[name].reference
        if is_librarys(attempt, reference):
            result = checks.Result(name, checks.NOT_ATTEMPTED, 0.0)
            text = f"{name}: not attempted (this is the library's own version)"
        else:
            result = checks.run_check(name, attempt)
            text = str(result)
        rank = RANK.get(result.state, 0)
        if rank > self.seen.get(name, -1):
            self.seen[name] = rank
            self._send({"check": name, "state": result.state, "points": result.points, "text": text[:2000]})
        return attempt if result.state == checks.PASSED else reference


def is_librarys(attempt: Any, reference: Any) -> bool:
    """Whether an attempt was taken from the library as it is."""
    if not callable(attempt):
        return False
    return attempt is reference or str(getattr(attempt, "__module__", "")).startswith("a5lib")


# What stands in for the parts of the library that train, draw, and write to the student's folder.


def _nothing(*_: Any, **__: Any) -> None:
    return None


class _NoDisplay(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """`a5lib.display` and all in it: modules whose functions do nothing."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name == "a5lib.display" or name.startswith("a5lib.display."):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__getattr__ = lambda name: _nothing  # type: ignore[attr-defined]


def _stand_in(check: Callable, surroundings: Any) -> None:
    from a5lib import classroom
    from a5lib.classroom import notebook, progress, setup

    for name in [name for name in sys.modules if name.startswith("a5lib.display")]:
        del sys.modules[name]
    sys.meta_path.insert(0, _NoDisplay())
    classroom.check = progress.check = check
    for name in ("assess", "points_so_far", "remember", "remember_in"):
        setattr(progress, name, _nothing)
        setattr(classroom, name, _nothing)
    setup.ready = lambda **_: surroundings
    notebook.confront = notebook.keep = _nothing
    notebook.mine = lambda _, name: checks.EXERCISES[name].reference
