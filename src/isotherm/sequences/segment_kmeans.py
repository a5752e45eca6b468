"""Clusters of pixels that are alike in all maps, or in all maps and in place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.sequences.departure import SMOOTH_PX, Maps, departure
from isotherm.sequences.prominence import score_of
from isotherm.sequences.segment import Segmentation, defects_in

Points = Float32[np.ndarray, "P D"]
Centres = Float32[np.ndarray, "C D"]
ROUNDS = 40
CUT = 12.0
"""Robust z beyond this counts as this: else each near defect takes a cluster for itself."""


@dataclass(frozen=True)
class KMeansConfig:
    """Settings of `KMeans`."""

    clusters: int = setting(8, "number of clusters", low=2, high=64)
    limit: float = setting(
        8.0,
        "a cluster is a defect when its pixels depart from the usual by this, as median [standard deviations]",
        low=0,
    )
    position: float = setting(
        0.0, "what the picture's longer side counts for beside the maps [robust z]; 0 leaves position out", low=0
    )
    smooth_px: float = setting(
        SMOOTH_PX, "maps are smoothed by a Gaussian of this standard deviation [px]", low=0, high=20
    )
    min_area_px: int = setting(12, "smallest region that is kept [px]", low=1)
    border_px: int = setting(3, "pixels at the rim of the picture that are never a defect [px]", low=0, high=1000)

    def __post_init__(self) -> None:
        validate(self)


class KMeans:
    """Lloyd's k-means [1]_ on robust z of the maps; nothing in it is random.

    Which clusters are defects is not a matter of their number: uneven heating may split the sound material in several,
    and defects of several depths are several. Each cluster is judged by how far its pixels depart from the usual.
    Clusters start from the pixel nearest the medians, then always from the one farthest from all before [2]_.

    References
    ----------
    .. [1] S. Lloyd, Least Squares Quantization in PCM, IEEE Trans. Information Theory 28(2), 1982.
    .. [2] T. Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, Theor. Comp. Science 38, 1985.
    """

    name = "kmeans"
    config_type = KMeansConfig

    def segment(self, maps: Maps, config: KMeansConfig) -> Segmentation:
        """Return the pixels of the clusters that depart; see `SegmentMethod.segment`."""
        departed = departure(maps, smooth_px=config.smooth_px)
        known = np.isfinite(departed)
        members = clusters_of(_points(maps, known, config.position), config.clusters)
        middle = [np.median(departed[known][members == number]) for number in range(int(members.max()) + 1)]
        far = np.asarray(middle) >= config.limit
        of_far = np.zeros(known.shape, np.bool_)
        of_far[known] = far[members]
        area_px, border_px = config.min_area_px, config.border_px
        return Segmentation(
            defects_in(departed, of_far, limit=config.limit, min_area_px=area_px, border_px=border_px),
            score_of(departed),
            (f"{int(far.sum())} of {len(far)} clusters are defects",),
        )


def _points(maps: Maps, known: np.ndarray, position: float) -> Points:
    """Return what each known pixel is told by: its robust z, and its place."""
    values = maps[:, known].astype(np.float64)
    away = values - np.median(values, axis=1, keepdims=True)
    spread = 1.4826 * np.median(np.abs(away), axis=1, keepdims=True)
    parts = list(np.clip(away / np.where(spread > 0, spread, 1), -CUT, CUT))
    if position:
        rows, columns = np.nonzero(known)
        parts += [rows * (position / max(known.shape)), columns * (position / max(known.shape))]
    return np.stack(parts, axis=1).astype(np.float32)


def clusters_of(points: Points, clusters: int) -> Int[np.ndarray, " P"]:
    """Return the number of the cluster of each point, from 0 on; every cluster has a point.

    Raises
    ------
    DataError
        There are fewer different points than two.
    """
    centres = _spread(points, clusters)
    if len(centres) < 2:
        raise DataError("all pixels are alike in all maps: there are no clusters")
    members = _nearest(points, centres)
    for _ in range(ROUNDS):
        moved = _means(points, members, centres)
        after = _nearest(points, moved)
        if np.array_equal(after, members):
            break
        members, centres = after, moved
    return np.unique(members, return_inverse=True)[1]


def _spread(points: Points, clusters: int) -> Centres:
    """Return first centres: the point nearest the medians, then always the one farthest from all before."""
    centres = [points[((points - np.median(points, axis=0)) ** 2).sum(axis=1).argmin()]]
    far = ((points - centres[0]) ** 2).sum(axis=1)
    while len(centres) < clusters and far.max() > 0:
        centres.append(points[far.argmax()])
        far = np.minimum(far, ((points - centres[-1]) ** 2).sum(axis=1))
    return np.stack(centres)


def _nearest(points: Points, centres: Centres) -> Int[np.ndarray, " P"]:
    # Less the points' own squares, which are the same for all centres.
    return np.asarray(((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1))


def _means(points: Points, members: Int[np.ndarray, " P"], centres: Centres) -> Centres:
    """Return the mean of each cluster; one without points stays where it is."""
    size = np.bincount(members, minlength=len(centres))[:, None]
    sums: Float64[np.ndarray, "C D"] = np.stack(
        [np.bincount(members, weights=column, minlength=len(centres)) for column in points.T], axis=1
    )
    return np.where(size > 0, sums / np.maximum(size, 1), centres).astype(np.float32)


METHOD = KMeans()
