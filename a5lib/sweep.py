"""Variants times seeds: one small notebook a run, by papermill, and all results in one table and one figure.

    python -m a5lib.sweep --variants vanilla perceiver --seeds 0 1 2 [--profile P] [--data DIR]
                          [--runs DIR] [--timeout SECONDS]

Each run pretrains, finetunes and answers the dev questions. Its notebook, with the training curves, is
``<runs>/sweep/<profile>/<variant>-seed-<N>.ipynb``; a run that fails leaves its notebook up to the failure,
and the others go on. ``sweep.json``, ``sweep.md`` and ``sweep.png`` beside them hold the results. What was
trained once is found again, so that an interrupted sweep goes on where it stopped.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from a5lib.errors import InputError, run_command
from a5lib.files import atomic_path, read_json, versions, write_json, write_text
from a5lib.model import VARIANTS
from a5lib.series import ROOT, Outcome, run_notebook

if TYPE_CHECKING:
    from nbformat import NotebookNode

Row = dict[str, Any]

PARAMETERS = """\
variant: str = "vanilla"
profile: str = ""
data: str = ""
seed: int = 0
runs: str = "runs"
result: str = "result.json"  # where the score goes"""
CELLS = (
    """\
from a5lib.display.live import LiveCurve
from a5lib.pipeline import Pipeline

a5 = Pipeline(profile, data, seed, runs)
pretrained = a5.pretrain(variant, callbacks=[LiveCurve("Pretraining")])""",
    'finetuned = a5.finetune(pretrained, callbacks=[LiveCurve("Finetuning")])',
    """\
from a5lib.files import write_json

answers = a5.evaluate(finetuned)
row = {"variant": variant, "seed": seed, "correct": answers.correct, "total": answers.total}
row |= {"seconds": round(pretrained.seconds + finetuned.seconds, 1)}
write_json(result, row)
row""",
)


def run_notebook_of_one() -> "NotebookNode":
    """The notebook that each run of a sweep executes with parameters of its own."""
    from nbformat.v4 import new_code_cell, new_notebook

    first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    return new_notebook(cells=[first, *map(new_code_cell, CELLS)])


def sweep(
    variants: Sequence[str], seeds: Sequence[int], profile: str, data: str, runs: Path, timeout: int
) -> tuple[list[Row], list[Outcome]]:
    """Run every variant with every seed: the results of the runs, and the outcomes of those that failed.

    Args:
        data: the corpus's folder; empty takes the profile's own.
        timeout: the most that a cell may take, in seconds.
    """
    import nbformat

    folder = runs / "sweep" / profile
    template = folder / "one-run.ipynb"
    write_text(template, nbformat.writes(run_notebook_of_one()) + "\n")
    rows, failed = [], []
    for variant in variants:
        for seed in seeds:
            name, result = f"{variant}-seed-{seed}", folder / f"{variant}-seed-{seed}.json"
            result.unlink(missing_ok=True)
            given = {"variant": variant, "profile": profile, "data": data, "seed": seed, "runs": str(runs)}
            given |= {"result": str(result)}
            print(f"{name}: ", end="", flush=True)
            outcome = run_notebook(template, folder / f"{name}.ipynb", given, timeout)
            if outcome.error:
                failed.append(outcome)
            else:
                rows.append(read_json(result))
            print(outcome.error or _percent(rows[-1]), flush=True)
    return rows, failed


def table(rows: Sequence[Row]) -> str:
    """A Markdown table: a line for each variant, with the mean and standard deviation over its seeds."""
    lines = ["| variant | seeds | correct on dev (%) | mean | sd |", "|---|---|---|---|---|"]
    for variant, scores in scores_by_variant(rows).items():
        each = ", ".join(f"{score:.1f}" for score in scores)
        spread = f"{statistics.stdev(scores):.1f}" if len(scores) > 1 else "-"
        lines.append(f"| {variant} | {len(scores)} | {each} | {statistics.mean(scores):.1f} | {spread} |")
    return "\n".join(lines) + "\n"


def scores_by_variant(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Percent correct by variant, in the order of the rows."""
    scores: dict[str, list[float]] = {}
    for row in rows:
        scores.setdefault(row["variant"], []).append(100 * row["correct"] / row["total"])
    return scores


def _percent(row: Row) -> str:
    percent = 100 * row["correct"] / row["total"]
    return f"{percent:.1f} % of {row['total']}, trained in {row['seconds']:.0f} s"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns 1 if a run failed.

    Raises:
        InputError: no such variant or profile, a data folder that is not there.
    """
    from a5lib.display.style import use_style
    from a5lib.display.sweep import seeds_figure
    from a5lib.pipeline import Pipeline

    args = _parser().parse_args(argv)
    for variant in args.variants:
        if variant not in VARIANTS:
            raise InputError(f"no variant {variant}; there are: {', '.join(VARIANTS)}")
    if args.timeout < 1:
        raise InputError(f"--timeout {args.timeout}: must be a number of seconds, at least 1")
    a5 = Pipeline(args.profile, args.data)  # refuses a bad corpus once, before any kernel starts
    profile, data, runs = a5.profile.name, args.data and str(Path(args.data).resolve()), args.runs.resolve()
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")
    rows, failed = sweep(args.variants, args.seeds, profile, data, runs, args.timeout)
    folder = runs / "sweep" / profile
    report = {"profile": profile, "data": args.data, "versions": versions(), "rows": rows}
    write_json(folder / "sweep.json", report | {"failed": {o.name: o.error for o in failed}})
    if rows:
        use_style()
        write_text(folder / "sweep.md", table(rows))
        with atomic_path(folder / "sweep.png") as path:
            seeds_figure(scores_by_variant(rows), a5.london().accuracy).savefig(path, format="png")
        print(f"\n{table(rows)}")
    print(f"notebooks, sweep.json, sweep.md and sweep.png are in {folder}", flush=True)
    for outcome in failed:
        print(f"{outcome.name}: {outcome.error}", file=sys.stderr)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m a5lib.sweep", description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--variants", nargs="+", default=["vanilla"], metavar="VARIANT", help=", ".join(VARIANTS))
    add("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="N")
    add("--profile", default="", help="smoke, quick or full; default: $A5_PROFILE, else by the machine")
    add("--data", default="", metavar="DIR", help="where the corpus is; default: the profile's folder")
    add("--runs", type=Path, default=ROOT / "runs", metavar="DIR", help="where results go; default: runs")
    add("--timeout", type=int, default=1800, metavar="SECONDS", help="the most a cell may take")
    return parser


if __name__ == "__main__":
    run_command(main)
