"""Whatever an attempt is or does: an answer comes back, in time, and nothing is left changed."""

import os
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest
import torch
from torch import nn

from a5lib.classroom import exercises  # noqa: F401  registers the exercises
from a5lib.classroom.checks import EXERCISES, FAILED, NOT_ATTEMPTED, PASSED, run_check
from a5lib.classroom.guard import run_guarded

IN_TIME = 5.0  # seconds, on a busy machine


class _Odd(BaseException):
    """Neither an Exception nor showable."""

    def __str__(self):
        raise ValueError("no")


class _Hostile:
    """A result that minds being looked at."""

    def __repr__(self):
        raise SystemExit

    def __eq__(self, other):
        raise KeyboardInterrupt

    __hash__ = None


def raiser(error):
    def attempt(*_, **__):
        raise error

    return attempt


def recursive(*_, **__):
    return recursive()


def endless(*_, **__):
    while True:
        pass


def stubborn(*_, **__):
    while True:
        try:
            time.sleep(10)
        except:  # noqa: E722  that is the point
            continue


def sleeper(*_, **__):
    time.sleep(60)


def floods(*_, **__):
    while True:
        print("x" * 1000)


ODD_RESULTS = {
    "nothing": None, "an object": object(), "nan": float("nan"), "hostile": _Hostile(), "text": "⁇" * 9,
    "array": np.zeros((3, 2)), "meta": torch.zeros(2, 2, device="meta"), "complex": torch.ones(2) * 1j,
    "words": np.array(["a", "b"]), "empty": torch.zeros(0), "large": 10**400, "many": [[1, 2], [3]],
    "generator": (x for x in "ab"), "pair": (None, None), "module": nn.Linear(2, 2),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD_RESULTS)
def test_any_result_gets_an_answer_from_every_check(what):
    for name in EXERCISES:
        result = run_check(name, lambda *_, **__: ODD_RESULTS[what])
        assert result.state == FAILED and result.points == 0 and str(result), name


@pytest.mark.parametrize(
    ("attempt", "says"),
    [
        (raiser(SystemExit(3)), "SystemExit"),
        (raiser(KeyboardInterrupt()), "KeyboardInterrupt"),
        (raiser(MemoryError()), "more memory than there is"),
        (raiser(_Odd()), "_Odd in line"),
        (raiser(GeneratorExit()), "GeneratorExit"),
        (recursive, "RecursionError in line"),
        (lambda: 1, "it cannot be called as the exercise says"),
        (3, "a function or a class is expected"),
        (torch.zeros(3), "a function or a class is expected"),
    ],
)
def test_what_is_raised_is_an_answer(attempt, says):
    for name in ("split_xy", "draw_index", "DownProjectBlock", "working_beta"):
        result = run_check(name, attempt)
        assert result.state == FAILED and says in str(result), str(result)


@pytest.mark.parametrize("attempt", [endless, stubborn, sleeper, floods])
def test_what_does_not_end_is_ended(attempt):
    began = time.monotonic()
    result = run_check("split_xy", attempt, seconds=0.3)
    assert time.monotonic() - began < IN_TIME
    assert result.state == FAILED and "not done after 0.3 seconds" in result.mistake
    assert attempt.__name__ in result.mistake and len(str(result)) < 4000
    assert run_check("split_xy", lambda row: (row[:-1], row[1:])).state == PASSED  # no alarm is left


class _Slow:
    """Its finalizer runs long, so that an alarm rings in it."""

    def __del__(self):
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            pass


def test_time_that_is_up_in_a_finalizer_is_told_to_nobody_else(monkeypatch):
    """What is raised there cannot be raised; pytest would make an error of it, a notebook print it."""

    def finalizes(*_, **__):
        while True:
            _Slow()

    heard = []

    def hook(unraisable):
        heard.append(unraisable)

    monkeypatch.setattr(sys, "unraisablehook", hook)
    result = run_check("split_xy", finalizes, seconds=0.3)
    assert result.state == FAILED and "not done after 0.3 seconds" in result.mistake
    assert heard == [] and sys.unraisablehook is hook


