"""Kill a pretraining again and again, go on with it each time, and compare its end with an undisturbed run's.

    python tests/killing.py --kills 50                     at random moments (SIGKILL)
    python tests/killing.py --kills 50 --profile quick --max_epochs 27 --save_seconds 2
    python tests/killing.py --everywhere                   before each file operation in turn

The command is `a5lib.run pretrain` on a few documents. Each life is a process of its own, forked from this
one, so that torch is imported once. An AssertionError says that a byte differs, or a saved step was repeated.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch._dynamo  # optimizers import it in their first step: once for all lives
from conftest import DOCUMENTS

from a5lib import run
from a5lib.errors import run_command

torch.set_num_threads(1)  # threads do not survive a fork
STEPS = "steps.log"


class StepLog:
    """In the place of the progress bar: each step's number, on the disk before the step is saved."""

    def __init__(self, title):
        self.log = os.open(STEPS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __call__(self, trainer):
        os.write(self.log, f"{trainer.step}\n".encode())


def logged() -> list[int]:
    """The steps of all lives, in order."""
    return [int(line) for line in Path(STEPS).read_text().split()] if Path(STEPS).exists() else []


def start(command: str, die_before: int = 0) -> int:
    """Run a command in a new process; `die_before` n kills it before its nth operation on the run's files."""
    pid = os.fork()
    if pid:
        return pid
    for stream in (1, 2):
        os.dup2(os.open("output.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT), stream)
    run.ProgressBar, run.TensorBoard = StepLog, lambda folder: lambda trainer: None
    count = itertools.count(1)

    def watch(event, arguments):
        if arguments and ".params" in str(arguments[0]) and next(count) == die_before:
            os.kill(os.getpid(), signal.SIGKILL)

    if die_before:
        sys.addaudithook(watch)
    try:
        run_command(lambda: run.main(command.split()))
    except SystemExit as end:
        os._exit(end.code)
    finally:
        os._exit(99)


def end_of(pid: int) -> int:
    """Wait for a process; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finish(command: str) -> bytes:
    """Run a command to its end; the parameters, and nothing else left of it."""
    code = end_of(start(command))
    assert code == 0, f"exit code {code}: {Path('output.log').read_text()[-500:]}"
    left = {p.name for p in Path().iterdir() if p.name.startswith((".", "model"))}
    assert left == {"model.params", "model.params.json"}, left
    return Path("model.params").read_bytes()


def saved_step(folder: Path = Path("model.params.state")) -> int:
    """The step of the newest copy of the state, read without the library; its checksum must be right."""
    steps = [0]
    for copy in folder.glob("?.state"):
        digest, checked = copy.read_bytes().split(b"\n", 1)
        assert hashlib.sha256(checked).hexdigest() == digest.decode(), f"{copy} is half-written"
        steps.append(json.loads(checked.split(b"\n", 1)[0])["step"])
    return max(steps)


@dataclass
class Report:
    """What a run that was killed has been through."""

    steps: int
    kills: int = 0
    repeated: int = 0
    most: int = 0
    unfinished: int = 0

    def __str__(self):
        return (
            f"{self.kills} kills over {self.steps} steps: {self.repeated} steps repeated, at most "
            f"{self.most} after one kill; {self.unfinished} kills in the middle of writing a file; "
            "the same bytes at the end, and no saved step repeated"
        )


@dataclass
class Undisturbed:
    """What a run gives that nothing happens to, and what it takes; it leaves nothing behind."""

    params: bytes
    steps: int
    seconds_to_start: float
    seconds_a_step: float


def undisturbed(command: str) -> Undisturbed:
    began = time.monotonic()
    pid = start(command)
    wait_for_steps(1)
    first = time.monotonic()
    assert end_of(pid) == 0, Path("output.log").read_text()
    steps = len(logged())
    a_step = (time.monotonic() - first) / steps
    params = Path("model.params").read_bytes()
    clear()
    return Undisturbed(params, steps, first - began, a_step)


def wait_for_steps(number: int, at_most: float = 120) -> None:
    wait = time.monotonic() + at_most
    while len(logged()) < number and time.monotonic() < wait:
        time.sleep(0.002)


def clear() -> None:
    for name in ("model.params", "model.params.json", STEPS, "output.log"):
        Path(name).unlink()


def kill_at_random(command: str, kills: int, seed: int = 0) -> Report:
    """Kill the command `kills` times at random moments before its end, each time going on with it."""
    rng = random.Random(seed)
    whole = undisturbed(command)
    report = Report(whole.steps)
    while report.kills < kills:
        done, saved = len(logged()), saved_step()
        # A random number of steps (0: while it starts), then a random part of a step and its saving.
        ahead = whole.steps - saved
        reach = max(0, min(rng.randint(0, 3 * ahead // (2 * (kills - report.kills) + 2)), ahead - 5))
        pid = start(command)
        wait_for_steps(done + reach)
        time.sleep(rng.uniform(0, 2 * whole.seconds_a_step if reach else whole.seconds_to_start))
        os.kill(pid, signal.SIGKILL)
        code = end_of(pid)
        assert code == -signal.SIGKILL, f"ended by itself ({code}): {Path('output.log').read_text()[-500:]}"
        life = logged()[done:]
        assert life == list(range(saved + 1, saved + 1 + len(life))), (
            f"state of step {saved}, then {life[:3]}"
        )
        lost = (life[-1] if life else saved) - saved_step()
        report.kills += 1
        report.repeated += lost
        report.most = max(report.most, lost)
        report.unfinished += any(Path().rglob(".*.writing-*"))
    assert finish(command) == whole.params
    return report


def kill_everywhere(command: str) -> int:
    """Kill the command before each of its operations on the run's files; returns how many there are."""
    whole = undisturbed(command)
    for n in itertools.count(1):
        if end_of(start(command, die_before=n)) == 0:
            return n - 1
        saved, done = saved_step(), len(logged())
        assert finish(command) == whole.params, f"killed before operation {n}"
        assert logged()[done:][:1] in ([saved + 1], []), f"killed before operation {n}"
        clear()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--everywhere", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", default="smoke")
    parser.add_argument("--max_epochs", type=float, default=500)
    parser.add_argument("--save_seconds", type=float, default=0.05)
    args = parser.parse_args()
    command = f"pretrain vanilla wiki.txt --profile {args.profile} --writing_params_path model.params"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        if args.profile == "smoke":  # else the profile's own corpus
            Path("wiki.txt").write_text("".join(f"{d}\n" for d in DOCUMENTS), encoding="utf-8")
        started = time.monotonic()
        if args.everywhere:
            operations = kill_everywhere(f"{command} --max_epochs 3 --save_seconds 0")
            print(f"{operations} file operations, a kill before each: the same bytes at the end")
        else:
            command += f" --max_epochs {args.max_epochs} --save_seconds {args.save_seconds}"
            print(kill_at_random(command, args.kills, args.seed))
        print(f"{time.monotonic() - started:.0f} s")
        os.chdir("/")


if __name__ == "__main__":
    main()
