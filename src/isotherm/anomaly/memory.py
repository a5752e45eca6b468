"""A memory of normal patches: chosen from all of them as a core set, and searched inside a graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee

import numpy as np
import openvino as ov
from jaxtyping import Float32, Int32
from openvino import opset13 as ops

from isotherm.anomaly.coreset import greedy_coreset
from isotherm.anomaly.method import Arrays, Images, Inputs
from isotherm.anomaly.patches import Cells, Taps, inputs_one_by_one, kept_cells
from isotherm.anomaly.stored import stored, stored_size
from isotherm.anomaly.thumbnails import MAX_THUMBNAILS, Thumbnail, Thumbnails, thumbnail
from isotherm.core.errors import ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.compiled import Compiled
from isotherm.runtime.layers import constant, integers

POOL_BYTES = 256 * 2**20
"""How many patches are held at once while the core set is chosen: 430 images of 256 px of the default network."""
SEARCH_BLOCK = 1024
"""How many rows are compared at once, so that the products stay in the processor's cache."""
VOTES = 64
"""How many patches of a picture vote for the normal picture that it resembles."""


@dataclass(frozen=True, eq=False)
class Bank:
    """A bank of normal patches.

    Parameters
    ----------
    taps
        What the patches are described by.
    size
        H and W of the network input [px].
    mean
        (D) the mean of all normal patches; it is taken off before distances are computed, for their accuracy.
    rows
        (M D) the core set, less the mean.
    owners
        (M) index into the thumbnails of the picture each row is from, -1 where that picture is not kept.
    thumbnails
        Some of the normal pictures.
    """

    taps: Taps
    size: tuple[int, int]
    mean: Float32[np.ndarray, " D"]
    rows: Float32[np.ndarray, "M D"]
    owners: Int32[np.ndarray, " M"]
    thumbnails: Thumbnails

    def arrays(self) -> Arrays:
        """Return what `stored_bank` reads."""
        return {
            **self.taps.arrays(),
            "size": np.array(self.size, np.int32),
            "mean": self.mean,
            "bank": self.rows,
            "owners": self.owners,
            "thumbnails": self.thumbnails.values,
        }


def stored_bank(arrays: Arrays, taps: Taps) -> Bank:
    """Return the bank of a model; raises ModelError where its arrays do not fit together."""
    thumbnails = stored(arrays, "thumbnails", np.float16, None, None, None, None)
    owners = stored(arrays, "owners", np.int32, None)
    if thumbnails.shape[1] not in (1, 3) or owners.min() < -1 or not 0 <= owners.max() < len(thumbnails):
        raise ModelError("the thumbnails and their owners do not fit together")
    return Bank(
        taps=taps,
        size=stored_size(arrays),
        mean=stored(arrays, "mean", np.float32, taps.dimensions),
        rows=stored(arrays, "bank", np.float32, len(owners), taps.dimensions),
        owners=owners,
        thumbnails=Thumbnails(thumbnails),
    )


@dataclass(frozen=True)
class Share:
    """How many of the normal patches are kept: a share of all, at most so many; and the seed of the first one."""

    ratio: float
    max_rows: int
    seed: int


