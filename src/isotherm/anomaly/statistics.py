"""Statistics: how unusual the numbers are that describe how hot parts stand out from their object.

No network: `isotherm.anomaly.picture_statistics` describes a picture by 49 numbers, a Gaussian of normal pictures says
how unusual they are (Mahalanobis distance), and the map is the local contrast within the object. A base line that
trains in seconds, and the description that a labelled head learns from (`isotherm head`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.anomaly.graphs import IGNORED_SHARE
from isotherm.anomaly.method import AnomalyMaps, Arrays, Images, Inputs
from isotherm.anomaly.padim import shrink, whiten
from isotherm.anomaly.picture_statistics import NAMES, describe
from isotherm.anomaly.stored import stored
from isotherm.core.config import setting, validate
from isotherm.core.files import sha256
from isotherm.core.progress import Progress

READ = 16
CELL_PX = 8
"""Side of a cell of the map [input px]; inputs are multiples of 32."""
REMEMBERED = 4096
"""Pictures whose statistics are kept, 0.4 kB each: the folds of a cross-fit share most of theirs, and to describe one
takes 25 times as long as to recognise it."""
LEAST_SPREAD = 1e-3
"""Least deviation of a statistic (a logarithm): where normal pictures agree, rounding must not explode."""


@dataclass(frozen=True)
class StatisticsConfig:
    """Settings of the statistics."""

    floor: float = setting(
        0.05, "variance added to every statistic, as a share of its own among normal images", low=1e-6, high=10.0
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, eq=False)
class Gaussian:
    """What the statistics of normal pictures look like.

    Parameters
    ----------
    mean
        (D).
    whitening
        (D D); whitening @ (statistics - mean) has the identity as covariance.
    """

    mean: Float32[np.ndarray, " D"]
    whitening: Float32[np.ndarray, "D D"]

    @classmethod
    def fit(cls, statistics: Float64[np.ndarray, "N D"], config: StatisticsConfig) -> Gaussian:
        """Fit it to normal pictures; the covariance is shrunk as PaDiM's."""
        spread = np.maximum(statistics.std(axis=0), LEAST_SPREAD)
        standard = (statistics - statistics.mean(axis=0)) / spread
        covariance = (standard.T @ standard / len(standard))[None]
        whitening = whiten(shrink(covariance, np.array([len(standard)]), config.floor))[0] / spread
        return cls(statistics.mean(axis=0).astype(np.float32), whitening.astype(np.float32))

    def distances(self, statistics: Float64[np.ndarray, "N D"]) -> Float64[np.ndarray, " N"]:
        """Return the Mahalanobis distances of pictures."""
        # One picture at a time, so that rounding does not depend on the batch.
        return np.array([np.linalg.norm(self.whitening @ (row - self.mean)) for row in statistics], np.float64)


@dataclass(frozen=True, eq=False)
class StatisticsDetector:
    """The distance to a Gaussian of the statistics of normal pictures, and a map of local contrast."""

    normal: Gaussian

    def predict(self, inputs: Inputs) -> AnomalyMaps:
        """Score N images of any size."""
        described = describe(inputs)
        maps = [_cells(each.contrast, out) for each, out in zip(described, inputs.ignored(), strict=True)]
        distances = self.normal.distances(np.stack([each.statistics for each in described]))
        return AnomalyMaps(np.stack(maps), distances.astype(np.float32))

    def arrays(self) -> Arrays:
        """Return the Gaussian."""
        return {"mean": self.normal.mean, "whitening": self.normal.whitening}


def _cells(contrast: Float32[np.ndarray, "H W"], out: np.ndarray) -> Float32[np.ndarray, "h w"]:
    """Return the largest contrast of each cell; the picture's least kept value where it is to be ignored."""
    height, width = (side // CELL_PX for side in contrast.shape)
    shape = (height, CELL_PX, width, CELL_PX)
    cells: np.ndarray = contrast.reshape(shape).max(axis=(1, 3))
    kept = out.reshape(shape).mean(axis=(1, 3)) <= IGNORED_SHARE
    if kept.any():
        cells[~kept] = cells[kept].min()
    return cells


class _Remembered:
    """The statistics of the pictures that were described last, by their content."""

    def __init__(self) -> None:
        self._kept: dict[str, Float64[np.ndarray, " D"]] = {}
        self._lock = Lock()

    def rows(self, inputs: Inputs) -> Iterator[Float64[np.ndarray, " D"]]:
        """Yield the statistics of each of N network inputs."""
        for at in range(len(inputs)):
            one = inputs[at : at + 1]
            content = f"{one.size} {sha256(one.pixels.tobytes())} {sha256(one.ignored().tobytes())}"
            with self._lock:
                found = self._kept.pop(content, None)
            if found is None:
                found = describe(one)[0].statistics
            with self._lock:
                self._kept[content] = found
                if len(self._kept) > REMEMBERED:
                    del self._kept[next(iter(self._kept))]
            yield found


_DESCRIBED = _Remembered()


class Statistics:
    """The method's pair of functions."""

    name = "statistics"
    config_type = StatisticsConfig

    def fit(
        self,
        images: Images,
        config: StatisticsConfig,
        seed: int,  # noqa: ARG002
        progress: Progress,
    ) -> StatisticsDetector:
        """Fit one Gaussian to all images; nothing is random."""
        rows: list[np.ndarray] = []
        for inputs in images.batches(READ):
            rows.extend(_DESCRIBED.rows(inputs))
            progress(len(rows), len(images), "statistics")
        return StatisticsDetector(Gaussian.fit(np.stack(rows), config))

    def load(self, arrays: Arrays, config: StatisticsConfig) -> StatisticsDetector:  # noqa: ARG002
        """Rebuild the detector; raises ModelError where the arrays do not fit together."""
        count = len(NAMES)
        mean, whitening = (
            stored(arrays, "mean", np.float32, count),
            stored(arrays, "whitening", np.float32, count, count),
        )
        return StatisticsDetector(Gaussian(mean, whitening))


METHOD = Statistics()
