"""What a process may use, and what it gives up before it touches a student's bytes. Linux.

Prevented: reading or writing files outside its own folder and the Python installation (Landlock; without it,
by the rights of another user where the grader is root), signals to and memory of other processes, the
network, more than the given time, memory, file size and processes, and whatever outlives the process.
**Not prevented**: a student's code stands in one process with the checks of its own notebook. Code written to
attack them there can give itself the points of that submission's coded exercises, and nothing else: accuracy
comes from the parameters, in a process without a student's code. Such code stands in the notebook, and what
looks like it is flagged for the grader (``attempts.flags``).

A lock that a machine lacks is left out: ``missing_locks`` names it.
"""

import contextlib
import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from a5lib.classroom.grading.plain import MB

_NEW_PID, _NEW_NET, _NEW_IPC, _NEW_USER = 0x20000000, 0x40000000, 0x08000000, 0x10000000
_PR_DEATH_SIGNAL, _PR_SET_DUMPABLE, _PR_NO_NEW_PRIVS, _PR_SUBREAPER = 1, 4, 38, 36
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True)
class Limits:
    """What one process may use: seconds of the clock, MB of memory on top of Python's, and so on."""

    seconds: float = 120
    memory_mb: int = 3000
    file_mb: int = 64
    folder_mb: int = 400
    processes: int = 48
    message_mb: int = 4


def system_paths() -> tuple[list[Path], list[Path]]:
    """Files and folders that a Python process with torch must be able to read, and those it may write."""
    package = Path(__file__).resolve().parents[2]
    devices = ["/dev/urandom", "/dev/random", "/dev/zero"]
    files = ["/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat"]
    folders = [sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/sys/devices/system/cpu"]
    installed = [Path(entry) for entry in sys.path if is_installed(entry)]
    return [package, *installed, *map(Path, [*folders, *devices, *files])], [Path("/dev/null")]


def is_installed(entry: str) -> bool:
    """Whether an entry of `sys.path` is Python's, not a project's or the folder in which it was started."""
    path = Path(entry).resolve()
    below = any(path.is_relative_to(Path(prefix).resolve()) for prefix in (sys.prefix, sys.base_prefix))
    return bool(entry) and (path.name in ("site-packages", "dist-packages") or below)


def hide_memory() -> None:
    """From now on nobody but root may look into this process: its memory, its open files."""
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def end_with_parent() -> None:
    """This process is ended when the one that started it ends."""
    _libc.prctl(_PR_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """Processes whose parents end become this process's children, so that it can end them."""
    _libc.prctl(_PR_SUBREAPER, 1, 0, 0, 0)


def separate() -> bool:
    """Children of this process get numbers, network and shared memory of their own, where that is allowed.

    Returns whether it is: then all of a child's descendants end with it.
    """
    spaces = _NEW_PID | _NEW_NET | _NEW_IPC
    if os.geteuid() == 0:
        return _libc.unshare(spaces) == 0
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(spaces | _NEW_USER):
        return False
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    return True


def give_up(limits: Limits, uid: int | None, readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Give up, for good, all that is not needed: rights of root, files, time, memory.

    Args:
        uid: the user to become, where this process is root.
        readable, writable: files and folders, besides Python's own.
    """
    of_system = system_paths()
    rules = _file_rules([*of_system[0], *readable], [*of_system[1], *writable])  # while all can be opened
    _limit(limits)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    end_with_parent()  # to become another user undoes it
    _libc.prctl(_PR_NO_NEW_PRIVS, 1, 0, 0, 0)
    if rules is not None:
        _libc.syscall(_RESTRICT, rules, ctypes.c_uint(0))
        os.close(rules)


def _limit(limits: Limits) -> None:
    import resource  # not on Windows, where submissions are made, too

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    threads = 0 if os.geteuid() == 0 else _threads_of(os.getuid())
    wanted = {
        resource.RLIMIT_CPU: int(limits.seconds) + 1,
        resource.RLIMIT_AS: used + limits.memory_mb * MB,
        resource.RLIMIT_FSIZE: limits.file_mb * MB,
        resource.RLIMIT_NPROC: threads + limits.processes,
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file too large is then an OSError of the writer


def _threads_of(uid: int) -> int:
    """How many threads a user has: the limit counts all of them, not those of one process."""
    count = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == uid:
                count += sum(1 for _ in (process / "task").iterdir())
    return count


# Landlock: a process takes the file system away from itself, https://docs.kernel.org/userspace-api/landlock.html

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _DEVICES = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICES


def landlock_version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    return max(0, _libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1)))


def _file_rules(readable: Iterable[Path], writable: Iterable[Path]) -> int | None:
    """Rules by which a process and its children reach nothing but these files and folders; None without.

    Where the kernel can: no TCP either, and no signal to a process outside.
    """
    version = landlock_version()
    everything = (1 << 13) - 1
    everything |= (1 << 13 if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    everything |= _DEVICES if version >= 5 else 0
    attributes = struct.pack("QQQ", everything, 3, 3)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _libc.syscall(_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    if not version or rules < 0:
        return None
    for paths, access in ((readable, _EXECUTE | _READ_FILE | _READ_DIR), (writable, everything)):
        for path in paths:
            _allow(rules, path, access & everything)
    return rules


def _allow(rules: int, path: Path, access: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not there on this machine: nothing to allow
        return
    access &= -1 if path.is_dir() else _OF_FILES
    _libc.syscall(_ADD, rules, ctypes.c_uint(1), struct.pack("=Qi", access, descriptor), ctypes.c_uint(0))
    os.close(descriptor)


def missing_locks() -> list[str]:
    """What this machine cannot prevent, one line each, for the person who grades."""
    lines = []
    if os.geteuid() != 0 and not landlock_version():
        lines.append(
            "students' code runs as you, and could read a key file: give it by `--key -`, or be root"
        )
    return lines
