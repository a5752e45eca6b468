"""One training by several processes (``torchrun``): each learns from its part of every batch, gradients are averaged.

So the number of steps, the rates and what is learnt in a step are those of one process; only batch normalisation sees a
process's part of the batch, and random changes of pictures are drawn anew in each process.
"""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from isotherm.core.processes import process_count, process_number

_APART = 1_000_003
"""Between the seeds of two processes; a prime, so that no usual seed meets another's."""


@dataclass(frozen=True)
class Team:
    """The processes that learn together, seen from one of them.

    Parameters
    ----------
    number, count
        Which one it is, from 0, and how many there are.
    """

    number: int
    count: int

    def seed(self, seed: int) -> int:
        """Return a seed for what each process draws for itself; alone it is `seed`."""
        return seed + self.number * _APART

    def share(self, members: torch.Tensor, *, least: int = 2) -> torch.Tensor:
        """Return this process's part of a batch, with at least `least`: batch normalisation needs two.

        The parts have one length: where a batch cannot be divided so, some pictures are taken twice.
        """
        size = max(least, -(-len(members) // self.count))
        return members[torch.arange(self.number * size, (self.number + 1) * size) % len(members)]

    def share_of(self, count: int) -> int:
        """Return how many of `count` pictures a step are this process's."""
        return -(-count // self.count)

    def averaging(self, network: nn.Module) -> nn.Module:
        """Return what computes as `network` does, and averages gradients over all processes; alone `network` itself."""
        if self.count == 1:
            return network
        on_card = next(network.parameters()).is_cuda
        return DistributedDataParallel(network, device_ids=[torch.cuda.current_device()] if on_card else None)

    def agreed(self, value: float) -> float:
        """Return the first process's value, so that all decide alike."""
        if self.count == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(told, 0)
        return told.item()

    def mean(self, value: float) -> float:
        """Return the mean over all processes."""
        if self.count == 1:
            return value
        total = torch.tensor([value], dtype=torch.float64)
        distributed.all_reduce(total)
        return total.item() / self.count


def team_of(device: torch.device) -> Team:
    """Return the processes that this one learns with, and meet them where that has not happened yet."""
    found = Team(process_number(), process_count())
    if found.count > 1 and not distributed.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        # gloo beside nccl, for the numbers that are agreed on.
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        atexit.register(distributed.destroy_process_group)
    return found
