"""Malformed inputs for every file that the library reads, and for its command lines.

    python tests/fuzz.py [params questions …] --examples 10000

Each input must be taken, or refused by an `InputError` of one line that names the file. Any other error, a
hang, or a file that a refused command leaves is a failure, and hypothesis shows the smallest input for it.
"""

import argparse
import contextlib
import copy
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from conftest import DOCUMENTS, TRAIN_ROWS, tiny_model
from fuzz_inputs import ODD_TENSORS, command_lines, damaged, distorted, json_bytes
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from a5lib import corpus, dataset, experiments, london_baseline, pipeline, run, series, world
from a5lib.batches import CorruptionBatches, PaddedBatches
from a5lib.checkpoint import load_model, save_params
from a5lib.classroom import progress
from a5lib.classroom.grading import scoring
from a5lib.classroom.grading.attempts import code_of, read_cells
from a5lib.classroom.grading.handin import NINE
from a5lib.classroom.grading.handin import read_predictions as read_predictions_of
from a5lib.classroom.grading.texts import answers_of
from a5lib.classroom.grading.unpack import unpack
from a5lib.classroom.notebook import confront
from a5lib.dataset import CharCorruptionDataset, NameDataset
from a5lib.errors import InputError, one_line
from a5lib.evaluation import evaluate_places
from a5lib.run_state import COPIES, RunState, state_folder
from a5lib.trainer import TrainConfig, Trainer
from a5lib.vocab import CharVocab

TEXT = "".join(f"{document}\n" for document in DOCUMENTS) + "Where was London?\n"
VOCAB = CharVocab(TEXT)
ROWS = "".join(f"Where was {name} born?\t{place}\n" for name, place in TRAIN_ROWS)
MODEL = tiny_model(vocab_size=len(VOCAB), block_size=64, n_layer=1)
CHARACTERS = "".join(VOCAB.characters)
INPUTS = {  # the files that are written here to be read
    "wiki.txt", "dev.tsv", "model.params", "model.params.json", "measures.json", "history.json",
    "predictions.json", "series.json", "01_a.ipynb", "a5.zip", "a.predictions", "key.tsv", progress.FILE,
    "start.json", *COPIES,
}  # fmt: skip
MOST_SECONDS = 60  # for one input: some milliseconds, on a machine that is not busy with something else


# What is read: each function reads one file of the working directory.


def read_corpus(content: bytes) -> None:
    Path("wiki.txt").write_bytes(content)
    text = corpus.read_text(Path("wiki.txt"))
    documents = corpus.read_documents(Path("wiki.txt"))
    data = CharCorruptionDataset(text, 64)
    assert sum(len(x) for x, y in CorruptionBatches(data, 2048).epoch(0)) == len(documents)
    PaddedBatches(data, 4).epoch(0)


def read_questions(content: bytes) -> None:
    Path("dev.tsv").write_bytes(content)
    rows = corpus.read_questions(Path("dev.tsv"))
    evaluate_places(MODEL, VOCAB, rows[:2])
    if rows[0].place is not None:
        NameDataset(VOCAB, rows, 64)


def read_params(content: bytes) -> None:
    Path("model.params").write_bytes(content)
    load_model("vanilla", "model.params", VOCAB)


def read_tensors(state: Any) -> None:
    file = io.BytesIO()
    torch.save(state, file)
    read_params(file.getvalue())


def read_tensors_alone(state: Any) -> None:
    """Without the JSON, which says how large the model is."""
    info = Path("model.params.json").read_bytes()
    Path("model.params.json").unlink()
    try:
        read_tensors(state)
    finally:
        Path("model.params.json").write_bytes(info)


def read_info(content: bytes) -> None:
    Path("model.params.json").write_bytes(content)
    load_model("vanilla", "model.params", VOCAB)


def trainer() -> Trainer:
    batches = CorruptionBatches(CharCorruptionDataset(TEXT, 64, vocab=VOCAB), 256)
    return Trainer(copy.deepcopy(MODEL), batches, TrainConfig(1, 1e-3, muon_lr=0.01))


