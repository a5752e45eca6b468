"""PaDiM: a Gaussian of normal features for each place of the picture, and the Mahalanobis distance to it.

It suits pictures that always show the same object in the same position. Memory does not grow with the number of images:
only sums are kept.

References
----------
T. Defard et al., PaDiM: a patch distribution modeling framework for anomaly detection and localization, ICPR 2020
workshops. The covariance is shrunk towards a multiple of the identity with the weight of Y. Chen et al., Shrinkage
algorithms for MMSE covariance estimation (2010), equation 23 (OAS), so that fewer images than dimensions are enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import openvino as ov
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from openvino import opset13 as ops

from isotherm.anomaly.graphs import GraphDetector, blurred, finished, graph_inputs, keep_out, largest
from isotherm.anomaly.method import Arrays, Images
from isotherm.anomaly.patches import (
    STRIDES_HELP,
    Taps,
    TapsConfig,
    compile_patches,
    kept_cells,
    patch_node,
)
from isotherm.anomaly.stored import stored, stored_size
from isotherm.anomaly.thumbnails import Thumbnails, thumbnail
from isotherm.core.config import setting
from isotherm.core.errors import ConfigError, ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.backbones import BACKBONES
from isotherm.runtime.layers import constant, integers

STRIDES = (4, 8, 16)
"""The paper's choice: the first three stages of the network."""
FLOOR = 0.01
"""Variance added to every feature, as a share of the mean variance: where all images agree, noise must not explode."""
NOISE = 1e-6
"""Share of the variance between cells below which a variance between images is only rounding."""
READ = 16
"""How many images are summed at once."""
BLOCK = 256
"""How many cells are worked on at once."""
TRIANGLE = 34
"""Rows of the triangular matrices that are multiplied at once, each only up to its block's end."""


@dataclass(frozen=True)
class PadimConfig(TapsConfig):
    """Settings of PaDiM."""

    default_strides = STRIDES

    strides: str = setting("", STRIDES_HELP.format("4,8,16 or the network's own"))
    dimensions: int = setting(100, "features that are kept, drawn at random", low=2, high=1024)
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)
    precision: Literal["f32", "bf16"] = setting("f32", "arithmetic of the network: exact, or faster and coarser")

    def __post_init__(self) -> None:
        super().__post_init__()
        available = BACKBONES.get(self.backbone).dimensions(self.tapped())
        if self.dimensions > available:
            raise ConfigError(
                f"dimensions must be at most {available}, what the feature maps have, not {self.dimensions}"
            )


@dataclass(frozen=True, eq=False)
class Gaussians:
    """A Gaussian for each cell.

    Parameters
    ----------
    taps
        What the cells are described by.
    size
        H and W of the network input [px].
    kept
        (d) which features.
    mean
        (P d) mean of each cell.
    whitening
        (P d d) lower triangular; whitening @ (features - mean) has the identity as covariance.
    normal
        The mean normal picture, as the only thumbnail.
    """

    taps: Taps
    size: tuple[int, int]
    kept: Int32[np.ndarray, " d"]
    mean: Float32[np.ndarray, "P d"]
    whitening: Float32[np.ndarray, "P d d"]
    normal: Thumbnails

    def detector(self, config: PadimConfig) -> GraphDetector:
        """Return the detector that measures the distance to these Gaussians."""
        rows, columns = np.tril_indices(len(self.kept))
        kept = {
            **self.taps.arrays(),
            "size": np.array(self.size, np.int32),
            "kept": self.kept,
            "mean": self.mean,
            # Of each triangular matrix only the lower part.
            "whitening": self.whitening[:, rows, columns],
            "normal": self.normal.values,
        }
        return GraphDetector(kept, lambda: distance_model(self, config), config.precision, self.normal)


