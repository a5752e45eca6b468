"""A program for torchrun: learn small tasks, and have each process write what it has learnt."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from isotherm.anomaly import cflow, fastflow
from isotherm.anomaly.method import Inputs
from isotherm.classification import finetuned, small_cnn
from isotherm.classification.method import Examples as Labelled
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


def learn(name: str) -> np.ndarray:
    return weights_of(fit_network(pictures(), TASKS[name], PLAN, seed=3, progress=silent).network)


def segment() -> nn.Module:
    rng = np.random.default_rng(0)
    truth = np.zeros((SIZE, SIZE), np.bool_)
    truth[20:40, 20:40] = True
    inputs = (rng.normal(0, 0.1, (1, SIZE, SIZE)) + truth).astype(np.float32)
    example = Example(inputs, truth)
    config = FitConfig(steps=3, batch_size=4, crop_px=32, checks=1)
    examples = Examples([example], [example], ("maximum",))
    return fit_segmenter(NETWORKS.get("unet"), examples, NetConfig(width=8), config, seed=0, progress=silent).module


def fastflows() -> np.ndarray:
    config = fastflow.FastFlowConfig(steps=4, batch_size=4, couplings=2)
    return joined(fastflow.METHOD.fit(pictures(), config, 3, silent).kept)


def cflows() -> np.ndarray:
    config = cflow.CFlowConfig(steps=4, batch_size=64, couplings=2, width=16)
    return joined(cflow.METHOD.fit(pictures(), config, 3, silent).kept)


def joined(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([arrays[name].astype(np.float64).ravel() for name in sorted(arrays)])


def labelled() -> Labelled:
    """Return 16 pictures to learn from and 4 that are held out, in two categories."""
    rng, labels = np.random.default_rng(0), np.arange(20) % 2
    values = rng.uniform(0.2, 0.5, (20, 3, 32, 32)).astype(np.float32) + 0.3 * labels[:, None, None, None]
    return Labelled(values.astype(np.float32), labels.astype(np.int64), np.arange(20), 2)


def small(**changed: Any) -> np.ndarray:
    config = small_cnn.SmallCnnConfig(epochs=2, batch_size=4, filters=4, dense=8, **changed)
    return small_cnn.METHOD.fit(labelled(), config, seed=3, progress=silent).embeddings


def taught_on() -> np.ndarray:
    config = finetuned.FinetunedConfig(epochs=1, batch_size=8, trained_blocks=1, augment=False)
    return finetuned.METHOD.fit(labelled(), config, seed=3, progress=silent).embeddings


def weights_of(network: nn.Module) -> np.ndarray:
    return np.concatenate([each.detach().numpy().ravel() for each in network.parameters()])


LEARNT: dict[str, Callable[[], np.ndarray]] = {
    **{name: partial(learn, name) for name in TASKS},
    "segment": lambda: weights_of(segment()),
    "fastflow": fastflows,
    "cflow": cflows,
    "small_cnn": small,
    "small_cnn without chance": partial(small, augment=False, dropout=0.0),
    "finetuned without chance": taught_on,
}
"""What each learns, by name: the weights, or what depends on all of them."""


def main(out: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    learnt = {name: LEARNT[name]() for name in names}
    np.savez(out / f"{process_number()}.npz", **learnt)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
