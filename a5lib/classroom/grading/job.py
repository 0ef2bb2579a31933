"""One submission: unpacked, its parameters run, its notebooks checked, each in a limited process of its own.

The result is a report of plain values. It holds no score: nothing here knows the key.
"""

import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from a5lib.classroom.grading.handin import MODELS, NINE
from a5lib.classroom.grading.limited import WELL
from a5lib.classroom.grading.messages import Send
from a5lib.classroom.grading.parts import MOST_SECONDS, Grader, limited, room, run_model, run_notebook
from a5lib.classroom.grading.plain import MB, clean
from a5lib.classroom.grading.unpack import MAX_ARCHIVE_MB, unpack
from a5lib.errors import InputError


def examine_submission(archive: Path, grader: Grader) -> dict[str, Any]:
    """The report on one archive; whatever is in it, no error."""
    began = time.monotonic()
    report: dict[str, Any] = {
        "error": "", "missing": [], "notebooks": [], "models": {}, "checks": {}, "written": {}, "flags": [],
        "notes": [], "cpu_seconds": 0.0, "memory_mb": 0.0,
    }  # fmt: skip
    folder = Path(tempfile.mkdtemp(prefix="a5-grading-"))
    try:
        os.chmod(folder, 0o711)
        _examine(archive, folder, grader, report, began + MOST_SECONDS)
    except OSError as error:  # the machine's, not the submission's: a full disk, an unreadable archive
        report |= {"error": f"could not be examined here: {error.strerror}", "again": True}
    except Exception as error:  # what came out of it was of a kind that nobody foresaw: its own grade only
        report["error"] = f"could not be examined: {type(error).__name__}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report["seconds"] = round(time.monotonic() - began, 1)
    return report


def _examine(archive: Path, folder: Path, grader: Grader, report: dict, until: float) -> None:
    files = room(folder / "files", grader)
    descriptor = _open(archive, report)
    if descriptor is None:
        return
    try:
        outcome = limited(
            lambda send: _unpack(descriptor, files, send), grader, report, files, 60, [descriptor]
        )
    finally:
        os.close(descriptor)
    found = next((m for m in outcome.messages if isinstance(m.get("files"), list)), None)
    if found is None or outcome.ended != WELL:
        refused = next((m["refused"] for m in outcome.messages if "refused" in m), "")
        report["error"] = clean(refused) or f"could not be unpacked: {clean(outcome.ended)}"
        return
    report["missing"] = [name for name in NINE if name not in found["files"]]
    for model in MODELS:
        report["models"][model.name] = run_model(model, files, grader, report, until)
    notebooks = found.get("notebooks") or {}
    for number, name in enumerate(list(notebooks.values())[:40]):
        run_notebook(files / f"{number:02}.ipynb", clean(name, 80), folder, grader, report, until)


def _open(archive: Path, report: dict) -> int | None:
    try:
        if not archive.is_file():
            report["error"] = "no file"
            return None
        if archive.stat().st_size > MAX_ARCHIVE_MB * MB:
            report["error"] = f"has more than {MAX_ARCHIVE_MB} MB"
            return None
        return os.open(archive, os.O_RDONLY)
    except OSError as error:
        report["error"] = f"cannot be opened: {error.strerror}"
        return None


def _unpack(descriptor: int, folder: Path, send: Send) -> None:
    try:
        with os.fdopen(descriptor, "rb") as file:
            send(asdict(unpack(file, folder)))
    except InputError as error:
        send({"refused": str(error)})


def as_line(report: dict) -> str:
    """The report as one line of JSON."""
    return json.dumps(report, ensure_ascii=True)
