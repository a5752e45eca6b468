"""Numbers that are temperatures already, or lie on a straight line with them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from isotherm.core.scene import ZERO_CELSIUS_K, Scene
from isotherm.core.thermogram import Counts, Temperatures

Unit = Literal["c", "f", "k"]
_BLOCK_PX = 1 << 20
TO_KELVIN: dict[str, tuple[float, float]] = {
    "c": (1.0, ZERO_CELSIUS_K),
    "f": (5 / 9, 459.67 * 5 / 9),
    "k": (1.0, 0.0),
}
"""Unit -> (slope, offset) of ``kelvin = slope * value + offset``."""


@dataclass(frozen=True)
class LinearCalibration:
    """``kelvin = scale_k * count + offset_k``; the scene changes nothing, it was used when the numbers were made.

    Parameters
    ----------
    scale_k, offset_k
        Kelvin of one count, and of count 0.
    kind
        "linear" for counts with a scale, "vendor" for numbers that were stored as temperatures.
    nodata
        A count that the file declares to mean "no temperature".
    """

    scale_k: float
    offset_k: float
    kind: Literal["linear", "vendor"] = "linear"
    nodata: float | None = None

    @property
    def supports(self) -> frozenset[str]:
        """No parameter of the scene."""
        return frozenset()

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:  # noqa: ARG002 (the protocol's signature)
        """Return float32 kelvin (H W); NaN where the result is not a finite number above 0 K."""
        kelvin = np.empty(counts.shape, np.float32)
        # In blocks of rows: the numbers in double precision need several times the memory of the result.
        rows = max(1, _BLOCK_PX // max(1, counts.shape[1]))
        for start in range(0, len(counts), rows):
            self._fill(kelvin[start : start + rows], counts[start : start + rows])
        return kelvin

    def _fill(self, kelvin: Temperatures, counts: Counts) -> None:
        # Damaged files hold numbers of any size: those become NaN below, without a warning each.
        with np.errstate(over="ignore", invalid="ignore"):
            kelvin[:] = counts.astype(np.float64) * self.scale_k + self.offset_k
            invalid = ~(np.isfinite(kelvin) & (kelvin > 0))
            if self.nodata is not None:
                invalid |= counts == self.nodata
        kelvin[invalid] = np.nan

    def describe(self) -> dict[str, Any]:
        """Return the constants, ready for JSON."""
        return asdict(self)


def linear(scale: float, offset: float, unit: Unit, *, nodata: float | None = None) -> LinearCalibration:
    """Return the calibration of counts whose temperature is ``count * scale + offset`` in `unit`."""
    slope, zero = TO_KELVIN[unit]
    return LinearCalibration(scale * slope, offset * slope + zero, nodata=nodata)


def stored_temperatures(unit: Unit, *, nodata: float | None = None) -> LinearCalibration:
    """Return the calibration of numbers that are temperatures in `unit`."""
    slope, zero = TO_KELVIN[unit]
    return LinearCalibration(slope, zero, kind="vendor", nodata=nodata)
