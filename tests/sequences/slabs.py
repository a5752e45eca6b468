"""The exact curve of an adiabatic slab after a flash, and made-up plates of such slabs."""

from __future__ import annotations

import numpy as np


def slab(times_s: np.ndarray, depth_m: float, diffusivity_m2_s: float = 4.5e-7, heat: float = 1.0) -> np.ndarray:
    """Return the front temperature rise of a slab: Carslaw and Jaeger, Conduction of Heat in Solids, 1959, 14.3."""
    order = np.arange(1, 400)[:, None]
    sums = 1 + 2 * np.exp(-(order**2) * np.pi**2 * diffusivity_m2_s * times_s / depth_m**2).sum(axis=0)
    # By images where the series is slow.
    early = 1 + 2 * np.exp(-(order[:20] ** 2) * depth_m**2 / (diffusivity_m2_s * times_s)).sum(axis=0)
    early = early * depth_m / np.sqrt(np.pi * diffusivity_m2_s * times_s)
    return heat * np.where(diffusivity_m2_s * times_s < 0.1 * depth_m**2, early, sums) / depth_m * 1e-3


def plate(
    times_s: np.ndarray, depths_m: np.ndarray, *, noise_k: float = 0.0, heat: float = 3.0, seed: int = 0
) -> np.ndarray:
    """Return frames (T H W) of a plate whose pixels are slabs of their own depth."""
    depths, place = np.unique(depths_m, return_inverse=True)
    curves = np.stack([slab(times_s, each, heat=heat) for each in depths], axis=1)
    frames = curves[:, place.reshape(depths_m.shape)]
    return (frames + np.random.default_rng(seed).normal(0, noise_k, frames.shape)).astype(np.float32)
