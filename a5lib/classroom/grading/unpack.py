"""Unpack a zip archive that nobody trusts: only what is asked for, never outside the folder, never too much.

Names are the archive's claim and are compared, never used as paths: the nine files and their JSON files go
to names of ours, the notebooks to numbers. Sizes are counted while they come out, not read from the headers.
Runs in a limited process.
"""

import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from a5lib.classroom.grading.handin import NINE, SIDECARS
from a5lib.classroom.grading.plain import MB
from a5lib.errors import InputError

MAX_ARCHIVE_MB, MAX_TOTAL_MB, MAX_RATIO, MAX_MEMBERS, MAX_NOTEBOOKS = 300, 300, 200, 3000, 40
MAX_MB = {".params": 80, ".predictions": 1, ".json": 1, ".ipynb": 20}
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True)
class Unpacked:
    """What came out: the names of files, and the notebooks' own names by the names they were given."""

    files: tuple[str, ...]
    notebooks: dict[str, str]


def unpack(archive: BinaryIO, folder: Path) -> Unpacked:
    """Write what a submission holds into `folder`.

    Raises:
        InputError: no zip archive, damaged, encrypted, with odd names, links or doubles, or too much in it.
    """
    archive.seek(0, 2)
    size = archive.tell()
    if size > MAX_ARCHIVE_MB * MB:
        raise InputError(f"the archive has {size // MB} MB; {MAX_ARCHIVE_MB} are allowed")
    try:
        with zipfile.ZipFile(archive) as opened:
            return _unpack(opened, folder, size)
    except UnicodeDecodeError:
        raise InputError("a file's name in it is not UTF-8; rename the file and zip again") from None
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise InputError(
            f"no zip archive, or a damaged one ({str(error)[:80]}); zip the files again"
        ) from None
    except OSError as error:
        raise InputError(f"a damaged zip archive ({type(error).__name__}); zip the files again") from None


def _unpack(opened: zipfile.ZipFile, folder: Path, size: int) -> Unpacked:
    members = opened.infolist()
    if len(members) > MAX_MEMBERS:
        raise InputError(f"the archive has {len(members)} members; hand in the nine files and the notebooks")
    wanted = _choose(members)
    left = min(MAX_TOTAL_MB * MB, MAX_RATIO * size + MB)
    files, notebooks = [], {}
    for name, member in wanted.items():
        to = name
        if name.endswith(".ipynb"):
            to = f"{len(notebooks):02}.ipynb"
            notebooks[to] = name
        left -= _extract(opened, member, folder / to, min(MAX_MB[PurePosixPath(name).suffix] * MB, left))
        files.append(to)
    return Unpacked(tuple(files), notebooks)


def _choose(members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """The members that a submission needs, each by its own name, whatever folder it lies in."""
    chosen: dict[str, zipfile.ZipInfo] = {}
    seen = set()
    for member in members:
        _refuse_odd(member)
        path = PurePosixPath(member.filename)
        if member.is_dir() or any(p in ("__MACOSX", "solved") or p.startswith(".") for p in path.parts):
            continue
        if member.filename in seen:
            raise InputError(f"two members are called {shown(member.filename)}; zip the files again")
        seen.add(member.filename)
        if path.name in (*NINE, *SIDECARS):
            if path.name in chosen:
                raise InputError(f"{path.name} is there twice, in different folders; keep the right one")
            chosen[path.name] = member
        elif path.suffix == ".ipynb":
            chosen[str(path)] = member
    if sum(name.endswith(".ipynb") for name in chosen) > MAX_NOTEBOOKS:
        raise InputError(f"more than {MAX_NOTEBOOKS} notebooks; hand in each once")
    return chosen


def _refuse_odd(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", name) or "\0" in name:
        raise InputError(f"a member is called {shown(name)}, which leads outside; zip the files again")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise InputError(f"{shown(name)} is a link; zip the file itself")
    if member.flag_bits & 1:
        raise InputError(f"{shown(name)} is encrypted; zip without a password")


def shown(name: str) -> str:
    """A name from an archive, fit to be printed."""
    return ascii(name[:60])


def _extract(opened: zipfile.ZipFile, member: zipfile.ZipInfo, to: Path, most: int) -> int:
    if member.compress_type not in _PLAIN:
        raise InputError(f"{shown(member.filename)}: an unusual compression; zip it the usual way")
    written = 0
    with opened.open(member) as source, to.open("xb") as file:
        while chunk := source.read(1 << 18):
            written += len(chunk)
            if written > most:
                raise InputError(f"{shown(member.filename)}: more than {most // MB} MB come out of it")
            file.write(chunk)
    return written
