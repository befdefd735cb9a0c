"""The processes that train one model together, as `torchrun` or `accelerate launch` start them."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from framelens_training.environment import launched_count, launched_rank

Item = TypeVar("Item")

PATIENCE = datetime.timedelta(hours=24)
"""How long a process waits for another; the launcher ends all when one dies, long before."""


@dataclass(frozen=True, slots=True)
class Processes:
    """This process among those of a run; the one of rank 0 writes, records, and speaks."""

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process of rank 0."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' tensors, on the CPU."""
        if self.count == 1:
            return values
        moved = values.to(_device())
        dist.all_reduce(moved)
        return moved.cpu()

    def gather(self, item: Item) -> list[Item]:
        """What every process gave, by rank, in every process."""
        if self.count == 1:
            return [item]
        found: list[Any] = [None] * self.count
        dist.all_gather_object(found, item)
        return found

    def broadcast(self, item: Item) -> Item:
        """What the process of rank 0 gave, in every process."""
        if self.count == 1:
            return item
        found = [item]
        dist.broadcast_object_list(found, src=0)
        return found[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.count > 1:
            dist.barrier()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The others enter when the process of rank 0 has left, and find what it cached."""
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()


ALONE = Processes()


@contextmanager
def joined() -> Iterator[Processes]:
    """Meet the run's other processes, if a launcher started any: NCCL on GPUs, gloo on CPUs."""
    count = launched_count()
    if count == 1:
        yield ALONE
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(_local_rank())
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if not dist.is_initialized():
        dist.init_process_group(backend, timeout=PATIENCE)
    yield Processes(launched_rank(), count)
    # Not after an error: another process may never come, and the launcher ends them all.
    dist.destroy_process_group()


def _local_rank() -> int:
    return int(os.environ.get("LOCAL_RANK", "0"))


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda", _local_rank())
    return torch.device("cpu")
