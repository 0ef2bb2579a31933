"""The course's own corpus, from nothing to answers: accuracy on dev against the time that it took.

    python -m tests.benchmarks.course --out figures/course        # course.json and course.png
    make gpu-record                                               # on a GPU: both recipes, three seeds

The corpus is found through $A5_COURSE_DATA and never copied. On its way a run keeps snapshots of the model
that is being pretrained; each is finetuned afterwards, so that one run gives the whole curve: what one would
have had by stopping pretraining there and then. Snapshots stay in `--runs`, and what is there is not made
again: to measure another finetuning, pretraining need not be repeated.
"""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from a5lib.checkpoint import info_path, load_model, save_params
from a5lib.corpus import WIKI, Corpus
from a5lib.display.style import BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE
from a5lib.errors import InputError, Parser, run_command
from a5lib.evaluation import evaluate_places, london_baseline
from a5lib.files import read_object, versions, write_json
from a5lib.model import VARIANTS
from a5lib.pipeline import default_device, finetuning, new_model, pretraining
from a5lib.recipes import RECIPES, Recipe, choose_profile, choose_recipe
from a5lib.trainer import Trainer

ROOT = Path(__file__).resolve().parents[2]
ASKED_OF_TRAIN = 500  # training questions that are put to the model, to see what it has learned by heart
SAID_EVERY = 100  # steps
Row = dict[str, Any]


class Snapshots:
    """A callback that writes the model, and the seconds it took, after so many equal parts of a run."""

    def __init__(self, folder: Path, parts: int):
        self.folder, self.parts, self.taken = folder, parts, 0
        self.writing = 0.0  # seconds; no part of the run

    def __call__(self, trainer: Trainer) -> None:
        if trainer.step % SAID_EVERY == 0:
            rate = f"{trainer.tokens_per_second:,.0f} tokens/s"
            print(
                f"  step {trainer.step} of {trainer.total_steps}, loss {trainer.loss:.3f}, {rate}", flush=True
            )
        while trainer.step * self.parts >= (self.taken + 1) * trainer.total_steps:
            self._take(trainer)

    def _take(self, trainer: Trainer) -> None:
        self.taken += 1
        began = time.monotonic()
        info = {
            "passes": round(trainer.config.max_epochs * self.taken / self.parts, 2),
            "seconds": round(trainer.seconds - self.writing, 2),
            "loss": round(trainer.loss, 4),
            "tokens_per_second": round(trainer.tokens_per_second),
            "precision": trainer.precision.name,
        }
        save_params(trainer.model, snapshot(self.folder, self.taken), **info)
        self.writing += time.monotonic() - began


def snapshot(folder: Path, number: int) -> Path:
    """Where a run's snapshot of this number is, counted from 1."""
    return folder / f"{number}.params"


def course_corpus() -> Corpus:
    """The course's corpus.

    Raises:
        InputError: $A5_COURSE_DATA is not set.
    """
    folder = os.environ.get("A5_COURSE_DATA")
    if not folder:
        raise InputError("A5_COURSE_DATA is not set: it names the folder with the course's wiki.txt")
    return Corpus(Path(folder))


def curve(corpus: Corpus, variant: str, recipe: Recipe, parts: int, folder: Path) -> Iterator[Row]:
    """Pretrain once, if `folder` has no snapshots yet; for each of them a row, the last one first."""
    if not snapshot(folder, parts).exists():
        m, seed = recipe.profile.bottleneck_dim, recipe.pretrain.seed
        trainer = pretraining(
            new_model(variant, recipe, corpus.vocab, m, seed), corpus.vocab, corpus.text, recipe,
            device=default_device(),
        )  # fmt: skip
        trainer.callbacks = [Snapshots(folder, parts)]
        trainer.train()
    for number in range(parts, 0, -1):
        path = snapshot(folder, number)
        info = read_object(info_path(path), seconds=(int, float), passes=(int, float))
        told = {"variant": variant, "recipe": recipe.name, "seed": recipe.pretrain.seed}
        told |= {name: info[name] for name in ("passes", "loss", "precision", "tokens_per_second")}
        yield told | {"pretraining": info["seconds"]} | finetuned(corpus, variant, path, recipe)


