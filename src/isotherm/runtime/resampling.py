"""Bicubic interpolation of small grids, such as the learnt positions of a transformer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

A = -0.75
"""The kernel's free parameter, as in torch and OpenCV."""


def bicubic(grid: Float32[np.ndarray, "H W D"], size: tuple[int, int]) -> Float32[np.ndarray, "h w D"]:
    """Interpolate to another size; pixel centres lie at half steps, and the border is repeated beyond itself.

    Reference: R. Keys, Cubic convolution interpolation for digital image processing (1981), equation 15 with a = -0.75.
    """
    rows, columns = (_weights(before, after) for before, after in zip(grid.shape[:2], size, strict=True))
    found: np.ndarray = np.einsum("hH,wW,HWd->hwd", rows, columns, grid, optimize=True)
    return found.astype(np.float32)


def _weights(before: int, after: int) -> Float64[np.ndarray, "after before"]:
    places = (np.arange(after) + 0.5) * before / after - 0.5
    weights = np.zeros((after, before))
    for step in range(-1, 3):
        neighbours = np.floor(places) + step
        np.add.at(weights, (np.arange(after), neighbours.clip(0, before - 1).astype(int)), _kernel(places - neighbours))
    return weights


def _kernel(distance: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    d = np.abs(distance)
    near = ((A + 2) * d - (A + 3)) * d**2 + 1
    far = ((A * d - 5 * A) * d + 8 * A) * d - 4 * A
    return np.where(d <= 1, near, np.where(d < 2, far, 0))
