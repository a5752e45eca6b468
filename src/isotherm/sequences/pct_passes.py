"""Passes over centred frames: their covariance, and products with it, without ever holding a centred copy of all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.errors import DataError
from isotherm.sequences.kernels import COPY_BYTES, VIEW_BYTES, block_bytes, gram, high, room_for, sampled
from isotherm.sequences.pct_stack import check_components
from isotherm.sequences.stack import Block, ThermalSequence
from isotherm.sequences.tiles import by_strips, cut_for, multiply, strip_product, tile_parts

Centre = Literal["frame", "pixel"]
SAMPLE_PX = 8192
"""So many spread pixels give the level of each frame, and the start of an iteration."""


class Passes:
    """A sequence, centred block by block.

    The level of each frame is first taken from a sample of the pixels, which keeps the sums small; what is left of it
    is taken out of the results exactly.

    Parameters
    ----------
    sequence
        Frames (T H W).
    centre
        What is taken off: the mean of each frame, or of each pixel over time.
    standardise
        Divide by the standard deviation too; constant pixels or frames become 0.

    Raises
    ------
    DataError
        No pixel has a number in every frame.
    """

    def __init__(self, sequence: ThermalSequence, centre: Centre, standardise: bool) -> None:
        self.sequence, self.centre, self.standardise = sequence, centre, standardise
        self._sample = sampled(sequence, SAMPLE_PX)
        self._level = np.zeros(sequence.shape[0], np.float32)
        self._spread = np.ones(sequence.shape[0], np.float32)
        self._totals = Totals(np.zeros(sequence.shape[0]), 0.0, 0)
        if not self._sample.shape[1]:
            self._sample = _all_finite(sequence)
        if centre == "frame" and (standardise or high(self._sample)):
            self._level = self._sample.mean(axis=1)
        if centre == "frame" and standardise:
            self._spread = self._frame_spreads()

    def blocks(self) -> Iterator[Block]:
        """Yield blocks, centred, but for what is taken out of the results; they hold until the next one is asked for.

        Where frames are centred and the numbers are not far from 0 the blocks are those of the sequence.
        """
        if self.centre == "frame" and not self._level.any():
            yield from self.sequence.blocks(block_bytes(self.sequence, VIEW_BYTES))
            return
        room = np.empty(0, np.float32)
        for pixels, curves in self.sequence.blocks(block_bytes(self.sequence, COPY_BYTES)):
            room = room_for(curves, room)
            yield pixels, self._centred(curves, room)

    def sample(self) -> Float32[np.ndarray, "T S"]:
        """Return spread pixels, centred exactly."""
        found = self._centred(self._sample, np.empty_like(self._sample))
        if self.centre == "frame":
            found -= found.mean(axis=1, keepdims=True)
        return found

    def covariance(self) -> Float64[np.ndarray, "T T"]:
        """Return X X^T of the centred frames X, added in float64 over blocks."""
        count = self.sequence.shape[0]
        product, sums, pixels = np.zeros((count, count)), np.zeros(count), 0
        for _, curves in self.blocks():
            more = gram(curves)
            product, sums, pixels = product + more[0], sums + more[1], pixels + more[2]
        self._totals = Totals(sums, float(np.trace(product)), pixels)
        return self.centred_gram(product, sums, pixels)

    def centred_gram(
        self, product: Float64[np.ndarray, "T T"], sums: Float64[np.ndarray, " T"], pixels: int
    ) -> Float64[np.ndarray, "T T"]:
        """Return the product of all pairs of frames as if they were centred exactly."""
        if self.centre == "frame":
            return product - np.outer(sums, sums / max(1, pixels))
        return self._level_free(self._level_free(product).T)

    def multiplied(self, space: Float64[np.ndarray, "T K"]) -> Float64[np.ndarray, "T K"]:
        """Return X X^T times some curves."""
        space = self._level_free(space)
        rows = np.ascontiguousarray(space.T, np.float32)
        turned, squares, pixels = np.zeros((len(space), len(rows) + 1)), 0.0, 0
        for _, block in self.blocks():
            for back, square, width in there_and_back(rows, block):
                turned, squares, pixels = turned + back, squares + square, pixels + width
        found, sums = turned[:, :-1], turned[:, -1]
        self._totals = Totals(sums, squares, pixels)
        if self.centre == "frame":
            return found - np.outer(sums / max(1, pixels), sums @ space)
        return self._level_free(found)

    def enough_for(self, components: int) -> None:
        """Raise DataError where too few pixels have a number in every frame for so many components."""
        check_components(self.sequence.name, components, self.sequence.shape[0], self._totals.pixels)

    def along(self, curves: Float64[np.ndarray, "K T"]) -> tuple[Float32[np.ndarray, "K H W"], float]:
        """Return the part of each pixel along some curves, centred, and the sum of the squares of X.

        Either `covariance` or `multiplied` comes before it, and finds the sums that this needs.
        """
        _, height, width = self.sequence.shape
        small = np.ascontiguousarray(self._level_free(curves.T).T, np.float32)
        found = np.empty((len(small), height * width), np.float32)
        for place, block in self.blocks():
            multiply(small, block, found[:, place])
        total = self._totals.squares
        if self.centre == "frame":
            rest = self._totals.sums / max(1, self._totals.pixels)
            found -= (small @ rest)[:, None].astype(np.float32)
            total -= float(rest @ self._totals.sums)
        found[:, ~np.isfinite(found[0])] = np.nan
        return found.reshape(-1, height, width), total

    def _centred(
        self, curves: Float32[np.ndarray, "T P"], room: Float32[np.ndarray, "T P"]
    ) -> Float32[np.ndarray, "T P"]:
        if self.centre == "frame":
            np.subtract(curves, self._level[:, None], out=room)
            return np.divide(room, self._spread[:, None], out=room) if self.standardise else room
        np.subtract(curves, curves.mean(axis=0), out=room)
        if self.standardise:
            spread = np.sqrt(np.einsum("tp,tp->p", room, room) / len(room))
            room /= np.where(spread == 0, np.float32(1), spread)
        return room

    def _level_free(self, curves: Float64[np.ndarray, "T K"]) -> Float64[np.ndarray, "T K"]:
        """Return curves without what is constant in time, which no pixel-centred frame has a part of."""
        return curves if self.centre == "frame" else curves - curves.mean(axis=0)

    def _frame_spreads(self) -> Float32[np.ndarray, " T"]:
        """Return the standard deviation of each frame, 1 where it is constant."""
        sums, squares, pixels = np.zeros(self._level.size), np.zeros(self._level.size), 0
        for _, curves in self.sequence.blocks(block_bytes(self.sequence, COPY_BYTES)):
            centred = curves - self._level[:, None]
            valid, _ = finite_columns(centred, centred.sum(axis=0, keepdims=True))
            sums += valid.sum(axis=1)
            squares += np.einsum("tp,tp->t", valid, valid)
            pixels += valid.shape[1]
        variance = squares / max(1, pixels) - (sums / max(1, pixels)) ** 2
        return np.where(variance > 0, np.sqrt(np.maximum(variance, 0)), 1).astype(np.float32)


class Totals(NamedTuple):
    """Sum of each frame, sum of all squares and number of pixels, of those that have a number in every frame."""

    sums: Float64[np.ndarray, " T"]
    squares: float
    pixels: int


def there_and_back(
    rows: Float32[np.ndarray, "K T"], block: Float32[np.ndarray, "T P"]
) -> Iterator[tuple[Float32[np.ndarray, "T C"], float, int]]:
    """Yield for each strip X of a block: X times (rows X, and ones) transposed, the sum of squares, and the pixels.

    One look at the frames is enough for it all: a strip stays in the cache.
    """
    cut = cut_for(len(rows) + 1)
    parts = tile_parts(rows, cut)

    def work(strip: slice) -> tuple[Float32[np.ndarray, "T C"], float, int]:
        curves, along = finite_columns(block[:, strip], strip_product(parts, block[:, strip]))
        weights = np.concatenate([along, np.ones((1, curves.shape[1]), np.float32)]).T.copy()
        back = np.concatenate([curves[frames] @ weights for frames, _ in parts])
        return back, float(np.vecdot(curves, curves).sum(dtype=np.float64)), curves.shape[1]

    yield from by_strips(work, block.shape[1], cut)


def finite_columns(
    curves: Float32[np.ndarray, "T P"], along: Float32[np.ndarray, "K P"]
) -> tuple[Float32[np.ndarray, "T Q"], Float32[np.ndarray, "K Q"]]:
    """Return the pixels that have a number in every frame, and the parts that belong to them."""
    # A frame without a number makes all products of its pixel NaN, so that a look at one row of them is enough.
    finite = np.isfinite(along[0])
    return (curves, along) if finite.all() else (np.ascontiguousarray(curves[:, finite]), along[:, finite])


def _all_finite(sequence: ThermalSequence) -> Float32[np.ndarray, "T S"]:
    """Return pixels with a number in every frame where the spread ones have none; raises DataError where none has."""
    for _, curves in sequence.blocks(block_bytes(sequence, VIEW_BYTES)):
        finite = np.flatnonzero(np.isfinite(curves).all(axis=0))[:SAMPLE_PX]
        if finite.size:
            return np.ascontiguousarray(curves[:, finite])
    raise DataError(f"{sequence.name}: no pixel has a number in every frame")
