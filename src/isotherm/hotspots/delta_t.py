"""Everything that is a given difference above a reference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.scene import ZERO_CELSIUS_K
from isotherm.core.thermogram import Thermogram
from isotherm.hotspots.method import Mask, Values
from isotherm.measurement.reference import box_maximum, finite_median, parse_box


@dataclass(frozen=True)
class DeltaTConfig:
    """Settings of `DeltaT`.

    The default of 10 °C is a usual place to start from in practice, no standard's number.
    """

    min_delta_t_c: float = setting(
        10.0, "pixels this far above the reference are hot [°C, or grey levels of a plain picture]", low=0
    )
    over: Literal["median", "ambient", "region"] = setting(
        "median", "what it is over: median of the picture, ambient air, or the hottest pixel of a region"
    )
    ambient_c: float | None = setting(None, "temperature of the ambient air [°C]; the file's, where not given")
    over_box: str | None = setting(None, "the region to compare with, as x,y,width,height [px]")

    def __post_init__(self) -> None:
        validate(self)
        if (self.over == "region") != (self.over_box is not None):
            raise ConfigError(
                "delta_t: over 'region' and over_box (x,y,width,height) go together; give both or neither"
            )
        if self.over_box is not None:
            parse_box(self.over_box)

    def for_picture(self, thermogram: Thermogram) -> DeltaTConfig:
        """Take the air temperature from the picture's scene where none is given; see `PictureConfig`."""
        if self.over != "ambient":
            return self
        if not thermogram.radiometric:
            raise DataError("delta_t over ambient needs temperatures; this picture holds only colours or grey levels")
        if self.ambient_c is not None:
            return self
        return replace(self, ambient_c=thermogram.scene.atmosphere_k.value - ZERO_CELSIUS_K)


class DeltaT:
    """Pixels at or above a reference plus a difference."""

    name = "delta_t"
    config_type = DeltaTConfig

    def find(self, values: Values, config: DeltaTConfig) -> Mask:
        """Return the pixels at least ``min_delta_t_c`` above the reference; see `HotspotMethod.find`.

        Raises
        ------
        ConfigError
            The reference is the ambient air and its temperature is not given.
        DataError
            The reference region lies outside the picture.
        """
        reference = _reference(values, config)
        if reference is None:
            return np.zeros(values.shape, dtype=np.bool_)
        # Strictly above the reference itself, so that a flat picture has nothing hot even at a difference of 0.
        above = (values >= reference + config.min_delta_t_c) & (values > reference)
        hot: Mask = above & np.isfinite(values)
        return hot


def _reference(values: Values, config: DeltaTConfig) -> float | None:
    if config.over == "median":
        return finite_median(values)
    if config.over_box is not None:
        return box_maximum(values, parse_box(config.over_box))
    if config.ambient_c is None:
        raise ConfigError("delta_t: over 'ambient' needs ambient_c, the temperature of the air [°C]")
    return config.ambient_c


METHOD = DeltaT()
