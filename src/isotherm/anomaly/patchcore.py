"""PatchCore: the distance of each patch to the nearest of a core set of normal patches.

References
----------
K. Roth et al., Towards total recall in industrial anomaly detection, CVPR 2022: locally aware patch features
(section 3.1), greedy coreset (3.2), distance and re-weighting (3.3, equations 6 and 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import tee
from typing import Literal

import numpy as np
import openvino as ov
from jaxtyping import Float32, Int32
from openvino import opset13 as ops

from isotherm.anomaly.coreset import greedy_coreset
from isotherm.anomaly.graphs import GraphDetector, blurred, constant, finished, graph_inputs, keep_out, largest
from isotherm.anomaly.method import Arrays, Images, Inputs
from isotherm.anomaly.patches import (
    BACKBONE,
    BACKBONE_HELP,
    STRIDES_HELP,
    Cells,
    Taps,
    choose_taps,
    compile_patches,
    inputs_one_by_one,
    kept_cells,
    patch_node,
    stored_taps,
    strides_of,
)
from isotherm.anomaly.stored import stored, stored_size
from isotherm.anomaly.thumbnails import MAX_THUMBNAILS, Thumbnail, Thumbnails, thumbnail
from isotherm.core.config import setting, validate
from isotherm.core.errors import ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.compiled import Compiled

STRIDES = (8, 16)
"""The paper's choice: the middle of the network."""
AVERAGE = 3
POOL_BYTES = 256 * 2**20
"""How many patches are held at once while the core set is chosen: 430 images of 256 px of the default network."""
SEARCH_BLOCK = 1024
"""How many bank rows are compared at once, so that the products stay in the processor's cache."""
VOTES = 64
"""How many patches of a picture vote for the normal picture that it resembles."""


@dataclass(frozen=True)
class PatchCoreConfig:
    """Settings of PatchCore."""

    backbone: str = setting(BACKBONE, BACKBONE_HELP)
    strides: str = setting("", STRIDES_HELP.format("8,16 or the network's own"))
    coreset_ratio: float = setting(0.1, "share of the normal patches that is kept", low=0.0001, high=1.0)
    max_rows: int = setting(
        2048, "most patches that are kept, whatever the share; inspection time grows with it", low=16, high=200_000
    )
    neighbours: int = setting(
        1, "neighbours that re-weight the score (1: the plain distance; the paper: 9)", low=1, high=64
    )
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)
    precision: Literal["f32", "bf16"] = setting("f32", "arithmetic of the network: exact, or faster and coarser")

    def __post_init__(self) -> None:
        validate(self)
        self.tapped()

    def tapped(self) -> tuple[int, ...]:
        """Return the strides of the feature maps."""
        return strides_of(self.backbone, self.strides, STRIDES)


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

    def detector(self, config: PatchCoreConfig) -> GraphDetector:
        """Return the detector that searches this bank."""
        kept = {
            **self.taps.arrays(),
            "size": np.array(self.size, np.int32),
            "mean": self.mean,
            "bank": self.rows,
            "owners": self.owners,
            "thumbnails": self.thumbnails.values,
        }
        return GraphDetector(kept, lambda: search_model(self, config), config.precision, self.thumbnails)


def search_model(bank: Bank, config: PatchCoreConfig) -> ov.Model:
    """Build one graph from pictures to maps, scores and the normal pictures that they resemble.

    The score is the distance of the cell that is farthest from all rows of the bank, re-weighted where `neighbours` is
    more than one; the map is blurred after that.
    """
    size, grid = bank.size, bank.taps.grid(bank.size)
    pixels, ignore = graph_inputs(size)
    cells = ops.subtract(patch_node(bank.taps, pixels, size, average=AVERAGE), constant(bank.mean[None, None]))
    maps = ops.reshape(_distances(cells, bank.rows), _whole(-1, *grid), False)
    maps = keep_out(maps, ignore, size, grid)
    scores = largest(maps)
    if config.neighbours > 1:
        scores = ops.multiply(scores, _weights(cells, maps, bank.rows, config.neighbours))
    return finished(
        (pixels, ignore),
        maps=blurred(maps, size, grid, config.blur_px),
        scores=scores,
        resembles=_votes(cells, grid, bank),
    )


def _distances(cells: ov.Node, rows: Cells) -> ov.Node:
    """Return the distances (N P) of cells (N P D) to their nearest rows."""
    nearest = [
        ops.reduce_min(_products(cells, rows[start : start + SEARCH_BLOCK]), _whole(2), True)
        for start in range(0, len(rows), SEARCH_BLOCK)
    ]
    least = ops.reduce_min(ops.concat(nearest, 2), _whole(2), False) if len(nearest) > 1 else _squeezed(nearest[0])
    return _root(ops.add(least, _squares(cells)))


