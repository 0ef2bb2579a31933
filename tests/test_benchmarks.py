"""The benchmarks run, at the smallest size, and say what they compared."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SMALL = {
    "A5_PROFILE": "smoke",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "A5_COURSE_DATA": str(ROOT / "data/quick"),
}


def run(*command, **more):
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, **SMALL, **more},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_ours_against_others_in_one_run(tmp_path):
    done = run("tests.benchmarks", "training", "answers", "--quick", "--out", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    medians = figures["training"]["medians"]
    assert {"plain", "ours, fp32, AdamW", "ours", "matrices, fp32"} <= set(medians)
    assert ("transformers" in medians) != ("transformers is not installed" in done.stdout)
    assert all(0 < share < 1 for share in figures["training"]["shares"].values())
    assert figures["answers"]["ratio"] > 1


@pytest.mark.slow
def test_one_process_and_two(tmp_path):
    done = run("tests.benchmarks", "processes", "--quick", "--out", tmp_path / "figures.json")
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())["processes"]
    assert all(each["rate"] > 0 for each in figures.values())
    losses = [each["loss"] for each in figures.values()]
    assert losses[1] == pytest.approx(losses[2], abs=2e-3), "two processes learn what one does"


def course(tmp_path, *more, **environment):
    """On the tiny corpus of `corpus_folder`, which is in `tmp_path`."""
    folders = ("--runs", tmp_path / "runs", "--out", tmp_path / "curve")
    small = ("--profile", "smoke", "--passes", "4", "--parts", "2")
    environment = {"A5_COURSE_DATA": str(tmp_path)} | environment
    return run("tests.benchmarks.course", *small, *folders, *more, **environment)


def test_the_curve_of_the_courses_corpus_and_pretraining_that_is_not_repeated(corpus_folder):
    tmp_path = corpus_folder
    done = course(tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "curve.json").read_text())["rows"]
    assert [row["passes"] for row in rows] == [4, 2]
    assert rows[0]["pretraining"] > rows[1]["pretraining"] > 0
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    snapshots = sorted((tmp_path / "runs").rglob("*.params"))
    before = [path.stat().st_mtime_ns for path in snapshots]
    again = course(tmp_path)
    assert again.returncode == 0 and [path.stat().st_mtime_ns for path in snapshots] == before
    assert [row["dev"] for row in json.loads((tmp_path / "curve.json").read_text())["rows"]] == [
        row["dev"] for row in rows
    ]


@pytest.mark.parametrize(
    ("more", "environment", "says"),
    [((), {"A5_COURSE_DATA": ""}, "A5_COURSE_DATA is not set"), (("--gpu",), {}, "no GPU here")],
)
def test_what_is_missing_is_said_in_one_line(corpus_folder, more, environment, says):
    done = course(corpus_folder, *more, **environment)
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_the_record_on_a_gpu_is_rehearsed(tmp_path):
    """Both recipes, both variants, three seeds, in one command."""
    command = ["make", "gpu-record", "PROFILE=smoke", f"OUT={tmp_path / 'gpu'}"]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **SMALL}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    runs = {(row["recipe"], row["variant"], row["seed"]) for row in rows}
    assert len(runs) == 12
