"""On the CPU, the throughput of one process and of two, as torchrun starts them, and what they learn."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from a5lib.errors import InputError

LINE = re.compile(r"([\d,]+) characters in ([\d.]+) s, last loss ([\d.]+)")


def report(corpus: Path, profile: str, passes: float) -> dict:
    """Pretrain briefly with one process (all threads, and one) and with two; print, return the figures."""
    cores = str(os.cpu_count() or 1)
    print(f"\nProcesses, profile {profile}: characters a second")
    found = {}
    for name, count, threads in (
        (f"one, {cores} threads", 1, cores),
        ("one, one thread", 1, "1"),
        ("two, one thread each", 2, "1"),
    ):
        found[name] = _run(corpus, profile, passes, count, threads)
        print(f"  {name:22} {found[name]['rate']:>9,.0f}   last loss {found[name]['loss']:.4f}")
    return found


def _run(corpus: Path, profile: str, passes: float, count: int, threads: str) -> dict[str, float]:
    launcher = ["-m", "torch.distributed.run", f"--nproc_per_node={count}"] if count > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *launcher, "-m", "a5lib.run", "pretrain", "vanilla"]
        command += [str(corpus.resolve()), "--profile", profile, "--max_epochs", str(passes)]
        command += ["--device", "cpu", "--writing_params_path", "a.params"]
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"{count} processes did not train: {done.stderr.strip()}")
    characters, seconds, loss = LINE.search(done.stdout).groups()
    return {"rate": float(characters.replace(",", "")) / float(seconds), "loss": float(loss)}
