"""Luma and colour difference (YCbCr, YCrCb) to RGB, full range (ITU-R BT.601 as in JFIF)."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8


def rgb_of_ycbcr(levels: UInt8[np.ndarray, "*shape 3"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Return RGB of Y, Cb, Cr in the last axis."""
    luma = levels[..., 0].astype(np.float32)
    blue, red = levels[..., 1] - np.float32(128), levels[..., 2] - np.float32(128)
    rgb = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
    return np.stack(rgb, axis=-1).round().clip(0, 255).astype(np.uint8)


def rgb_of_ycrcb(levels: UInt8[np.ndarray, "*shape 3"]) -> UInt8[np.ndarray, "*shape 3"]:
    """Return RGB of Y, Cr, Cb in the last axis."""
    return rgb_of_ycbcr(levels[..., [0, 2, 1]])
