"""End what a limited process left running, where no process space of its own ended it with it."""

import contextlib
import os
import signal
import time
from pathlib import Path


def end_leftovers(uid: int | None) -> None:
    """End every process of the user `uid`, and every child that this process has or has adopted."""
    if uid is not None:
        child = os.fork()
        if child == 0:  # as that user, all processes that it may signal are its own
            try:
                os.setresuid(uid, uid, uid)
                os.kill(-1, signal.SIGKILL)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    for _ in range(100):
        children = _children_of(os.getpid())
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not children:
            return
        time.sleep(0.01)


def _children_of(parent: int) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(name))
    return found
