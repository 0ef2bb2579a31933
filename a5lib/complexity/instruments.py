"""A memory meter, a clock, and quiet for both. Knows nothing about models."""

import ctypes
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# Memory.


class LiveBytes(TorchDispatchMode):
    """The bytes of all tensors that came to life inside and are not yet gone: `now`, and at their `peak`.

    Exact for what passes between operations, on CPU and on tensors without data. What a kernel takes
    and gives back within itself it does not see: the CPU's fused attention, at l = 1024, half as much
    again (by torch's profiler), at 4096 a quarter.
    """

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, weakref.finalize] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        for x in tree_leaves((args, kwargs)):  # what we have not seen come was there before
            self._note(x, born_here=False)
        output = func(*args, **(kwargs or {}))
        for x in tree_leaves(output):
            self._note(x, born_here=True)
        return output

    def _note(self, x: object, born_here: bool) -> None:
        if not isinstance(x, Tensor) or id(x.untyped_storage()) in self._known:
            return
        storage = x.untyped_storage()  # a view shares it with what it views
        size = storage.nbytes() if born_here else 0
        self._known[id(storage)] = weakref.finalize(storage, self._gone, id(storage), size)
        self.now += size
        self.peak = max(self.peak, self.now)

    def _gone(self, key: int, size: int) -> None:
        del self._known[key]
        self.now -= size


def peak_bytes(work: Callable[[], object], device: str = "cpu") -> int:
    """The most memory that `work` holds at once, beyond what was held before it."""
    if torch.device(device).type != "cuda":
        with LiveBytes() as live:
            work()
        return live.peak
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


# Time.


def clock(device: str) -> float:
    """Seconds: of this program's own running on CPU, of the wall once a GPU has finished."""
    if torch.device(device).type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def one_thread():
    """Inside, torch computes on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def kept_pages():
    """Inside, glibc's malloc keeps what is freed (mallopt(3)); with another C library nothing happens.

    Outside, a large tensor's memory comes from the system, page by page, zeroed anew each time.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(libc, "mallopt"):
        yield
        return
    trim_threshold, mmap_threshold, mmap_max = -1, -3, -4
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, -1)
    try:
        yield
    finally:  # to where these thresholds, which follow a program's needs, come to rest by themselves
        libc.mallopt(mmap_max, 65536)
        libc.mallopt(mmap_threshold, 32 * 2**20)
        libc.mallopt(trim_threshold, 64 * 2**20)
        libc.malloc_trim(0)
