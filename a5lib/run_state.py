"""The full state of a run that is under way, beside the parameters file that it will write.

``NAME.params.state/a.state``, ``b.state``   the last two, each with a checksum; gone when the run has ended

The whole one with more steps counts. No clock and no file date decides anything: on a mounted drive dates are
wrong, and files appear late. Knows nothing about what a state holds.
"""

import hashlib
import io
import json
import secrets
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch

from a5lib.checkpoint import info_path
from a5lib.errors import InputError
from a5lib.files import atomic_path, held, remove_unfinished

COPIES = ("a.state", "b.state")
FORMAT = "a5lib run state 1"


class OtherRun(InputError):
    """There is a state, of a run with other settings or data."""


class Damaged(Exception):
    """A copy that cannot be trusted; its text says why."""


def state_folder(path: str | Path) -> Path:
    """Where the run that will write `path` keeps its state."""
    return Path(f"{path}.state")


class RunState:
    """The state of the run that will write `path`; a context in which no other process can go on with it.

    Args:
        made_from: all settings and data that the run's result depends on, by name, nested or not.

    Raises:
        InputError: on entering, when another run is at work there, or the folder cannot be made.
    """

    def __init__(self, path: str | Path, made_from: dict):
        self.folder, self.made_from = state_folder(path), made_from
        self.step: int | None = None  # of the newest copy that is known to be whole
        self._path, self._next, self._id = Path(path), 0, secrets.token_hex(8)
        self._known = {self._id, ""}  # runs whose copies we have seen
        self._held = ExitStack()

    def __enter__(self) -> "RunState":
        self._held.enter_context(held(self.folder))
        for path in (self._path, info_path(self._path), *map(self.folder.joinpath, COPIES)):
            remove_unfinished(path)
        return self

    def __exit__(self, *_) -> None:
        with suppress(OSError):  # not empty: there is something to go on with
            self.folder.rmdir()
        self._held.close()

    @property
    def kept(self) -> str:
        """What there is to go on with, in words."""
        return "no state is kept" if self.step is None else f"the state of step {self.step} is kept"

    def save(self, step: int, state: Any) -> None:
        """Write a state in the place of the older copy.

        Raises:
            InputError: no space or no permission; or a run on another machine writes to the same folder.
        """
        self._expect_alone()
        content = io.BytesIO()
        torch.save({"made_from": self.made_from, "state": state}, content)
        header = json.dumps({"format": FORMAT, "step": step, "run": self._id})
        checked = header.encode() + b"\n" + content.getbuffer()
        try:
            with atomic_path(self.folder / COPIES[self._next]) as temporary:
                temporary.write_bytes(hashlib.sha256(checked).hexdigest().encode() + b"\n" + checked)
        except InputError as error:
            raise InputError(f"{error}; {self.kept}") from None
        self.step, self._next = step, 1 - self._next

    def _expect_alone(self) -> None:
        # Locks do not reach from machine to machine: whoever finds another's newer state there gives way.
        for copy in map(self.folder.joinpath, COPIES):
            step, run = _header(copy)
            if self.step is not None and step > self.step and run not in self._known:
                raise InputError(f"{copy}: written by another run meanwhile; let one of the two run alone")

    def load(self) -> Any:
        """The newest whole state, or None where there is none; says on stderr what is taken, and why.

        Raises:
            InputError: no copy is whole.
            OtherRun: with the first difference named.
        """
        found, damaged = {}, {}
        for name in COPIES:
            try:
                if (self.folder / name).exists():
                    self._known.add(_header(self.folder / name)[1])
                    found[name] = _read(self.folder / name)
            except Damaged as error:
                damaged[name] = str(error)
        if not found and damaged:
            told = " and ".join(f"{name} {why}" for name, why in damaged.items())
            raise InputError(
                f"{self.folder}: no whole state: {told}; begin anew with --resume never, or remove the folder"
            )
        if not found:
            return None
        name = max(found, key=lambda name: found[name]["step"])
        self._expect_same(found[name]["made_from"], self.folder / name)
        self.step, self._next = found[name]["step"], 1 - COPIES.index(name)
        told = "".join(f"{self.folder / bad} {why}; " for bad, why in damaged.items())
        print(f"{told}going on from step {self.step} ({self.folder / name})", file=sys.stderr)
        return found[name]["state"]

    def _expect_same(self, made_from: dict, file: Path) -> None:
        now, then = _flat(self.made_from), _flat(made_from)
        for name in now | then:
            if now.get(name) != then.get(name):
                raise OtherRun(
                    f"{file}: was saved with {name} = {_short(then.get(name))}, this run has "
                    f"{_short(now.get(name))}; repeat the first command with the same files, "
                    "or begin anew with --resume never"
                )

    def remove(self) -> None:
        """Remove both copies: at a run's end, or to begin anew.

        Raises:
            InputError: one cannot be removed; left there, it would be gone on with.
        """
        for name in COPIES:
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError as error:
                what = f"{self.folder / name}: cannot be removed ({error.strerror})"
                raise InputError(f"{what}; remove it by hand") from None
        self.step, self._next = None, 0


def _read(file: Path) -> dict[str, Any]:
    """The step, settings and state of a copy whose checksum is right."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise Damaged(f"cannot be read ({error.strerror})") from None
    digest, _, checked = content.partition(b"\n")
    if hashlib.sha256(checked).hexdigest().encode() != digest:
        raise Damaged("is empty" if not content else "is damaged or cut short (its checksum does not fit)")
    header, _, payload = checked.partition(b"\n")
    try:
        step = json.loads(header)["step"]
        saved = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        return {"step": step + 0, "made_from": dict(saved["made_from"]), "state": saved["state"]}
    except Exception:  # another program's file can lead the reader into any error
        raise Damaged("is no state of a run") from None


def _header(file: Path) -> tuple[int, str]:
    """Step and run of a copy, from its first lines alone; (-1, "") where they cannot be read."""
    try:
        with file.open("rb") as lines:
            lines.readline(100)
            header = json.loads(lines.readline(1000))
        return int(header["step"]), str(header["run"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return -1, ""


def _flat(settings: dict, prefix: str = "") -> dict[str, Any]:
    """Nested settings in one dict, named like `training.lr`."""
    flat = {}
    for name, value in settings.items():
        nested = isinstance(value, dict)
        flat.update(_flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value})
    return flat


def _short(value: Any) -> str:
    """A value for a message; of a long one, such as a checksum, its beginning."""
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:16]}…"