def read_state(contents: tuple[bytes, bytes]) -> None:
    """Both copies; with one of them whole, that one must be taken."""
    for name, content in zip(COPIES, contents, strict=True):
        (state_folder("run.params") / name).write_bytes(content)
    with RunState("run.params", {}) as state:
        pipeline._take_up(trainer(), state.load(), state.folder)
    assert state.step in (1, 2)


def read_states_value(value: Any) -> None:
    """A state with a right checksum that another program, or another version, has written."""
    folder = state_folder("run.params")
    for name in COPIES:
        (folder / name).unlink(missing_ok=True)
    with RunState("run.params", {}) as state:
        state.save(1, value)
        pipeline._take_up(trainer(), state.load(), state.folder)


def read_measures(content: bytes) -> None:
    a5 = pipeline.Pipeline("smoke", ".", runs="runs")
    (a5.folder / "measures.json").write_bytes(content)
    settings = series.Settings("smoke", 0, "", Path("runs"))
    json.dumps(series.make_report(settings, []))
    series._tables(series.make_report(settings, []), [])
    a5.record("london", 5.0)


def read_history(content: bytes) -> None:
    Path("history.json").write_bytes(content)
    stage = pipeline.Stage("vanilla", Path("model.params"))
    assert isinstance(stage.history, list) and isinstance(stage.seconds, (int, float))


def read_predictions(content: bytes) -> None:
    a5 = SimpleNamespace(folder=Path("runs/smoke"))
    Path("runs/mine/predictions.json").write_bytes(content)
    with contextlib.redirect_stdout(io.StringIO()):
        confront(a5, "a loss", 1.0, 2.0)


def read_progress(content: bytes) -> None:
    Path("runs/smoke/series.json").write_bytes(content)
    settings = series.Settings("smoke", 0, "", Path("runs"), corpus=Path())
    series._Progress(settings).outcome(Path("wiki.txt"), Path("wiki.txt"))


def read_notebook(content: bytes) -> None:
    Path("01_a.ipynb").write_bytes(content)
    series._code_cells(Path("01_a.ipynb"))


def read_zip(content: bytes) -> None:
    Path("a5.zip").write_bytes(content)
    with mock.patch("pooch.retrieve", lambda *_, **__: "a5.zip"):
        corpus.fetch_course_data("course", "a5.zip", {"wiki.txt": {"0" * 64}})


def read_submission(content: bytes) -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        unpack(io.BytesIO(content), Path(folder))


def read_handed_in(content: bytes) -> None:
    Path("a.predictions").write_bytes(content)
    read_predictions_of(Path("a.predictions"), 3)


def read_handed_in_notebook(content: bytes) -> None:
    Path("01_a.ipynb").write_bytes(content)
    answers_of(Path("01_a.ipynb"))
    for _, source, _ in read_cells(Path("01_a.ipynb")):
        code_of(source)


def read_key(content: bytes) -> None:
    Path("key.tsv").write_bytes(content)
    scoring.read_key(Path("key.tsv"), [corpus.Question("Where was Ana Bell born?", None)])


def read_points(content: bytes) -> None:
    Path(progress.FILE).write_bytes(content)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        str(progress.points_so_far(progress.read_record(Path()), {}))
    if said.getvalue():  # points begin anew, and that is said
        raise InputError(said.getvalue())


def read_rows(content: bytes) -> None:
    Path("figures/start.json").write_bytes(content)
    with mock.patch.object(experiments, "ROOT", Path()):
        experiments.rows_of("start")


def good_submission() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (*NINE, "notebooks/01_a.ipynb"):
            archive.writestr(name, "London\n" * 20)
    return file.getvalue()


def good_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a5/wiki.txt", "x" * 20_000)
    return file.getvalue()