def learn_bank(images: Images, taps: Taps, compiled: Compiled, share: Share, progress: Progress) -> Bank:
    """Choose the core set of the normal patches.

    Memory holds at most `POOL_BYTES` of patches, or twice the core set where that is more. Where the images have more,
    the pool is reduced to its core set each time it is full, and filled again: then the selection is greedy within each
    filling, no longer over all patches at once.

    Parameters
    ----------
    compiled
        Gives the cells (P D) of a picture.
    """
    grid = taps.grid(images.size)
    cells = grid[0] * grid[1]
    patches = len(images) * cells
    wanted = max(1, min(share.max_rows, round(share.ratio * patches)))
    capacity = min(patches, max(POOL_BYTES // (4 * taps.dimensions), 2 * wanted + cells))
    pool = _Pool((capacity, taps.dimensions), wanted, share.seed, progress)
    for place, (inputs, features) in enumerate(_with_cells(compiled, images), start=1):
        pool.add(features[kept_cells(inputs, grid)[0]], inputs.pixels[0])
        progress(place, len(images), "features")
    return pool.bank(taps, images.size)


class _Pool:
    """The patches seen so far, reduced to their core set whenever there is no room for more."""

    def __init__(self, shape: tuple[int, int], wanted: int, seed: int, progress: Progress) -> None:
        self._rows = np.empty(shape, np.float32)
        self._pictures = np.empty(shape[0], np.int32)
        self._filled, self._count, self._wanted = 0, 0, wanted
        self._thumbnails: dict[int, Thumbnail] = {}
        self._random, self._progress = np.random.default_rng(seed), progress

    def add(self, cells: Cells, picture: Float32[np.ndarray, "3 H W"]) -> None:
        if self._filled + len(cells) > len(self._rows):
            self._reduce()
        part = slice(self._filled, self._filled + len(cells))
        self._rows[part], self._pictures[part] = cells, self._count
        self._thumbnails[self._count] = thumbnail(picture)
        self._filled, self._count = part.stop, self._count + 1

    def bank(self, taps: Taps, size: tuple[int, int]) -> Bank:
        mean = self._reduce()
        pictures = self._pictures[: self._filled]
        kept = np.array(sorted(self._thumbnails))
        places = np.searchsorted(kept, pictures).clip(max=len(kept) - 1)
        owners = np.where(kept[places] == pictures, places, -1).astype(np.int32)
        thumbnails = Thumbnails.gather([self._thumbnails[picture] for picture in kept.tolist()])
        return Bank(taps, size, mean, self._rows[: self._filled] - mean, owners, thumbnails)

    def _reduce(self) -> Float32[np.ndarray, " D"]:
        """Keep the core set only, and the thumbnails of the pictures that own most of it; returns the mean of all."""
        rows = self._rows[: self._filled]
        mean: np.ndarray = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows -= mean
        start = int(self._random.integers(self._filled))
        chosen = np.sort(greedy_coreset(rows, self._wanted, start=start, progress=self._progress))
        self._filled = len(chosen)
        self._rows[: self._filled] = rows[chosen] + mean
        self._pictures[: self._filled] = self._pictures[chosen]
        owning, counts = np.unique(self._pictures[: self._filled], return_counts=True)
        most = owning[np.argsort(-counts, kind="stable")][:MAX_THUMBNAILS].tolist()
        self._thumbnails = {picture: self._thumbnails[picture] for picture in most if picture in self._thumbnails}
        return mean


def _with_cells(compiled: Compiled, images: Images) -> Iterator[tuple[Inputs, Cells]]:
    source, again = tee(inputs_one_by_one(images))
    return zip(source, (cells for (cells,) in compiled.run(each.pixels[0] for each in again)), strict=True)


def nearest_squares(cells: ov.Node, rows: Cells) -> ov.Node:
    """Return the squared distances (N P), not below 0, of cells (N P D) to their nearest rows."""
    nearest = [
        ops.reduce_min(products(cells, rows[start : start + SEARCH_BLOCK]), integers(2), True)
        for start in range(0, len(rows), SEARCH_BLOCK)
    ]
    least = ops.squeeze(nearest[0], integers(2))
    if len(nearest) > 1:
        least = ops.reduce_min(ops.concat(nearest, 2), integers(2), False)
    squares = ops.reduce_sum(ops.multiply(cells, cells), integers(2), False)
    return ops.maximum(ops.add(least, squares), constant(0.0))


def products(cells: ov.Node, rows: Cells) -> ov.Node:
    """Return |b|^2 - 2 q.b (N P M), which has the same order as the distance of q and b."""
    found = ops.matmul(cells, constant(-2 * rows), False, True)
    return ops.add(found, constant(np.square(rows).sum(axis=1)[None, None]))


def votes(cells: ov.Node, grid: tuple[int, int], bank: Bank) -> ov.Node:
    """Return the thumbnails (N V) that own the nearest rows of some cells (`VOTES`)."""
    owned = bank.owners >= 0
    places = np.linspace(0, grid[0] * grid[1] - 1, VOTES).astype(np.int32)
    some = ops.gather(cells, ops.constant(places), integers(1))
    nearest = ops.topk(products(some, bank.rows[owned]), ops.constant(np.int32(1)), 2, "min", "value").output(1)
    return ops.gather(ops.constant(bank.owners[owned]), ops.squeeze(nearest, integers(2)), integers(0))
