"""Few rows times many frames, fast: by strips of pixels, which threads share, and tiles of a few frames of a strip.

Such a product reads each number of the frames once and multiplies it with a few. NumPy's OpenBLAS first copies the
frames into another order, which on processors with AVX-512 takes as long as all the rest; but products of up to a
million multiplications it makes at once, on one thread. So tiles there are that small (half the time of one product,
measured on 16 rows and 1000 frames); elsewhere they are large, and OpenBLAS has threads of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Float32

from isotherm.core.products import most_multiplications, unpacked

Tile: TypeAlias = Float32[np.ndarray, "_ _"]
Change: TypeAlias = Callable[[Tile, tuple[slice, slice], Tile], Tile]
"""Makes other numbers of those of a tile, given where it lies (frames, pixels) and room of its shape for the result."""
Result = TypeVar("Result")
_FEW_ROWS, _FRAMES = 64, 20
_MOST_THREADS = 4


class Cut(NamedTuple):
    """How frames are cut up.

    Parameters
    ----------
    frames
        Frames of a tile.
    pixels
        Pixels of a strip.
    threads
        Threads that share the strips.
    """

    frames: int
    pixels: int
    threads: int


def cut_for(rows: int) -> Cut:
    """Return how frames are best cut up for a product with so many rows."""
    if unpacked() and rows <= _FEW_ROWS:
        # As wide as a million multiplications allow, but the frames of a strip should stay in the cache.
        return Cut(_FRAMES, max(64, min(3072, most_multiplications() // (_FRAMES * rows)) // 64 * 64), _threads())
    return Cut(64, 16384, 1)


def _threads() -> int:
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(asked)) if asked.isdigit() else min(_MOST_THREADS, os.cpu_count() or 1)


def by_strips(work: Callable[[slice], Result], pixels: int, cut: Cut) -> Iterator[Result]:
    """Yield what some work gives for each strip of pixels, in their order; threads share the strips."""
    strips = [slice(first, min(first + cut.pixels, pixels)) for first in range(0, pixels, cut.pixels)]
    threads = min(cut.threads, len(strips))
    if threads <= 1:
        yield from map(work, strips)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(work, strips)


def multiply(
    rows: Float32[np.ndarray, "K T"],
    curves: Float32[np.ndarray, "T P"],
    found: Float32[np.ndarray, "K P"],
    change: Change | None = None,
) -> None:
    """Write rows times frames into `found`.

    Parameters
    ----------
    rows
        One weight for each frame, a row for each result.
    curves
        Frames.
    found
        Where the products go.
    change
        What is done with the numbers first, tile by tile; frames as they are where there is none.
    """
    cut = cut_for(len(rows))
    if change is None and cut.threads == 1 and not unpacked():
        np.matmul(rows, curves, out=found)
        return
    parts = tile_parts(rows, cut)

    def work(strip: slice) -> None:
        found[:, strip] = strip_product(parts, curves[:, strip], change, strip)

    for _ in by_strips(work, curves.shape[1], cut):
        pass


def tile_parts(rows: Float32[np.ndarray, "K T"], cut: Cut) -> list[tuple[slice, Float32[np.ndarray, "K _"]]]:
    """Return the frames of each tile, and the part of the rows that belongs to them."""
    places = [slice(first, min(first + cut.frames, rows.shape[1])) for first in range(0, rows.shape[1], cut.frames)]
    return [(frames, np.ascontiguousarray(rows[:, frames])) for frames in places]


@np.errstate(all="ignore")
def strip_product(
    parts: list[tuple[slice, Float32[np.ndarray, "K _"]]],
    curves: Float32[np.ndarray, "T p"],
    change: Change | None = None,
    strip: slice = slice(0),
) -> Float32[np.ndarray, "K p"]:
    """Return rows times the frames of a strip, tile by tile."""
    sums = np.zeros((len(parts[0][1]), curves.shape[1]), np.float32)
    more = np.empty_like(sums)
    room = np.empty((parts[0][1].shape[1] if change else 0, curves.shape[1]), np.float32)
    for frames, weights in parts:
        tile = curves[frames]
        if change is not None:
            tile = change(tile, (frames, strip), room[: len(tile)])
        sums += np.matmul(weights, tile, out=more)
    return sums