def good_state(step: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder, RunState(f"{folder}/p", {}) as state:
        state.save(step, trainer().state_dict())
        return (state_folder(f"{folder}/p") / COPIES[0]).read_bytes()


# The command lines.

FINETUNE = "finetune vanilla wiki.txt --writing_params_path out --finetune_corpus_path dev.tsv"
EVALUATE = "evaluate vanilla wiki.txt --reading_params_path model.params --eval_corpus_path dev.tsv"
COMMANDS = {
    "run": (
        run.main,
        [
            "pretrain vanilla wiki.txt --writing_params_path out",
            FINETUNE,
            f"{FINETUNE} --reading_params_path model.params",
            f"{EVALUATE} --outputs_path out",
        ],
    ),
    "series": (
        lambda argv: series.main(argv, Path()),
        ["01 --profile smoke --data . --runs runs"],
    ),
    "world": (world.main, ["--people 60 --out out --seed 3"]),
    "london_baseline": (london_baseline.main, ["dev.tsv"]),
    "dataset": (dataset.main, ["namedata"]),
}


def run_line(line: tuple[str, list[str]]) -> None:
    name, words = line
    with (
        mock.patch.object(run, "run_to_file"),
        mock.patch.object(run, "write_text"),
        mock.patch.object(run, "TensorBoard"),
        mock.patch.object(run, "evaluate_places"),
        mock.patch.object(series, "run_series", lambda *_: [series.Outcome("01_a", 1.0)]),
        mock.patch.object(series, "write_json"),
        mock.patch.object(world, "make_world", lambda seed, people, *more: small_world(seed, people, *more)),
        mock.patch.object(world, "write_world"),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.suppress(SystemExit),  # --help
    ):
        COMMANDS[name][0](words)


def small_world(seed: int, people: int, phrasings: int, make_world: Callable = world.make_world):
    """What is wrong with the numbers shows in a small world as in a large one."""
    return make_world(seed, min(people, 60), phrasings)


@dataclass(frozen=True)
class Target:
    """Inputs, what reads them, and the name that each refusal must give."""

    inputs: st.SearchStrategy
    read: Callable[[Any], None]
    names: str = ""


def targets() -> dict[str, Target]:
    """All of them; the working directory gets the good files that they need."""
    Path("wiki.txt").write_text(TEXT, encoding="utf-8")
    for name in ("dev.tsv", corpus.TRAIN, corpus.DEV, corpus.TEST):
        Path(name).write_text(ROWS, encoding="utf-8")
    folders = ("folder", "runs/smoke", "runs/mine", "notebooks/solved", "figures")
    for folder in (*folders, state_folder("run.params")):
        Path(folder).mkdir(parents=True)
    cell = {"cell_type": "code", "source": "x", "id": "a", "metadata": {}, "outputs": []}
    cells = [cell | {"execution_count": None}]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    Path("notebooks/solved/01_a.ipynb").write_text(json.dumps(notebook))
    save_params(MODEL, "model.params", characters=CHARACTERS)
    params, info = (Path(name).read_bytes() for name in ("model.params", "model.params.json"))
    tensors, one, two = MODEL.state_dict(), good_state(1), good_state(2)
    odd_state = distorted(dict(tensors), ODD_TENSORS)
    measures = {"made_from": {"seed": 0}, "seconds": {"pretrain": 1.5}, "london": 5.0}
    done = {"made_from": {"seed": 0}, "done": {"01_a.ipynb 00": 1.5}}
    points = {"checks": {"head": {"points": 1.0, "last": "passed"}}, "written": {"3a": {"points": 1.0}}}
    history = {"seconds": 1.5, "points": [{"step": 1, "loss": 2.0}]}
    states = trainer().state_dict()
    whole = {name: states[name] for name in ("model", "counters", "callbacks")}
    more = {name: states[name] for name in ("optimizers", "precision")}
    odd_whole = distorted(whole).map(lambda value: value | more if isinstance(value, dict) else value)
    copies = st.tuples(damaged(one), st.one_of(st.just(two), damaged(two)))

    def with_good(read: Callable[[Any], None]) -> Callable[[Any], None]:
        def restored(value: Any) -> None:
            Path("model.params").write_bytes(params)
            Path("model.params.json").write_bytes(info)
            read(value)

        return restored

    return {
        "corpus": Target(damaged(TEXT.encode()), read_corpus, "wiki.txt"),
        "questions": Target(damaged(ROWS.encode()), read_questions, "dev.tsv"),
        "params": Target(damaged(params), with_good(read_params), "model.params"),
        "tensors": Target(odd_state, with_good(read_tensors), "model.params"),
        "tensors_alone": Target(odd_state, with_good(read_tensors_alone), "model.params"),
        "info": Target(json_bytes(json.loads(info)), with_good(read_info), "model.params"),
        "state": Target(copies, read_state, "run.params.state"),
        "states_value": Target(odd_whole, read_states_value, "run.params.state"),
        "measures": Target(json_bytes(measures), read_measures, "measures.json"),
        "history": Target(json_bytes(history), read_history, "history.json"),
        "predictions": Target(json_bytes({"a loss": {"predicted": 1}}), read_predictions, "predictions.json"),
        "progress": Target(json_bytes(done), read_progress, "series.json"),
        "notebook": Target(json_bytes(notebook), read_notebook, "01_a.ipynb"),
        "zip": Target(damaged(good_zip()), read_zip, ""),
        "submission": Target(damaged(good_submission()), read_submission, ""),
        "handed_in": Target(damaged(b"London\nOslo\nQuito\n"), read_handed_in, "a.predictions"),
        "their_notebook": Target(json_bytes(notebook), read_handed_in_notebook, ""),
        "key": Target(damaged(ROWS.encode()), read_key, "key.tsv"),
        "points": Target(json_bytes(points), read_points, "progress.json"),
        "rows": Target(json_bytes({"command": "x", "rows": [{"seed": 0}]}), read_rows, "start.json"),
        "command": Target(command_lines({name: words for name, (_, words) in COMMANDS.items()}), run_line),
    }  # fmt: skip


# One input, many inputs.


class Hang(BaseException):
    """An input took too long."""


@contextlib.contextmanager
def time_limit(seconds: int):
    def ring(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(target: Target, value: Any) -> bool:
    """Whether an input was refused, as it should be: see above."""
    before = others()
    try:
        with time_limit(MOST_SECONDS), contextlib.redirect_stderr(io.StringIO()):
            target.read(value)
    except InputError as error:
        told = one_line(str(error))
        assert target.names in told and len(told) <= 410, told
        assert others() == before, f"left something: {told}"
        return True
    return False


def others() -> set[Path]:
    """All files but those that were written to be read."""
    return {path for path in Path().rglob("*") if path.name not in INPUTS}


def fuzz(target: Target, examples: int, first: int = 0) -> Counter:
    """Try a target; how many inputs were refused and how many taken."""
    seen: Counter = Counter()

    @seed(first)
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(target.inputs)
    def check(value):
        seen["refused" if refused(target, value) else "taken"] += 1

    check()
    return seen


def _row(name: str, seen: Counter) -> str:
    return f"{name:<16} {seen['refused']:>6} refused {seen['taken']:>6} taken"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="*")
    parser.add_argument(
        "--examples", type=int, default=10_000, help="inputs in all, of which most are malformed"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    # An input that makes us take memory must fail, not swap.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2 * 2**30,) * 2)
    os.environ["A5_PROFILE"] = "smoke"
    total: Counter = Counter()
    names = args.targets or list(in_a_new_folder(targets))
    for name in names:
        started = time.monotonic()
        examples = -(-args.examples // len(names))
        seen = in_a_new_folder(lambda: fuzz(targets()[name], examples, args.seed))  # noqa: B023
        total += seen
        print(_row(name, seen), f"{time.monotonic() - started:>6.0f} s", flush=True)
    print(_row("all", total))


def in_a_new_folder(call: Callable[[], Any]) -> Any:
    """Call it with an empty working directory, which is gone after."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return call()
        finally:
            os.chdir(before)


if __name__ == "__main__":
    sys.exit(main())
