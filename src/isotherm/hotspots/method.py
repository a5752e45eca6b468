"""The seam of hotspot methods: temperatures in, mask out."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from isotherm.core.regions import Mask, Values
from isotherm.core.thermogram import Thermogram

__all__ = ["HotspotMethod", "Mask", "PictureConfig", "Values"]


@runtime_checkable
class HotspotMethod(Protocol):
    """One rule that says which pixels are hot. Measuring, delta-T and severity are shared code, not the method's."""

    name: str
    config_type: type
    """A frozen dataclass of `isotherm.core.config.setting` fields; the single source of the command's flags."""

    def find(self, values: Values, config: Any) -> Mask:
        """Return the mask of hot pixels.

        Parameters
        ----------
        values
            (H W) float32: °C, or grey levels of a picture without temperatures; NaN pixels are never hot.
        config
            An instance of ``config_type``.
        """
        ...


@runtime_checkable
class PictureConfig(Protocol):
    """A configuration that takes something from each picture (the air temperature ...), which `find` cannot see."""

    def for_picture(self, thermogram: Thermogram) -> Any:
        """Return the configuration for this picture; raises DataError where the rule cannot be applied to it."""
        ...
