"""Limited processes: what they may use, what they cannot reach, and that nothing of them is left."""

import os
import stat
import sys
import time
from pathlib import Path

import pytest

from a5lib.classroom.grading import limits
from a5lib.classroom.grading.limited import WELL, run_limited
from a5lib.classroom.grading.limits import Limits
from a5lib.classroom.grading.mass import free_uids
from a5lib.classroom.grading.messages import read_messages
from a5lib.classroom.grading.plain import clean
from a5lib.classroom.grading.reach import open_to_others

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="grading needs Linux")
UID = free_uids(1)[0]
QUICK = Limits(seconds=20, memory_mb=300, folder_mb=20, processes=16)
MACHINES = ["everything", "no Landlock", "no process spaces", "neither"]


@pytest.fixture
def room(tmp_path):
    """A folder that a limited process may write in, though pytest's own folders are closed to others."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="a5-test-"))
    if UID is not None:
        os.chown(folder, UID, UID)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=MACHINES)
def machine(request, monkeypatch):
    """Machines that lack one or another of the kernel's locks."""
    if request.param in ("no Landlock", "neither"):
        monkeypatch.setattr(limits, "landlock_version", lambda: 0)
    if request.param in ("no process spaces", "neither"):
        monkeypatch.setattr(limits, "separate", lambda: False)
    return request.param


def run(function, room, **changes):
    return run_limited(function, Limits(**{**vars(QUICK), **changes}), room, UID)


def test_messages_come_back_and_prints_do_not(machine, room, capfd):
    def work(send):
        print("not to be seen")
        os.write(2, b"nor this")
        send({"uid": os.getuid(), "here": str(Path.cwd())})

    outcome = run(work, room)
    assert outcome.ended == WELL and capfd.readouterr() == ("", "")
    assert outcome.messages == [{"uid": os.getuid() if UID is None else UID, "here": str(room)}]


@pytest.mark.skipif(UID is None, reason="without root, another user's rights cannot be taken")
def test_a_private_key_cannot_be_read_on_any_machine(machine, room, tmp_path):
    key = tmp_path / "key.tsv"
    key.write_text("secret")
    key.chmod(stat.S_IRUSR | stat.S_IWUSR)
    descriptor = os.open(key, os.O_RDONLY)  # one that the parent has open is closed

    def work(send):
        for name, what in {
            "open": lambda: key.read_text(),
            "descriptor": lambda: os.read(descriptor, 9),
            "become root": lambda: os.setuid(0),
            "parent's memory": lambda: os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY),
        }.items():
            try:
                what()
            except OSError as error:
                send({name: type(error).__name__})

    outcome = run(work, room)
    os.close(descriptor)
    assert outcome.ended == WELL and len(outcome.messages) == 4, outcome


def test_python_stays_importable(machine, room):
    """Also where it is installed below a folder that others may not enter, as a root's often is."""

    def work(send):
        import colorsys
        import sqlite3
        import xml.dom.minidom

        send({"names": [m.__name__ for m in (colorsys, sqlite3, xml.dom.minidom)]})

    assert run(work, room).ended == WELL


def test_the_folder_is_all_that_may_be_written(room, tmp_path):
    if not limits.landlock_version():
        pytest.skip("no Landlock")
    tmp_path.chmod(0o777)

    def work(send):
        (room / "mine").write_text("x")
        (tmp_path / "other").write_text("x")

    assert "PermissionError" in run(work, room).messages[0]["error"] and not (tmp_path / "other").exists()
    assert (room / "mine").exists()


def endless(send):
    while True:
        pass


def hog(send):
    kept = []
    while True:
        kept.append(bytearray(1 << 24))


def fill(send):
    for number in range(100):
        Path(f"{number}").write_bytes(bytes(1 << 22))
        time.sleep(0.02)


def large_file(send):
    with open("large", "wb") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))


def chatter(send):
    while True:
        send({"x": "y" * 10_000})


def forge(send):
    send({"end": True})
    send({"check": "truncate"})
    os._exit(0)


@pytest.mark.parametrize(
    ("work", "changes", "ended"),
    [
        (endless, {"seconds": 1.5}, "not finished after"),
        (hog, {}, "ended early"),
        (fill, {}, "wrote more than 20 MB"),
        (large_file, {"file_mb": 5, "folder_mb": 900}, "ended early"),
        (chatter, {"message_mb": 1}, "reported more than 1 MB"),
        (forge, {}, "ended early"),
        (lambda send: os.abort(), {}, "ended by the system"),
        (lambda send: send({"x": {"y": [1] * 10}}), {}, WELL),
    ],
)
def test_what_is_too_much_ends_the_process(work, changes, ended, room):
    began = time.monotonic()
    outcome = run(work, room, **changes)
    assert ended in outcome.ended and time.monotonic() - began < 15


def test_nothing_that_it_started_outlives_it(machine, room):
    def work(send):
        for _ in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(300)
                os._exit(0)

    run(work, room, seconds=3)
    time.sleep(0.3)
    left = [p for p in Path("/proc").glob("[0-9]*") if _name(p) == str(room)]
    assert left == []


def _name(process):
    """The working directory of a living process, which for these is the test's room."""
    try:
        return os.readlink(process / "cwd")
    except OSError:
        return ""


def test_the_caller_goes_on_when_the_function_kills_all_that_it_can(machine, room):
    if UID is None and machine in ("no process spaces", "neither"):
        pytest.skip("without root, only a process space protects the user's own processes")

    def work(send):
        os.kill(-1, 9)

    run(work, room)
    assert run(lambda send: send({"x": 1}), room).messages == [{"x": 1}]


def test_odd_lines_are_no_messages():
    received = (
        b'[1]\n{"a": 1}\n\xff\n{"b"\n'
        + b"[" * 100_000
        + b'\n{"c": '
        + b"[" * 900
        + b"]" * 900
        + b"}"
        + b'\n{"end": true}\n'
    )
    assert read_messages(received) == ([{"a": 1}], True)


def test_text_of_a_student_is_plain():
    assert clean("a\x1b[31mb\u202e\u0000c\nd", 50) == "a[31mbc\nd"
    assert clean(["no text"]) == "" and len(clean("x" * 999)) == 300


def test_who_may_read_is_told_by_the_whole_path(tmp_path):
    (tmp_path / "in").mkdir(mode=0o700)
    (tmp_path / "in" / "file").write_text("x")
    assert not open_to_others(tmp_path / "in" / "file") and open_to_others(Path("/"))
