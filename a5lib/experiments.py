"""Sweeps over shapes and seeds, too long to be trained inside a notebook.

    python -m a5lib.experiments [bottleneck start] [--profile quick] [--seeds 0 1] [--data DIR]

Each experiment is written to ``figures/<name>.json`` with its command and versions; the notebooks draw it
from there. Stages are kept in ``runs/experiments``, so that an interrupted sweep goes on where it stopped.
Knows nothing about figures.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from a5lib.errors import InputError, run_command
from a5lib.files import versions, write_json
from a5lib.pipeline import Pipeline, Stage
from a5lib.recipes import choose_profile

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]

BOTTLENECKS = (16, 32, 64)
CURVE_POINTS = 60


def bottleneck(a5: Pipeline) -> Iterator[Row]:
    """What the number of latents buys: accuracy and seconds of both perceivers, and vanilla beside them."""
    yield _measured(a5, a5.pretrain("vanilla")) | {"variant": "vanilla", "m": None}
    for variant in ("perceiver", "perceiver_ar"):
        for m in BOTTLENECKS:
            varied = a5.variation(bottleneck_dim=m)
            yield _measured(varied, varied.pretrain(variant)) | {"variant": variant, "m": m}


def start(a5: Pipeline) -> Iterator[Row]:
    """What the first look decides: at all inputs alike, as in the handout, or at chosen places."""
    for diagonals in (False, True):
        varied = a5.variation(diagonals=diagonals)
        stage = varied.pretrain("perceiver")
        points = stage.history
        kept = points[:: max(1, len(points) // CURVE_POINTS)] + points[-1:]
        curve = [{"step": p["step"], "loss": round(p["loss"], 4)} for p in kept]
        yield _measured(varied, stage) | {"diagonals": diagonals, "curve": curve}


EXPERIMENTS: dict[str, Callable[[Pipeline], Iterator[Row]]] = {"bottleneck": bottleneck, "start": start}


def _measured(a5: Pipeline, pretrained: Stage) -> Row:
    """A pretrained stage finetuned and evaluated on dev, with what it took."""
    evaluation = a5.evaluate(a5.finetune(pretrained))
    return {
        "seed": a5.seed,
        "correct": evaluation.correct,
        "total": evaluation.total,
        "loss": round(pretrained.history[-1]["loss"], 4),
        "seconds": pretrained.seconds,
    }


def run_experiment(name: str, profile: str, data: str, seeds: Sequence[int], runs: Path) -> Row:
    """All rows of an experiment, with the command that gives them and the versions they were made with."""
    rows = []
    for seed in seeds:
        for row in EXPERIMENTS[name](Pipeline(profile, data, seed, str(runs))):
            rows.append(row)
            print(name, {key: value for key, value in row.items() if key != "curve"}, flush=True)
    flags = f"--profile {profile} --seeds {' '.join(map(str, seeds))}" + (f" --data {data}" if data else "")
    return {"command": f"python -m a5lib.experiments {name} {flags}", "versions": versions(), "rows": rows}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Raises:
        InputError: no such experiment or profile.
    """
    parser = argparse.ArgumentParser(prog="python -m a5lib.experiments", description=__doc__.split("\n")[0])
    parser.add_argument("experiments", nargs="*", metavar="experiment", help=", ".join(EXPERIMENTS))
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--data", default="", metavar="DIR", help="the corpus; default: the profile's own")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs/experiments")
    parser.add_argument("--out", type=Path, default=ROOT / "figures", help="where the JSON files go")
    args = parser.parse_args(argv)
    profile = choose_profile(args.profile).name
    for name in args.experiments:
        if name not in EXPERIMENTS:
            raise InputError(f"no experiment {name}; there are: {', '.join(EXPERIMENTS)}")
    for name in args.experiments or EXPERIMENTS:
        write_json(args.out / f"{name}.json", run_experiment(name, profile, args.data, args.seeds, args.runs))
    return 0


if __name__ == "__main__":
    run_command(main)
