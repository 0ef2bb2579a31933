"""Submissions on disk: a folder of archives, or one submission that somebody has unpacked already."""

import hashlib
import os
import zipfile
from pathlib import Path

from a5lib.classroom.grading.handin import NINE, SIDECARS
from a5lib.classroom.grading.plain import MB
from a5lib.classroom.grading.unpack import MAX_MB, MAX_NOTEBOOKS

MOST_FOLDERS = 200


def submissions(folder: Path) -> list[Path]:
    """The archives of a folder, in order: every file but hidden ones, since a bad one is somebody's, too."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def short_name(archive: Path) -> str:
    """An archive's name, fit to name a file after: cut where it is too long for that, and still its own."""
    name = os.fsencode(archive.name)
    if len(name) <= 200:
        return archive.name
    return archive.name[:40] + "-" + hashlib.sha256(name).hexdigest()[:12]


def is_submission(folder: Path) -> bool:
    """Whether a folder holds one submission's files, not many submissions."""
    return not list(folder.glob("*.zip")) and any(
        path.name in NINE or path.suffix == ".ipynb" for path in _files(folder)
    )


def _files(folder: Path) -> list[Path]:
    """Plain files below a folder, a few levels deep; links are not followed."""
    found = []
    for count, (place, folders, names) in enumerate(os.walk(folder)):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "solved")
        paths = [Path(place) / name for name in sorted(names)]
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
        if count > MOST_FOLDERS:
            break
    return found


def pack(folder: Path, to: Path) -> Path:
    """Zip an unpacked submission again, so that it is examined like any other; returns the archive."""
    with zipfile.ZipFile(to, "w") as archive:
        notebooks = 0
        for path in _files(folder):
            wanted = path.name in (*NINE, *SIDECARS) or path.suffix == ".ipynb"
            if not wanted or path.stat().st_size > MAX_MB[path.suffix] * MB:
                continue
            notebooks += path.suffix == ".ipynb"
            if path.suffix != ".ipynb" or notebooks <= MAX_NOTEBOOKS:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
                with os.fdopen(descriptor, "rb") as file:
                    name = str(path.relative_to(folder)).encode("utf-8", "replace").decode()
                    archive.writestr(zipfile.ZipInfo(name), file.read())
    return to
