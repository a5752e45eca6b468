"""How much infrared the air between object and camera lets through.

Formula and constants' names as FLIR publishes them in its GigE Vision sample code: one path of the object distance.
Many open programs put an imaginary window half-way (two paths of half the distance); that reads up to 0.66 K too high
at 20 m and is offered only to reproduce results made with it (`half_path_transmission`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from isotherm.core.scene import ZERO_CELSIUS_K, Scene

_COLDEST_C, _HOTTEST_C = -30.0, 90.0
_MAX_ROOT_WATER = 6.2365
_LEAST, _MOST = 0.4, 1.0


@dataclass(frozen=True)
class Atmosphere:
    """The constants of the transmission model, which differ from camera to camera.

    ``alpha1``, ``alpha2`` [m^-1/2] act without water, ``beta1``, ``beta2`` with it; ``x`` weighs the two bands.
    """

    alpha1: float
    alpha2: float
    beta1: float
    beta2: float
    x: float

    def transmission(self, scene: Scene) -> float:
        """Return tau(d) of one path, 0.4 to 1.

        FLIR's own guards are kept: the air temperature counts as -30..90 °C, the root of the water content as at most
        6.2365, and the result as 0.4..1.
        """
        air_c = min(max(scene.atmosphere_k.value - ZERO_CELSIUS_K, _COLDEST_C), _HOTTEST_C)
        root_water = min(math.sqrt(water_content(air_c, scene.humidity.value)), _MAX_ROOT_WATER)
        tau = self._tau(scene.distance_m.value, root_water)
        return min(max(tau, _LEAST), _MOST)

    def half_path_transmission(self, scene: Scene) -> float:
        """Return tau(d/2), unguarded, as the R package Thermimage and its copies use it, twice."""
        air_c = scene.atmosphere_k.value - ZERO_CELSIUS_K
        return self._tau(scene.distance_m.value / 2, math.sqrt(water_content(air_c, scene.humidity.value)))

    def _tau(self, distance_m: float, root_water: float) -> float:
        root_distance = math.sqrt(distance_m)
        first = _decay(root_distance * (self.alpha1 + self.beta1 * root_water))
        second = _decay(root_distance * (self.alpha2 + self.beta2 * root_water))
        return self.x * first + (1 - self.x) * second


def _decay(depth: float) -> float:
    # A damaged file may hold constants that would overflow exp.
    return math.exp(-min(max(depth, -300.0), 300.0))


def water_content(air_c: float, humidity: float) -> float:
    """Return the water in the air [g/m^3] at `air_c` [°C] and relative `humidity` (0..1)."""
    return humidity * math.exp(1.5587 + 0.06939 * air_c - 2.7816e-4 * air_c**2 + 6.8455e-7 * air_c**3)
