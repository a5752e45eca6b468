"""The fit loop of networks that learn to redraw normal pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float32
from torch.nn import functional

from isotherm.core.progress import Progress
from isotherm.nn.augment import augment
from isotherm.nn.autoencoder import Autoencoder

Pictures = Float32[np.ndarray, "N 3 H W"]


@runtime_checkable
class Batch(Protocol):
    """Some pictures (an `isotherm.anomaly.method.Inputs`)."""

    @property
    def pixels(self) -> Pictures:
        """Values of about 0..1."""
        ...

    @property
    def ignore(self) -> Bool[np.ndarray, "N H W"] | None:
        """True where a pixel must not be learnt from."""
        ...

    def __len__(self) -> int: ...


@runtime_checkable
class Images(Protocol):
    """Pictures in the same order at every pass (an `isotherm.anomaly.method.Images`; that room lies above)."""

    def __len__(self) -> int: ...

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield all pictures, so many at a time."""
        ...


CHUNK = 512
"""Pictures in memory at once (384 MiB at 256 px); larger sets are shuffled within chunks of this size."""
MAX_VALIDATION = 128
"""Largest validation part; it stays in memory."""


@dataclass(frozen=True)
class FitPlan:
    """How long and how to learn.

    Parameters
    ----------
    epochs
        Largest number of passes over the pictures.
    patience
        Passes without a better validation loss before it stops.
    validation
        Share of the pictures that is kept for validation.
    bfloat16
        Compute the convolutions in bfloat16; weights, losses and validation stay float32.
    """

    epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    validation: float
    bfloat16: bool


def fit_autoencoder(images: Images, plan: FitPlan, *, seed: int, progress: Progress) -> Autoencoder:
    """Learn to redraw pictures; returns the network of the best validation loss, ready for use.

    The targets are the pictures cut off at 0 and 1, which is all that the network can draw. The same seed on the same
    machine gives the same weights; torch's own random state is left as it was.

    Parameters
    ----------
    images
        The normal pictures, two or more.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network: Autoencoder = Autoencoder()
    # bfloat16 and this layout together make an epoch about 2.5 times as fast as float32 in the usual layout.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = _Data(images, plan.validation, seed)
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=plan.learning_rate, fused=True)
    best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), float("inf"), 0
    for epoch in range(1, plan.epochs + 1):
        loss = _train_epoch(network, optimiser, data.chunks(), plan, generator)
        validation = _validate(network, data.validation, plan.batch_size)
        if validation < best_loss:
            best, best_loss, best_epoch = copy.deepcopy(network.state_dict()), validation, epoch
        message = f"epoch {epoch} loss {loss:.5f}, validation {validation:.5f}"
        if epoch - best_epoch >= plan.patience:
            progress(plan.epochs, plan.epochs, f"{message}, stopped early; best was epoch {best_epoch}")
            break
        progress(epoch, plan.epochs, message)
    network.load_state_dict(best)
    network.eval()
    return network


class _Data:
    """Pictures for learning in seeded chunks, and the validation part, which is drawn at random once."""

    def __init__(self, images: Images, share: float, seed: int) -> None:
        count = len(images)
        held = min(max(1, round(share * count)), MAX_VALIDATION, count - 1)
        self._held = np.sort(np.random.default_rng(seed).permutation(count)[:held])
        self._images = images
        self._kept: list[torch.Tensor] | None = None
        picked = []
        for start, chunk in self._numbered():
            picked.append(_tensor(chunk[np.isin(np.arange(start, start + len(chunk)), self._held)]))
        self.validation = torch.cat(picked)
        if count <= CHUNK:
            self._kept = list(self._learning())

    def chunks(self) -> Iterator[torch.Tensor]:
        """Yield the pictures for learning (N 3 H W), up to `CHUNK` at a time."""
        return iter(self._kept) if self._kept is not None else self._learning()

    def _learning(self) -> Iterator[torch.Tensor]:
        for start, chunk in self._numbered():
            yield _tensor(chunk[~np.isin(np.arange(start, start + len(chunk)), self._held)])

    def _numbered(self) -> Iterator[tuple[int, Pictures]]:
        start = 0
        for chunk in self._images.batches(CHUNK):
            yield start, chunk.pixels
            start += len(chunk)


def _tensor(pictures: Pictures) -> torch.Tensor:
    tensor = torch.from_numpy(np.clip(pictures, 0.0, 1.0))
    return tensor.contiguous(memory_format=torch.channels_last)


def _train_epoch(
    network: Autoencoder,
    optimiser: torch.optim.Optimizer,
    chunks: Iterator[torch.Tensor],
    plan: FitPlan,
    generator: torch.Generator,
) -> float:
    """Pass over all pictures once; returns the mean squared error."""
    network.train()
    total, count = 0.0, 0
    for chunk in chunks:
        for members in torch.split(torch.randperm(len(chunk), generator=generator), plan.batch_size):
            pictures = augment(chunk[members], generator).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=plan.bfloat16):
                drawn = network(pictures)
            loss = functional.mse_loss(drawn.float(), pictures)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            total, count = total + loss.item() * len(members), count + len(members)
    return total / count


@torch.no_grad()
def _validate(network: Autoencoder, pictures: torch.Tensor, batch_size: int) -> float:
    network.eval()
    total = 0.0
    for batch in torch.split(pictures, batch_size):
        total += functional.mse_loss(network(batch), batch).item() * len(batch)
    return total / len(pictures)
