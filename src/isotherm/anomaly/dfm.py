"""DFM: what of a picture's features the few main ways in which normal pictures differ cannot explain.

The features of the frozen network over the whole grid form one long vector; a principal component analysis of normal
pictures keeps the components that hold most of the variance. The map is the part of each cell that these components
cannot rebuild (feature reconstruction error). It trains in seconds, without torch, and suits pictures that always show
the same object in the same position.

References
----------
N. Ahuja et al., Probabilistic modeling of deep features for out-of-distribution and adversarial detection (2019):
principal components of pooled deep features, Gaussian log-likelihood (section 3); feature reconstruction error: I.
Ndiour, N. Ahuja, O. Tickoo, Subspace modeling for fast out-of-distribution and anomaly detection, ICIP 2022.
M. Tipping, C. Bishop, Probabilistic principal component analysis, J. R. Stat. Soc. B 61 (1999), equation 3.2 and
appendix A, for the likelihood with the components that were left out.

Changed:

- the features of two depths (strides of 8 and 16 px) of EfficientNet-Lite0 on one grid of 16 px, in place of one layer
  of ResNet that is pooled further: the map needs places;
- each channel is divided by its deviation, so that a loud one does not take all components;
- the score is the largest value of the map by default (paper: the error or likelihood of the whole vector, ``fre`` and
  ``nll``): a defect of a hundredth of the picture would drown in the sum;
- the components come from blocks of pictures (an incremental singular value decomposition), so that memory does not
  grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import openvino as ov
from jaxtyping import Float32, Float64
from openvino import opset13 as ops

from isotherm.anomaly.graphs import (
    GraphDetector,
    blurred,
    finished,
    graph_inputs,
    ignored_cells,
    keep_out,
    largest,
)
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.patches import (
    Taps,
    TapsConfig,
    kept_cells,
    parameter,
    to_grid,
)
from isotherm.anomaly.stored import stored, stored_size
from isotherm.core.config import setting
from isotherm.core.errors import DataError, ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.compiled import Compiled, Precision
from isotherm.runtime.layers import constant, integers

STRIDES = (8, 16)
GRID_STRIDE = 16
"""Smallest distance of two cells of the grid [input px]."""
READ = 32
"""How many pictures enter the decomposition at once."""
SPARE = 64
"""How many more components than wanted are carried from block to block."""
FLOOR = 0.01
"""Share of the mean variance that is added to each channel's: what hardly ever changes must not explode."""
Rows = Float32[np.ndarray, "N F"]


@dataclass(frozen=True)
class DfmConfig(TapsConfig):
    """Settings of DFM."""

    default_strides = STRIDES

    variance: float = setting(0.97, "share of the variance that the components keep", low=0.1, high=1.0)
    max_components: int = setting(64, "most components that are kept, whatever the share", low=1, high=512)
    score: Literal["peak", "fre", "nll"] = setting(
        "peak", "largest value of the map, or error or negative log-likelihood of the whole picture (paper)"
    )
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)
    precision: Literal["f32", "bf16"] = setting("f32", "arithmetic of the network: exact, or faster and coarser")


