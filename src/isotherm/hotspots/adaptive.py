"""Adaptive threshold: mean and spread of each pixel's own surroundings decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values
from isotherm.hotspots.objects import object_pixels


@dataclass(frozen=True)
class AdaptiveConfig:
    """Settings of `Adaptive`."""

    deviations: float = setting(2.0, "hot is this many local standard deviations above the local mean", low=0)
    min_rise_c: float = setting(8.0, "and at least this far above the local mean [°C or grey levels]", low=0)
    window_percent: float = setting(
        30.0, "side of the square window, in percent of the picture's longer side", low=1, high=200
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
        radius = max(1, round(config.window_percent / 200 * max(values.shape)))
        # About the middle of the values, so that the squares lose no digits.
        known = np.where(counted, values.astype(np.float64) - float(np.median(values[counted])), 0)
        number = np.maximum(_window_sums(counted.astype(np.float64), radius), 1)
        mean = _window_sums(known, radius) / number
        variance = np.maximum(_window_sums(known**2, radius) / number - mean**2, 0)
        rise = known - mean
        hot: Mask = counted & (rise >= config.min_rise_c) & (rise > config.deviations * np.sqrt(variance))
        return hot


def _window_sums(values: Float64[np.ndarray, "H W"], radius: int) -> Float64[np.ndarray, "H W"]:
    """Return the sum over the square of `2 radius + 1` pixels a side round each pixel, cut at the borders."""
    for axis in (0, 1):
        running = np.cumsum(values, axis=axis)
        running = np.concatenate([np.zeros_like(running.take([0], axis)), running], axis=axis)
        place = np.arange(values.shape[axis])
        after, before = np.minimum(place + radius + 1, len(place)), np.maximum(place - radius, 0)
        values = running.take(after, axis) - running.take(before, axis)
    return values


METHOD = Adaptive()
