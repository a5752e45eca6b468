"""PatchCore: the distance of each patch to the nearest of a core set of normal patches.

References
----------
K. Roth et al., Towards total recall in industrial anomaly detection, CVPR 2022: locally aware patch features
(section 3.1), greedy coreset (3.2), distance and re-weighting (3.3, equations 6 and 7).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import tee
from typing import Literal

import numpy as np
import openvino as ov
from jaxtyping import Float32, Int32
from openvino import opset13 as ops

from isotherm.anomaly.coreset import greedy_coreset
from isotherm.anomaly.method import AnomalyMaps, Arrays, Batch, Images
from isotherm.anomaly.patches import (
    Cells,
    compile_patches,
    dimensions,
    grid_side,
    input_size,
    parameter,
    patch_node,
    pictures,
    smoothing,
)
from isotherm.anomaly.stored import stored, stored_size
from isotherm.anomaly.thumbnails import MAX_THUMBNAILS, Thumbnail, Thumbnails, thumbnail
from isotherm.core.config import setting, validate
from isotherm.core.errors import ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.backbone import constant
from isotherm.runtime.compiled import Compiled

STRIDES = (8, 16)
AVERAGE = 3
DIMENSIONS = dimensions(STRIDES)
POOL_ROWS = 440_000
"""How many patches are held at once while the core set is chosen (256 MiB): 430 images of 256 px."""
SEARCH_BLOCK = 1024
"""How many bank rows are compared at once, so that the products stay in the processor's cache."""
VOTES = 64
"""How many patches of a picture vote for the normal picture that it resembles."""


@dataclass(frozen=True)
class PatchCoreConfig:
    """Settings of PatchCore."""

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


@dataclass(frozen=True, eq=False)
class PatchCoreDetector:
    """A bank of normal patches.

    Parameters
    ----------
    mean
        (D) the mean of all normal patches; it is taken off before distances are computed, for their accuracy.
    bank
        (M D) the core set, less the mean.
    owners
        (M) index into the thumbnails of the picture each row is from, -1 where that picture is not kept.
    thumbnails
        Some of the normal pictures.
    """

    config: PatchCoreConfig
    size: int
    mean: Float32[np.ndarray, " D"]
    bank: Float32[np.ndarray, "M D"]
    owners: Int32[np.ndarray, " M"]
    thumbnails: Thumbnails

    def predict(self, images: Batch) -> AnomalyMaps:
        """Score N images of the size that the detector was fitted on."""
        side = grid_side(self.size)
        blur = smoothing(side, self.config.blur_px)
        maps, scores, resembled = [], [], []
        for squared, worst, voted in self._compiled.run(images):
            distances = np.sqrt(np.maximum(squared, 0))
            maps.append(blur @ distances.reshape(side, side) @ blur.T)
            scores.append(self._score(float(distances.max()), worst))
            resembled.append(int(np.bincount(self._voters[voted]).argmax()))
        return AnomalyMaps(np.stack(maps), np.asarray(scores, np.float32), self.thumbnails.pictures(resembled))

    def arrays(self) -> Arrays:
        """Return the bank and what belongs to it."""
        return {
            "size": np.array([self.size], np.int32),
            "mean": self.mean,
            "bank": self.bank,
            "owners": self.owners,
            "thumbnails": self.thumbnails.values,
        }

    @cached_property
    def _compiled(self) -> Compiled:
        voters = self.bank[self.owners >= 0]
        return Compiled(_search_model(self.size, self.mean, self.bank, voters), self.config.precision)

    @cached_property
    def _voters(self) -> Int32[np.ndarray, " V"]:
        owners: np.ndarray = self.owners[self.owners >= 0]
        return owners

    def _score(self, largest: float, worst: Float32[np.ndarray, " D"]) -> float:
        if self.config.neighbours == 1:
            return largest
        return largest * self._weight(largest, worst)

    def _weight(self, distance: float, cell: Float32[np.ndarray, " D"]) -> float:
        """Return the paper's equation 7: near 0 where the nearest normal patch has neighbours as near as itself."""
        nearest = int(_distances(self.bank, cell).argmin())
        around = np.argsort(_distances(self.bank, self.bank[nearest]), kind="stable")[: self.config.neighbours]
        others = _distances(self.bank[around], cell)
        return float(1 - 1 / np.exp(others - distance).sum()) if len(others) > 1 else 1.0


def _distances(rows: Cells, cell: Float32[np.ndarray, " D"]) -> Float32[np.ndarray, " M"]:
    distances: np.ndarray = np.sqrt(np.square(rows - cell).sum(axis=1))
    return distances


