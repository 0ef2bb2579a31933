"""The two editions of each notebook on disk: built, executed, and checked to be up to date.

    python -m a5lib.classroom.editions build [05 …] [--no-execute] [--all]
    python -m a5lib.classroom.editions check
    python -m a5lib.classroom.editions strip FILE …

``notebooks/source/NN_name.py`` gives ``notebooks/NN_name.ipynb`` (student edition: stubs, no outputs) and
``notebooks/solved/NN_name.ipynb`` (everything, executed at profile quick, outputs kept). What a cell tagged
``figure:short-name`` shows is written to ``figures/short-name.png``, too (``editions_figures``). How one
source becomes two notebooks is in ``editions_build``. Knows nothing of what the notebooks teach.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from a5lib.classroom.editions_build import FIGURE_TAG, SET_UP, build, leaks, repository_address, tags
from a5lib.classroom.editions_figures import figure_faults, remove_figures, tagged, write_figures
from a5lib.classroom.editions_readme import README, filled_readme, readme_faults
from a5lib.errors import InputError, run_command
from a5lib.files import write_text

if TYPE_CHECKING:  # the tools of authors are imported where they are used: students need none of them
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
QUIET = ["--log-level=ERROR"]  # each kernel warns that its local port is not encrypted, amid our lines
WIDGET = "application/vnd.jupyter.widget-view+json"


class EditionError(Exception):
    """A notebook could not be executed. Its text names the notebook, the cell and the error."""


def not_executed(notebook: "NotebookNode") -> list[int]:
    """Numbers (from 1) of the code cells that did not run, or ran into an error."""
    return [
        number
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code" and cell.source.strip() and "skip-execution" not in tags(cell)
        and (not cell.execution_count or any(out.output_type == "error" for out in cell.outputs))
    ]  # fmt: skip


def execute(notebook: "NotebookNode", name: str, root: Path, timeout: int = 900) -> None:
    """Run every cell at profile quick in folder `root`, in place; `timeout` is in seconds per cell.

    Raises:
        EditionError: a cell failed or took too long, or the kernel died.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    here: list[int] = [0]
    client = NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", record_timing=False, coalesce_streams=True,
        resources={"metadata": {"path": str(root)}}, extra_arguments=QUIET,
        on_cell_start=lambda cell, cell_index: here.__setitem__(0, cell_index + 1),
    )  # fmt: skip
    # Whoever builds it, the solved edition is the same: no profile of theirs, and the parameters cell's seed.
    env = os.environ | {"A5_PROFILE": "quick", "A5_RUNS": str(root / "runs"), "JUPYTER_PREFER_ENV_PATH": "1"}
    try:
        client.execute(env=env)
    except (CellControlSignal, DeadKernelError) as error:
        last = str(getattr(error, "evalue", "") or error).strip().split("\n")
        what = f"{error.ename}: {last[0]}" if hasattr(error, "ename") else last[0]
        raise EditionError(f"{name}: cell {here[0]}: {what}") from error
    notebook.metadata.pop("papermill", None)
    notebook.metadata["language_info"] = {"name": "python"}
    strip_widgets(notebook)


def strip_widgets(notebook: "NotebookNode") -> bool:
    """Remove widgets' state and views, in place; whether there were any.

    A state makes GitHub refuse to show a notebook, and a view without its state shows as an error.
    """
    found = notebook.metadata.pop("widgets", None) is not None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kept = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
            found = found or len(kept) < len(cell.outputs)
            cell.outputs = kept
    return found


def strip_files(paths: Sequence[Path]) -> list[Path]:
    """Rewrite those notebooks among `paths` that hold widgets' state or views; returns which they are.

    Raises:
        InputError: a file that is no notebook.
    """
    stripped = []
    for path in paths:
        try:
            notebook = _load(path)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: is no notebook ({error})") from None
        if strip_widgets(notebook):
            _write(notebook, path)
            stripped.append(path)
    return stripped


def take_outputs(notebook: "NotebookNode", path: Path) -> None:
    """Give `notebook` the outputs of the one at `path` if the code cells of both do the same."""
    new = [cell for cell in notebook.cells if cell.cell_type == "code"]
    old = [cell for cell in _load(path).cells if cell.cell_type == "code"] if path.exists() else []
    if [_what_runs(cell) for cell in new] == [_what_runs(cell) for cell in old]:
        for cell, before in zip(new, old, strict=True):
            cell.outputs, cell.execution_count = before.outputs, before.execution_count


def _what_runs(cell: "NotebookNode") -> tuple[str, list[str]]:
    """Source and tags, without those of figures: no cell has to run again to be given a name.

    Nor because the set-up cell has another address, or other words: it makes the same `a5`.
    """
    source = "{{setup}}" if SET_UP in cell.source else cell.source
    return source, [tag for tag in tags(cell) if not FIGURE_TAG.fullmatch(tag)]


def _load(path: Path) -> "NotebookNode":
    import nbformat

    return nbformat.read(path, as_version=4)


def _write(notebook: "NotebookNode", path: Path) -> None:
    import nbformat

    write_text(path, nbformat.writes(notebook).rstrip("\n") + "\n")


def _editions(root: Path, source: Path) -> tuple[Path, Path]:
    """The paths of the student and the solved edition."""
    return root / "notebooks" / f"{source.stem}.ipynb", root / "notebooks/solved" / f"{source.stem}.ipynb"


