"""Files written whole or not at all, folders held by one process, JSON, and versions.

Knows nothing about what is in them.
"""

import contextlib
import errno
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from a5lib.errors import InputError

PATIENCE = 5  # seconds; the kernel of a notebook run that was killed notices within one


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
        raise InputError(f"{path}: cannot be written (read-only, or no permission); choose another place")
    return path


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, moved onto it at the end: readers see the old file or the new one.

    What is under `path` is on the disk before the old file goes, so that a power cut loses neither.
    """
    path, temporary = require_writable(path), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=_unfinished(path), dir=path.parent)
        os.close(descriptor)
        yield Path(temporary)
        umask = os.umask(0)
        os.umask(umask)
        with contextlib.suppress(OSError):  # some mounted drives know no permissions
            os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes private files, whatever the umask allows
        _sync(temporary)
        os.replace(temporary, path)
        with contextlib.suppress(OSError):  # a folder cannot be opened on every system
            _sync(path.parent)
    except OSError as error:
        reason = f"{path}: cannot be written ({error.strerror})"
        raise InputError(f"{reason}; free some space or choose another place") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _unfinished(path: Path) -> str:
    """How the names of temporary files of `path` begin; short, for names have a longest length."""
    return f".{path.name[:40]}.writing-"


def _sync(path: str | Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some mounted drives have no such call; a full disk is another matter
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def remove_unfinished(path: str | Path) -> None:
    """Remove what processes that were killed while they wrote `path` have left beside it."""
    path = Path(path)
    with contextlib.suppress(OSError):  # they are in nobody's way
        for entry in path.parent.iterdir():
            if entry.name.startswith(_unfinished(path)):
                entry.unlink()


@contextlib.contextmanager
def held(folder: str | Path, patience: float | None = None) -> Iterator[None]:
    """Make a folder and hold it for this process alone, until the block or the process ends.

    The system drops the lock with the process, however that ends, so a killed run leaves none behind.
    Where there are no locks (Windows, some mounted drives) nothing is held.

    Args:
        patience: seconds to wait for another process, which may be about to end; default `PATIENCE`.

    Raises:
        InputError: another process holds it, or it cannot be made.
    """
    try:
        descriptor = _lock(Path(folder), time.monotonic() + (PATIENCE if patience is None else patience))
    except BlockingIOError:
        raise InputError(
            f"{folder}: another run is at work there; wait for its end, or write to another place"
        ) from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another place") from None
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(folder: Path, deadline: float) -> int | None:
    """An open, locked descriptor of `folder`, or None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        folder.mkdir(parents=True, exist_ok=True)
        return None
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == os.stat(folder).st_ino:
                return descriptor
            os.close(descriptor)  # its holder has just ended and removed it: hold the new one
        except FileNotFoundError:
            os.close(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        except OSError:  # no locks here
            return descriptor


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
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON ({error}); remove it") from None


def read_object(path: str | Path, **kinds: type | tuple[type, ...]) -> dict[str, Any]:
    """The content of a JSON file that is an object; `kinds` are the types of the values it must have.

    Raises:
        InputError: as `read_json`; or no object, a value missing or of another type.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: holds no JSON object; remove it")
    for name, kind in kinds.items():
        if not isinstance(value.get(name), kind):
            raise InputError(f"{path}: {name!r} is missing or of another type; remove the file")
    return value


def versions() -> dict[str, str]:
    """The versions that a result depends on, to be kept beside it."""
    found = {"python": platform.python_version()}
    for package in ("torch", "numpy", "a5lib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
