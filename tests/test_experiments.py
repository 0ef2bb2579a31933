"""Each experiment gives the rows that its figure needs, and says how it was made."""

import json
import re
import subprocess
import sys

import pytest

from a5lib import experiments
from a5lib.errors import InputError
from a5lib.experiments import main


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
    assert written.keys() == {"bottleneck", "start"}
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
    command = written["start"]["command"]
    assert command == "python -m a5lib.experiments start --profile smoke --seeds 0 1 --data ."
    assert written["start"]["versions"].keys() == {"python", "torch", "numpy", "a5lib"}


def test_only_what_is_asked_for_and_nothing_for_a_name_that_is_not_there(run):
    assert run("start").keys() == {"start"}
    with pytest.raises(InputError, match="no experiment stat; there are: bottleneck, start"):
        run("bottleneck", "stat")
    command = [sys.executable, "-m", "a5lib.experiments", "stat"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and re.fullmatch(r".*no experiment stat.*\n", done.stderr)
