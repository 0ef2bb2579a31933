"""Data-parallel training: the processes that torchrun started, each with its rows of every batch.

All ranks hold the same weights and plan the same batches; each computes the gradient of its own rows, torch's
DistributedDataParallel (Li et al. 2020) adds them up, and all make the same step. The result is that of one
process up to rounding. Knows nothing about models, data or files.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn

from a5lib.errors import InputError


class RankLost(InputError):
    """Another process of this job has ended, or cannot be reached."""


@dataclass(frozen=True)
class Ranks:
    """This process's place among all of a job's; alone, all methods cost nothing."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, with its gradients averaged over all ranks in the backward pass."""
        return model if self.alone else nn.parallel.DistributedDataParallel(model)

    def own_rows(self, n: int) -> slice:
        """This rank's part of `n` rows; with fewer rows than ranks, some have one that is not theirs."""
        begin = min(self.rank * n // self.size, n - 1)
        return slice(begin, max((self.rank + 1) * n // self.size, begin + 1))

    def weight(self, n_rows: int, own_targets: int, all_targets: int) -> float:
        """What this rank's mean loss counts in the average of all ranks' losses.

        With it that average is the mean over the whole batch's targets: own / all, times the number of ranks.
        """
        if self.alone:
            return 1.0
        repeated = self.rank * n_rows // self.size == (self.rank + 1) * n_rows // self.size
        return 0.0 if repeated else self.size * own_targets / all_targets

    def mean(self, value: Tensor) -> Tensor:
        """The average over all ranks."""
        if self.alone:
            return value
        value = value.detach().clone()
        distributed.all_reduce(value)
        return value / self.size

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether it is so on any rank."""
        return flag if self.alone else bool(self.mean(torch.tensor(float(flag), device=device)))

    def from_first(self, make: Callable[[], Any]) -> Any:
        """What `make` returns on the first rank, on all of them.

        Raises:
            InputError: on all ranks, where `make` raises one on the first.
        """
        if self.alone:
            return make()
        box = [None]
        if self.first:
            try:
                box = [make()]
            except InputError as error:
                box = [error]
        distributed.broadcast_object_list(box, src=0)
        if isinstance(box[0], InputError):
            raise box[0]
        return box[0]

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Inside, the failure of another rank is said in one line.

        Raises:
            RankLost: it has ended, or cannot be reached.
        """
        try:
            yield
        except RuntimeError as error:
            if self.alone or not _is_about_others(error):
                raise
            what = f"rank {self.rank} of {self.size} cannot reach the others: one has ended"
            raise RankLost(
                f"{what}; start the same command again to go on from the state that was saved"
            ) from None


ALONE = Ranks()


def _is_about_others(error: RuntimeError) -> bool:
    """gloo raises plain RuntimeErrors that name its files."""
    return isinstance(error, distributed.DistError) or "gloo" in str(error).lower()


def ranks_of_this_job() -> Ranks:
    """This process's place as torchrun tells it in the environment; alone where it did not start us."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return ALONE
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


def device_of_this_rank(device: str) -> str:
    """`cuda` as this rank's own GPU; the CPU is everybody's.

    Raises:
        InputError: more processes on this machine than it has GPUs; raised in each of them.
    """
    if device != "cuda" or ranks_of_this_job().alone:
        return device
    gpus = torch.cuda.device_count()
    if int(os.environ["LOCAL_WORLD_SIZE"]) > gpus:
        raise InputError(
            f"this machine has {gpus} GPUs: give torchrun --nproc_per_node={gpus}, or --device cpu"
        )
    return f"cuda:{os.environ['LOCAL_RANK']}"


@contextlib.contextmanager
def joined(ranks: Ranks, device: str) -> Iterator[None]:
    """Inside, the ranks can reach each other: by nccl between GPUs, by gloo between CPUs."""
    if ranks.alone:
        yield
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(torch.device(device))
    store, *_ = next(distributed.rendezvous("env://"))
    backend = "nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.size)
    try:
        yield
    except KeyboardInterrupt:  # most often all are asked to stop after the same step
        with contextlib.suppress(RankLost):
            _leave_together(ranks, store, timedelta(minutes=1))
        raise
    else:
        _leave_together(ranks, store, timedelta(minutes=30))
    finally:
        distributed.destroy_process_group()


def _leave_together(ranks: Ranks, store: "distributed.Store", patience: timedelta) -> None:
    """Say that this rank is done, and wait for all to have said it.

    Who leaves closes connections on which another may still wait for its share of the last sum (a known race
    in gloo).
    """
    with ranks.watched():
        store.set(f"done {ranks.rank}", "")
        store.wait([f"done {rank}" for rank in range(ranks.size)], patience)
