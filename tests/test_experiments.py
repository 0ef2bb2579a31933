"""Each experiment gives the rows that its figure needs, and says how it was made."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from a5lib import experiments
from a5lib.errors import InputError
from a5lib.experiments import EXPOSURES, RECALLED, main
from a5lib.model import VARIANTS
from a5lib.world import make_world


@pytest.fixture
def run(corpus_folder, tmp_path, monkeypatch):
    """The command at smoke size on six documents; returns what it wrote, by name."""
    monkeypatch.setattr(experiments, "BOTTLENECKS", (8, 16))

    def run(*arguments):
        out = tmp_path / "figures"
        main([*arguments, "--profile", "smoke", "--data", ".", "--runs", "runs", "--out", str(out)])
        return {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}

    return run


def test_all_experiments_for_two_seeds(run):
    written = run("--seeds", "0", "1")
    assert written.keys() == {"bottleneck", "start", "variants", "phrasings", "exposures"}
    rows = written["bottleneck"]["rows"]
    assert [(row["variant"], row["m"]) for row in rows if row["seed"] == 1] == [
        ("vanilla", None), ("perceiver", 8), ("perceiver", 16), ("perceiver_ar", 8), ("perceiver_ar", 16),
    ]  # fmt: skip
    assert all(0 <= row["correct"] <= row["total"] == 3 and row["seconds"] > 0 for row in rows)
    losses = {row["m"]: row["loss"] for row in rows if row["variant"] == "perceiver" and row["seed"] == 0}
    assert losses[8] != losses[16], "the number of latents reaches the model"
    starts = written["start"]["rows"]
    assert [row["diagonals"] for row in starts] == [False, True, False, True]
    assert starts[0]["curve"][0]["loss"] != starts[1]["curve"][0]["loss"]
    assert [row["variant"] for row in written["variants"]["rows"]] == 2 * [
        "vanilla", "rope", "synthesizer", "perceiver", "perceiver_ar",
    ]  # fmt: skip
    assert len({row["loss"] for row in written["variants"]["rows"]}) == 2 * len(VARIANTS)
    assert {key for row in written["variants"]["rows"] for key in row["recall"]} == set(RECALLED)
    phrasings = written["phrasings"]["rows"]
    assert [row["phrasings"] for row in phrasings] == [1, 2, 4, 8] * 2
    assert {row["exposures"] for row in phrasings} == {2.0}, "each fact is read equally often"
    command = written["start"]["command"]
    assert command == "python -m a5lib.experiments start --profile smoke --seeds 0 1 --data ."
    assert written["start"]["versions"].keys() == {"python", "torch", "numpy", "a5lib"}


def test_only_what_is_asked_for_and_nothing_for_a_name_that_is_not_there(run):
    assert run("start").keys() == {"start"}
    with pytest.raises(InputError, match="no experiment stat; there are: bottleneck, start, variants"):
        run("bottleneck", "stat")
    command = [sys.executable, "-m", "a5lib.experiments", "stat"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and re.fullmatch(r".*no experiment stat.*\n", done.stderr)


def test_a_dealt_world_has_what_it_says(run):
    """60 people, ten groups: how often lines about each stand in the corpus, and how many different ones."""
    rows = run("exposures")["exposures"]["rows"]
    folder = Path("runs/worlds/60-people-dealt")
    lines = Counter((folder / "wiki.txt").read_text("utf-8").splitlines())
    groups = Counter()
    for person in make_world(0, 60, 8).people:
        if person.lines:
            told = [count for line, count in lines.items() if person.name in line]
            groups[sum(told), len(told)] += 1
    assert groups == dict.fromkeys(EXPOSURES, 6)
    times = 4.9 / 2  # half a pass of 4 lines a person are 2; here a person has 4.9 on average
    assert {(round(row["exposures"] * times), row["phrasings"]) for row in rows} == set(EXPOSURES)
    train, dev = ((folder / f"birth_{name}.tsv").read_text("utf-8") for name in ("places_train", "dev"))
    assert len(train.splitlines()) == len(dev.splitlines()) == sum(row["total"] for row in rows) == 30
    assert not set(train.splitlines()) & set(dev.splitlines())
