"""The state of a run: two copies, the newest whole one counts, and one run at a time."""

import errno
import os
import re
import subprocess
import sys
import time

import pytest
import torch

from a5lib import files
from a5lib.errors import InputError
from a5lib.run_state import COPIES, OtherRun, RunState, state_folder

SETTINGS = {"seed": 1, "training": {"lr": 0.1, "betas": [0.9, 0.95]}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.params"


def save(path, *steps, made_from=SETTINGS):
    """As many processes in turn, each of which takes up what is there and saves once."""
    for step in steps:
        with RunState(path, made_from) as state:
            state.load()
            state.save(step, {"x": torch.full((3,), float(step))})


def load(path, made_from=SETTINGS):
    with RunState(path, made_from) as state:
        value = state.load()
    return None if value is None else value["x"].tolist()


def flip(file, at):
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_the_last_two_states_are_kept_and_the_newest_is_taken(path, capsys):
    assert load(path) is None and not state_folder(path).exists()
    save(path, 1, 2, 3)
    assert sorted(p.name for p in state_folder(path).iterdir()) == list(COPIES)
    assert load(path) == [3, 3, 3]
    said = f"going on from step 3 ({state_folder(path) / 'a.state'})"
    assert capsys.readouterr().err.splitlines()[-1] == said
    with RunState(path, SETTINGS) as state:
        state.remove()
    assert os.listdir(path.parent) == []


DAMAGE = {
    "bit": lambda file: flip(file, -500),
    "step": lambda file: flip(file, file.read_bytes().index(b'"step": ') + 8),
    "checksum": lambda file: flip(file, 5),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "empty": lambda file: file.write_bytes(b""),
    "foreign": lambda file: file.write_bytes(b"PK\x03\x04 something else"),
    "folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_copy_is_named_and_the_older_one_taken(path, damage, capsys):
    save(path, 1, 2)
    newest = state_folder(path) / "b.state"
    damage(newest)
    assert load(path) == [1, 1, 1]
    (said,) = capsys.readouterr().err.splitlines()[-1:]
    assert re.search(
        rf"{newest} (is empty|is damaged|cannot be read).*; going on from step 1 \(.*a\.state", said
    )
    if newest.is_file():  # and is written over first, not the good one
        save(path, 3)
        assert load(path) == [3, 3, 3]
        flip(newest, -500)
        assert load(path) == [1, 1, 1]


def test_when_no_copy_is_whole_both_are_named_and_nothing_is_removed(path):
    save(path, 1, 2)
    DAMAGE["cut"](state_folder(path) / "a.state")
    DAMAGE["empty"](state_folder(path) / "b.state")
    with pytest.raises(
        InputError, match="a.state is damaged.* and b.state is empty; begin anew with --resume"
    ):
        load(path)
    assert len(list(state_folder(path).iterdir())) == 2


def test_a_whole_file_of_another_kind_is_no_state(path):
    """A right checksum proves that nothing was lost, not that it is what we need."""
    import hashlib

    save(path, 1)
    for checked in (b"{}\n", b'{"step": 9}\nrest', b'{"step": "x"}\n', b"[" * 100_000 + b"\n"):
        digest = hashlib.sha256(checked).hexdigest().encode()
        (state_folder(path) / "b.state").write_bytes(digest + b"\n" + checked)
        assert load(path) == [1, 1, 1]


def test_dates_and_clocks_decide_nothing(path, monkeypatch):
    """On a mounted drive files get the date of their copying; a laptop's clock may be set back in a run."""
    clock = iter(range(1000, 0, -1))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    save(path, 1, 2)
    os.utime(state_folder(path) / "b.state", (0, 0))
    assert load(path) == [2, 2, 2]


def test_other_settings_or_data_are_refused_and_named(path):
    """Going on with other settings would give a result that neither command describes."""
    save(path, 1)
    changed = {**SETTINGS, "training": {"lr": 0.2, "betas": [0.9, 0.95]}}
    with pytest.raises(OtherRun, match=r"saved with training\.lr = 0\.1, this run has 0\.2.*--resume never"):
        load(path, changed)
    with pytest.raises(OtherRun, match=r"data\.corpus = None, this run has 'f{15}…; repeat .* same files"):
        load(path, {**SETTINGS, "data": {"corpus": "f" * 64}})


# One at a time.

HOLD = """
import sys, time
from a5lib.run_state import RunState
with RunState(sys.argv[1], {}):
    print("held", flush=True)
    time.sleep(60)
"""


def test_two_runs_never_write_to_one_place_and_a_killed_one_leaves_no_lock(path, monkeypatch):
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        monkeypatch.setattr(files, "PATIENCE", 0.1)
        with pytest.raises(InputError, match=r"model\.params\.state: another run is at work there"):
            save(path, 1)
        other.kill()
        other.wait()
    monkeypatch.undo()
    save(path, 1)  # at once


def test_the_lock_is_on_the_folder_that_is_there(tmp_path):
    """The holder removes the folder at its end: whoever waited must not hold the removed one."""
    folder = tmp_path / "x"
    with files.held(folder):
        folder.rmdir()
        with files.held(folder, patience=0.1), pytest.raises(InputError), files.held(folder, patience=0):
            pass


def test_where_there_are_no_locks_the_later_run_gives_way(path, monkeypatch):
    """Two machines, one mounted drive: who sees the other's newer state stops, and nothing is spoiled."""
    import fcntl

    def no_locks(*_):
        raise OSError(errno.ENOTSUP, "no locks here")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with RunState(path, SETTINGS) as first, RunState(path, SETTINGS) as second:
        first.save(1, {"x": torch.ones(3)})
        second.load()
        second.save(4, {"x": torch.full((3,), 4.0)})
        second.save(5, {"x": torch.full((3,), 5.0)})
        with pytest.raises(InputError, match=r"state: written by another run meanwhile; let one of the two"):
            first.save(2, {"x": torch.ones(3)})
        second.save(6, {"x": torch.full((3,), 6.0)})
    assert load(path) == [6, 6, 6]


# A disk that fails.


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_disk_that_fails_leaves_the_last_state_and_says_so(path, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with RunState(path, SETTINGS) as state:
        state.save(1, {"x": torch.ones(3)})
        state.save(2, {"x": torch.full((3,), 2.0)})
        with monkeypatch.context() as patch:
            where = (type(path), "write_bytes") if call == "write" else (os, call)
            patch.setattr(*where, full)
            with pytest.raises(
                InputError, match=r"No space left on device\); free .*; the state of step 2 is kept"
            ):
                state.save(3, {"x": torch.ones(3)})
        assert sorted(p.name for p in state_folder(path).iterdir()) == list(COPIES)
        state.save(4, {"x": torch.full((3,), 4.0)})
    assert load(path) == [4, 4, 4]


def test_a_drive_without_fsync_or_permissions_will_do(path, monkeypatch):
    def unknown(*_):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unknown)
    monkeypatch.setattr(os, "chmod", unknown)
    save(path, 1)
    assert load(path) == [1, 1, 1]


def test_what_a_killed_writer_left_is_removed(path):
    save(path, 1)
    for folder, name in ((path.parent, path.name), (state_folder(path), "b.state")):
        (folder / f".{name}.writing-x1").write_bytes(b"half")
    (path.parent / ".other.params.writing-x1").write_bytes(b"of another run")
    assert load(path) == [1, 1, 1]
    left = [p.name for p in path.parent.rglob(".*")]
    assert left == [".other.params.writing-x1"]
