"""What the three channels of a network input hold, where a thermal picture has one only.

``grey`` repeats the placed temperatures three times, as networks of natural pictures expect grey. ``local`` also says
how a pixel stands out from its neighbourhood and how steep its surroundings are: both are the same on a warm and on a
cold day.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32

ChannelNames = Literal["grey", "local"]
Plane = Float32[np.ndarray, "H W"]
Kept = Bool[np.ndarray, "H W"] | None

NEIGHBOURHOOD = 1 / 8
"""Standard deviation of the Gaussian that says what the neighbourhood is, over the picture's shorter side."""
LEAST_DEVIATION = 0.02
"""Deviations of a neighbourhood below this share of the span are a camera's noise."""
CONTRAST_RANGE = 3.0
"""Local contrast, in deviations of the neighbourhood, that becomes 0 (below) and 1 (above)."""
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue (ITU-R BT.601)."""


def three_channels(
    placed: Float32[np.ndarray, "C H W"], kept: Kept, *, names: ChannelNames, steepest: float
) -> Float32[np.ndarray, "3 H W"]:
    """Return the network input of a picture that is placed in its span.

    Parameters
    ----------
    placed
        (1 H W) or, for a coloured picture, (3 H W); 0 low end of the span, 1 high end.
    kept
        (H W), false where a pixel is not part of the scene and says nothing about its neighbours; None: all are.
    names
        ``grey`` or ``local``.
    steepest
        The gradient [span/px] that becomes 1; a constant of the training set.
    """
    if names == "grey":
        return np.ascontiguousarray(np.broadcast_to(placed, (3, *placed.shape[1:])))
    plane: Plane = placed[0] if len(placed) == 1 else np.tensordot(LUMA, placed, 1).astype(np.float32)
    contrast = 0.5 + local_contrast(plane, kept) / np.float32(2 * CONTRAST_RANGE)
    return np.stack([plane, contrast, gradient(plane) / np.float32(steepest)])


def gradient(plane: Plane) -> Plane:
    """Return the magnitude of the gradient by central differences [unit of the plane/px]."""
    down, right = np.gradient(plane)
    steps: Plane = np.hypot(down, right)
    return steps


def local_contrast(plane: Plane, kept: Kept) -> Plane:
    """Return how many deviations of its neighbourhood each pixel lies above the neighbourhood's mean.

    Mean and deviation are weighted by a wide Gaussian; pixels that are not kept have no weight.
    """
    height, width = plane.shape
    sigma = NEIGHBOURHOOD * min(height, width)
    down, across = _gaussian(height, sigma), _gaussian(width, sigma)
    weight = np.ones_like(plane) if kept is None else kept.astype(np.float32)

    def around(values: Plane) -> Plane:
        blurred: Plane = down @ (values * weight) @ across
        return blurred

    total = np.maximum(down @ weight @ across, np.float32(1e-6))
    # About the picture's own mean: the squares of °C would lose digits.
    centred = plane - plane.mean(dtype=np.float32)
    mean = around(centred) / total
    deviation = np.sqrt(np.maximum(around(centred**2) / total - mean**2, 0))
    contrast: Plane = (centred - mean) / np.maximum(deviation, np.float32(LEAST_DEVIATION))
    return contrast


def _gaussian(side: int, sigma: float) -> Float32[np.ndarray, "S S"]:
    places = np.arange(side, dtype=np.float32)
    weights: np.ndarray = np.exp(-0.5 * ((places[:, None] - places) / np.float32(sigma)) ** 2)
    return weights.astype(np.float32)
