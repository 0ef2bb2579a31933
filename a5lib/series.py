"""The notebooks in order, through papermill: the course's main job.

    python -m a5lib series [05 06 …] [--profile P] [--seed N] [--data DIR] [--runs DIR] [--timeout SECONDS]

Runs the solved editions (``notebooks/solved``) into ``<runs>/<profile>/notebooks`` and writes what was
measured to ``<runs>/<profile>/report.json``. The accuracies come from ``measures.json`` in the same folder,
written by the stages that the notebooks run. A series that was cut off goes on with the notebook that it had
come to (see `_Progress`). Knows nothing of what the notebooks teach.
"""

import hashlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a5lib.errors import InputError, Parser, run_command
from a5lib.files import held, read_object, versions, write_json

if TYPE_CHECKING:
    from nbformat import NotebookNode
    from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
QUIET = ["--log-level=ERROR"]  # each kernel warns that its local port is not encrypted, amid our lines
# Always in the report, null when not measured.
ACCURACIES = ("london", "nopretrain.dev", "vanilla.dev", "perceiver.dev", "perceiver_ar.dev")


@dataclass(frozen=True)
class Settings:
    """What every notebook of a series is run with; `timeout` is in seconds per cell."""

    profile: str
    seed: int
    data: str
    runs: Path
    timeout: int = 1800
    corpus: Path = Path("data")  # the folder that an empty `data` means

    @property
    def folder(self) -> Path:
        return self.runs / self.profile

    @property
    def parameters(self) -> dict[str, Any]:
        return {"profile": self.profile, "data": self.data, "seed": self.seed, "runs": str(self.runs)}


@dataclass
class Outcome:
    """How one notebook went; `error` is empty if it ran to the end."""

    name: str
    seconds: float
    error: str = ""
    kept: bool = False  # not run now: done before the series was cut off


class _Progress:
    """The notebooks that a series has done, in `series.json`: they are not run again until it has ended.

    They count for the same notebooks, settings, corpus and library only.
    """

    def __init__(self, settings: Settings):
        self.path = settings.folder / "series.json"
        made_from = {
            **settings.parameters,
            "library": _hash(*sorted((ROOT / "a5lib").rglob("*.py"))),
            "corpus": _hash(*sorted(settings.corpus.glob("*.t[xs][tv]"))),  # .txt and .tsv
        }
        known = read_object(self.path, made_from=dict, done=dict) if self.path.exists() else {}
        done = known["done"] if known.get("made_from") == made_from else {}
        self.state: dict[str, Any] = {"made_from": made_from, "done": done}

    def outcome(self, path: Path, result: Path) -> "Outcome | None":
        """How the notebook went before the series was cut off; None if it is still to be run."""
        seconds = self.state["done"].get(_key(path))
        done = isinstance(seconds, (int, float)) and result.is_file()
        return Outcome(path.stem, seconds, kept=True) if done else None

    def add(self, path: Path, outcome: "Outcome") -> None:
        self.state["done"][_key(path)] = outcome.seconds
        write_json(self.path, self.state)

    def end(self, notebooks: Sequence[Path]) -> None:
        """Forget these notebooks: called again, they run anew."""
        for path in notebooks:
            self.state["done"].pop(_key(path), None)
        if self.state["done"]:  # of a longer series, which is still to go on
            write_json(self.path, self.state)
        else:
            self.path.unlink(missing_ok=True)


def _key(notebook: Path) -> str:
    return f"{notebook.name} {_hash(notebook)}"


