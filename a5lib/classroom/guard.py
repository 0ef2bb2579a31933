"""Run somebody else's code so that the caller gets an answer: no exception, no endless loop, no traces.

`run_guarded` calls a function. Whatever it raises comes back as a value, `SystemExit` and a
`KeyboardInterrupt` of its own making included; a real Ctrl-C is raised as ever. After `seconds` it is
stopped: in the main thread of Unix by an alarm, elsewhere by an exception put into its thread. Both end
loops in Python, those that catch everything included. Neither can end one call into C that does not come
back to Python (`sum(range(10**15))`, a huge matrix product), nor `os._exit` or a crash of the interpreter: for
those there is a process of its own, as grading has. Knows nothing about exercises.

Put back afterwards: the working directory, the generators of `random`, numpy and torch, torch's gradient
mode, default type, device and threads, the recursion limit, warning filters, standard output and error.
"""

import contextlib
import ctypes
import io
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

import numpy as np
import torch

SEED = 0  # of every generator when the call begins, so that a result can be had again
PRINTED = 2000  # characters of output that are kept
AGAIN = [2e-5 * 1.3**k for k in range(32)]  # seconds to the next alarm, should one be caught and dropped


class TimeUp(BaseException):
    """The time is up. No `Exception`, so that `except Exception` does not catch it."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended: what it raised (None: it returned), whether its time was up, and what it printed."""

    error: BaseException | None
    stopped: bool
    printed: str


def run_guarded(call: Callable[[], object], seconds: float) -> Outcome:
    """Call it, for at most `seconds`.

    Raises:
        KeyboardInterrupt: somebody pressed Ctrl-C meanwhile.
    """
    printed = _Beginning()
    main = threading.current_thread() is threading.main_thread()
    limited = _by_alarm if main and hasattr(signal, "setitimer") else _by_watchdog
    quiet = contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed)
    with _state_kept(), quiet[0], quiet[1], _ctrl_c_noticed(main) as pressed:
        error, stopped = limited(call, seconds)
    if pressed:
        raise KeyboardInterrupt
    return Outcome(error, stopped, printed.text())


def _inside(call: Callable[[], object]) -> None:
    """The frame below which an alarm may interrupt."""
    call()


# The time limit.


class _Alarm:
    """A handler of SIGALRM that interrupts what runs below `_inside`, and nothing else."""

    def __init__(self):
        self.rung = 0

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        frames = []
        while frame is not None and frame.f_code is not _inside.__code__:
            frames.append(frame)
            frame = frame.f_back
        if frame is None:
            return
        signal.setitimer(signal.ITIMER_REAL, AGAIN[self.rung % len(AGAIN)])
        self.rung += 1
        sys.settrace(_raise_in_handlers)
        for below in frames:
            below.f_trace = _raise_in_handlers
        raise TimeUp


def _raise_in_handlers(frame: FrameType, event: str, arg: object):
    """`except: pass` in a loop would go on for ever: so raise again, on the first line of the handler."""
    if event == "line" and isinstance(sys.exc_info()[1], TimeUp):
        raise TimeUp
    return _raise_in_handlers


def _by_alarm(call: Callable[[], object], seconds: float) -> tuple[BaseException | None, bool]:
    alarm, error, tracing = _Alarm(), None, sys.gettrace()
    handler = signal.signal(signal.SIGALRM, alarm)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        _inside(call)
    except BaseException as raised:
        error = raised
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.settrace(tracing)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)
    return error, alarm.rung > 0


def _by_watchdog(call: Callable[[], object], seconds: float) -> tuple[BaseException | None, bool]:
    """The same from a second thread, for threads and for Windows. It cannot cut a sleep short."""
    error, over, rung, lock = None, threading.Event(), [], threading.Lock()
    me = ctypes.c_ulong(threading.get_ident())

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    rung.append(True)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(me, ctypes.py_object(TimeUp))
            wait = AGAIN[-1]

    threading.Thread(target=watch, daemon=True).start()
    try:
        _inside(call)
    except BaseException as raised:
        error = raised
    while not over.is_set():
        with contextlib.suppress(TimeUp), lock:  # one may be on its way as the call ends
            over.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(me, None)
    return error, bool(rung)


@contextlib.contextmanager
def _ctrl_c_noticed(main: bool) -> Iterator[list]:
    """A list that fills when Ctrl-C is pressed: so it is told from a `KeyboardInterrupt` that code raises."""
    pressed: list = []
    handler = signal.getsignal(signal.SIGINT)
    if not main or not callable(handler):
        yield pressed
        return

    def notice(signum: int, frame: FrameType | None) -> None:
        pressed.append(True)
        handler(signum, frame)

    signal.signal(signal.SIGINT, notice)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, handler)


# What is put back.


@contextlib.contextmanager
def _state_kept() -> Iterator[None]:
    """Begin from a known state, and leave the one that was found."""
    generators = random.getstate(), np.random.get_state()
    folder, recursion, threads = _working_directory(), sys.getrecursionlimit(), torch.get_num_threads()
    grad, dtype, device = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device()
    deterministic = torch.are_deterministic_algorithms_enabled()
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=gpus), warnings.catch_warnings():
        random.seed(SEED)
        np.random.seed(SEED)
        torch.manual_seed(SEED)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        _use_device(torch.device("cpu"))
        try:
            yield
        finally:
            _use_device(device)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)
            torch.use_deterministic_algorithms(deterministic)
            torch.set_num_threads(threads)
            sys.setrecursionlimit(recursion)
            random.setstate(generators[0])
            np.random.set_state(generators[1])
            if folder is not None:
                os.chdir(folder)


def _use_device(device: torch.device) -> None:
    if torch.get_default_device() != device:
        torch.set_default_device(None if device.type == "cpu" else device)


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it has been removed
        return None


class _Beginning(io.TextIOBase):
    """A stream that keeps the beginning and counts the rest."""

    def __init__(self):
        self.kept, self.length = "", 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.kept += text[: max(0, PRINTED - self.length)]
        self.length += len(text)
        return len(text)

    def text(self) -> str:
        more = self.length - len(self.kept)
        return self.kept + (f"… and {more:,} more characters" if more else "")
