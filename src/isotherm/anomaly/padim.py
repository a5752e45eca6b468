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
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, Int32

from isotherm.anomaly.method import AnomalyMaps, Arrays, Batch, Images
from isotherm.anomaly.patches import compile_patches, dimensions, grid_side, input_size, smoothing
from isotherm.anomaly.stored import stored, stored_size
from isotherm.anomaly.thumbnails import Thumbnails, thumbnail
from isotherm.core.config import setting, validate
from isotherm.core.errors import ModelError
from isotherm.core.progress import Progress
from isotherm.runtime.compiled import Compiled

STRIDES = (4, 8, 16)
FLOOR = 0.01
"""Variance added to every feature, as a share of the mean variance: where all images agree, noise must not explode."""
NOISE = 1e-6
"""Share of the variance between cells below which a variance between images is only rounding."""
READ = 16
"""How many images are summed at once."""
BLOCK = 256
"""How many cells are worked on at once."""
GROUP = 8
"""How many images are whitened at once; always so many, so that rounding does not depend on the batch."""


@dataclass(frozen=True)
class PadimConfig:
    """Settings of PaDiM."""

    dimensions: int = setting(100, "features that are kept, drawn at random", low=2, high=dimensions(STRIDES))
    blur_px: float = setting(4.0, "Gaussian blur of the map, in pixels of the network input", low=0.0, high=64.0)
    precision: Literal["f32", "bf16"] = setting("f32", "arithmetic of the network: exact, or faster and coarser")

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, eq=False)
class PadimDetector:
    """A Gaussian for each cell.

    Parameters
    ----------
    kept
        (d) which features.
    mean
        (P d) mean of each cell.
    whitening
        (P d d) lower triangular; whitening @ (features - mean) has the identity as covariance.
    normal
        The mean normal picture, as the only thumbnail.
    """

    config: PadimConfig
    size: int
    kept: Int32[np.ndarray, " d"]
    mean: Float32[np.ndarray, "P d"]
    whitening: Float32[np.ndarray, "P d d"]
    normal: Thumbnails

    def predict(self, images: Batch) -> AnomalyMaps:
        """Score N images of the size that the detector was fitted on."""
        side = grid_side(self.size)
        blur = smoothing(side, self.config.blur_px)
        distances = np.concatenate([self._distances(images[at : at + GROUP]) for at in range(0, len(images), GROUP)])
        maps = np.stack([blur @ item.reshape(side, side) @ blur.T for item in distances])
        return AnomalyMaps(maps, maps.max(axis=(1, 2)), self.normal.pictures([0] * len(images)))

    def arrays(self) -> Arrays:
        """Return the Gaussians; of each triangular matrix only the lower part."""
        rows, columns = np.tril_indices(len(self.kept))
        return {
            "size": np.array([self.size], np.int32),
            "kept": self.kept,
            "mean": self.mean,
            "whitening": self.whitening[:, rows, columns],
            "normal": self.normal.values,
        }

    @cached_property
    def _compiled(self) -> Compiled:
        return compile_patches(self.size, STRIDES, self.config.precision)

    def _distances(self, images: Batch) -> Float32[np.ndarray, "N P"]:
        """Return the Mahalanobis distances of up to `GROUP` images."""
        centred = np.zeros((len(self.mean), GROUP, len(self.kept)), np.float32)
        for place, (cells,) in enumerate(self._compiled.run(images)):
            centred[:, place] = cells[:, self.kept] - self.mean
        white = centred @ self.whitening.transpose(0, 2, 1)
        distances: np.ndarray = np.sqrt(np.square(white).sum(axis=2))
        return distances.T[: len(images)]


