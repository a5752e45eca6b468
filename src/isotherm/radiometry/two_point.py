"""Counts between two known temperatures: an estimate, because the camera's own curve between them is not known.

Some cameras store the counts of the sensor and, of all temperatures, the lowest and the highest only. The counts of a
thermal sensor rise evenly with the radiance that it receives, and emissivity, reflection, air, window, gain and
offset turn the radiance of the object into counts by a straight line. Two known points fix that line, so that none of
those needs to be known, only the band of wavelengths. Here it is one wavelength,
``W(T) = 1 / (exp(c2 / (10 µm T)) - 1)``. With the counts and extreme temperatures of FLIR cameras, whose curve is
known, this meets their temperatures within a tenth of the distance to even steps in T (see the tests).

Whether a camera stores such counts, or numbers that it made even in T before, nobody outside knows. The distance
between the two readings is therefore taken as the half width of a rectangular distribution, the usual choice where
nothing more is known (JCGM 100:2008, 4.3.7).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from isotherm.core.scene import Scene
from isotherm.core.thermogram import Counts, Temperatures

C2_UM_K = 14387.77
"""Second radiation constant [µm K] (CODATA)."""
_WAVELENGTH_UM = 10.0
_B_K = C2_UM_K / _WAVELENGTH_UM
_SAMPLES = 101


@dataclass(frozen=True)
class TwoPointCalibration:
    """Even steps of radiance at 10 µm between two counts whose temperatures are known.

    Parameters
    ----------
    low_count, high_count
        The counts at the two known temperatures; they differ.
    low_k, high_k
        The known temperatures [K], the lower one first.
    """

    low_count: float
    high_count: float
    low_k: float
    high_k: float

    @property
    def kind(self) -> str:
        """Always "estimated": never to be mixed with measured temperatures."""
        return "estimated"

    @property
    def supports(self) -> frozenset[str]:
        """No parameter of the scene: the two temperatures were made with the camera's own."""
        return frozenset()

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:  # noqa: ARG002 (the protocol's signature)
        """Return float32 kelvin (H W)."""
        return self._curve_k(self._position(counts)).astype(np.float32)

    def sigma_k(self, counts: Counts) -> Temperatures:
        """Return the standard uncertainty [K] of each pixel (H W), float32: that of the unknown curve."""
        bend: Temperatures = np.abs(self._bend_k(self._position(counts)))
        return (bend / math.sqrt(3)).astype(np.float32)

    @property
    def typical_sigma_k(self) -> float:
        """The root mean square of the standard uncertainty over the span [K]."""
        return float(np.sqrt(np.mean(self._bend_k(np.linspace(0, 1, _SAMPLES)) ** 2 / 3)))

    def describe(self) -> dict[str, Any]:
        """Return the two points and the typical standard uncertainty [K], ready for JSON."""
        return {"kind": self.kind, **asdict(self), "typical_sigma_k": self.typical_sigma_k}

    def _position(self, counts: Counts) -> Float[np.ndarray, "H W"]:
        position: Float[np.ndarray, "H W"] = (counts - np.float64(self.low_count)) / (self.high_count - self.low_count)
        return position

    def _curve_k(self, position: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return the temperature [K] at a part of the way from the low to the high radiance."""
        low, high = (1 / math.expm1(_B_K / kelvin) for kelvin in (self.low_k, self.high_k))
        radiance = np.maximum(low + position * (high - low), np.finfo(np.float64).tiny)
        kelvin: Float[np.ndarray, "*shape"] = _B_K / np.log1p(1 / radiance)
        return kelvin

    def _bend_k(self, position: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return by how much the curve lies above even steps of temperature [K]."""
        return self._curve_k(position) - (self.low_k + position * (self.high_k - self.low_k))
