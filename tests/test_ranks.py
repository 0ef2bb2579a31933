"""Several processes train as one: the same result, and a clear end when one is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ranks_job import trainer_of
from torch.testing import assert_close

from a5lib import ranks as ranks_room
from a5lib.checkpoint import load_state
from a5lib.errors import InputError
from a5lib.model import VARIANTS
from a5lib.ranks import ALONE, Ranks, device_of_this_rank, ranks_of_this_job
from a5lib.run_state import RunState

JOB = Path(__file__).with_name("ranks_job.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
QUIET = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "A5_PROFILE": "smoke"}


def start(*command, cwd=None):
    return subprocess.run(
        [*TORCHRUN, *map(str, command)],
        cwd=cwd,
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        timeout=240,
    )


@given(st.lists(st.integers(1, 50), min_size=1, max_size=9), st.integers(1, 7))
def test_the_ranks_losses_average_to_the_whole_batchs(targets, size):
    """Each row's loss counts once, by its targets, however many ranks share the rows."""
    losses = [float(3 * i + 1) for i in range(len(targets))]  # a row's loss is any number
    seen, average = [], 0.0
    for rank in range(size):
        ranks = Ranks(rank, size)
        rows = ranks.own_rows(len(targets))
        own = targets[rows]
        assert own, "a model cannot be asked about no rows"
        mean = sum(n * loss for n, loss in zip(own, losses[rows], strict=True)) / sum(own)
        weight = ranks.weight(len(targets), sum(own), sum(targets))
        average += weight * mean / size
        seen += range(len(targets))[rows] if weight else []
    assert seen == list(range(len(targets)))
    whole = sum(n * loss for n, loss in zip(targets, losses, strict=True)) / sum(targets)
    assert average == pytest.approx(whole)


@pytest.mark.parametrize(("variant", "size"), [("vanilla", 3), ("perceiver_ar", 2)])
def test_several_processes_learn_what_one_does(tmp_path, variant, size):
    """Losses to 1e-5; weights to 2e-3, for Muon's directions magnify the rounding of small gradients."""
    done = start(f"--nproc_per_node={size}", JOB, variant, tmp_path)
    assert done.returncode == 0, done.stderr
    alone = trainer_of(variant, ALONE)
    losses = []
    alone.callbacks = [lambda trainer: losses.append(trainer.loss)]
    alone.train()
    told = [float(word) for word in done.stdout.split()[1:]]
    # The job tells its loss at the beginning of each step: that of the step before.
    assert told[1:] == pytest.approx(losses[:-1], abs=1e-5)
    assert len(losses) >= 6
    state = load_state(tmp_path / "model.params")
    for name, expected in alone.model.state_dict().items():
        assert_close(state[name], expected, atol=2e-3, rtol=0, msg=name)


def test_a_rank_that_dies_ends_the_job_with_one_clear_line_and_the_state_kept(tmp_path):
    done = start("--nproc_per_node=2", JOB, "vanilla", tmp_path, "die")
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert lines == [
        "error: rank 0 of 2 cannot reach the others: one has ended; start the same command again to go on "
        "from the state that was saved (the state of step 2 is kept)"
    ]
    assert not (tmp_path / "model.params").exists()
    again = start("--nproc_per_node=2", JOB, "vanilla", tmp_path)
    assert again.returncode == 0 and "step 2" in again.stderr, again.stderr
    alone = trainer_of("vanilla", ALONE)
    alone.train()
    expected = alone.model.state_dict()["head.weight"]
    assert_close(load_state(tmp_path / "model.params")["head.weight"], expected, atol=2e-3, rtol=0)


def test_one_that_is_asked_to_stop_stops_all_after_the_same_step(tmp_path):
    done = start("--nproc_per_node=2", JOB, "vanilla", tmp_path, "stop")
    assert done.returncode != 0 and "stopped" in done.stderr.splitlines()
    assert "a5lib/" not in done.stderr, "a traceback of ours"
    with RunState(tmp_path / "model.params", {"variant": "vanilla"}) as state:
        state.load()
        assert state.step == 3
    assert not (tmp_path / "model.params").exists()


def test_the_command_line_under_torchrun(corpus_folder):
    """Only the first rank writes and prints; what is wrong is said once, with exit code 2."""
    command = ("--nproc_per_node=2", "-m", "a5lib.run", "pretrain", "vanilla", "wiki.txt")
    done = start(*command, "--writing_params_path", "a.params", cwd=corpus_folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("a.params: ") == 1
    assert (corpus_folder / "a.params").exists() and not (corpus_folder / "a.params.state").exists()
    (corpus_folder / "b.params.state").mkdir()
    (corpus_folder / "b.params.state/a.state").write_bytes(b"no state")
    for path, what in (("wiki.txt", "is also read in this run"), ("b.params", "damaged")):
        wrong = start(*command, "--writing_params_path", path, cwd=corpus_folder)
        (line,) = [line for line in wrong.stderr.splitlines() if line.startswith("error: ")]
        assert wrong.returncode != 0 and what in line, wrong.stderr


@pytest.fixture
def place(monkeypatch):
    """Set what torchrun tells the second of four processes, and what a test says of it."""

    def put(**more):
        told = {"TORCHELASTIC_RUN_ID": "a", "RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1"} | more
        for name, value in told.items():
            monkeypatch.setenv(name, value)

    return put


def test_more_processes_than_gpus_is_said_by_all_so_by_the_first(place, monkeypatch):
    monkeypatch.setattr(ranks_room.torch.cuda, "device_count", lambda: 2)
    for rank in "0123":
        place(RANK=rank, LOCAL_RANK=rank, LOCAL_WORLD_SIZE="4")
        with pytest.raises(InputError, match="this machine has 2 GPUs: give torchrun --nproc_per_node=2"):
            device_of_this_rank("cuda")
    place(RANK="3", LOCAL_RANK="1", LOCAL_WORLD_SIZE="2")
    assert device_of_this_rank("cuda") == "cuda:1" and device_of_this_rank("cpu") == "cpu"


def test_what_other_programs_leave_in_the_environment_makes_no_rank(place, monkeypatch):
    place()
    assert ranks_of_this_job() == Ranks(1, 4)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    assert ranks_of_this_job() == ALONE


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_number_of_targets_is_that_of_the_mean_loss(variant):
    """Known by where the loss depends on the target: a target that does not count changes nothing."""
    trainer = trainer_of(variant, ALONE)
    x, y = trainer.batches.epoch(0)[0]
    changed = 0
    _, loss = trainer.model(x, y)
    for place in (y != 0).nonzero():
        other = y.clone()
        other[tuple(place)] = 0
        changed += not torch.equal(trainer.model(x, other)[1], loss)
    assert trainer.model.n_targets(x, y) == changed