def _products(cells: ov.Node, rows: Cells) -> ov.Node:
    """Return |b|^2 - 2 q.b, which has the same order as the distance of q and b."""
    products = ops.matmul(cells, constant(-2 * rows), False, True)
    return ops.add(products, constant(np.square(rows).sum(axis=1)[None, None]))


def _weights(cells: ov.Node, maps: ov.Node, rows: Cells, neighbours: int) -> ov.Node:
    """Return the paper's equation 7 (N): near 0 where the nearest normal patch has neighbours as near as itself."""
    flat = ops.reshape(maps, _whole(0, -1), True)
    farthest = ops.topk(flat, ops.constant(np.int32(1)), 1, "max", "value")
    worst = ops.gather(cells, farthest.output(1), _whole(1), 1)
    nearest = ops.topk(_products(worst, rows), ops.constant(np.int32(1)), 2, "min", "value").output(1)
    row = ops.gather(constant(rows), ops.squeeze(nearest, _whole(2)), _whole(0))
    around = ops.topk(_products(row, rows), ops.constant(np.int32(min(neighbours, len(rows)))), 2, "min", "value")
    others = ops.gather(constant(rows), ops.squeeze(around.output(1), _whole(1)), _whole(0))
    apart = _root(_squares(ops.subtract(others, worst)))
    raised = ops.reduce_sum(ops.exp(ops.subtract(apart, farthest.output(0))), _whole(1), False)
    return ops.subtract(constant(1.0), ops.divide(constant(1.0), raised))


def _votes(cells: ov.Node, grid: tuple[int, int], bank: Bank) -> ov.Node:
    """Return the thumbnails (N V) that own the nearest rows of some cells (`VOTES`)."""
    owned = bank.owners >= 0
    places = np.linspace(0, grid[0] * grid[1] - 1, VOTES).astype(np.int32)
    some = ops.gather(cells, ops.constant(places), _whole(1))
    nearest = ops.topk(_products(some, bank.rows[owned]), ops.constant(np.int32(1)), 2, "min", "value").output(1)
    return ops.gather(ops.constant(bank.owners[owned]), ops.squeeze(nearest, _whole(2)), _whole(0))


def _squares(vectors: ov.Node) -> ov.Node:
    return ops.reduce_sum(ops.multiply(vectors, vectors), _whole(2), False)


def _root(squared: ov.Node) -> ov.Node:
    return ops.sqrt(ops.maximum(squared, constant(0.0)))


def _squeezed(node: ov.Node) -> ov.Node:
    return ops.squeeze(node, _whole(2))


def _whole(*numbers: int) -> ov.Node:
    return ops.constant(np.array(numbers, np.int64))


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


class PatchCore:
    """The method's pair of functions."""

    name = "patchcore"
    config_type = PatchCoreConfig

    def fit(self, images: Images, config: PatchCoreConfig, seed: int, progress: Progress) -> GraphDetector:
        """Choose the core set of the normal patches.

        Memory holds at most `POOL_BYTES` of patches, or twice the core set where that is more. Where the images have
        more, the pool is reduced to its core set each time it is full, and filled again: then the selection is greedy
        within each filling, no longer over all patches at once.
        """
        taps = choose_taps(config.backbone, config.tapped())
        size, grid = images.size, taps.grid(images.size)
        cells = grid[0] * grid[1]
        patches = len(images) * cells
        wanted = max(1, min(config.max_rows, round(config.coreset_ratio * patches)))
        capacity = min(patches, max(POOL_BYTES // (4 * taps.dimensions), 2 * wanted + cells))
        pool = _Pool((capacity, taps.dimensions), wanted, seed, progress)
        compiled = compile_patches(taps, size, config.precision, average=AVERAGE)
        for place, (inputs, features) in enumerate(_with_cells(compiled, images), start=1):
            pool.add(features[kept_cells(inputs, grid)[0]], inputs.pixels[0])
            progress(place, len(images), "features")
        return pool.bank(taps, size).detector(config)

    def load(self, arrays: Arrays, config: PatchCoreConfig) -> GraphDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together, or the network is another."""
        taps = stored_taps(arrays, config.backbone, config.tapped())
        thumbnails = stored(arrays, "thumbnails", np.float16, None, None, None, None)
        owners = stored(arrays, "owners", np.int32, None)
        if thumbnails.shape[1] not in (1, 3) or owners.min() < -1 or not 0 <= owners.max() < len(thumbnails):
            raise ModelError("the thumbnails and their owners do not fit together")
        bank = Bank(
            taps=taps,
            size=stored_size(arrays),
            mean=stored(arrays, "mean", np.float32, taps.dimensions),
            rows=stored(arrays, "bank", np.float32, len(owners), taps.dimensions),
            owners=owners,
            thumbnails=Thumbnails(thumbnails),
        )
        return bank.detector(config)


METHOD = PatchCore()
