"""Clusters of temperature, or of temperature and place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values

BINS = 1024
ITERATIONS = 30
MOVES = 10
LEARN_PX = 6000
"""With position, the clusters are learnt from about so many pixels: every second, third ... of every such row."""


@dataclass(frozen=True)
class KMeansConfig:
    """Settings of `KMeans`."""

    clusters: int = setting(8, "number of clusters", low=2, high=64)
    cluster_rise_c: float = setting(
        6.0, "a cluster is hot when its mean is this far above that of the usual ones [°C or grey levels]", low=0
    )
    cluster_percentile: float = setting(
        95.0, "the usual ones end with the cluster that holds this percentile of the picture [%]", low=0, high=100
    )
    position_c: float = setting(
        0.0, "what the picture's longer side counts for beside temperature [°C]; 0 leaves position out", low=0
    )

    def __post_init__(self) -> None:
        validate(self)


class KMeans:
    """Lloyd's k-means [1]_ on temperature, or on temperature and position; nothing in it is random.

    Without position the temperatures are counted in steps and the clusters start evenly over their span. With position
    each cluster is a patch of the picture; they start from the pixel nearest the median, each next one from the pixel
    farthest from all before [2]_, so that a small hot spot has a cluster of its own from the start.

    References
    ----------
    .. [1] S. Lloyd, Least Squares Quantization in PCM, IEEE Trans. Information Theory 28(2), 1982.
    .. [2] T. Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, Theor. Comp. Science 38, 1985.
    """

    name = "kmeans"
    config_type = KMeansConfig

    def find(self, values: Values, config: KMeansConfig) -> Mask:
        """Return the pixels of the hot clusters; see `HotspotMethod.find`."""
        finite = np.isfinite(values)
        hot = np.zeros(values.shape, dtype=np.bool_)
        if not finite.any() or values[finite].min() == values[finite].max():
            return hot
        members = _with_position(values, finite, config) if config.position_c else _alone(values[finite], config)
        hot[finite] = _hot_clusters(values[finite], members, config)[members]
        return hot


def _hot_clusters(known: Float32[np.ndarray, " P"], members: Int[np.ndarray, " P"], config: KMeansConfig) -> np.ndarray:
    """Say which clusters are hot."""
    size = np.bincount(members, minlength=config.clusters)
    mean = np.bincount(members, weights=known, minlength=config.clusters) / np.maximum(size, 1)
    mean[size == 0] = -np.inf
    order = np.argsort(mean, kind="stable")
    usual = order[np.searchsorted(np.cumsum(size[order]), config.cluster_percentile / 100 * known.size)]
    hot: np.ndarray = mean >= mean[usual] + config.cluster_rise_c
    hot[usual] = False
    return hot


def _alone(known: Float32[np.ndarray, " P"], config: KMeansConfig) -> Int[np.ndarray, " P"]:
    """Return the cluster of each value by temperature alone."""
    low, high = float(known.min()), float(known.max())
    step = np.minimum((known.astype(np.float64) - low) * (BINS / (high - low)), BINS - 1).astype(np.intp)
    count = np.bincount(step, minlength=BINS)
    middle = np.arange(BINS) + 0.5
    centres = (np.arange(config.clusters) + 0.5) * (BINS / config.clusters)
    number, total = _running(count), _running(count * middle)
    for _ in range(ITERATIONS):
        ends = np.searchsorted(middle, (centres[1:] + centres[:-1]) / 2)
        parts = np.concatenate([[0], ends, [BINS]])
        size = np.diff(number[parts])
        moved = np.where(size > 0, np.diff(total[parts]) / np.maximum(size, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    cluster_of_step = np.searchsorted((centres[1:] + centres[:-1]) / 2, middle, side="right")
    members: np.ndarray = cluster_of_step[step]
    return members


def _running(counts: np.ndarray) -> Float64[np.ndarray, " _"]:
    return np.concatenate([[0.0], np.cumsum(counts, dtype=np.float64)])


@dataclass(frozen=True, eq=False)
class _Places:
    """Pixels with their temperature and place, all in °C; pixels without a value stay where they are and count not."""

    values: Float32[np.ndarray, "H W"]
    known: Mask
    y: Float32[np.ndarray, " H"]
    x: Float32[np.ndarray, " W"]

    @classmethod
    def of(cls, values: Values, position_c: float, stride: int) -> _Places:
        weight = np.float32(position_c / max(values.shape))
        y, x = (np.arange(side, dtype=np.float32)[::stride] * weight for side in values.shape)
        part = values[::stride, ::stride]
        known = np.isfinite(part)
        return cls(np.where(known, part, np.float32(0)), known, y, x)

    def distances(self, centre: Float32[np.ndarray, " 3"]) -> Float32[np.ndarray, "H W"]:
        """Return the squared distance of each pixel from a centre (temperature, y, x)."""
        far: np.ndarray = (self.values - centre[0]) ** 2
        far += ((self.y - centre[1]) ** 2)[:, None]
        far += (self.x - centre[2]) ** 2
        return far

    def nearest(self, centres: Float32[np.ndarray, "K 3"]) -> Int[np.ndarray, "H W"]:
        """Return the number of the centre nearest each pixel."""
        best = self.distances(centres[0])
        members = np.zeros(self.values.shape, dtype=np.intp)
        for number, centre in enumerate(centres[1:], start=1):
            far = self.distances(centre)
            members[far < best] = number
            np.minimum(best, far, out=best)
        return members

    def at(self, place: int) -> Float32[np.ndarray, " 3"]:
        """Return temperature, y and x of a pixel by its number."""
        row, column = divmod(place, self.values.shape[1])
        return np.array([self.values[row, column], self.y[row], self.x[column]], dtype=np.float32)

    def spread(self, clusters: int) -> Float32[np.ndarray, "K 3"]:
        """Return first centres: the pixel nearest the median, then always the one farthest from all before."""
        middle = np.median(self.values[self.known])
        centres = [self.at(int(np.where(self.known, np.abs(self.values - middle), np.inf).argmin()))]
        far = np.where(self.known, self.distances(centres[0]), np.float32(-1))
        while len(centres) < clusters:
            centres.append(self.at(int(far.argmax())))
            np.minimum(far, self.distances(centres[-1]), out=far, where=self.known)
        return np.stack(centres)

    def means(self, centres: Float32[np.ndarray, "K 3"]) -> Float32[np.ndarray, "K 3"]:
        """Return the mean of the pixels nearest each centre; a centre without pixels stays."""
        members = self.nearest(centres)
        rows, columns = np.nonzero(self.known)
        member = members[self.known]
        size = np.bincount(member, minlength=len(centres))
        features = (self.values[self.known], self.y[rows], self.x[columns])
        sums = np.stack([np.bincount(member, weights=part, minlength=len(centres)) for part in features], axis=1)
        return np.where(size[:, None] > 0, sums / np.maximum(size, 1)[:, None], centres).astype(np.float32)


def _with_position(values: Values, finite: Mask, config: KMeansConfig) -> Int[np.ndarray, " P"]:
    """Return the cluster of each finite pixel by temperature and position."""
    learnt_from = _Places.of(values, config.position_c, max(1, math.isqrt(values.size // LEARN_PX)))
    if not learnt_from.known.any():
        learnt_from = _Places.of(values, config.position_c, 1)
    centres = learnt_from.spread(config.clusters)
    for _ in range(MOVES):
        moved = learnt_from.means(centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    members: np.ndarray = _Places.of(values, config.position_c, 1).nearest(centres)[finite]
    return members


METHOD = KMeans()