def _hash(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()


@dataclass
class _Position:
    """Moves the bar, and remembers the cell that runs, for papermill does not name it after a timeout."""

    bar: "tqdm"
    cell: "NotebookNode | None" = field(default=None)

    def start(self, cell: "NotebookNode", cell_index: int) -> None:
        self.cell = cell

    def complete(self, cell: "NotebookNode", cell_index: int) -> None:
        if "injected-parameters" not in cell.metadata.get("tags", []):
            self.bar.update()


def choose_notebooks(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The notebooks of `folder` called `names` (`05` or `05_birthplaces`), or all; always in order.

    Raises:
        InputError: a name that no notebook has, or a folder without notebooks.
    """
    found = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise InputError(f"{folder}: no notebooks there; the series runs in a clone of the course")
    there = ", ".join(path.stem for path in found)
    for name in names:
        if not any(name in (path.stem, path.stem[:2]) for path in found):
            raise InputError(f"no notebook {name}; there are: {there}")
    return [path for path in found if not names or path.stem in names or path.stem[:2] in names]


def run_series(notebooks: Sequence[Path], settings: Settings, root: Path = ROOT) -> list[Outcome]:
    """Run `notebooks` one after the other with `root` as working directory; stop at the first that fails.

    What ran is kept in `settings.folder`/notebooks, the failing notebook up to its failing cell too. What had
    been done when an earlier call was cut off is not run again.

    Raises:
        InputError: another series is at work in `settings.folder`; a notebook or `series.json` is damaged.
    """
    with held(settings.folder):
        progress = _Progress(settings)
        outcomes = _run_all(notebooks, settings, root, progress)
        if not outcomes[-1].error:
            progress.end(notebooks)
    return outcomes


def _run_all(notebooks: Sequence[Path], settings: Settings, root: Path, progress: _Progress) -> list[Outcome]:
    from tqdm import tqdm

    outcomes: list[Outcome] = []
    # disable=None: a bar on a terminal, silence elsewhere
    with tqdm(total=sum(map(_code_cells, notebooks)), unit="cell", disable=None) as bar:
        for path in notebooks:
            bar.set_description(path.stem)
            outcome = progress.outcome(path, settings.folder / "notebooks" / path.name)
            if outcome is None:
                outcome = _run_one(path, settings, root, _Position(bar))
                if not outcome.error:
                    progress.add(path, outcome)
            else:
                bar.update(_code_cells(path))
            outcomes.append(outcome)
            if bar.disable:
                print(_line(outcome), flush=True)
            if outcome.error:
                break
    return outcomes


def _run_one(path: Path, settings: Settings, root: Path, position: _Position) -> Outcome:
    target = settings.folder / "notebooks" / path.name
    return run_notebook(path, target, settings.parameters, settings.timeout, root, position)


def run_notebook(
    path: Path,
    target: Path,
    parameters: dict[str, Any],
    timeout: int,
    root: Path = ROOT,
    position: _Position | None = None,
) -> Outcome:
    """Run the notebook at `path` with `root` as working directory, and keep what ran at `target`.

    A failure is no exception: the outcome names it and its cell, and `target` ends in that cell's error.
    """
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from tqdm import tqdm

    position = position or _Position(tqdm(disable=True))
    target.parent.mkdir(parents=True, exist_ok=True)
    started, error = time.monotonic(), ""
    try:
        papermill.execute_notebook(
            path, target, parameters=parameters, kernel_name="python3", language="python",
            cwd=root, progress_bar=False, start_timeout=120, execution_timeout=timeout,
            extra_arguments=QUIET, on_cell_start=position.start, on_cell_complete=position.complete,
        )  # fmt: skip
    except PapermillExecutionError as failure:
        error = f"{_place(path, position.cell)}: {failure.ename}: {_first_line(failure.evalue)}"
    except (CellTimeoutError, DeadKernelError) as failure:
        error = f"{_place(path, position.cell)}: {_first_line(str(failure))}"
    return Outcome(target.stem, round(time.monotonic() - started, 1), error)


def _place(path: Path, cell: "NotebookNode | None") -> str:
    """The cell by its number in the notebook as it is in the repository, and its first line."""
    import nbformat

    if cell is None:
        return "before the first cell"
    ids = [known.id for known in nbformat.read(path, as_version=4).cells]
    number = ids.index(cell.id) + 1 if cell.id in ids else "with the parameters"
    return f"cell {number} ({_first_line(cell.source)})"


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0]


def _code_cells(path: Path) -> int:
    import nbformat

    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception as error:  # nbformat's own, JSON's, and KeyError
        raise InputError(f"{path}: is no notebook ({_first_line(str(error))}); build it anew") from None
    return sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in cells)


def make_report(settings: Settings, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Settings, accuracies in percent (null: not measured), seconds by stage and by notebook, versions.

    Raises:
        InputError: `measures.json` is there but cannot be read.
    """
    path = settings.folder / "measures.json"
    measures = read_object(path, seconds=dict) if path.exists() else {"seconds": {}}
    measures.pop("made_from", None)
    for name, value in measures.items():
        if name != "seconds" and not (isinstance(value, (int, float)) and abs(value) < 1e9):
            raise InputError(f"{path}: {name!r} is no number to report; remove the file")
    seconds = measures.pop("seconds") | {outcome.name: outcome.seconds for outcome in outcomes}
    report = {"profile": settings.profile, "seed": settings.seed, "data": settings.data}
    report |= dict.fromkeys(ACCURACIES) | measures
    failed = {outcome.name: outcome.error for outcome in outcomes if outcome.error}
    return report | {"seconds": seconds, "failed": failed, "versions": versions()}


def _line(outcome: Outcome) -> str:
    status = "failed" if outcome.error else "done before" if outcome.kept else "ok"
    return f"{outcome.name:<28} {outcome.seconds:>8.1f} s  {status}"


def _tables(report: dict[str, Any], outcomes: Sequence[Outcome]) -> str:
    lines = ["", f"{'notebook':<28} {'seconds':>8}    status", *map(_line, outcomes)]
    lines += ["", f"{'measure':<28} {'%':>8}"]
    for name, value in report.items():
        if name in ACCURACIES or (isinstance(value, (int, float)) and name != "seed"):
            lines.append(f"{name:<28} {'-' if value is None else format(value, '.1f'):>8}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The command line; returns 1 if a notebook failed.

    Raises:
        InputError: an unknown notebook or profile, a data folder that is not there.
    """
    args = _parser().parse_args(argv)
    notebooks = choose_notebooks(root / "notebooks/solved", args.notebooks)
    if args.data and not Path(args.data).is_dir():
        raise InputError(f"--data {args.data}: no such folder")
    if args.timeout < 1:
        raise InputError(f"--timeout {args.timeout}: must be a number of seconds, at least 1")
    from a5lib.recipes import choose_profile

    # Absolute, for the kernels work in the repository's root, wherever this was started.
    profile = choose_profile(args.profile)
    data = args.data and str(Path(args.data).resolve())
    settings = Settings(
        profile.name, args.seed, data, (args.runs or root / "runs").resolve(), args.timeout,
        Path(data) if data else profile.folder,
    )  # fmt: skip
    # A kernel named python3 in the user's own Jupyter folder must not win over this environment's.
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    outcomes = run_series(notebooks, settings, root)
    report = make_report(settings, outcomes)
    write_json(settings.folder / "report.json", report)
    print(_tables(report, outcomes))
    print(f"\nnotebooks and report.json are in {settings.folder}", flush=True)
    for outcome in outcomes:
        if outcome.error:
            print(f"{outcome.name}: {outcome.error}", file=sys.stderr)
    return 1 if outcomes[-1].error else 0


def _parser() -> Parser:
    parser = Parser(prog="python -m a5lib series", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("notebooks", nargs="*", metavar="notebook", help="number or name, such as 05; default: all")
    add("--profile", default="", help="smoke, quick or full; default: $A5_PROFILE, else by the machine")
    add("--seed", type=int, default=0)
    add("--data", default="", metavar="DIR", help="where the corpus is; default: the profile's folder")
    add("--runs", type=Path, metavar="DIR", help="where results go; default: runs in the repository")
    add("--timeout", type=int, default=1800, metavar="SECONDS", help="the most a cell may take")
    return parser


if __name__ == "__main__":
    run_command(main)
