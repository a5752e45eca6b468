"""The matrix that blurs a map; apart from the graphs, so that who needs it alone need not load OpenVINO."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

LEAST = 1e-12
"""Weights below this part of the largest are left out: less than float32 tells apart."""


def smoothing(cells: int, step_px: float, sigma_px: float) -> Float32[np.ndarray, "h h"]:
    """Return the matrix K that blurs a side of a map with a Gaussian of `sigma_px` input pixels: K @ map @ K'.T.

    Weights beyond the border are dropped and the rest scaled to sum to one. Blurring the small map instead of the large
    one gives the same picture for a hundredth of the work.
    """
    if sigma_px <= 0:
        return np.eye(cells, dtype=np.float32)
    places = np.arange(cells, dtype=np.float64) * step_px
    kernel = np.exp(-0.5 * ((places[:, None] - places[None]) / sigma_px) ** 2)
    # Processors take ten times as long for products with numbers next to nothing (subnormal ones).
    kernel[kernel < LEAST] = 0
    scaled: np.ndarray = kernel / kernel.sum(axis=1, keepdims=True)
    return scaled.astype(np.float32)
