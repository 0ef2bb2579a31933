"""How many real targets a second training sees: ours against others, in turns, in one process.

Rates include everything that a step takes, its data too. In turn with the contenders the machine's own rate
of matrix products is measured, in fp32 and in the precision that we train in.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from a5lib.complexity.workloads import WrittenOut
from a5lib.corpus import Corpus
from a5lib.pipeline import new_model, pretraining
from a5lib.precision import DTYPES, choose_precision
from a5lib.recipes import Recipe
from tests.benchmarks.contenders import contenders

Rates = dict[str, list[float]]
SIDE = 2048  # of the square matrices whose product is timed


def measure(steps: dict[str, Callable[[], float]], rounds: int, seconds: float, device: str) -> Rates:
    """What each contender does in a second, once a round, in turns; each works for at least `seconds`."""
    rates: Rates = {name: [] for name in steps}
    for step in steps.values():
        step()  # what the first step sets up is no part of any rate
    for _ in range(rounds):
        for name, step in steps.items():
            _wait(device)
            began, done = time.perf_counter(), 0.0
            while True:
                done += step()
                _wait(device)
                passed = time.perf_counter() - began
                if passed >= seconds:
                    break
            rates[name].append(done / passed)
    return rates


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def matrix_product(dtype: torch.dtype, device: str) -> Callable[[], float]:
    """A step that multiplies two square matrices and returns its floating-point operations."""
    a, b = (torch.randn(SIDE, SIDE, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty_like(a)

    def step() -> float:
        torch.mm(a, b, out=out)
        return 2.0 * SIDE**3

    return step


def operations_per_target(corpus: Corpus, recipe: Recipe, device: str) -> dict[str, float]:
    """Operations in matrix products for one real target: the model's, and the whole step's.

    Attention counts as written out, all its products whole: torch counts none of its fused version on a CPU.
    """
    model = new_model("vanilla", recipe, corpus.vocab, None, seed=0)
    trainer = pretraining(model, corpus.vocab, corpus.text, recipe, device=device)
    x, y = trainer.batches.epoch(0)[0]
    with WrittenOut(), FlopCounterMode(display=False) as of_model:
        trainer.model(x, y)[1].backward()
    with WrittenOut(), FlopCounterMode(display=False) as of_step:
        next(trainer.steps())
    return {
        "model": of_model.get_total_flops() / trainer.real_tokens,
        "step": of_step.get_total_flops() / trainer.real_tokens,
    }


def report(corpus: Corpus, recipe: Recipe, device: str, rounds: int, seconds: float) -> dict:
    """Measure, print a table, return the figures."""
    precision = choose_precision(device, recipe.profile.n_embd)
    products = {f"matrices, {name}": matrix_product(DTYPES[name], device) for name in {"fp32", precision}}
    rates = measure(contenders(corpus, recipe, device) | products, rounds, seconds, device)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    ours = medians["ours"]
    print(f"\nTraining, d = {recipe.profile.n_embd}: real targets a second, median of {rounds} (range)")
    for name, values in rates.items():
        if name not in products:
            spread = f"({min(values):,.0f} to {max(values):,.0f})"
            print(f"  {name:30} {medians[name]:>9,.0f} {spread:24} ours is {ours / medians[name]:5.2f} x")
    shares = _shares(medians, operations_per_target(corpus, recipe, device), precision)
    return {"rates": rates, "medians": medians, "precision": precision, "shares": shares}


def _shares(medians: dict[str, float], operations: dict[str, float], precision: str) -> dict[str, float]:
    """What part of the machine's matrix rate training reaches, printed and returned."""
    shares = {}
    for name, matrices in (("ours, fp32, AdamW", "fp32"), ("ours", precision)):
        # AdamW has no matrix products of its own.
        needed = operations["step"] if name == "ours" else operations["model"]
        shares[name] = medians[name] * needed / medians[f"matrices, {matrices}"]
        machine = medians[f"matrices, {matrices}"] / 1e9
        print(
            f"  {name}: {100 * shares[name]:.0f} % of the matrix rate in {matrices}, {machine:,.0f} GFLOP/s"
        )
    return shares
