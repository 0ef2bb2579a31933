"""What a notebook remembers: the reader's predictions, and the functions they wrote.

Both are kept under `runs/mine/`, so that a later notebook finds them.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from a5lib.classroom.checks import EXERCISES, PASSED, run_check
from a5lib.files import read_object, write_json, write_text
from a5lib.pipeline import Pipeline


def mine_folder(a5: Pipeline) -> Path:
    """The folder of what the reader made, beside the profiles' folders; a solved edition has its own."""
    return a5.folder.parent / getattr(a5, "reader", "mine")


def confront(
    a5: Pipeline,
    name: str,
    prediction: Any,
    measured: Any,
    unit: str = "",
    choices: Mapping[str, str] | None = None,
) -> None:
    """Show a prediction beside what came out, and remember both; None is no prediction.

    Args:
        choices: for a multiple-choice question, each letter with what it says; `measured` is then the
            letter that came out.
    """
    if choices and prediction is not None and prediction not in choices:
        print(f"{prediction!r} is not one of {', '.join(choices)}: it counts as no prediction.")
        prediction = None
    path = mine_folder(a5) / "predictions.json"
    known = read_object(path) if path.is_file() else {}
    remembered = {"predicted": prediction, "measured": measured, "unit": unit}
    write_json(path, known | {name: remembered | ({"choices": dict(choices)} if choices else {})})
    shown = [_shown(value, unit, choices or {}) for value in (prediction, measured)]
    said = "You made no prediction." if prediction is None else f"You predicted {shown[0]}."
    print(f"{said} Measured: {shown[1]}.")


def _shown(value: Any, unit: str, choices: Mapping[str, str]) -> str:
    if isinstance(value, str) and value in choices:
        return f"{value} ({choices[value]})"
    return f"{value:.4g} {unit}".strip() if isinstance(value, int | float) else f"{value} {unit}".strip()


IMPORTS = "import math\nimport random\n\nfrom a5lib.vocab import MASK, PAD\n\n\n"


def keep(a5: Pipeline, name: str, *functions: Callable) -> None:
    """Write functions of the reader's to a module, for `mine`: the exercise `name` last, its helpers before.

    Library functions are left out: `mine` falls back on the library anyway.
    """
    own = [f for f in functions if not f.__module__.startswith("a5lib.")]
    if functions[-1] not in own:
        print(f"{name}: nothing of yours to keep; later notebooks use the library's version.")
        return
    taken = {f.__name__ for f in functions} - {f.__name__ for f in own}
    rooms = {f.__module__ for f in functions if f.__name__ in taken}
    imports = [f"from {room} import {', '.join(sorted(taken))}\n" for room in rooms]
    source = IMPORTS + "".join(imports) + "\n\n".join(inspect.getsource(f) for f in own)
    path = mine_folder(a5) / f"{name}.py"
    write_text(path, source)
    print(f"{name}: your version is kept in {_near(path)}; later notebooks train with it.")


def mine(a5: Pipeline, name: str) -> Any:
    """The reader's kept version of an exercise if there is one and it passes, else the library's."""
    from a5lib.classroom import exercises  # noqa: F401  registers them

    path = mine_folder(a5) / f"{name}.py"
    if not path.is_file():
        print(f"{name}: the library's version (none of yours is kept).")
        return EXERCISES[name].reference
    try:
        attempt = getattr(_load_module(name, path), name)
    except Exception as error:
        print(f"{name}: {_near(path)} cannot be loaded ({error}); the library's version instead.")
        return EXERCISES[name].reference
    result = run_check(name, attempt)
    if result.state == PASSED:
        print(f"{name}: your version, from {_near(path)}.")
        return attempt
    print(result)
    return EXERCISES[name].reference


def _near(path: Path) -> Path:
    """A path as seen from here, where it lies below: shorter, and the same on every machine."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _load_module(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(f"mine_{name}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
