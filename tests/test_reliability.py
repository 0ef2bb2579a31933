"""What must not be lost or trusted: runs that are killed, files that are malformed, losses gone wrong."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import fuzz
import pytest

from a5lib import pipeline, run
from a5lib.errors import InputError, one_line
from a5lib.run_state import state_folder

KILLING = [sys.executable, str(Path(__file__).with_name("killing.py"))]
PRETRAIN = "pretrain vanilla wiki.txt --writing_params_path p.params --max_epochs 6 --save_seconds 0"


def killing(*arguments):
    """In a process of its own, for it forks."""
    env = os.environ | {"A5_PROFILE": "smoke", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*KILLING, *arguments], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_kills_at_random_moments():
    assert killing("--kills", "5", "--max_epochs", "50").startswith("5 kills over 50 steps")


@pytest.mark.slow
def test_many_kills_and_one_before_each_file_operation():
    """The longest of what CI does in small."""
    assert killing("--kills", "50").startswith("50 kills over 500 steps")
    assert int(killing("--everywhere").split()[0]) > 40


TARGETS = [
    "corpus", "questions", "params", "tensors", "tensors_alone", "info", "state", "states_value", "measures",
    "history", "predictions", "progress", "notebook", "zip", "submission", "handed_in", "their_notebook",
    "key", "points", "rows", "command",
]  # fmt: skip


@pytest.fixture
def targets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A5_PROFILE", "smoke")
    found = fuzz.targets()
    assert sorted(found) == sorted(TARGETS)
    return found


@pytest.mark.parametrize("name", TARGETS)
def test_malformed_inputs_are_refused_in_one_line_that_names_the_file(targets, name):
    seen = fuzz.fuzz(targets[name], 40)
    assert seen["refused"] >= 5


@pytest.fixture
def here(corpus_folder, monkeypatch):
    monkeypatch.setenv("A5_PROFILE", "smoke")
    monkeypatch.setattr(run, "TensorBoard", lambda folder: lambda trainer: None)
    return corpus_folder


def test_a_loss_that_is_no_number_keeps_the_last_good_state_and_says_what_to_try(here):
    """Rates like this one are what people try when a night's run was too slow."""
    command = f"{PRETRAIN} --pretrain_lr 1e6 --max_epochs 60"
    with pytest.raises(InputError, match=r"step \d+: try a smaller .* --pretrain_lr 500000 --resume never"):
        run.main(command.split())
    if state_folder("p.params").exists():
        with pytest.raises(InputError, match=r"the state of step \d+ is kept"):
            run.main(command.split())
    assert not Path("p.params").exists()


def interrupted(here, monkeypatch):
    """A run that was cut off at its third step."""

    def stop(trainer):
        if trainer.step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "ProgressBar", lambda title: stop)
        with pytest.raises(KeyboardInterrupt):
            run.main(PRETRAIN.split())


def test_a_corpus_that_is_gone_or_changed_is_named_on_resume(here, monkeypatch):
    """Gone, a file of the same name is found in the profile's data folder: to train on it would be wrong."""
    interrupted(here, monkeypatch)
    wiki = Path("wiki.txt").read_bytes()
    Path("wiki.txt").write_bytes(wiki + b"Who was Oslo?\n")
    with pytest.raises(InputError, match=r"data\.corpus = '.*same files.*\(corpus: wiki\.txt\)"):
        run.main(PRETRAIN.split())
    Path("wiki.txt").unlink()
    with pytest.raises(InputError, match=r"data\.corpus = '.*\(corpus: .*data/quick/wiki\.txt\)"):
        run.main(PRETRAIN.split())
    with pytest.raises(InputError, match=r"other\.txt: no such file"):
        run.main(PRETRAIN.replace("wiki.txt", "other.txt").split())
    Path("wiki.txt").write_bytes(wiki)
    run.main(PRETRAIN.split())
    assert Path("p.params").exists() and not state_folder("p.params").exists()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_fills_up_ends_the_run_and_the_next_goes_on(here, monkeypatch, error, capsys):
    replace, saves = os.replace, []

    def full(source, target):
        saves.append(target)
        if len(saves) > 3:
            raise OSError(error, os.strerror(error))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(InputError, match=rf"cannot be written \({os.strerror(error)}\).*step 3 is kept"):
            run.main(PRETRAIN.split())
    run.main(PRETRAIN.split())
    assert "going on from step 3" in capsys.readouterr().err


def test_a_disk_too_small_for_the_end_keeps_the_state(here):
    """For real: the process may write files of 300 kB, and the parameters have more."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))"
    call = (
        f"{limit}; from a5lib import errors, run; errors.run_command(lambda: run.main({PRETRAIN.split()!r}))"
    )
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "cannot be written (File too large); free some space or choose another place" in done.stderr
    assert not list(Path().rglob(".*writing*")) and not Path("p.params").exists()


def test_tensorboard_that_cannot_write_does_not_end_a_run(corpus_folder, monkeypatch, capsys):
    monkeypatch.setenv("A5_PROFILE", "smoke")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter.add_scalar", full)
    run.main(PRETRAIN.split())
    assert Path("p.params").exists()
    assert capsys.readouterr().err.count("no more TensorBoard scalars (No space left on device)") == 1


def test_a_message_is_one_line_that_a_terminal_can_show():
    assert one_line("a\nb\x1b[31m\t c") == "a b\\x1b[31m c"
    assert len(one_line("x" * 10_000)) < 410 and one_line("x" * 10_000 + "end").endswith("end")


def test_states_are_saved_often_enough():
    assert 0 < pipeline.SAVE_SECONDS <= 120
