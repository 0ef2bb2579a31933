"""Examine many submissions with several workers; what is done is kept, should it be interrupted."""

import contextlib
import hashlib
import json
import os
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from a5lib import __version__
from a5lib.classroom.grading.limits import Limits
from a5lib.corpus import DEV, TEST, WIKI
from a5lib.errors import InputError
from a5lib.files import read_json, write_json

FIRST_UID, UIDS = 58_000, 2000
READY = "ready\n"


class Worker:
    """A worker process, started on first use, and again should it ever end."""

    def __init__(self, data: Path, limits: Limits, uid: int | None):
        self._order = {"data": str(data.resolve()), "limits": asdict(limits), "uid": uid}
        self._process: subprocess.Popen | None = None

    def examine(self, archive: Path) -> dict[str, Any]:
        """The report on a submission; one that says `again` where the worker was ended over it.

        Raises:
            InputError: the worker cannot even start.
        """
        process = self._started()
        with contextlib.suppress(OSError, ValueError):
            process.stdin.write(json.dumps(str(archive.resolve())) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())
        self.end()
        why = "the process that examined it was ended, perhaps for lack of memory; grade it again"
        return {"error": why, "again": True}

    def _started(self) -> subprocess.Popen:
        if self._process is None:
            package = Path(__file__).resolve().parents[3]
            kept = ("PATH", "LANG", "LD_LIBRARY_PATH")
            paths = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
            env = {name: os.environ[name] for name in kept if name in os.environ}
            env |= {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "a5lib.classroom.grading.worker"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True, encoding="utf-8", env=env, cwd="/", start_new_session=True,
            )  # fmt: skip
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps(self._order) + "\n")
                self._process.stdin.flush()
            if self._process.stdout.readline() != READY:
                self.end()
                raise InputError(
                    "the process that examines submissions cannot start; what it said stands above"
                )
        return self._process

    def kill(self) -> None:
        """End the process at once, whatever it is doing; the caller of `examine` gets its answer."""
        if (process := self._process) is not None:
            process.kill()

    def end(self) -> None:
        """End the process; nothing that it started outlives it."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=5)
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None


def free_uids(count: int) -> list[int | None]:
    """Users that nobody is, one for each worker; None where this process is not root."""
    if os.geteuid() != 0:
        return [None] * count
    import pwd

    taken = {entry.pw_uid for entry in pwd.getpwall()}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            taken.add(process.stat().st_uid)
    order = random.SystemRandom().sample(range(FIRST_UID, FIRST_UID + UIDS), UIDS)
    return [uid for uid in order if uid not in taken][:count]  # at random: other graders may be at work


def examine_all(
    archives: Sequence[Path],
    data: Path,
    jobs: int = 1,
    limits: Limits | None = None,
    keep: Path | None = None,
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Each archive with its report, as they get done.

    Args:
        keep: a folder for finished reports; what is in it from an earlier run is not examined again.

    Raises:
        InputError: the workers cannot start, or nothing can be kept.
    """
    limits = limits or Limits()
    made_from = _made_from(data, limits)
    todo: queue.Queue[Path] = queue.Queue()
    done: queue.Queue[tuple[Path, dict[str, Any]]] = queue.Queue()
    for archive in archives:
        todo.put(archive)
    workers = [Worker(data, limits, uid) for uid in free_uids(max(1, min(jobs, len(archives))))]
    stop = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(worker, todo, done, keep, made_from, stop), daemon=True)
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in archives:
            archive, report = done.get()
            if isinstance(report, InputError):
                raise report
            yield archive, report
    finally:  # all are done, or the grader was interrupted: what is under way is given up
        stop.set()
        for worker in workers:
            worker.kill()
        for thread in threads:
            thread.join()


def _work(worker: Worker, todo, done, keep: Path | None, made_from: str, stop: threading.Event) -> None:
    try:
        while not stop.is_set():
            try:
                archive = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((archive, _report(worker, archive, keep, made_from)))
            except InputError as error:  # the grader's own trouble, not this submission's
                done.put((archive, error))
            except Exception as error:  # nothing may be lost: it is this submission's report
                why = f"could not be examined: {type(error).__name__}: {error}"
                done.put((archive, {"error": why, "again": True}))
    finally:
        worker.end()


def _report(worker: Worker, archive: Path, keep: Path | None, made_from: str) -> dict[str, Any]:
    if keep is None:
        return worker.examine(archive)
    path = keep / f"{_hash_of_file(archive)}.json"
    with contextlib.suppress(Exception):  # a damaged one is made again
        saved = read_json(path)
        if saved["made_from"] == made_from:
            return saved["report"]
    report = worker.examine(archive)
    if not report.get("again"):
        write_json(path, {"made_from": made_from, "report": report})
    return report


def _hash_of_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _made_from(data: Path, limits: Limits) -> str:
    """What a report depends on besides the archive: the library, the data, the limits."""
    package = Path(__file__).resolve().parents[2]
    parts = [__version__, repr(limits), *(_hash_of_file(data / name) for name in (WIKI, DEV, TEST))]
    parts += [_hash_of_file(path) for path in sorted(package.rglob("*.py"))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
