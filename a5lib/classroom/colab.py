"""What Colab needs besides a clone of the course: small packages, and a place where results stay.

Colab brings torch and numpy in the builds that its machines need, so pip must leave both as they are.
"""

import importlib
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from a5lib.errors import InputError

CONTENT = Path("/content")
COLABS_OWN = ("torch", "numpy")


def on_colab() -> bool:
    """Whether this is a notebook on Colab."""
    return "google.colab" in sys.modules


def install(root: Path) -> None:
    """Install the course in folder `root` without what it needs, then the small packages that are missing.

    What is there stays as it is, so a second call does nothing. Where pip fails, one line says so and the
    notebook goes on: the course itself is imported from its folder.
    """
    if _version("a5lib") is None:
        _pip(["--no-deps", "--editable", str(root)], str(root))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.match(r"[\w.-]+", wanted)[0]: wanted for wanted in project["dependencies"]}
    missing = [wanted for name, wanted in names.items() if name not in COLABS_OWN and _version(name) is None]
    if missing:
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
            constraints.writelines(f"{name}=={_version(name)}\n" for name in COLABS_OWN)
            constraints.flush()
            _pip(["--constraint", constraints.name, *missing], ", ".join(missing))
    importlib.invalidate_caches()


def drive_folder() -> Path:
    """The folder for results on the reader's Google Drive; Colab asks them for leave to use it.

    Raises:
        InputError: this is not Colab.
    """
    if not on_colab():
        raise InputError('runs = "drive" is for Colab; elsewhere name a folder, or leave it empty for runs/')
    from google.colab import drive

    drive.mount(str(CONTENT / "drive"))
    return CONTENT / "drive/MyDrive/a5/runs"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _pip(arguments: list[str], what: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").split("\n")[-1]
        print(f"pip could not install {what}: {last}")