class Components:
    """The main components of rows that come in blocks.

    After each block only the strongest `limit` directions are carried on, with their lengths: of no more rows than that
    the result is exact, of more it is that of the sum of the blocks' best approximations.

    Parameters
    ----------
    limit
        How many are carried from block to block.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows: Rows | None = None
        self.total = 0.0
        """Sum of all squares seen."""

    def add(self, rows: Rows) -> None:
        """Take in centred rows."""
        self.total += float(np.square(rows, dtype=np.float64).sum())
        lengths, directions = decomposed(rows if self._rows is None else np.concatenate([self._rows, rows]))
        self._rows = directions[: self._limit] * lengths[: self._limit, None].astype(np.float32)

    def strongest(self, share: float, most: int) -> tuple[Float64[np.ndarray, " K"], Rows]:
        """Return the sums of squares along the components that hold `share` of the total, and the directions (K F)."""
        assert self._rows is not None
        lengths, directions = decomposed(self._rows)
        held = np.cumsum(lengths**2) / (self.total or 1.0)
        count = min(most, int(np.searchsorted(held, share * (1 - 1e-9))) + 1, max(1, int((lengths > 0).sum())))
        return lengths[:count] ** 2, directions[:count]


def decomposed(rows: Rows) -> tuple[Float64[np.ndarray, " R"], Rows]:
    """Return singular values, largest first, and right singular vectors (R F) of a few long rows.

    By the eigenvectors of the products of the rows, which for N rows of F >> N numbers takes N^2 F steps in place of a
    decomposition of the whole. Directions without any length are zero.
    """
    products = rows.astype(np.float64) @ rows.T.astype(np.float64)
    squares, vectors = np.linalg.eigh(products)
    squares, vectors = squares[::-1], vectors[:, ::-1]
    # Below this an eigenvalue is rounding of the largest one.
    real = squares > max(float(squares[0]), 0.0) * 1e-10
    lengths = np.sqrt(np.where(real, squares, 0.0))
    inverse = np.where(real, 1 / np.where(real, lengths, 1.0), 0.0)
    directions: np.ndarray = (vectors * inverse).T.astype(np.float32) @ rows
    return lengths, directions


@dataclass(frozen=True, eq=False)
class Subspace:
    """What fitting gives.

    Parameters
    ----------
    taps
        What the cells are described by.
    size
        Height and width of the network input.
    mean
        (D h w) of the features of normal pictures.
    deviation
        (D) of each channel between pictures.
    directions
        (K D h w) the components.
    variances
        (K) along the components, and last (K + 1 in all) of each dimension that they leave out.
    """

    taps: Taps
    size: tuple[int, int]
    mean: Float32[np.ndarray, "D h w"]
    deviation: Float32[np.ndarray, " D"]
    directions: Float32[np.ndarray, "K D h w"]
    variances: Float32[np.ndarray, " K1"]

    def detector(self, config: DfmConfig) -> GraphDetector:
        """Return the detector."""
        arrays = {
            **self.taps.arrays(),
            "size": np.array(self.size, np.int32),
            "mean": self.mean,
            "deviation": self.deviation,
            "directions": self.directions,
            "variances": self.variances,
        }
        return GraphDetector(arrays, lambda: self._model(config), config.precision)

    def _model(self, config: DfmConfig) -> ov.Model:
        """Return the graph: features, their part in the components and the rest, the rest's length in each cell."""
        pixels, ignore = graph_inputs(self.size)
        grid = grid_of(self.taps, self.size)
        out = ignored_cells(ignore, self.size, grid)
        centred = ops.subtract(features(self.taps, pixels, self.size), constant(self.mean[None]))
        scaled = ops.divide(centred, constant(self.deviation.reshape(1, -1, 1, 1)))
        counted = ops.select(ops.unsqueeze(out, integers(1)), constant(0.0), scaled)
        values = ops.reshape(counted, integers(-1, self.mean.size), False)
        table = constant(self.directions.reshape(len(self.directions), -1))
        along = ops.matmul(values, table, False, True)
        rest = ops.subtract(values, ops.matmul(along, table, False, False))
        squares = ops.reshape(ops.multiply(rest, rest), integers(-1, *self.mean.shape), False)
        cells = ops.select(out, constant(0.0), ops.reduce_mean(squares, integers(1), False))
        errors = keep_out(ops.sqrt(cells), ignore, self.size, grid)
        maps = keep_out(blurred(errors, self.size, grid, config.blur_px), ignore, self.size, grid)
        return finished((pixels, ignore), maps=maps, scores=self._scores(config.score, maps, cells, along, out))

    def _scores(self, kind: str, maps: ov.Node, cells: ov.Node, along: ov.Node, out: ov.Node) -> ov.Node:
        if kind == "peak":
            return largest(maps)
        if kind == "fre":
            kept = ops.reduce_sum(ops.select(out, constant(0.0), constant(1.0)), integers(1, 2), False)
            return ops.sqrt(ops.divide(ops.reduce_sum(cells, integers(1, 2), False), ops.maximum(kept, constant(1.0))))
        length = self.mean.size
        inside, outside = self.variances[:-1].astype(np.float64), float(self.variances[-1])
        explained = ops.reduce_sum(ops.multiply(ops.multiply(along, along), constant(1 / inside)), integers(1), False)
        left = ops.multiply(ops.reduce_sum(cells, integers(1, 2), False), constant(len(self.mean) / outside))
        volume = np.log(inside).sum() + (length - len(inside)) * np.log(outside) + length * np.log(2 * np.pi)
        return ops.multiply(ops.add(ops.add(explained, left), constant(volume)), constant(0.5 / length))


