"""The two products that all maps are made of: a small matrix times the frames, and the frames times themselves.

Blocks of an array in memory are views and cost nothing; the work on them goes strip by strip and tile by tile, see
`isotherm.sequences.tiles`.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32, Float64

from isotherm.sequences.sources import array_source
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tiles import Change, Tile, multiply

VIEW_BYTES = 256 * 1024 * 1024
"""Blocks of an array in memory, of which some pixels may have to be left out."""
COPY_BYTES = 192 * 1024 * 1024
"""Blocks of an array in memory that are copied to be changed."""
READ_BYTES = 96 * 1024 * 1024
"""Blocks that are read from elsewhere; two are in memory at a time."""
HELD_BYTES = 192 * 1024 * 1024
"""Sequences that are kept in memory."""
ALL_BYTES = 2**62
_OFFSET = 16.0
_LOOK_PX = 4096


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
    for pixels, curves in sequence.blocks(block_bytes(sequence, ALL_BYTES)):
        if levelled and high(curves):
            multiply(small, curves, found[:, pixels], _less_last(curves))
        else:
            multiply(small, curves, found[:, pixels])
    if not (finite := np.isfinite(found)).all():
        found[~finite] = np.nan
    return found.reshape(-1, height, width)


def block_bytes(sequence: ThermalSequence, most_bytes: int) -> int:
    """Return how large blocks may be: `most_bytes` where they are views of an array in memory, else less."""
    in_memory = np.may_share_memory(sequence.frames(0, 1), sequence.frames(0, 1))
    return most_bytes if in_memory else min(most_bytes, READ_BYTES)


def high(curves: Float32[np.ndarray, "T P"]) -> bool:
    """Say whether pixels lie far from 0 for how much they change, so that sums of them would lose the changes."""
    curves = curves[:, :: max(1, curves.shape[1] // _LOOK_PX)]
    with np.errstate(invalid="ignore"):
        change = np.nanmean(np.abs(curves[0] - curves[-1])) if np.isfinite(curves[[0, -1]]).any() else 0.0
        return bool(np.nanmean(np.abs(curves[-1])) > _OFFSET * change) if np.isfinite(curves[-1]).any() else False


def _less_last(curves: Float32[np.ndarray, "T P"]) -> Change:
    """Return what takes the last frame off the others."""

    def less(tile: Tile, place: tuple[slice, slice], room: Tile) -> Tile:
        np.subtract(tile, curves[-1, place[1]], out=room)
        return room

    return less


def room_for(curves: Float32[np.ndarray, "T P"], last: Float32[np.ndarray, "*any"]) -> Float32[np.ndarray, "T P"]:
    """Return room of the shape of a block: the last one where that fits; fresh memory costs more than what fills it."""
    return last if last.shape == curves.shape else np.empty(curves.shape, np.float32)


def sampled(sequence: ThermalSequence, most_pixels: int) -> Float32[np.ndarray, "T S"]:
    """Return the curves of evenly spread pixels that have a number in every frame."""
    _, height, width = sequence.shape
    step = max(1, height * width // most_pixels)
    # Copies: a view would keep its whole block in memory.
    parts = [
        curves[:, (-pixels.start) % step :: step].copy()
        for pixels, curves in sequence.blocks(block_bytes(sequence, ALL_BYTES))
    ]
    whole = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
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


def held(sequence: ThermalSequence) -> ThermalSequence:
    """Return a sequence that is made anew whenever it is read (means of frames) as one in memory, where it is small."""
    if 4 * math.prod(sequence.shape) > HELD_BYTES:
        return sequence
    return replace(sequence, source=array_source(sequence.frames()))
