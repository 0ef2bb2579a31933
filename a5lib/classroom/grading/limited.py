"""Run a function in a process with limits: its messages, its time, and how it ended. Never raises for it.

Two processes: a trusted one, which watches and ends, and the limited one, which runs the function. Both are
forks of the caller, so whatever it has loaded is there at no cost. The function reports by `send`; what it
writes to its standard output and error goes nowhere.
"""

import contextlib
import json
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from a5lib.classroom.grading import limits as locks
from a5lib.classroom.grading.leftovers import end_leftovers
from a5lib.classroom.grading.limits import Limits
from a5lib.classroom.grading.messages import END, Send, read_messages, sender
from a5lib.classroom.grading.plain import MB
from a5lib.classroom.grading.reach import keep_importable

WELL = "well"


@dataclass(frozen=True)
class Outcome:
    """How a limited process fared: `ended` is `well`, or says what happened; `messages` are untrusted."""

    ended: str
    messages: list[dict] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_mb: float = 0.0


def run_limited(
    function: Callable[[Send], None],
    limits: Limits,
    folder: Path,
    uid: int | None = None,
    keep: Sequence[int] = (),
    readable: Sequence[Path] = (),
) -> Outcome:
    """Run `function(send)` in a process with limits, in `folder`, the only place in which it may write.

    Args:
        uid: the user that it runs as, if the caller is root; nothing else may run as that user.
        keep: open files that it needs.
        readable: files and folders that it may read besides.
    """
    reading, writing = os.pipe()
    watcher = os.fork()
    if watcher == 0:
        os.close(reading)
        try:
            outcome = _watch(function, limits, folder, uid, keep, readable)
            with os.fdopen(writing, "wb") as file:
                file.write(json.dumps(asdict(outcome)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        answer = file.read()
    os.waitpid(watcher, 0)
    try:
        return Outcome(**json.loads(answer))
    except (ValueError, RecursionError):  # nothing, or a message nested as deep as no honest one
        return Outcome("reported what cannot be read")


def _watch(function, limits, folder, uid, keep, readable) -> Outcome:
    """In the watching process: start the limited one, read it, end it and all that it started."""
    locks.end_with_parent()
    locks.adopt_orphans()
    separate = locks.separate()
    reading, writing = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(function, limits, folder, uid, {writing, *keep}, writing, readable)
    os.close(writing)
    received, ended = _receive(reading, limits, folder, began + limits.seconds)
    with contextlib.suppress(ProcessLookupError):
        if ended or not _is_over(child):
            os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    if not separate:
        end_leftovers(uid)
    messages, complete = read_messages(received)
    if not ended:
        ended = WELL if complete else _how(os.waitstatus_to_exitcode(status))
    seconds, cpu_seconds = time.monotonic() - began, usage.ru_utime + usage.ru_stime
    return Outcome(
        ended, messages, round(seconds, 2), round(cpu_seconds, 2), round(usage.ru_maxrss / 1024, 1)
    )


def _is_over(child: int, patience: float = 1.0) -> bool:
    """Whether the child ends by itself, soon after it closed its pipe."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return True
        time.sleep(0.01)
    return False


def _receive(reading: int, limits: Limits, folder: Path, until: float) -> tuple[bytes, str]:
    """All that comes through the pipe, and why reading was given up ('' if it came to its end)."""
    received, ended = bytearray(), ""
    while not ended:
        if time.monotonic() > until:
            ended = f"not finished after {limits.seconds:.0f} s"
        elif size_of(folder) > limits.folder_mb * MB:
            ended = f"wrote more than {limits.folder_mb} MB"
        elif select.select([reading], [], [], 0.25)[0]:
            chunk = os.read(reading, 1 << 16)
            received += chunk
            if not chunk:
                break
            if len(received) > limits.message_mb * MB:
                ended = f"reported more than {limits.message_mb} MB"
    return bytes(received), ended


def size_of(folder: Path) -> int:
    """The bytes of all files below a folder, which may change meanwhile; many files count as large."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += 4096 + os.lstat(os.path.join(place, name)).st_size
    return total


def _how(code: int) -> str:
    if code >= 0:
        return f"ended early (exit code {code})"
    return f"was ended by the system ({signal.Signals(-code).name}: too much time or memory, or a crash)"


def _run(function, limits, folder, uid, keep: set[int], writing: int, readable) -> None:
    """In the limited process: never returns."""
    code = 1
    try:
        os.setsid()
        with contextlib.suppress(OSError):  # where memory runs out, this process is the first to be ended
            Path("/proc/self/oom_score_adj").write_text("1000")
        opened = keep_importable()
        _close_all_but({*keep, *opened})
        locks.give_up(limits, uid, readable, [folder])
        os.environ.clear()
        os.environ.update(HOME=str(folder), TMPDIR=str(folder), PATH="/usr/bin:/bin", OMP_NUM_THREADS="1")
        os.chdir(folder)
        tempfile.tempdir = str(folder)
        send = sender(writing)
        try:
            function(send)
        except BaseException as error:  # whatever it is: reported, and the end of this process
            send({"error": f"{type(error).__name__}: {error}"[:500]})
        else:
            send(END)
            code = 0
    finally:
        os._exit(code)


def _close_all_but(keep: set[int]) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))
    sys.stdout = sys.stderr = open(1, "w", closefd=False)  # noqa: SIM115  whatever they were, they are closed