class Dfm:
    """The method's pair of functions."""

    name = "dfm"
    config_type = DfmConfig

    def fit(self, images: Images, config: DfmConfig, seed: int, progress: Progress) -> GraphDetector:
        """Find the main components of normal pictures; nothing is random.

        Raises
        ------
        DataError
            One picture alone: it does not vary.
        """
        del seed
        taps = config.taps()
        if len(images) < 2:
            raise DataError(f"DFM needs at least 2 normal images to learn from, not {len(images)}")
        passes = _Passes(images, taps, config.precision, progress)
        mean, deviation = passes.centre()
        components = Components(config.max_components + SPARE)
        for values, kept in passes.features():
            rows = np.where(kept[:, None], (values - mean) / deviation[:, None, None], np.float32(0))
            components.add(rows.reshape(len(rows), -1))
        squares, directions = components.strongest(config.variance, config.max_components)
        left = max(components.total - float(squares.sum()), 0.0) / (mean.size - len(squares))
        # A residual of nothing (as many components as pictures) would make every likelihood infinite.
        least = FLOOR * components.total / mean.size or 1.0
        variances = np.append(np.maximum(squares, least), max(left, least)) / len(images)
        shaped = directions.reshape(len(directions), *mean.shape)
        return Subspace(taps, images.size, mean, deviation, shaped, variances.astype(np.float32)).detector(config)

    def load(self, arrays: Arrays, config: DfmConfig) -> GraphDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together."""
        taps = config.stored_taps(arrays)
        size = stored_size(arrays)
        shape = (taps.dimensions, *grid_of(taps, size))
        directions = stored(arrays, "directions", np.float32, None, *shape)
        deviation = stored(arrays, "deviation", np.float32, taps.dimensions)
        variances = stored(arrays, "variances", np.float32, len(directions) + 1)
        if deviation.min() <= 0 or variances.min() <= 0:
            raise ModelError("its deviations or variances are not all above 0")
        return Subspace(
            taps, size, stored(arrays, "mean", np.float32, *shape), deviation, directions, variances
        ).detector(config)


class _Passes:
    """Computes the features of all pictures, as often as they are asked for."""

    def __init__(self, images: Images, taps: Taps, precision: Precision, progress: Progress) -> None:
        self._images, self._taps, self._progress = images, taps, progress
        pixels = parameter(images.size)
        self._compiled = Compiled(ov.Model([ops.result(features(taps, pixels, images.size))], [pixels]), precision)
        self._done = 0

    def features(self) -> Iterator[tuple[Float32[np.ndarray, "N D h w"], np.ndarray]]:
        """Yield features, and which of the cells (N h w) are part of the scene."""
        grid = grid_of(self._taps, self._images.size)
        for batch in self._images.batches(READ):
            kept = kept_cells(batch, grid).reshape(len(batch), *grid)
            yield np.stack([values for (values,) in self._compiled.run(batch.pixels)]), kept
            self._done += len(batch)
            self._progress(self._done, 2 * len(self._images), "features")

    def centre(self) -> tuple[Float32[np.ndarray, "D h w"], Float32[np.ndarray, " D"]]:
        """Return the mean of each cell, and the deviation of each channel between pictures."""
        counts, sums, squares = (np.float64(0),) * 3
        for values, kept in self.features():
            counted = np.where(kept[:, None], values, 0).astype(np.float64)
            counts, sums = counts + kept.sum(axis=0), sums + counted.sum(axis=0)
            squares = squares + np.square(counted).sum(axis=0)
        seen = np.maximum(counts, 1)
        mean = sums / seen
        variance = np.maximum(squares - seen * mean**2, 0).sum(axis=(1, 2)) / max(float(np.sum(counts)), 1.0)
        floor = FLOOR * float(variance.mean()) or 1.0
        return mean.astype(np.float32), np.sqrt(variance + floor).astype(np.float32)


def features(taps: Taps, pixels: ov.Node, size: tuple[int, int]) -> ov.Node:
    """Add the joined features (N D h w) of the grid to a graph."""
    step, grid = _step(taps), grid_of(taps, size)
    maps = zip(taps.feature_maps(pixels), taps.strides, strict=True)
    return ops.concat([to_grid(node, stride, step, grid) for node, stride in maps], 1)


def grid_of(taps: Taps, size: tuple[int, int]) -> tuple[int, int]:
    """Return the cells (h w): those of the finest map, but not finer than `GRID_STRIDE` pixels."""
    return BACKBONES.get(taps.backbone).grid(size, _step(taps))


def _step(taps: Taps) -> int:
    return max(GRID_STRIDE, min(taps.strides))


METHOD = Dfm()
