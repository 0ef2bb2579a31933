"""Keep Python importable for a process that may not enter the folder in which Python is installed.

A root's Python often lies below /root, which others may not enter. A folder that was opened before the rights
were given up can still be walked into, by `/proc/self/fd/N`: so the import paths are rewritten to such names.
"""

import os
import stat
import sys
from pathlib import Path

from a5lib.classroom.grading.limits import is_installed


def open_to_others(path: Path) -> bool:
    """Whether any user may enter the folders down to `path`, and read it."""
    path = path.resolve()
    for folder in path.parents:
        if not folder.stat().st_mode & stat.S_IXOTH:
            return False
    wanted = stat.S_IROTH | (stat.S_IXOTH if path.is_dir() else 0)
    return path.stat().st_mode & wanted == wanted


def keep_importable() -> list[int]:
    """Leave in `sys.path` what is installed, and rewrite what others may not enter; returns what is open.

    To be called before the process becomes another user; the paths of loaded packages are rewritten, too.
    """
    opened: dict[str, str] = {}
    sys.path[:] = [_by_descriptor(entry, opened) for entry in sys.path if is_installed(entry)]
    for module in list(sys.modules.values()):
        inside = getattr(module, "__path__", None)
        if isinstance(inside, list):
            inside[:] = [_by_descriptor(entry, opened) for entry in inside]
    sys.path_importer_cache.clear()
    return [int(name.rsplit("/", 1)[1]) for name in opened.values() if name.startswith("/proc/self/fd/")]


def _by_descriptor(entry: str, opened: dict[str, str]) -> str:
    if entry not in opened:
        opened[entry] = entry
        if os.path.isdir(entry) and not open_to_others(Path(entry)):
            descriptor = os.open(entry, os.O_PATH | os.O_DIRECTORY)
            opened[entry] = f"/proc/self/fd/{descriptor}"
    return opened[entry]