def test_outside_of_the_main_thread_a_loop_is_ended_too():
    results = []
    worker = threading.Thread(target=lambda: results.append(run_check("split_xy", endless, seconds=0.3)))
    worker.start()
    worker.join(IN_TIME)
    assert results and results[0].state == FAILED and "not done" in results[0].mistake


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarms here")
def test_an_alarm_of_the_callers_is_put_back():
    rung = []
    handler = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    signal.setitimer(signal.ITIMER_REAL, 60)
    try:
        run_check("split_xy", endless, seconds=0.2)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        assert 50 < left <= 60 and not rung
    finally:
        signal.signal(signal.SIGALRM, handler)


def test_a_real_ctrl_c_is_raised_and_not_taken_for_a_mistake():
    def interrupted(row):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    # A shell that starts us with & has us ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_check("split_xy", interrupted)
    finally:
        signal.signal(signal.SIGINT, before)


class Stub(nn.Module):
    def __init__(self, config):
        super().__init__()
        raise NotImplementedError("your turn")


class HalfStub(EXERCISES["UpProjectBlock"].reference):
    def forward(self, y, x):
        raise NotImplementedError


class WithoutForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        reference = EXERCISES["UpProjectBlock"].reference(config)
        for name, part in reference.named_children():
            setattr(self, name, part)


def empty(row):
    """Only a docstring."""


def calls_a_stub(*_):
    return [raiser(NotImplementedError("your turn"))(part) for part in "ab"]


@pytest.mark.parametrize(
    ("name", "attempt", "state"),
    [
        ("split_xy", None, NOT_ATTEMPTED),
        ("split_xy", ..., NOT_ATTEMPTED),
        ("split_xy", empty, NOT_ATTEMPTED),
        ("split_xy", calls_a_stub, NOT_ATTEMPTED),
        ("split_xy", lambda row: None, FAILED),
        ("DownProjectBlock", Stub, NOT_ATTEMPTED),
        ("UpProjectBlock", HalfStub, NOT_ATTEMPTED),
        ("UpProjectBlock", WithoutForward, FAILED),  # torch raises NotImplementedError: no stub of ours
    ],
)
def test_not_attempted_is_a_state_of_its_own(name, attempt, state):
    result = run_check(name, attempt)
    assert result.state == state and result.points == 0, str(result)
    assert not (state == NOT_ATTEMPTED and result.mistake)


def meddle(*_, **__):
    """Change what can be changed, and be wrong."""
    random.seed(9)
    np.random.seed(9)
    torch.manual_seed(9)
    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    sys.setrecursionlimit(200)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    os.chdir("/")
    print("hidden")


def world():
    return (
        random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), os.getcwd(),
        torch.is_grad_enabled(), torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled(),
        sys.getrecursionlimit(), sys.stdout, sys.stderr, torch.get_num_threads(), sys.gettrace(),
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_nothing_is_left_changed(name):
    random.seed(5)
    before = world()
    for attempt in (meddle, EXERCISES[name].reference):
        run_check(name, attempt)
        assert world() == before


@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_a_check_is_the_same_wherever_it_is_made(name):
    """Under another default type, without gradients, and after any draws."""
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            torch.rand(3)
            assert run_check(name, EXERCISES[name].reference).state == PASSED
    finally:
        torch.set_default_dtype(torch.float32)


def test_output_is_kept_short_and_shown_with_a_failure():
    def chatty(row):
        print("looking at", row)
        return row

    result = run_check("split_xy", chatty)
    assert "looking at ab" in str(result)
    outcome = run_guarded(lambda: print("y" * 10_000), 5)
    assert len(outcome.printed) < 2100 and outcome.printed.endswith("8,001 more characters")


def test_a_result_tells_what_came_with_shape_and_type():
    result = run_check("split_heads", lambda x, n_head: x.view(2, 2, 3, 4).half())
    assert (result.worth, result.question, result.seed) == (0, "", 0)
    assert result.got.startswith("(2, 2, 3, 4) float16: 0, 1") and "float32" in result.expected
    assert result.as_dict()["mistake"] == result.mistake != ""


class Counting:
    """A callable that changes as it is called, and one that cannot be copied."""

    def __init__(self):
        self.calls = 0

    def __call__(self, row):
        self.calls += 1
        return row[:-1], row[1:]


class Locked(Counting):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_a_callable_object_is_checked_as_a_copy_where_it_can_be_copied():
    counting, locked = Counting(), Locked()
    assert [run_check("split_xy", attempt).state for attempt in (counting, locked)] == [PASSED, PASSED]
    assert (counting.calls, locked.calls) == (0, 1)
