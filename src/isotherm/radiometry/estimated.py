"""Temperatures read back from the colours of a picture: an estimate with a large uncertainty, never a measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32

from isotherm.core.scene import ZERO_CELSIUS_K, Scene
from isotherm.core.thermogram import Counts, Temperatures

Law = Literal["temperature", "unknown"]
"""How temperature goes along a colour scale: in equal steps, or nobody knows."""

SIGNAL_B_K = 1430.0
"""Planck constant B of microbolometer cameras (7.5 to 14 um): FLIR files hold 1390 to 1510 K."""
LEAST_SIGNAL_K = 120.0
"""Below this the signal of such a camera is nothing, and a scale that begins lower is not in equal steps of it."""


@dataclass(frozen=True, eq=False)
class EstimatedCalibration:
    r"""Places along a colour scale, 0 at its low end and 1 at its high one, as temperatures.

    Where a scale has ticks at equal distances, temperature goes in equal steps along it. Where only its ends are known,
    it may instead go in equal steps of the camera's signal (:math:`1/(e^{B/T}-1)`), which is up to 2 K warmer in the
    middle of a span of 45 K: the value half-way between both is given, and their difference enters the uncertainty
    as a rectangular distribution.

    Parameters
    ----------
    low_k, high_k
        The printed ends of the scale [K].
    end_sigma_k
        Standard uncertainty of each end [K], such as that of its rounding.
    place_sigma
        (K) standard uncertainty of a place, at equal steps from 0 to 1, as a share of the scale: noise of the colours
        over how fast they change along the palette, the ends of the bar, colours that the camera may have equalised.
    law
        See `Law`.
    ends
        Who read the ends: "typed" or "read by OCR".
    """

    low_k: float
    high_k: float
    end_sigma_k: float
    place_sigma: Float[np.ndarray, " K"]
    law: Law = "unknown"
    ends: str = "typed"

    @property
    def kind(self) -> str:
        """Always ``estimated``."""
        return "estimated"

    @property
    def supports(self) -> frozenset[str]:
        """No parameter of the scene: the camera used its own when it coloured the picture."""
        return frozenset()

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:  # noqa: ARG002 (the protocol's signature)
        """Return float32 kelvin (H W); NaN where a pixel has no place on the scale."""
        linear, signal = self._laws(counts.astype(np.float64))
        result: Temperatures = ((linear + signal) / 2).astype(np.float32)
        return result

    def sigma_k(self, counts: Counts) -> Temperatures:
        """Return the standard uncertainty [K] of each pixel as float32 (H W); NaN where it has no temperature.

        It holds what `place_sigma` holds, the ends of the scale, and the law between them. It does not hold what the
        picture cannot show: wrong emissivity, a value beyond the ends.
        """
        places = counts.astype(np.float64)
        linear, signal = self._laws(places)
        step = 1 / 512
        after, before = (np.add(*self._laws(np.clip(places + way, 0, 1))) / 2 for way in (step, -step))
        slope = (after - before) / (np.clip(places + step, 0, 1) - np.clip(places - step, 0, 1))
        known = np.linspace(0, 1, self.place_sigma.size)
        from_place = slope * np.interp(places, known, self.place_sigma)
        from_ends = self.end_sigma_k * np.hypot(places, 1 - places)
        from_law = (signal - linear) / (2 * math.sqrt(3))
        result: Temperatures = np.sqrt(from_place**2 + from_ends**2 + from_law**2).astype(np.float32)
        return result

    @property
    def typical_sigma_k(self) -> float:
        """The median of the standard uncertainty over the whole scale [K]."""
        places: Float32[np.ndarray, "1 K"] = np.linspace(0, 1, 101, dtype=np.float32)[None]
        return float(np.median(self.sigma_k(places)))

    def _laws(self, places: Float[np.ndarray, "H W"]) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
        """Return the temperature [K] by equal steps of temperature and of signal; both the same where it is known."""
        linear = self.low_k + places * (self.high_k - self.low_k)
        if self.law == "temperature" or self.low_k < LEAST_SIGNAL_K:
            return linear, linear
        low, high = (1 / math.expm1(SIGNAL_B_K / end) for end in (self.low_k, self.high_k))
        return linear, SIGNAL_B_K / np.log1p(1 / (low + places * (high - low)))

    def describe(self) -> dict[str, Any]:
        """Return the constants, ready for JSON."""
        return {
            "kind": self.kind,
            "low_c": self.low_k - ZERO_CELSIUS_K,
            "high_c": self.high_k - ZERO_CELSIUS_K,
            "ends": self.ends,
            "law": self.law,
            "sigma_k": self.typical_sigma_k,
        }
