"""Random weights of backbones in a cache of weights, in place of files that are too large to keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.weight_sources import Files
from isotherm.runtime.weights import Added, add_weights


def random_tensors(name: str, seed: int = 0) -> dict[str, np.ndarray]:
    """Return tensors of a backbone that keep the activations of ordinary size."""
    rng, source = np.random.default_rng(seed), BACKBONES.get(name).source
    assert isinstance(source, Files)
    return {key: _values(rng, key, shape) for key, shape in source.shapes.items()}


def _values(rng: np.random.Generator, key: str, shape: tuple[int, ...]) -> np.ndarray:
    if key.endswith(("running_var", "gamma")) or (len(shape) == 1 and key.endswith("weight")):
        return rng.random(shape, np.float32) + np.float32(0.5)
    spread = 0.1 if len(shape) == 1 else (2 / np.prod(shape[1:])) ** 0.5
    return (rng.random(shape, np.float32) - np.float32(0.5)) * np.float32(12**0.5 * spread)


def add_random(name: str, folder: Path, seed: int = 0) -> Added:
    """Write random weights to a file in `folder`, and add it to the cache that the environment names."""
    path = folder / f"{name}-{seed}.safetensors"
    save_file(random_tensors(name, seed), path)
    return add_weights(name, BACKBONES.get(name).source, path)
