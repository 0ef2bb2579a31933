"""A whole term: a world is minted, a student hands in, the grader grades, and who cheats is caught."""

import csv
import io
import json
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import submissions as made

from a5lib import run
from a5lib.classroom import grade, gradescope, submit
from a5lib.classroom.grading import mass
from a5lib.corpus import Corpus
from a5lib.world import main as mint

EVALUATED = {"dev": "birth_dev.tsv", "test": "birth_test_inputs.tsv"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")


@pytest.fixture(scope="module")
def term(tmp_path_factory):
    folder = tmp_path_factory.mktemp("term")
    mint(["--seed", "random", "--people", "60", "--phrasings", "2", "--out", str(folder / "data"),
          "--key", str(folder / "kept/key.tsv")])  # fmt: skip
    return folder


def train(variant, stage, *more, corpus="birth_places_train.tsv"):
    flags = ["--max_epochs", "0.1", "--profile", "smoke", "--device", "cpu"]
    flags += ["--finetune_corpus_path", corpus] if stage == "finetune" else []
    flags += ["--bottleneck_dim", "32"] if variant == "perceiver" else []
    assert run.main([stage, variant, "wiki.txt", *flags, *more]) == 0


def evaluate(variant, params, label):
    for split, questions in EVALUATED.items():
        arguments = ["--profile", "smoke", "--device", "cpu", "--reading_params_path", params]
        arguments += [
            "--eval_corpus_path",
            questions,
            "--outputs_path",
            f"{variant}.{label}.{split}.predictions",
        ]
        assert run.main(["evaluate", variant, "wiki.txt", *arguments]) == 0


@pytest.fixture(scope="module")
def student(term, tmp_path_factory):
    """The folder of a student who has solved notebooks 01, 05 and 06, and trained, however briefly."""
    folder = tmp_path_factory.mktemp("student")
    for path in (term / "data").iterdir():
        shutil.copy(path, folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        train("vanilla", "finetune", "--writing_params_path", "vanilla.model.params")
        evaluate("vanilla", "vanilla.model.params", "nopretrain")
        for variant in ("vanilla", "perceiver"):
            pretrained, finetuned = f"{variant}.pretrain.params", f"{variant}.finetune.params"
            train(variant, "pretrain", "--writing_params_path", pretrained)
            train(
                variant, "finetune", "--reading_params_path", pretrained, "--writing_params_path", finetuned
            )
            evaluate(variant, finetuned, "pretrain")
    finally:
        os.chdir(before)
    (folder / "notebooks").mkdir()
    for stem in ("01_copying", "05_birthplaces", "06_span_corruption"):
        (folder / f"notebooks/{stem}.ipynb").write_bytes(made.solved(stem))
    return folder


@pytest.fixture(scope="module")
def handed_in(student, tmp_path_factory):
    """The archive, made by the command."""
    before, submit.write_pdf = submit.write_pdf, lambda *_: False
    folder = tmp_path_factory.mktemp("handed_in")
    try:
        assert submit.main(["--folder", str(student), "--data", str(student), "--notebooks",
                            str(student / "notebooks"), "--out", str(folder / "assignment5.zip"), "--written",
                            str(folder / "written.html")]) == 0  # fmt: skip
    finally:
        submit.write_pdf = before
    return folder / "assignment5.zip"


def graded(term, archive, tmp_path, *more):
    results = tmp_path / "results.json"
    arguments = [str(archive), "--key", str(term / "kept/key.tsv"), "--data", str(term / "data")]
    assert grade.main([*arguments, "--results", str(results), *more]) == 0
    found = json.loads(results.read_text("utf-8"))
    return found, {test["name"]: test for test in found["tests"]}


def test_the_students_data_gives_no_answer_away(term):
    answers = {row.split("\t")[0] for row in (term / "kept/key.tsv").read_text("utf-8").splitlines()}
    summary = json.loads((term / "kept/key.world.json").read_text("utf-8"))
    assert summary["seed"] > 2**64  # cannot be found by trying
    for path in (term / "data").iterdir():
        text = path.read_text("utf-8")
        assert str(summary["seed"]) not in text and "made_by" not in text
        asked_with_places = {row.split("\t")[0] for row in text.splitlines() if "\t" in row}
        assert not asked_with_places & answers, path.name
    assert not {"people.tsv", "birth_test_key.tsv"} & {path.name for path in (term / "data").iterdir()}
    for path in (term / "kept").iterdir():
        assert path.stat().st_mode & 0o077 == 0  # nor may other users of the machine read it


def test_a_small_private_seed_is_warned_of(tmp_path, capsys):
    mint(
        ["--seed", "7", "--people", "60", "--out", str(tmp_path / "a"), "--key", str(tmp_path / "b/key.tsv")]
    )
    assert "found by trying" in capsys.readouterr().err
    mint(["--seed", "7", "--people", "60", "--out", str(tmp_path / "c")])
    assert capsys.readouterr().err == ""


def test_a_whole_term(term, handed_in, tmp_path, capsys, monkeypatch):
    began, ended = [], []
    start, end, read = mass.Worker._started, mass.Worker.end, grade.read_key
    monkeypatch.setattr(mass.Worker, "_started", lambda self: (began.append(id(self)), start(self))[1])
    monkeypatch.setattr(mass.Worker, "end", lambda self: (end(self), ended.append(id(self)))[0])

    def read_after_all(path, test):
        assert began and set(began) == set(ended)  # no student's code runs while the key is open
        return read(path, test)

    monkeypatch.setattr(grade, "read_key", read_after_all)
    found, tests = graded(term, handed_in, tmp_path)
    assert tests["truncate"]["score"] == 2.5 and tests["london_percent"]["status"] == "passed"
    assert tests["vanilla.nopretrain.test.predictions"]["score"] == 1
    assert tests["DownProjectBlock"]["output"] == "not attempted"
    assert 18 <= found["score"] <= 54
    said = capsys.readouterr().out
    assert "assignment5.zip: " in said and "2e   2.5 of 2.5" in said


def test_predictions_made_by_looking_are_caught(term, handed_in, tmp_path):
    """A student reads the places of dev and test in wiki.txt, and writes them down as predictions."""
    corpus = Corpus(term / "data")
    key = dict(row.split("\t") for row in (term / "kept/key.tsv").read_text("utf-8").splitlines())
    looked_up = {
        "vanilla.pretrain.dev.predictions": [q.place for q in corpus.dev],
        "vanilla.pretrain.test.predictions": [key[q.text] for q in corpus.test],
    }
    with zipfile.ZipFile(handed_in) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files |= {name: "".join(f"{place}\n" for place in places).encode() for name, places in looked_up.items()}
    (tmp_path / "cheat.zip").write_bytes(made.zipped(files))
    _, tests = graded(term, tmp_path / "cheat.zip", tmp_path)
    for name in looked_up:
        assert (
            tests[name]["score"] == 0
            and "of the rows are what these parameters answer" in tests[name]["output"]
        )
        assert name in tests["for graders"]["output"]


@pytest.mark.slow
def test_the_key_may_come_by_standard_input(term, handed_in, tmp_path):
    command = [sys.executable, "-m", "a5lib.classroom.grade", str(handed_in), "--key", "-", "--data",
               str(term / "data"), "--results", str(tmp_path / "r.json")]  # fmt: skip
    done = subprocess.run(
        command, input=(term / "kept/key.tsv").read_bytes(), capture_output=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["score"] > 15


# Gradescope.


def put_in_place(archive, folder):
    """As `unzip` does: with each member's rights."""
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            os.chmod(opened.extract(member, folder), member.external_attr >> 16 & 0o777)


def test_the_autograder_grades_where_gradescope_puts_it(term, handed_in, tmp_path):
    out = tmp_path / "autograder.zip"
    build = [
        "gradescope",
        "--key",
        str(term / "kept/key.tsv"),
        "--data",
        str(term / "data"),
        "--out",
        str(out),
    ]
    assert grade.main(build) == 0
    first = out.read_bytes()
    assert grade.main(build) == 0 and out.read_bytes() == first
    root = tmp_path / "autograder"
    put_in_place(out, root / "source")
    for name in ("setup.sh", "run_autograder"):
        assert os.access(root / "source" / name, os.X_OK)
        subprocess.run(["bash", "-n", str(root / "source" / name)], check=True)
    assert (root / "source/key/key.tsv").stat().st_mode & 0o077 == 0
    (root / "submission").mkdir()
    with zipfile.ZipFile(handed_in) as archive:
        archive.extractall(root / "submission")
    env = {"PATH": os.environ["PATH"], "A5_AUTOGRADER": str(root), "A5_PYTHON": sys.executable}
    subprocess.run(
        [str(root / "source/run_autograder")], env=env, check=True, timeout=300, capture_output=True
    )
    found = json.loads((root / "results/results.json").read_text("utf-8"))
    assert found["score"] > 15 and found["stdout_visibility"] == "hidden"


def test_the_autograder_answers_also_when_it_cannot_grade(term, tmp_path):
    out, root = tmp_path / "autograder.zip", tmp_path / "autograder"
    assert (
        gradescope.main(
            ["--key", str(term / "kept/key.tsv"), "--data", str(term / "data"), "--out", str(out)]
        )
        == 0
    )
    put_in_place(out, root / "source")
    env = {"PATH": os.environ["PATH"], "A5_AUTOGRADER": str(root), "A5_PYTHON": "/bin/false"}
    subprocess.run(
        [str(root / "source/run_autograder")], env=env, check=False, timeout=60, capture_output=True
    )
    assert json.loads((root / "results/results.json").read_text())["score"] == 0


# Many.


def many(term, folder, out, *more):
    arguments = ["--key", str(term / "kept/key.tsv"), "--data", str(term / "data"), "--out", str(out)]
    return grade.main([str(folder), *arguments, "--jobs", "2", *more])


def rows(out):
    return {
        row["submission"]: row
        for row in csv.DictReader(io.StringIO((out / "summary.csv").read_text("utf-8")))
    }


@pytest.mark.slow
def test_an_interrupted_grading_goes_on(term, handed_in, tmp_path, monkeypatch, capsys):
    folder, out = tmp_path / "all", tmp_path / "grades"
    folder.mkdir()
    shutil.copy(handed_in, folder / "ada.zip")
    (folder / "bob.zip").write_bytes(b"hello")
    (folder / ("=" + "x" * 240 + ".zip")).write_bytes(made.zipped({"../x": b""}))
    assert many(term, folder, out) == 0
    first = rows(out)
    assert len(first) == 3 and float(first["ada.zip"]["points"]) > 15 and first["bob.zip"]["points"] == "0"
    assert all(not name.startswith("=") for name in first)

    examined = []
    examine = mass.Worker.examine
    monkeypatch.setattr(
        mass.Worker, "examine", lambda self, a: (examined.append(a.name), examine(self, a))[1]
    )
    (folder / "cy.zip").write_bytes(b"hello too")
    assert many(term, folder, out) == 0
    assert examined == ["cy.zip"] and len(rows(out)) == 4
    assert rows(out)["ada.zip"]["points"] == first["ada.zip"]["points"]


def synthetic(count, sound, rng):
    """`count` archives by name: three in four are sound, with more or fewer notebooks; the others hostile."""
    notebooks = {stem: made.solved(stem) for stem in ("01_copying", "05_birthplaces", "08_finetuning")}
    notebooks["06_span_corruption"] = made.student("06_span_corruption")
    hostile = [*made.REFUSED, *made.HOSTILE_CELLS]
    for number in range(count):
        files = dict(sound)
        if number % 4:
            for stem in rng.sample(sorted(notebooks), rng.randint(1, 4)):
                files[f"notebooks/{stem}.ipynb"] = notebooks[stem]
            yield f"{number:03}-sound.zip", made.zipped(files)
            continue
        kind = hostile[number // 4 % len(hostile)]
        if kind in made.REFUSED:
            yield f"{number:03}-{kind}.zip", made.REFUSED[kind][0]()
        else:
            code = made.HOSTILE_CELLS[kind][0]
            files["a.ipynb"] = made.notebook("from a5lib.classroom import check", code, made.GOOD_CELL)
            yield f"{number:03}-{kind}.zip", made.zipped(files)


@pytest.mark.slow
def test_two_hundred_submissions_and_nothing_is_lost(term, tmp_path, capsys):
    count = int(os.environ.get("A5_SUBMISSIONS", 200))
    (tmp_path / "sound").mkdir()
    sound = made.sound_files(Corpus(term / "data"), tmp_path / "sound")
    folder, out = tmp_path / "all", tmp_path / "grades"
    folder.mkdir()
    for name, content in synthetic(count, sound, random.Random(0)):
        (folder / name).write_bytes(content)
    began = time.monotonic()
    assert many(term, folder, out, "--seconds", "40") == 0
    seconds = time.monotonic() - began
    found = rows(out)
    assert len(found) == count == len(list(out.glob("*.json")))
    for name, row in found.items():
        if "sound" in name:
            assert float(row["points"]) >= 2 and row["messages"] == "", (name, row)
        elif any(kind in name for kind in made.REFUSED):
            assert row["points"] == "0" and row["messages"], (name, row)
        else:
            assert float(row["points"]) == 2, (name, row)  # the models' points stay
    sound_rows = [row for name, row in found.items() if "sound" in name]
    with capsys.disabled():
        each = sorted(float(row["seconds"]) for row in sound_rows)
        cpu = sorted(float(row["CPU seconds"]) for row in sound_rows)
        memory = [max(float(row["memory MB"] or 0) for row in some) for some in (sound_rows, found.values())]
        print(f"\n{count} submissions in {seconds:.0f} s; sound ones: median {each[len(each) // 2]:.1f} s "
              f"({cpu[len(cpu) // 2]:.1f} s of CPU), most {each[-1]:.1f} s ({cpu[-1]:.1f} s of CPU), "
              f"{memory[0]:.0f} MB; all: up to {memory[1]:.0f} MB")  # fmt: skip


@pytest.mark.slow
def test_a_worker_that_dies_costs_one_grade_at_most(term, handed_in, tmp_path):
    worker = mass.Worker(term / "data", mass.Limits(), mass.free_uids(1)[0])
    try:
        (tmp_path / "b.zip").write_bytes(b"hello")
        assert "no zip" in worker.examine(tmp_path / "b.zip")["error"]
        worker.kill()
        assert "grade it again" in worker.examine(tmp_path / "b.zip")["error"]
        assert "no zip" in worker.examine(tmp_path / "b.zip")["error"]
    finally:
        worker.end()
