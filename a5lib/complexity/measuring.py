"""Seconds and bytes of what is run, over lengths and numbers of latents.

What disturbs a measurement, and what is done about it:

- Drift: each round visits all shapes. The first one warms up, and is thrown away.
- Other programs: on CPU one thread is timed, while it runs only.
- Caches: a pass takes so many sequences that the scores of short lengths, too, are larger than a cache.
- Fresh pages: large tensors come from the system, zeroed anew in each pass, small ones from the heap, and
  from l = 1024 to 2048 the exponent would be 3; during a sweep all stay in the heap (Linux with glibc).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch

from a5lib.complexity.closed_form import layers
from a5lib.complexity.exponents import Series
from a5lib.complexity.instruments import clock, kept_pages, one_thread
from a5lib.complexity.workloads import AttentionShape, ModelShape, Run, fitted
from a5lib.errors import InputError
from a5lib.model import WITH_BOTTLENECK, GPTConfig


class Point(NamedTuple):
    """Where to measure: a variant, at a length, with so many latents (vanilla has none)."""

    variant: str
    length: int
    latents: int


@dataclass(frozen=True)
class Cost:
    """What one sequence cost: seconds, one value a round, and bytes at the peak of forward and backward."""

    forward: tuple[float, ...]
    backward: tuple[float, ...]
    training_bytes: int

    @property
    def training(self) -> tuple[float, ...]:
        """Seconds forward and backward."""
        return tuple(f + b for f, b in zip(self.forward, self.backward, strict=True))


def sweep(
    config: GPTConfig,
    points: Iterable[Point],
    what: str = "attention",
    fused: bool = False,
    *,
    rounds: int = 5,
    seconds: float = 60.0,
    max_bytes: int | None = None,
    device: str = "cpu",
) -> dict[Point, Cost]:
    """Time and memory of `what`, ``attention`` alone or the whole ``model``, at each point that fits.

    Points come in order of size. A variant's end before the first that would need more than `max_bytes`
    (None: half of a free GPU, or 4 GiB) or all rounds more than `seconds`. Attention is timed shape of
    layer by shape of layer, each once, and summed over a variant's layers; its memory is that of its
    largest layer.

    Raises:
        InputError: neither ``attention`` nor ``model``.
    """
    bench = _Bench(rounds, seconds, _free_bytes(device) if max_bytes is None else max_bytes, device)
    kept, ended = {}, set()
    with one_thread(), kept_pages():
        for point in points:
            shapes = _shapes(config, point, what, fused)
            if point.variant not in ended and bench.admits(shapes):
                kept[point] = shapes
            else:
                ended.add(point.variant)
        for _ in range(1 + rounds):
            bench.time_all()
    return {point: bench.cost(shapes) for point, shapes in kept.items()}


def along(
    costs: Mapping[Point, Cost], variant: str, value: str = "training", letter: str = "length"
) -> Series:
    """A variant's measurements over its lengths or ``latents``: `value` is the name of one of `Cost`'s."""
    chosen = {
        getattr(point, letter): getattr(cost, value)
        for point, cost in costs.items()
        if point.variant == variant
    }
    return {x: v if isinstance(v, tuple) else (v,) for x, v in chosen.items()}


Shape = AttentionShape | ModelShape


def _shapes(config: GPTConfig, point: Point, what: str, fused: bool) -> Counter[Shape]:
    """The shapes that a point is the sum of, and how often each occurs."""
    variant, length, latents = point
    full = fitted(config, length, latents if variant in WITH_BOTTLENECK else None)
    if what == "attention":  # without what differs between points, so that they share shapes
        plain = replace(config, bottleneck_dim=None)
        return Counter(AttentionShape(plain, q, k, fused) for q, k, _ in layers(full, variant, length))
    if what == "model":
        return Counter([ModelShape(full, variant, length, fused)])
    raise InputError(f"{what!r}: can measure attention or model")


@dataclass
class _Probe:
    """What is known of one shape: its memory, the time of a first pass, and the times of each round."""

    training_bytes: int
    first: float
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)

    def time(self, run: Run, batch: int, device: str) -> None:
        """One pass forward and backward."""
        start = clock(device)
        output = run.forward()
        middle = clock(device)
        run.backward(output)
        end = clock(device)
        self.forward.append((middle - start) / batch)
        self.backward.append((end - middle) / batch)


@dataclass
class _Bench:
    """The shapes that are measured, and the limits that they keep to together."""

    rounds: int
    seconds: float
    max_bytes: int
    device: str
    probes: dict[Shape, _Probe] = field(default_factory=dict)

    def admits(self, shapes: Iterable[Shape]) -> bool:
        """Probe a point's new shapes, unless it would take too much time or memory."""
        new = sorted((shape for shape in shapes if shape not in self.probes), key=lambda s: s.work)
        return self.in_time(new) and all(self.probe(shape) for shape in new)

    def in_time(self, new: list[Shape]) -> bool:
        """Whether all rounds, of the new shapes too, end in time at the best rate of the first passes."""
        rate = min((probe.first / shape.work for shape, probe in self.probes.items()), default=0.0)
        planned = sum(shape.work * shape.batch(self.device) for shape in (*self.probes, *new))
        return rate * planned * (1 + self.rounds) <= self.seconds

    def probe(self, shape: Shape) -> bool:
        """Run a shape on one sequence; False, and nothing noted, where memory is short."""
        # Without data the written-out sums take the same memory. The fused kernels' is linear in l.
        if not shape.fused and shape.run(1, "meta").training_bytes("meta") > self.max_bytes:
            return False
        try:
            run = shape.run(1, self.device)
            with torch.no_grad():
                run.forward()  # warms up
            start = clock(self.device)
            training_bytes = run.training_bytes(self.device)
        except torch.OutOfMemoryError:
            return False
        self.probes[shape] = _Probe(training_bytes, clock(self.device) - start)
        return True

    def time_all(self) -> None:
        """One round: a pass forward and backward of each shape, on as many sequences as memory allows it."""
        for shape, probe in self.probes.items():
            batch = min(shape.batch(self.device), self.max_bytes // probe.training_bytes or 1)
            probe.time(shape.run(batch, self.device), batch, self.device)

    def cost(self, shapes: Counter[Shape]) -> Cost:
        """The cost of a point from those of its shapes, without the first round, which finds the pages."""
        parts = [(self.probes[shape], times) for shape, times in shapes.items()]
        rounds = range(1, 1 + self.rounds)
        return Cost(
            forward=tuple(sum(times * p.forward[i] for p, times in parts) for i in rounds),
            backward=tuple(sum(times * p.backward[i] for p, times in parts) for i in rounds),
            training_bytes=max(p.training_bytes for p, _ in parts),
        )


def _free_bytes(device: str) -> int:
    return 4 * 2**30 if torch.device(device).type != "cuda" else torch.cuda.mem_get_info(device)[0] // 2