def distance_model(gaussians: Gaussians, config: PadimConfig) -> ov.Model:
    """Build the graph from pictures to Mahalanobis distances; the score is the largest value of the blurred map."""
    size, grid = gaussians.size, gaussians.taps.grid(gaussians.size)
    pixels, ignore = graph_inputs(size)
    features = ops.gather(patch_node(gaussians.taps, pixels, size), ops.constant(gaussians.kept), integers(2))
    centred = ops.subtract(features, constant(gaussians.mean[None]))
    white = _whitened(ops.transpose(centred, integers(1, 0, 2)), gaussians.whitening)
    squared = ops.reduce_sum(ops.multiply(white, white), integers(2), False)
    distances = ops.sqrt(ops.transpose(squared, integers(1, 0)))
    maps = keep_out(ops.reshape(distances, integers(-1, *grid), False), ignore, size, grid)
    maps = blurred(maps, size, grid, config.blur_px)
    return finished((pixels, ignore), maps=maps, scores=largest(maps))


def _whitened(by_cell: ov.Node, whitening: Float32[np.ndarray, "P d d"]) -> ov.Node:
    """Multiply features (P N d) by the lower triangular matrices; the zeros above the diagonal are hardly touched.

    With one image a request each matrix is read for a single vector, and reading is what takes the time.
    """
    size = whitening.shape[1]
    parts = []
    for start in range(0, size, TRIANGLE):
        stop = min(start + TRIANGLE, size)
        first = ops.slice(by_cell, integers(0), integers(stop), integers(1), integers(2))
        parts.append(ops.matmul(first, constant(whitening[:, start:stop, :stop]), False, True))
    return ops.concat(parts, 2) if len(parts) > 1 else parts[0]


class _Sums:
    """Running sums over images of the features of each cell and of their products.

    Features are taken relative to the first image's, which keeps the sums of products accurate.
    """

    def __init__(self, cells: int, features: int) -> None:
        self.origin: Float32[np.ndarray, "P d"] | None = None
        self.count = np.zeros(cells, np.int64)
        self.total = np.zeros((cells, features), np.float64)
        self.products = np.zeros((cells, features, features), np.float64)

    def add(self, values: Float32[np.ndarray, "P N d"], kept: Bool[np.ndarray, "P N"]) -> None:
        """Add the features of N images; a cell's features count where `kept` is true."""
        if self.origin is None:
            self.origin = values[:, 0].copy()
        relative = (values - self.origin[:, None]) * kept[:, :, None]
        self.count += kept.sum(axis=1)
        self.total += relative.sum(axis=1)
        for start in range(0, len(relative), BLOCK):
            part = relative[start : start + BLOCK]
            self.products[start : start + BLOCK] += part.transpose(0, 2, 1) @ part

    def mean(self) -> Float32[np.ndarray, "P d"]:
        assert self.origin is not None
        mean: np.ndarray = self.origin + self.total / self._divisor()
        return mean.astype(np.float32)

    def covariance(self, part: slice) -> Float64[np.ndarray, "P d d"]:
        """Return the covariances (divided by n) of some cells."""
        divisor = self._divisor()[part]
        mean = self.total[part] / divisor
        covariance: np.ndarray = self.products[part] / divisor[:, :, None]
        covariance -= mean[:, :, None] * mean[:, None, :]
        return covariance

    def variance(self) -> Float64[np.ndarray, "P d"]:
        """Return the variances of each cell's features between images."""
        squares = np.einsum("pii->pi", self.products) / self._divisor()
        variance: np.ndarray = squares - (self.total / self._divisor()) ** 2
        return variance

    def _divisor(self) -> Float64[np.ndarray, "P 1"]:
        # A cell that was never part of the scene has sums of zero.
        return np.maximum(self.count, 1).astype(np.float64)[:, None]


