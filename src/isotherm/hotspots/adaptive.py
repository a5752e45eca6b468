"""Adaptive threshold: mean and spread of each pixel's own surroundings decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values
from isotherm.hotspots.neighbourhoods import Cells
from isotherm.hotspots.objects import object_pixels

CELLS = 96
"""Cells along the longer side; the window's side is rounded to whole cells."""


@dataclass(frozen=True)
class AdaptiveConfig:
    """Settings of `Adaptive`."""

    deviations: float = setting(2.0, "hot is this many local standard deviations above the local mean", low=0)
    min_rise_c: float = setting(10.0, "and at least this far above the local mean [°C or grey levels]", low=0)
    window_percent: float = setting(
        60.0, "side of the square window, in percent of the picture's longer side", low=1, high=200
    )
    skip_background: bool = setting(True, "leave a cold background such as the sky out of mean and deviation")

    def __post_init__(self) -> None:
        validate(self)


class Adaptive:
    """Niblack's local threshold, mean + k standard deviations of a window [1]_, with a smallest rise.

    Without the smallest rise noise in a flat part of the picture would be hot; without leaving out the cold background
    every edge against the sky would be.

    References
    ----------
    .. [1] W. Niblack, An Introduction to Digital Image Processing, Prentice-Hall 1986, p. 115.
    """

    name = "adaptive"
    config_type = AdaptiveConfig

    def find(self, values: Values, config: AdaptiveConfig) -> Mask:
        """Return the pixels above the local threshold; see `HotspotMethod.find`."""
        counted = object_pixels(values) if config.skip_background else np.isfinite(values)
        if not counted.any():
            return counted
        height, width = values.shape
        cells = Cells((height, width), CELLS)
        # About the middle of the values, so that the squares lose no digits.
        known = np.where(counted, values - np.median(values[counted]), np.float32(0))
        number, total, squares = (
            cells.around(cells.sums(part), config.window_percent) for part in (counted, known, known * known)
        )
        mean = total / np.maximum(number, 1)
        deviation = np.sqrt(np.maximum(squares / np.maximum(number, 1) - mean**2, 0))
        rise = known - cells.interpolated(mean)
        hot: Mask = counted & (rise >= config.min_rise_c) & (rise > config.deviations * cells.interpolated(deviation))
        return hot


METHOD = Adaptive()
