"""Otsu's threshold: the one that parts the pixels into the two classes that differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Integer, Num, UInt8

from isotherm.core.config import setting, validate
from isotherm.core.two_classes import best_step
from isotherm.hotspots.method import Mask, Values

GREY_LEVELS = 256
"""With at least so many bins, each level of a plain picture has a bin of its own anyway."""


@dataclass(frozen=True)
class OtsuConfig:
    """Settings of `Otsu`."""

    bins: int = setting(1024, "steps between the coldest and the hottest pixel", low=16, high=65536)
    min_separation_c: float = setting(
        1.0, "nothing is hot unless the means of hot and other pixels differ by this [°C or grey levels]", low=0
    )

    def __post_init__(self) -> None:
        validate(self)


class Otsu:
    """Threshold of the largest between-class variance [1]_.

    Otsu's rule parts every picture in two, also one that shows nothing but noise. So the two classes must differ by
    ``min_separation_c``; its default of 1 °C is the smallest difference that NETA's table grades.

    References
    ----------
    .. [1] N. Otsu, A Threshold Selection Method from Gray-Level Histograms, IEEE Trans. SMC 9(1), 1979, eq. 18.
    """

    name = "otsu"
    config_type = OtsuConfig

    def find(self, values: Values, config: OtsuConfig) -> Mask:
        """Return the pixels of the hotter class; see `HotspotMethod.find`."""
        levels = _grey_levels(values)
        if levels is not None and config.bins >= GREY_LEVELS:
            count = np.bincount(levels.ravel(), minlength=GREY_LEVELS)
            return _above(levels, count, count * np.arange(GREY_LEVELS), config)
        finite = np.isfinite(values)
        known = values[finite].astype(np.float64)
        hot = np.zeros(values.shape, dtype=np.bool_)
        if known.size and known.min() < known.max():
            hot[finite] = _hotter_class(known, config)
        return hot


def _grey_levels(values: Values) -> UInt8[np.ndarray, "H W"] | None:
    """Return the grey levels of a plain picture as they were, None for anything else; counting those is quick."""
    with np.errstate(invalid="ignore"):
        levels = values.astype(np.uint8)
    return levels if np.array_equal(levels, values) else None


def _hotter_class(known: Float64[np.ndarray, " P"], config: OtsuConfig) -> np.ndarray:
    low = known.min()
    step = np.minimum((known - low) * (config.bins / (known.max() - low)), config.bins - 1).astype(np.intp)
    count = np.bincount(step, minlength=config.bins)
    # Sums of the values themselves, not of bin centres: the variance is then exact for every threshold between bins.
    return _above(step, count, np.bincount(step, weights=known - low, minlength=config.bins), config)


def _above(
    step: Integer[np.ndarray, "*any"],
    count: Integer[np.ndarray, " B"],
    total: Num[np.ndarray, " B"],
    config: OtsuConfig,
) -> np.ndarray:
    """Return which elements lie above the step that parts two classes best.

    ``count`` and ``total`` are the number and the sum of the values at each step.
    """
    parted = best_step(count, total)
    if parted is None or parted[1] < config.min_separation_c:
        return np.zeros(step.shape, dtype=np.bool_)
    hotter: np.ndarray = step > parted[0]
    return hotter


METHOD = Otsu()
