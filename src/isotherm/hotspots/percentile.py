"""The hottest few percent of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values


@dataclass(frozen=True)
class PercentileConfig:
    """Settings of `Percentile`."""

    percentile: float = setting(99.0, "pixels above this percentile of the picture are hot [%]", low=0, high=100)

    def __post_init__(self) -> None:
        validate(self)


class Percentile:
    """Pixels above a percentile of the picture's own values.

    Something is always hot, unless the picture is flat: a rule to look with, not to judge with. Where so many pixels
    share the highest value (a saturated picture) that the percentile is that value, these are the hot ones.
    """

    name = "percentile"
    config_type = PercentileConfig

    def find(self, values: Values, config: PercentileConfig) -> Mask:
        """Return the pixels above the percentile; see `HotspotMethod.find`."""
        finite = np.isfinite(values)
        known = values[finite]
        if not known.size or known.min() == known.max():
            return np.zeros(values.shape, dtype=np.bool_)
        threshold = np.percentile(known, config.percentile, method="lower")
        hot: Mask = finite & (values >= threshold if threshold == known.max() else values > threshold)
        return hot


METHOD = Percentile()