class _Sums:
    """Running sums over images of the features of each cell and of their products.

    Features are taken relative to the first image's, which keeps the sums of products accurate.
    """

    def __init__(self, cells: int, features: int) -> None:
        self.origin: Float32[np.ndarray, "P d"] | None = None
        self.count = 0
        self.total = np.zeros((cells, features), np.float64)
        self.products = np.zeros((cells, features, features), np.float64)

    def add(self, values: Float32[np.ndarray, "P N d"]) -> None:
        if self.origin is None:
            self.origin = values[:, 0].copy()
        relative = values - self.origin[:, None]
        self.count += values.shape[1]
        self.total += relative.sum(axis=1)
        for start in range(0, len(relative), BLOCK):
            part = relative[start : start + BLOCK]
            self.products[start : start + BLOCK] += part.transpose(0, 2, 1) @ part

    def mean(self) -> Float32[np.ndarray, "P d"]:
        assert self.origin is not None
        mean: np.ndarray = self.origin + self.total / self.count
        return mean.astype(np.float32)

    def covariance(self, part: slice) -> Float64[np.ndarray, "P d d"]:
        """Return the covariances (divided by n) of some cells."""
        mean = self.total[part] / self.count
        covariance: np.ndarray = self.products[part] / self.count
        covariance -= mean[:, :, None] * mean[:, None, :]
        return covariance


def shrink(covariance: Float64[np.ndarray, "P d d"], count: int, floor: float) -> Float64[np.ndarray, "P d d"]:
    """Shrink covariances of `count` samples towards a multiple of the identity, in place, and add `floor` to them.

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
        whitening[part] = whiten(shrink(sums.covariance(part), sums.count, floor))
    return whitening


def _typical_variance(sums: _Sums) -> float:
    """Return the mean variance of a feature between images or, where they do not differ, between cells."""
    mean = sums.total / sums.count
    between_images = float(np.mean(np.einsum("pii->pi", sums.products) / sums.count - mean**2))
    between_cells = float(sums.mean().var(axis=0).mean())
    # One image (or copies of one) leaves only rounding noise between images.
    if between_images > NOISE * between_cells:
        return between_images
    return between_cells or 1.0


class Padim:
    """The method's pair of functions."""

    name = "padim"
    config_type = PadimConfig

    def fit(self, images: Images, config: PadimConfig, seed: int, progress: Progress) -> PadimDetector:
        """Fit one Gaussian for each cell of the grid, over all images."""
        size = input_size(images)
        chosen = np.random.default_rng(seed).permutation(dimensions(STRIDES))[: config.dimensions]
        kept = np.sort(chosen).astype(np.int32)
        compiled = compile_patches(size, STRIDES, config.precision)
        sums = _Sums(grid_side(size) ** 2, len(kept))
        normal = np.zeros((3, size, size), np.float64)
        for batch in images.batches(READ):
            normal += batch.sum(axis=0)
            sums.add(np.stack([cells[:, kept] for (cells,) in compiled.run(batch)], axis=1))
            progress(sums.count, len(images), "features")
        mean_picture = thumbnail((normal / sums.count).astype(np.float32))
        return PadimDetector(config, size, kept, sums.mean(), gaussians(sums), Thumbnails.gather([mean_picture]))

    def load(self, arrays: Arrays, config: PadimConfig) -> PadimDetector:
        """Rebuild the detector; raises ModelError where the arrays do not fit together."""
        size = stored_size(arrays)
        cells, count = grid_side(size) ** 2, config.dimensions
        kept = stored(arrays, "kept", np.int32, count)
        normal = stored(arrays, "normal", np.float16, 1, None, None, None)
        if kept.min() < 0 or kept.max() >= dimensions(STRIDES) or normal.shape[1] not in (1, 3):
            raise ModelError("its features or its normal picture make no sense")
        rows, columns = np.tril_indices(count)
        whitening = np.zeros((cells, count, count), np.float32)
        whitening[:, rows, columns] = stored(arrays, "whitening", np.float32, cells, len(rows))
        mean = stored(arrays, "mean", np.float32, cells, count)
        return PadimDetector(config, size, kept, mean, whitening, Thumbnails(normal))


METHOD = Padim()
