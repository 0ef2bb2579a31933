"""Files written whole or not at all, JSON, and versions. Knows nothing about what is in them."""

import contextlib
import json
import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from a5lib.errors import InputError


def require_writable(path: str | Path) -> Path:
    """Check, before any long work, that a file can be written at `path`; nothing is made yet.

    Raises:
        InputError: the path is a folder, or its folder cannot be made or written to.
    """
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give the name of a file to write")
        existing = next(p for p in (path, *path.parents) if p.exists())
    except OSError as error:  # a name too long, a folder that may not be searched
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from None
    if existing != path and not existing.is_dir():
        raise InputError(f"{path}: cannot be written ({existing} is no folder); choose another place")
    if not os.access(existing, os.W_OK):
        raise InputError(f"{path}: cannot be written (permission denied); choose another place")
    return path


@contextlib.contextmanager
def atomic_path(path: str | Path):
    """A temporary path beside `path`, moved onto it at the end: readers see the old file or the new one."""
    path, temporary = require_writable(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        os.close(descriptor)
        yield Path(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes private files, whatever the umask allows
        os.replace(temporary, path)
    except OSError as error:
        reason = f"{path}: cannot be written ({error.strerror})"
        raise InputError(f"{reason}; free some space or choose another place") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file atomically, with `\\n` line ends on every system."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write a JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: str | Path) -> Any:
    """The content of a JSON file.

    Raises:
        InputError: unreadable, or no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise InputError(f"{path}: is no JSON ({error}); remove it") from None


def versions() -> dict[str, str]:
    """The versions that a result depends on, to be kept beside it."""
    found = {"python": platform.python_version()}
    for package in ("torch", "numpy", "a5lib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