def finetuned(corpus: Corpus, variant: str, path: Path, recipe: Recipe) -> Row:
    """Finetune a snapshot: its seconds, and the percentages right on dev and on some of train."""
    model = load_model(variant, path, corpus.vocab)
    trainer = finetuning(model, corpus.vocab, corpus.train, recipe, corpus.text, default_device())
    trainer.train()
    began = time.monotonic()
    dev = evaluate_places(trainer.model, corpus.vocab, corpus.dev)
    seconds = time.monotonic() - began
    train = evaluate_places(trainer.model, corpus.vocab, corpus.train[:ASKED_OF_TRAIN])
    return {
        "finetuning": round(trainer.seconds, 1),
        "evaluation": round(seconds, 2),
        "dev": round(dev.accuracy, 2),
        "train": round(train.accuracy, 2),
    }


def draw(rows: Sequence[Row], london: float, path: Path) -> None:
    """Accuracy on dev against minutes of pretraining and finetuning: a line a run, a point a snapshot."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams.update(STYLE)
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    runs = dict.fromkeys((row["variant"], row["recipe"]) for row in rows)
    for (variant, recipe), colour in zip(runs, cycle((BLUE, ORANGE, GREEN, PURPLE)), strict=False):
        points = defaultdict(list)
        for row in rows:
            if (row["variant"], row["recipe"]) == (variant, recipe):
                points[row["passes"]].append(((row["pretraining"] + row["finetuning"]) / 60, row["dev"]))
        line = [(mean(x for x, _ in each), mean(y for _, y in each)) for _, each in sorted(points.items())]
        label = f"{variant}, {recipe} recipe"
        axes.plot(*zip(*line, strict=True), "-" if recipe == "fast" else "--", color=colour, label=label)
        axes.plot(*zip(*sum(points.values(), []), strict=True), "o", color=colour, markersize=4)
    axes.axhline(london, color=GREY, linestyle=":", label="always London")
    axes.set(
        xlabel="minutes, pretraining and finetuning",
        ylabel="right on dev (%)",
        xlim=(0, None),
        ylim=(0, None),
    )
    axes.set_title("From nothing to answers, on the course's corpus")
    axes.legend()
    figure.savefig(path, format="png")


def machine() -> str:
    """What the figures were measured on, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} CPU cores"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Raises:
        InputError: no course corpus, no such profile, no GPU where one is asked for.
    """
    parser = Parser(prog="python -m tests.benchmarks.course", description=__doc__.split("\n")[0])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=["vanilla"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--recipes", nargs="+", choices=RECIPES, default=["fast"])
    parser.add_argument("--profile", default="full")
    parser.add_argument(
        "--passes", type=float, help="over the corpus in pretraining, instead of the recipe's"
    )
    parser.add_argument("--parts", type=int, default=6, help="points of the curve")
    parser.add_argument("--gpu", action="store_true", help="refuse to run without one")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "runs/course", help="where the snapshots are kept"
    )
    parser.add_argument("--out", type=Path, required=True, help="the figures without ending: .json, .png")
    argv = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(argv)
    if args.gpu and not torch.cuda.is_available():
        raise InputError("no GPU here: leave out --gpu to measure on the CPU")
    if args.parts < 1:
        raise InputError(f"--parts {args.parts}: must be at least 1, or nothing is kept of the run")
    corpus, profile = course_corpus(), choose_profile(args.profile)
    london = london_baseline(corpus.dev).accuracy
    made_by = {"command": " ".join([parser.prog, *argv]), "versions": versions()}
    made_by |= {"machine": machine(), "london": london}
    rows: list[Row] = []
    for name, variant, seed in product(args.recipes, args.variants, args.seeds):
        recipe = choose_recipe(name, profile, len(corpus.documents), seed).for_variant(variant)
        if args.passes is not None:
            recipe = replace(recipe, pretrain=replace(recipe.pretrain, max_epochs=args.passes))
        passes = f"{recipe.pretrain.max_epochs:g}-passes"
        of = f"{name}-{variant}-{passes}-{args.parts}-parts-seed-{seed}-corpus-{corpus.sha256()[WIKI][:8]}"
        folder = args.runs / f"{profile.name}-{of}"
        for row in curve(corpus, variant, recipe, args.parts, folder):
            rows.append(row)
            print(row, flush=True)
            write_json(args.out.with_suffix(".json"), {**made_by, "rows": rows})
    draw(rows, london, args.out.with_suffix(".png"))
    return 0


if __name__ == "__main__":
    run_command(main)