def _search_model(
    size: int, mean: Float32[np.ndarray, " D"], bank: Float32[np.ndarray, "M D"], voters: Float32[np.ndarray, "V D"]
) -> ov.Model:
    """Build one graph from picture to all that is needed.

    Its outputs are the squared distances (P) of the cells to their nearest rows, the cell (D) that is farthest, and for
    some cells (`VOTES`) the index of the nearest of `voters`.
    """
    images = parameter(size)
    cells = ops.subtract(patch_node(images, size, STRIDES, average=AVERAGE), constant(mean[None]))
    nearest = [
        ops.reduce_min(_products(cells, bank[start : start + SEARCH_BLOCK]), _axis(1), True)
        for start in range(0, len(bank), SEARCH_BLOCK)
    ]
    least = ops.reduce_min(ops.concat(nearest, 1), _axis(1), False)
    squared = ops.add(least, ops.reduce_sum(ops.multiply(cells, cells), _axis(1), False))
    farthest = ops.topk(squared, ops.constant(np.int32(1)), 0, "max", "value").output(1)
    worst = ops.squeeze(ops.gather(cells, farthest, _axis(0)), _axis(0))
    places = np.linspace(0, grid_side(size) ** 2 - 1, VOTES).astype(np.int32)
    some = ops.gather(cells, ops.constant(places), _axis(0))
    voted = ops.topk(_products(some, voters), ops.constant(np.int32(1)), 1, "min", "value").output(1)
    outputs = (squared, worst, ops.squeeze(voted, _axis(1)))
    return ov.Model([ops.result(ops.unsqueeze(node, _axis(0))) for node in outputs], [images])


def _axis(axis: int) -> ov.Node:
    return ops.constant(np.array([axis], np.int32))


def _products(cells: ov.Node, rows: Cells) -> ov.Node:
    """Return |b|^2 - 2 q.b, which has the same order as the distance of q and b."""
    products = ops.matmul(cells, constant(-2 * rows), False, True)
    return ops.add(products, constant(np.square(rows).sum(axis=1)[None]))


class _Pool:
    """The patches seen so far, reduced to their core set whenever there is no room for more."""

    def __init__(self, capacity: int, wanted: int, seed: int, progress: Progress) -> None:
        self._rows = np.empty((capacity, DIMENSIONS), np.float32)
        self._pictures = np.empty(capacity, np.int32)
        self._filled, self._count, self._wanted = 0, 0, wanted
        self._thumbnails: dict[int, Thumbnail] = {}
        self._random, self._progress = np.random.default_rng(seed), progress

    def add(self, cells: Cells, picture: Float32[np.ndarray, "3 S S"]) -> None:
        if self._filled + len(cells) > len(self._rows):
            self._reduce()
        part = slice(self._filled, self._filled + len(cells))
        self._rows[part], self._pictures[part] = cells, self._count
        self._thumbnails[self._count] = thumbnail(picture)
        self._filled, self._count = part.stop, self._count + 1

    def detector(self, config: PatchCoreConfig, size: int) -> PatchCoreDetector:
        mean = self._reduce()
        pictures = self._pictures[: self._filled]
        kept = np.array(sorted(self._thumbnails))
        places = np.searchsorted(kept, pictures).clip(max=len(kept) - 1)
        owners = np.where(kept[places] == pictures, places, -1).astype(np.int32)
        thumbnails = Thumbnails.gather([self._thumbnails[picture] for picture in kept.tolist()])
        return PatchCoreDetector(config, size, mean, self._rows[: self._filled] - mean, owners, thumbnails)

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


def _with_cells(compiled: Compiled, images: Images) -> Iterator[tuple[Float32[np.ndarray, "3 S S"], Cells]]:
    source, again = tee(pictures(images))
    return zip(source, (cells for (cells,) in compiled.run(again)), strict=True)


class PatchCore:
    """The method's pair of functions."""

    name = "patchcore"
    config_type = PatchCoreConfig

    def fit(self, images: Images, config: PatchCoreConfig, seed: int, progress: Progress) -> PatchCoreDetector:
        """Choose the core set of the normal patches.

        Memory holds at most `POOL_ROWS` patches, or twice the core set where that is more. Where the images have more,
        the pool is reduced to its core set each time it is full, and filled again: then the selection is greedy within
        each filling, no longer over all patches at once.
        """
        size = input_size(images)
        cells = grid_side(size) ** 2
        patches = len(images) * cells
        wanted = max(1, min(config.max_rows, round(config.coreset_ratio * patches)))
        pool = _Pool(min(patches, max(POOL_ROWS, 2 * wanted + cells)), wanted, seed, progress)
        compiled = compile_patches(size, STRIDES, config.precision, average=AVERAGE)
        for place, (picture, features) in enumerate(_with_cells(compiled, images), start=1):
            pool.add(features, picture)
            progress(place, len(images), "features")
        return pool.detector(config, size)

    def load(self, arrays: Arrays, config: PatchCoreConfig) -> PatchCoreDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together."""
        thumbnails = stored(arrays, "thumbnails", np.float16, None, None, None, None)
        owners = stored(arrays, "owners", np.int32, None)
        if thumbnails.shape[1] not in (1, 3) or owners.min() < -1 or not 0 <= owners.max() < len(thumbnails):
            raise ModelError("the thumbnails and their owners do not fit together")
        return PatchCoreDetector(
            config,
            size=stored_size(arrays),
            mean=stored(arrays, "mean", np.float32, DIMENSIONS),
            bank=stored(arrays, "bank", np.float32, len(owners), DIMENSIONS),
            owners=owners,
            thumbnails=Thumbnails(thumbnails),
        )


METHOD = PatchCore()
