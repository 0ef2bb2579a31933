"""Run somebody else's code so that the caller gets an answer: no exception, no endless loop, no traces.

`run_guarded` calls a function. Whatever it raises comes back as a value, `SystemExit` and a
`KeyboardInterrupt` of its own making included; a real Ctrl-C is raised as ever. After `seconds` it is
stopped: in the main thread of Unix by an alarm, elsewhere by an exception put into its thread. Both end
loops in Python, those that catch everything included. Neither can end one call into C that does not come
back to Python (`sum(range(10**15))`, a huge matrix product), nor `os._exit` or a crash of the interpreter:
for those there is a process of its own, as grading has. Knows nothing about exercises.

Put back afterwards: the working directory, the generators of `random`, numpy and torch, torch's gradient
mode, default type, device and threads, the recursion limit, warning filters, standard output and error.
"""

import contextlib
import ctypes
import io
import operator
import os
import random
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType

import numpy as np
import torch

SEED = 0  # of every generator when the call begins, so that a result can be had again
PRINTED = 2000  # characters of output that are kept
AGAIN = [2e-5 * 1.3**k for k in range(32)]  # seconds to the next alarm, should one be caught and dropped


Frames = list[traceback.FrameSummary]  # outermost first


class TimeUp(BaseException):
    """The time is up. No `Exception`, so that `except Exception` does not catch it."""


@dataclass(frozen=True)
class Outcome:
    """How a call ended: what it raised (None: it returned), and what it printed.

    `stopped` is where it was when its time was up; None for a call that ended in time.
    """

    error: BaseException | None
    stopped: Frames | None
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

Ended = tuple[BaseException | None, Frames | None]


def _summary(frames: list[FrameType]) -> Frames:
    """Frames, innermost first, as those of a traceback."""
    places = [(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) for frame in frames]
    return [traceback.FrameSummary(*place, lookup_line=False) for place in reversed(places)]


# The alarm may ring in a finalizer, which cannot raise: there nobody needs to hear of it. A function in C,
# because one in Python would itself be interrupted.
UNHEARD = operator.truth


class _Alarm:
    """A handler of SIGALRM that interrupts what runs below `_inside`, and nothing else."""

    def __init__(self):
        self.rung = 0
        self.stopped: Frames | None = None

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        frames = []
        while frame is not None and frame.f_code is not _inside.__code__:
            if frame.f_code is _Alarm.__call__.__code__:
                return  # it rang while it was being dealt with
            frames.append(frame)
            frame = frame.f_back
        if frame is None:
            return
        self.stopped = self.stopped or _summary(frames)
        self.rung += 1
        sys.unraisablehook = UNHEARD
        sys.settrace(_raise_in_handlers)
        for below in frames:
            below.f_trace = _raise_in_handlers
        signal.setitimer(signal.ITIMER_REAL, AGAIN[self.rung % len(AGAIN)], AGAIN[-1])
        raise TimeUp


def _raise_in_handlers(frame: FrameType, event: str, arg: object):
    """`except: pass` in a loop would go on for ever: so raise again, on the first line of the handler."""
    if frame.f_code is _Alarm.__call__.__code__:
        return None
    if event == "line" and isinstance(sys.exc_info()[1], TimeUp):
        raise TimeUp
    return _raise_in_handlers


def _by_alarm(call: Callable[[], object], seconds: float) -> Ended:
    alarm, error, tracing, hook = _Alarm(), None, sys.gettrace(), sys.unraisablehook
    handler = signal.signal(signal.SIGALRM, alarm)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN[-1])
    try:
        _inside(call)
    except BaseException as raised:
        error = raised
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.settrace(tracing)
    sys.unraisablehook = hook
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)
    return error, alarm.stopped


def _by_watchdog(call: Callable[[], object], seconds: float) -> Ended:
    """The same from a second thread, for threads and for Windows. It cannot cut a sleep short."""
    error, over, stopped, lock = None, threading.Event(), [], threading.Lock()
    me = threading.get_ident()
    thread = ctypes.c_ulong(me)

    def watch() -> None:
        wait = seconds
        while not over.wait(wait):
            with lock:
                if not over.is_set():
                    frames = [frame for frame, _ in traceback.walk_stack(sys._current_frames()[me])]
                    stopped.append(_summary(frames))
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeUp))
            wait = AGAIN[-1]

    threading.Thread(target=watch, daemon=True).start()
    try:
        _inside(call)
    except BaseException as raised:
        error = raised
    while not over.is_set():
        with contextlib.suppress(TimeUp), lock:  # one may be on its way as the call ends
            over.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, None)
    return error, stopped[0] if stopped else None


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
        torch.default_generator.manual_seed(SEED)
        if gpus:
            torch.cuda.manual_seed_all(SEED)
        torch.set_grad_enabled(True)
        torch.set_default_dtype(torch.float32)
        _use_device(torch.device("cpu"))
        try:
            yield
        finally:
            _use_device(device)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)
            if torch.are_deterministic_algorithms_enabled() != deterministic:
                torch.use_deterministic_algorithms(deterministic)  # imports the compiler: some seconds
            torch.set_num_threads(threads)
            sys.setrecursionlimit(recursion)
            random.setstate(generators[0])
            np.random.set_state(generators[1])
            if folder is not None:
                with contextlib.suppress(OSError):  # it may be gone by now
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
