"""Everything from a given temperature up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.hotspots.method import Mask, Values


@dataclass(frozen=True)
class AbsoluteConfig:
    """Settings of `Absolute`.

    The default is what conductors with the common PVC insulation may reach in continuous operation: a place to start
    from, not a verdict on other equipment.
    """

    threshold_c: float = setting(70.0, "pixels from here up are hot [°C, or grey level of a plain picture]")

    def __post_init__(self) -> None:
        validate(self)


class Absolute:
    """Pixels at or above one fixed temperature, the same in every picture."""

    name = "absolute"
    config_type = AbsoluteConfig

    def find(self, values: Values, config: AbsoluteConfig) -> Mask:
        """Return the pixels at or above the threshold; see `HotspotMethod.find`."""
        hot: Mask = (values >= config.threshold_c) & np.isfinite(values)
        return hot


METHOD = Absolute()
