"""Otsu's threshold: the one that parts the pixels into the two classes that differ most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values


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
        finite = np.isfinite(values)
        known = values[finite].astype(np.float64)
        hot = np.zeros(values.shape, dtype=np.bool_)
        if known.size and known.min() < known.max():
            hot[finite] = _hotter_class(known, config)
        return hot


def _hotter_class(known: Float64[np.ndarray, " P"], config: OtsuConfig) -> np.ndarray:
    low = known.min()
    step = np.minimum((known - low) * (config.bins / (known.max() - low)), config.bins - 1).astype(np.intp)
    count = np.bincount(step, minlength=config.bins).astype(np.float64)
    # Sums of the values themselves, not of bin centres: the variance is then exact for every threshold between bins.
    total = np.bincount(step, weights=known - low, minlength=config.bins)
    below, above = np.cumsum(count)[:-1], np.cumsum(count[::-1])[::-1][1:]
    mean_below = np.cumsum(total)[:-1] / below
    mean_above = np.cumsum(total[::-1])[::-1][1:] / above
    last_cold = int(np.argmax(below * above * (mean_above - mean_below) ** 2))
    if mean_above[last_cold] - mean_below[last_cold] < config.min_separation_c:
        return np.zeros(known.shape, dtype=np.bool_)
    hotter: np.ndarray = step > last_cold
    return hotter


METHOD = Otsu()
