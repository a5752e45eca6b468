"""The two products that all maps are made of: a small matrix times the frames, and the frames times themselves.

Blocks are large because matrix products of a few rows are slow on small ones (a fifth of the speed at 4 MB), and blocks
of an array in memory are views anyway.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Float64

from isotherm.sequences.stack import ThermalSequence

VIEW_BYTES = 256 * 1024 * 1024
"""Blocks that are only read."""
COPY_BYTES = 192 * 1024 * 1024
"""Blocks that are copied to be changed."""
_OFFSET = 16.0


@np.errstate(invalid="ignore", over="ignore")
def projected(sequence: ThermalSequence, rows: Float[np.ndarray, "K T"]) -> Float32[np.ndarray, "K H W"]:
    """Return weighted sums over the frames of each pixel.

    Where the weights of every row sum to 0, a pixel's level does not count; it is taken off first where it is so high
    (kelvin) that float32 sums would lose the changes.

    Parameters
    ----------
    sequence
        Frames (T H W).
    rows
        One weight for each frame, a row for each result.
    """
    _, height, width = sequence.shape
    small = np.ascontiguousarray(rows, np.float32)
    size = np.abs(rows).sum(axis=1)
    levelled = bool((np.abs(rows.sum(axis=1)) <= 1e-9 * size).all())
    found = np.empty((rows.shape[0], height * width), np.float32)
    for pixels, curves in sequence.blocks(VIEW_BYTES):
        if levelled and _high(curves):
            _project_levelled(small, curves, found[:, pixels])
        else:
            np.matmul(small, curves, out=found[:, pixels])
    found[~np.isfinite(found)] = np.nan
    return found.reshape(-1, height, width)


def _high(curves: Float32[np.ndarray, "T P"]) -> bool:
    with np.errstate(invalid="ignore"):
        change = np.nanmean(np.abs(curves[0] - curves[-1])) if np.isfinite(curves[[0, -1]]).any() else 0.0
        return bool(np.nanmean(np.abs(curves[-1])) > _OFFSET * change) if np.isfinite(curves[-1]).any() else False


def _project_levelled(
    rows: Float32[np.ndarray, "K T"], curves: Float32[np.ndarray, "T P"], found: Float32[np.ndarray, "K P"]
) -> None:
    step = max(1, COPY_BYTES // (4 * curves.shape[0]))
    for first in range(0, curves.shape[1], step):
        some = slice(first, first + step)
        np.matmul(rows, curves[:, some] - curves[-1, some], out=found[:, some])


def sampled(sequence: ThermalSequence, most_pixels: int) -> Float32[np.ndarray, "T S"]:
    """Return the curves of evenly spread pixels that have a number in every frame."""
    _, height, width = sequence.shape
    step = max(1, height * width // most_pixels)
    parts = [curves[:, (-pixels.start) % step :: step] for pixels, curves in sequence.blocks(VIEW_BYTES)]
    whole = np.concatenate(parts, axis=1) if len(parts) > 1 else np.ascontiguousarray(parts[0])
    finite = np.isfinite(whole).all(axis=0)
    return whole if finite.all() else whole[:, finite]


def gram(
    curves: Float32[np.ndarray, "T P"],
) -> tuple[Float64[np.ndarray, "T T"], Float64[np.ndarray, " T"], int]:
    """Return the products of all pairs of frames, the sum of each, and the number of pixels, without NaN pixels."""
    product = curves @ curves.T
    if not np.isfinite(product).all():
        curves = np.ascontiguousarray(curves[:, np.isfinite(curves).all(axis=0)])
        product = curves @ curves.T
    return product.astype(np.float64), curves.sum(axis=1, dtype=np.float64), curves.shape[1]