def sources(root: Path, names: Sequence[str] = ()) -> list[Path]:
    """The sources called `names` (`05` or `05_birthplaces`), or all, in order.

    Raises:
        InputError: a name that no source has.
    """
    found = sorted((root / "notebooks/source").glob("[0-9][0-9]_*.py"))
    there = ", ".join(path.stem for path in found) or "none"
    for name in names:
        if not any(name in (path.stem, path.stem[:2]) for path in found):
            raise InputError(f"no notebook {name}; there are: {there}")
    return [path for path in found if not names or path.stem in names or path.stem[:2] in names]


def build_all(root: Path, names: Sequence[str] = (), run: bool = True, again: bool = False) -> None:
    """Write both editions of the sources `names` (or all); execute what changed, or everything `again`.

    The figures of these notebooks are written as well, and those of cells no longer there are removed; the
    README's table and address are filled in.

    Raises:
        InputError: an unknown name, a source that breaks a rule, or a student edition in which somebody has
            worked; then nothing is written.
        EditionError: a cell failed; the editions of that notebook stay as they were.
    """
    for source in sources(root, names):
        student_path, _ = _editions(root, source)
        if student_path.exists() and _has_run(_load(student_path)):
            what = f"{student_path.relative_to(root)}: somebody has worked in it, for cells have run"
            raise InputError(f"{what}; move it to another folder, or delete it, then build again")
    for source in sources(root, names):
        started, done = time.monotonic(), "outputs kept"
        student, solved = build(source, repository_address(root))
        student_path, solved_path = _editions(root, source)
        if not again:
            take_outputs(solved, solved_path)
        if not_executed(solved):
            done = "not executed"
            if run:
                execute(solved, source.stem, root)
                done = f"executed in {time.monotonic() - started:.0f} s"
        before = {figure.name for figure in tagged(_load(solved_path))} if solved_path.exists() else set()
        _write(student, student_path)
        _write(solved, solved_path)
        written, named = write_figures(root, solved), {figure.name for figure in tagged(solved)}
        remove_figures(root, before - named)
        print(f"{source.stem}: {done}" + f"; {written} of {len(named)} figures" * bool(named), flush=True)
    if readme_faults(root, sources(root)):
        write_text(root / README, filled_readme(root, sources(root)))


def check(root: Path) -> list[str]:
    """What is wrong with the editions and figures in `root`, one line each; an empty list if all is well."""
    problems = []
    known = set()
    for source in sources(root):
        known |= set(_editions(root, source))
        try:
            built = build(source, repository_address(root))
        except InputError as error:
            problems.append(str(error))
            continue
        for notebook, path in zip(built, _editions(root, source), strict=True):
            problems += [f"{path.relative_to(root)}: {what}" for what in _faults(notebook, path, source)]
    built = sorted((root / "notebooks").glob("*.ipynb")) + sorted((root / "notebooks/solved").glob("*.ipynb"))
    problems += [f"{path.relative_to(root)}: has no source" for path in built if path not in known]
    return problems + figure_faults(root) + readme_faults(root, sources(root))


def _faults(wanted: "NotebookNode", path: Path, source: Path) -> list[str]:
    if not path.exists():
        return ["is missing; run `make editions`"]
    there = _load(path)
    faults = []
    both = [[(c.cell_type, c.source, tags(c)) for c in notebook.cells] for notebook in (wanted, there)]
    if both[0] != both[1]:
        pairs = enumerate(zip(*both, strict=False), 1)
        first = next((number for number, (a, b) in pairs if a != b), min(map(len, both)) + 1)
        faults.append(f"is stale from cell {first} on; change the source, then run `make editions`")
    if path.parent.name == "solved":
        return faults + [f"cell {number} did not run, or failed" for number in not_executed(there)]
    if _has_run(there):
        faults.append("cells have run; work in a copy, and take this one back by git")
    return faults + [f"cell {number} leaks a solution" for number in leaks(source, there)]


def _has_run(notebook: "NotebookNode") -> bool:
    """Whether a code cell has."""
    return any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command line; returns the exit code. Raises InputError for an unknown notebook or a bad source."""
    about = __doc__.split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m a5lib.classroom.editions", description=about)
    commands = parser.add_subparsers(dest="command", required=True)
    builder = commands.add_parser("build", help="write both editions of each source, and the figures")
    builder.add_argument("names", nargs="*", metavar="notebook", help="number or name; default: all")
    builder.add_argument("--no-execute", action="store_true", help="do not run the solved edition")
    builder.add_argument("--all", action="store_true", help="execute also what did not change")
    commands.add_parser(
        "check", help="exit 1 if an edition or figure is missing or stale, or a solution leaks"
    )
    stripper = commands.add_parser(
        "strip", help="remove widgets' state from notebooks; exit 1 if there was any"
    )
    stripper.add_argument("files", nargs="+", type=Path)
    args = parser.parse_args(argv)
    if args.command == "strip":
        stripped = strip_files(args.files)
        print("".join(f"{path}: widget state removed\n" for path in stripped), end="")
        return 1 if stripped else 0
    if args.command == "build":
        try:
            build_all(root, args.names, run=not args.no_execute, again=args.all)
        except EditionError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    problems = check(root)
    print("\n".join(problems) or f"{len(sources(root))} notebooks: editions and figures are up to date")
    return 1 if problems else 0


if __name__ == "__main__":
    run_command(main)
