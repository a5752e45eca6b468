"""A program for torchrun: learn small tasks, and have each process write what it has learnt."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from isotherm.anomaly.method import Inputs
from isotherm.core.processes import process_number
from isotherm.core.progress import silent
from isotherm.nn.autoencoder import AUTOENCODER
from isotherm.nn.draem import finding_faults
from isotherm.nn.fitting import FitPlan, Task, fit_network
from isotherm.nn.lessons import Lesson
from isotherm.nn.losses import squared_error
from isotherm.segmentation import NETWORKS
from isotherm.segmentation.fitting import fit_segmenter
from isotherm.segmentation.network import NetConfig
from isotherm.segmentation.plan import Example, Examples, FitConfig
from isotherm.testing.anomaly import BatchImages

SIZE, COUNT = 64, 18
PLAN = FitPlan(
    epochs=2, patience=2, batch_size=4, learning_rate=1e-3, validation=0.25, bfloat16=False, device="cpu", augment=False
)


def pictures() -> BatchImages:
    rng = np.random.default_rng(0)
    grey = rng.uniform(0.2, 0.8, (COUNT, 1, SIZE, SIZE)).astype(np.float32)
    return BatchImages(Inputs(np.ascontiguousarray(np.repeat(grey, 3, axis=1)), None))


def plain() -> Task[nn.Module]:
    """Return a task without chance and without normalisation over a batch: several processes learn it as one does."""

    def loss(drawn: torch.Tensor, lesson: Lesson) -> torch.Tensor:
        return squared_error(drawn, lesson.wanted, lesson.keep)

    return Task(lambda: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1)), loss)


TASKS = {"plain": plain(), "autoencoder": AUTOENCODER, "draem": finding_faults((4, 8), (4, 8))}


def learn(name: str) -> nn.Module:
    return fit_network(pictures(), TASKS[name], PLAN, seed=3, progress=silent).network


def segment() -> nn.Module:
    rng = np.random.default_rng(0)
    truth = np.zeros((SIZE, SIZE), np.bool_)
    truth[20:40, 20:40] = True
    inputs = (rng.normal(0, 0.1, (1, SIZE, SIZE)) + truth).astype(np.float32)
    example = Example(inputs, truth)
    config = FitConfig(steps=3, batch_size=4, crop_px=32, checks=1)
    examples = Examples([example], [example], ("maximum",))
    return fit_segmenter(NETWORKS.get("unet"), examples, NetConfig(width=8), config, seed=0, progress=silent).module


def weights_of(network: nn.Module) -> np.ndarray:
    return np.concatenate([each.detach().numpy().ravel() for each in network.parameters()])


def main(out: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    learnt = {name: weights_of(segment() if name == "segment" else learn(name)) for name in names}
    np.savez(out / f"{process_number()}.npz", **learnt)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
