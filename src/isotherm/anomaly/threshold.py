"""From scores of held-out normal images to a threshold, and to a score that means the same for every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from isotherm.core.errors import DataError, ModelError

Scores = Float[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class ScoreCalibration:
    """What normal images that the detector had not seen score, and the limits that follow.

    Parameters
    ----------
    scores
        (N) their scores, ascending, in the method's own unit.
    percentile
        The percentile that was asked for, 0..100.
    threshold
        An image above it is an anomaly.
    pixel_threshold
        A pixel of the map, at the picture's own size, above it belongs to the mask: the same percentile of the largest
        map value of each held-out image.
    how
        How both were chosen, in words.
    """

    scores: Scores
    percentile: float
    threshold: float
    pixel_threshold: float
    how: str

    def percentile_of(self, score: float) -> float:
        """Return the percentage (0..100) of held-out normal images that score lower."""
        return 100.0 * float(np.searchsorted(self.scores, np.float32(score), side="left")) / self.scores.size

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "scores": [float(value) for value in self.scores],
            "percentile": self.percentile,
            "threshold": self.threshold,
            "pixel_threshold": self.pixel_threshold,
            "how": self.how,
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ScoreCalibration:
        """Rebuild what `to_mapping` gave; raises ModelError where a value cannot be right."""
        try:
            scores = np.asarray(values["scores"], dtype=np.float32)
            percentile, threshold, pixel_threshold = (
                float(values[name]) for name in ("percentile", "threshold", "pixel_threshold")
            )
            how = str(values["how"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"its calibration is damaged: {error}") from error
        if (
            scores.ndim != 1
            or not scores.size
            or not np.isfinite(scores).all()
            or not np.isfinite((threshold, pixel_threshold)).all()
        ):
            raise ModelError("its calibration holds no finite scores")
        return cls(np.sort(scores), percentile, threshold, pixel_threshold, how)


def calibrate(scores: Scores, map_maxima: Scores, percentile: float, *, held_out: str = "") -> ScoreCalibration:
    """Choose the thresholds from held-out normal images; never give it test images.

    The percentile is the smallest score that at least so many per cent of the held-out images do not exceed, without
    interpolation; the threshold is that score, and only what lies above it is an anomaly.

    Parameters
    ----------
    scores, map_maxima
        (N) the score, and the largest map value at the picture's own size, of each held-out normal image.
    percentile
        0..100.
    held_out
        How the images were held out, in words; opens the description.

    Raises
    ------
    DataError
        No score, or one that is not finite.
    """
    if not scores.size:
        raise DataError("no held-out normal image to choose a threshold from")
    if not (np.isfinite(scores).all() and np.isfinite(map_maxima).all()):
        raise DataError("a normal image got a score that is not a finite number")
    threshold, pixel_threshold = (
        float(np.percentile(values, percentile, method="inverted_cdf")) for values in (scores, map_maxima)
    )
    how = _describe(scores.size, percentile, held_out or f"{scores.size} held-out normal images")
    return ScoreCalibration(np.sort(scores).astype(np.float32), percentile, threshold, pixel_threshold, how)


def _describe(count: int, percentile: float, held_out: str) -> str:
    text = f"{percentile:g}th percentile of the scores of {held_out}"
    if count * (1 - percentile / 100) >= 1:
        return text
    needed = f", which would need at least {int(np.ceil(100 / (100 - percentile)))} images" if percentile < 100 else ""
    return (
        f"{text}; with {count} scores this is the largest of them, not a measured percentile{needed}: "
        f"expect up to about {100 / (count + 1):.0f} % false alarms"
    )
