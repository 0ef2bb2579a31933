"""Sweeps over shapes and seeds, too long to be trained inside a notebook.

    python -m a5lib.experiments [bottleneck start …] [--profile quick] [--seeds 0 1] [--data DIR]

Each experiment is written to ``figures/<name>.json`` with its command and versions, row by row; the notebooks
draw it from there. Stages are kept in ``runs/experiments``, so that an interrupted sweep goes on where it
stopped. Knows nothing about figures.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from a5lib.confidence import agreement_of_sentences
from a5lib.errors import InputError, run_command
from a5lib.files import read_object, versions, write_json, write_text
from a5lib.model import WITH_BOTTLENECK
from a5lib.pipeline import Pipeline, Stage
from a5lib.provenance import name_of
from a5lib.recipes import choose_profile
from a5lib.world import Person, make_world, write_world

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]

BOTTLENECKS = (16, 32, 64)
CURVE_POINTS = 60
RECALLED = ("{name} was born in ", "The birthplace of {name} was ")  # the name at the beginning, and later
PHRASINGS = (1, 2, 4, 8)
USUAL_PHRASINGS = 4  # of the worlds in data/, for which the recipe's passes are made
# (times that a pass reads of a person, different lines among them)
EXPOSURES = tuple((times, phrasings) for times in PHRASINGS for phrasings in PHRASINGS if phrasings <= times)


def bottleneck(a5: Pipeline) -> Iterator[Row]:
    """What the number of latents buys: both perceivers, and vanilla beside them, all with as many passes."""
    yield _measured(a5, a5.pretrain("vanilla")) | {"variant": "vanilla", "m": None}
    for variant in ("perceiver", "perceiver_ar"):
        for m in BOTTLENECKS:
            varied = a5.variation(bottleneck_dim=m, more_for_perceiver=False)
            yield _measured(varied, varied.pretrain(variant)) | {"variant": variant, "m": m}


def start(a5: Pipeline) -> Iterator[Row]:
    """What the first look decides: at all inputs alike, as in the handout, or at chosen places."""
    for diagonals in (False, True):
        varied = a5.variation(diagonals=diagonals, more_for_perceiver=False)
        stage = varied.pretrain("perceiver")
        yield _measured(varied, stage) | {"diagonals": diagonals, "curve": _curve(stage)}


def variants(a5: Pipeline) -> Iterator[Row]:
    """All variants under one recipe: what each answers after finetuning, and goes on with before it (%)."""
    for variant in ("vanilla", "rope", "synthesizer", *WITH_BOTTLENECK):
        parameters, stage = a5.fresh_model(variant).parameters(), a5.pretrain(variant)
        row = {"variant": variant, "parameters": sum(p.numel() for p in parameters)}
        yield _measured(a5, stage) | row | {"recall": _recall(a5, stage), "curve": _curve(stage)}


def phrasings(a5: Pipeline) -> Iterator[Row]:
    """One phrasing of each life against several, on worlds of the same people (`--data` plays no part).

    Exposures are held equal: half as many phrasings are read in twice as many passes. So the models read
    equally many lines about each person, and only how many of them differ is not the same.
    """
    for n in PHRASINGS:
        folder = a5.folder.parent / "worlds" / f"{_people(a5)}-people-{n}-phrasings"
        write_world(make_world(0, _people(a5), n), folder)
        passes = a5.recipe.pretrain.max_epochs * USUAL_PHRASINGS / n
        varied = _elsewhere(a5, folder, passes)
        row = {"phrasings": n, "passes": passes, "exposures": passes * n}
        yield _measured(varied, varied.pretrain("vanilla")) | row


def exposures(a5: Pipeline) -> Iterator[Row]:
    """How often a fact is read, and in how many forms, dealt to the people of one world (not to `--data`'s).

    One row for each group of held-out people: `city_first` where all lines name the city before the person.
    """
    world = make_world(0, _people(a5), max(PHRASINGS))
    told = [person for person in world.people if person.lines]
    groups = {person.question: EXPOSURES[i % len(EXPOSURES)] for i, person in enumerate(told)}
    folder = a5.folder.parent / "worlds" / f"{len(told)}-people-dealt"
    _write_dealt(told, groups, folder)
    passes = a5.recipe.pretrain.max_epochs * USUAL_PHRASINGS * len(EXPOSURES) / sum(t for t, _ in EXPOSURES)
    varied = _elsewhere(a5, folder, passes)
    evaluation = varied.evaluate(varied.finetune(varied.pretrain("vanilla")))
    asked, right = Counter(), Counter()
    reversed_only = {p.question: all(_city_first(line, p) for line in _lines_of(p, groups)) for p in told}
    for question, prediction in zip(evaluation.questions, evaluation.predictions, strict=True):
        group = (*groups[question.text], reversed_only[question.text])
        asked[group] += 1
        right[group] += question.place == prediction
    for (times, n, city_first), total in sorted(asked.items()):
        row = {"exposures": round(times * passes, 1), "phrasings": n, "city_first": city_first}
        score = {"correct": right[times, n, city_first], "total": total}
        yield {"seed": a5.seed} | row | score


EXPERIMENTS: dict[str, Callable[[Pipeline], Iterator[Row]]] = {
    "bottleneck": bottleneck,
    "start": start,
    "variants": variants,
    "phrasings": phrasings,
    "exposures": exposures,
}


def _recall(a5: Pipeline, pretrained: Stage) -> dict[str, float]:
    """How many places a pretrained model ends a begun sentence with, in percent of those asked about."""
    asked, model = [*a5.corpus.train, *a5.corpus.dev], pretrained.model().to(a5.device)
    names, places = [name_of(question) for question in asked], [question.place for question in asked]
    found = {s: agreement_of_sentences(model, a5.vocab, names, places, (s,)).mean() for s in RECALLED}
    return {sentence: round(100 * float(share), 2) for sentence, share in found.items()}


def _curve(stage: Stage) -> list[Row]:
    """Some points of a stage's training curve, the last among them."""
    points = stage.history
    kept = points[:: max(1, len(points) // CURVE_POINTS)] + points[-1:]
    return [{"step": p["step"], "loss": round(p["loss"], 4)} for p in kept]


def _people(a5: Pipeline) -> int:
    return 60 if a5.profile.name == "smoke" else 600


def _elsewhere(a5: Pipeline, folder: Path, passes: float) -> Pipeline:
    """The same profile and seed on the corpus in another folder, read in so many passes."""
    other = Pipeline(a5.profile.name, str(folder), a5.seed, str(a5.folder.parent))
    if passes == other.recipe.pretrain.max_epochs:  # 27.0 is 27, but has another name in runs/
        return other
    return other.variation(pretrain=replace(other.recipe.pretrain, max_epochs=passes))


def _lines_of(person: Person, groups: dict[str, tuple[int, int]]) -> tuple[str, ...]:
    """The different lines that a dealt world has about a person."""
    return person.lines[: groups[person.question][1]]


def _city_first(line: str, person: Person) -> bool:
    return line.index(person.birthplace) < line.index(person.name)


def _write_dealt(told: Sequence[Person], groups: dict[str, tuple[int, int]], folder: Path) -> None:
    """A corpus in which each person has the lines of their group; two in five are asked about in train."""
    documents = []
    for person in told:
        lines, times = _lines_of(person, groups), groups[person.question][0]
        documents += lines * (times // len(lines))
    Random(0).shuffle(documents)
    write_text(folder / "wiki.txt", "".join(f"{line}\n" for line in documents))
    # Whole rounds through the groups, so that each has as many people in dev as any other.
    in_train = [(i // len(EXPOSURES)) % 5 < 2 for i in range(len(told))]
    for name, wanted in (("birth_places_train.tsv", True), ("birth_dev.tsv", False)):
        asked = [p for p, here in zip(told, in_train, strict=True) if here == wanted]
        write_text(folder / name, "".join(f"{p.question}\t{p.birthplace}\n" for p in asked))
    write_text(folder / "birth_test_inputs.tsv", f"{told[0].question}\n")  # a corpus must have one


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


def rows_of(name: str) -> list[Row]:
    """The rows of figures/NAME.json; where it is missing none, and a line that says how to make it."""
    path = ROOT / "figures" / f"{name}.json"
    if path.is_file():
        return read_object(path, rows=list)["rows"]
    print(f"figures/{name}.json is missing. This makes it: python -m a5lib.experiments {name}")
    return []


def run_experiment(name: str, profile: str, data: str, seeds: Sequence[int], runs: Path, path: Path) -> None:
    """Write an experiment's rows, with the command that gives them and the versions they were made with.

    The file is written after each row, so that a sweep that was stopped shows what it had.
    """
    flags = f"--profile {profile} --seeds {' '.join(map(str, seeds))}" + (f" --data {data}" if data else "")
    made_by = {"command": f"python -m a5lib.experiments {name} {flags}", "versions": versions()}
    rows = []
    for seed in seeds:
        for row in EXPERIMENTS[name](Pipeline(profile, data, seed, str(runs))):
            rows.append(row)
            print(name, {key: value for key, value in row.items() if key != "curve"}, flush=True)
            write_json(path, {**made_by, "rows": rows})


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
        path = args.out / f"{name}.json"
        run_experiment(name, profile, args.data, args.seeds, args.runs, path)
    return 0


if __name__ == "__main__":
    run_command(main)