def shrink(
    covariance: Float64[np.ndarray, "P d d"], count: Int64[np.ndarray, " P"], floor: float
) -> Float64[np.ndarray, "P d d"]:
    """Shrink covariances of `count` (P) samples towards a multiple of the identity, in place, and add `floor` to them.

    The weight rho = ((1 - 2/d) tr(S S) + tr(S)^2) / ((n + 1 - 2/d) (tr(S S) - tr(S)^2 / d)), at most 1, is the one of
    oracle approximating shrinkage.
    """
    size = covariance.shape[-1]
    diagonal = np.einsum("pii->pi", covariance)
    trace = diagonal.sum(axis=1)
    square = np.einsum("pij,pij->p", covariance, covariance)
    top = (1 - 2 / size) * square + trace**2
    bottom = (count + 1 - 2 / size) * (square - trace**2 / size)
    weight = np.where(bottom > top, top / np.where(bottom > top, bottom, 1), 1.0)
    covariance *= (1 - weight)[:, None, None]
    diagonal = np.einsum("pii->pi", covariance)
    diagonal += (weight * trace / size)[:, None] + floor
    return covariance


def whiten(covariance: Float64[np.ndarray, "P d d"]) -> Float32[np.ndarray, "P d d"]:
    """Return the inverses of the lower Cholesky factors of positive definite matrices."""
    lower = np.linalg.cholesky(covariance)
    return np.tril(np.linalg.inv(lower)).astype(np.float32)


def gaussians(sums: _Sums) -> Float32[np.ndarray, "P d d"]:
    """Return the whitening matrix of each cell; a few cells at a time, so that memory stays near the sums' own."""
    floor = FLOOR * _typical_variance(sums)
    whitening = np.empty(sums.products.shape, np.float32)
    for start in range(0, len(whitening), BLOCK):
        part = slice(start, start + BLOCK)
        whitening[part] = whiten(shrink(sums.covariance(part), sums.count[part], floor))
    return whitening


def _typical_variance(sums: _Sums) -> float:
    """Return the mean variance of a feature between images or, where they do not differ, between cells."""
    between_images = float(np.mean(sums.variance()))
    between_cells = float(sums.mean().var(axis=0).mean())
    # One image (or copies of one) leaves only rounding noise between images.
    if between_images > NOISE * between_cells:
        return between_images
    return between_cells or 1.0


class Padim:
    """The method's pair of functions."""

    name = "padim"
    config_type = PadimConfig

    def fit(self, images: Images, config: PadimConfig, seed: int, progress: Progress) -> GraphDetector:
        """Fit one Gaussian for each cell of the grid, over all images."""
        taps = config.taps()
        size, grid = images.size, taps.grid(images.size)
        chosen = np.random.default_rng(seed).permutation(taps.dimensions)[: config.dimensions]
        kept = np.sort(chosen).astype(np.int32)
        compiled = compile_patches(taps, size, config.precision)
        sums = _Sums(grid[0] * grid[1], len(kept))
        normal = np.zeros((3, *size), np.float64)
        done = 0
        for batch in images.batches(READ):
            normal += batch.pixels.sum(axis=0)
            features = np.stack([cells[:, kept] for (cells,) in compiled.run(batch.pixels)], axis=1)
            sums.add(features, kept_cells(batch, grid).T)
            done += len(batch)
            progress(done, len(images), "features")
        mean_picture = thumbnail((normal / done).astype(np.float32))
        learnt = Gaussians(taps, size, kept, sums.mean(), gaussians(sums), Thumbnails.gather([mean_picture]))
        return learnt.detector(config)

    def load(self, arrays: Arrays, config: PadimConfig) -> GraphDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together, or the network is another."""
        taps, size = config.stored_taps(arrays), stored_size(arrays)
        grid, count = taps.grid(size), config.dimensions
        cells = grid[0] * grid[1]
        kept = stored(arrays, "kept", np.int32, count)
        normal = stored(arrays, "normal", np.float16, 1, None, None, None)
        if kept.min() < 0 or kept.max() >= taps.dimensions or normal.shape[1] not in (1, 3):
            raise ModelError("its features or its normal picture make no sense")
        rows, columns = np.tril_indices(count)
        whitening = np.zeros((cells, count, count), np.float32)
        whitening[:, rows, columns] = stored(arrays, "whitening", np.float32, cells, len(rows))
        mean = stored(arrays, "mean", np.float32, cells, count)
        return Gaussians(taps, size, kept, mean, whitening, Thumbnails(normal)).detector(config)


METHOD = Padim()
