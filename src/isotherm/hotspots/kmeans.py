"""Clusters of temperature, or of temperature and place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values

BINS = 1024
ITERATIONS = 30
STRIDE = 4
"""With position, the clusters are learnt from every fourth pixel of every fourth row."""


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


def _with_position(values: Values, finite: Mask, config: KMeansConfig) -> Int[np.ndarray, " P"]:
    """Return the cluster of each finite pixel by temperature and position."""
    thinned = np.zeros_like(finite)
    thinned[::STRIDE, ::STRIDE] = finite[::STRIDE, ::STRIDE]
    learnt_from = thinned if thinned.any() else finite
    features = _features(values, learnt_from, config.position_c)
    centres = _farthest_first(features, config.clusters)
    for _ in range(ITERATIONS):
        members = _nearest(features, centres)
        size = np.bincount(members, minlength=len(centres))
        sums = [np.bincount(members, weights=column, minlength=len(centres)) for column in features]
        moved = np.where(size, np.stack(sums) / np.maximum(size, 1), centres.T).T.astype(np.float32)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return _nearest(_features(values, finite, config.position_c), centres)


def _features(values: Values, chosen: Mask, position_c: float) -> Float32[np.ndarray, "3 P"]:
    """Return temperature, x and y of the chosen pixels, all in °C."""
    y, x = np.nonzero(chosen)
    weight = np.float32(position_c / max(values.shape))
    # About the median, so that squares keep their digits in single precision.
    known = values[chosen].astype(np.float32)
    return np.stack([known - np.median(known), x.astype(np.float32) * weight, y.astype(np.float32) * weight])


def _farthest_first(features: Float32[np.ndarray, "3 P"], clusters: int) -> Float32[np.ndarray, "K 3"]:
    first = int(np.abs(features[0]).argmin())
    chosen = [first]
    distance = _distance(features, first)
    for _ in range(min(clusters, features.shape[1]) - 1):
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, _distance(features, chosen[-1]))
    return features[:, chosen].T.copy()


def _distance(features: Float32[np.ndarray, "3 P"], place: int) -> Float32[np.ndarray, " P"]:
    squares: np.ndarray = ((features - features[:, place, None]) ** 2).sum(axis=0)
    return squares


def _nearest(features: Float32[np.ndarray, "3 P"], centres: Float32[np.ndarray, "K 3"]) -> Int[np.ndarray, " P"]:
    squares = (centres**2).sum(axis=1)
    nearest: np.ndarray = (squares[:, None] - 2 * centres @ features).argmin(axis=0)
    return nearest


METHOD = KMeans()
