"""Isotherms: where a picture is above, below or between temperatures, near the dew point, or badly insulated.

Written ``>60``, ``<10``, ``20..30`` [°C], ``dewpoint``, ``humidity:80`` (relative humidity of the air at a surface
[%]), or ``insulation:0.7,21,-2`` (temperature factor, air inside, air outside [°C]); ``>60 in b1`` looks inside a
region only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isotherm.core.errors import ConfigError
from isotherm.core.regions import Mask, Values
from isotherm.core.scene import ZERO_CELSIUS_K, Scene, Source

_A, _B_C = 17.62, 243.12
LEAST_DIFFERENCE_K = 10.0
_N = r"[-+]?\d+(?:\.\d+)?"
_ABOVE = re.compile(rf"([<>])=?\s*({_N})")
_BETWEEN = re.compile(rf"({_N})\s*\.\.\s*({_N})")
_HUMIDITY = re.compile(rf"humidity:\s*({_N})")
_INSULATION = re.compile(rf"insulation:\s*({_N})\s*,\s*({_N})\s*,\s*({_N})")


@dataclass(frozen=True)
class Isotherm:
    """What is looked for: temperatures from ``low_c`` to ``high_c`` (both in it, infinite where open).

    ``surface_humidity`` (0..1) stands in place of them where the air decides: what is so cold that the air has at least
    this relative humidity at it. ``region`` is the label of the region to look in, empty for the whole picture.
    """

    text: str
    low_c: float = -math.inf
    high_c: float = math.inf
    surface_humidity: float | None = None
    region: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class IsothermArea:
    """Where an isotherm was found (H W), between which temperatures [°C], and what to know about it."""

    isotherm: Isotherm
    low_c: float
    high_c: float
    mask: Mask
    considered_px: int
    notes: tuple[str, ...] = ()

    @property
    def area_px(self) -> int:
        """How many pixels it has."""
        return int(self.mask.sum())

    @property
    def share(self) -> float:
        """Its part of the pixels that were looked at, 0..1."""
        return self.area_px / self.considered_px if self.considered_px else 0.0


def parse_isotherm(text: str, labels: Mapping[str, object] | None = None) -> Isotherm:
    """Read an isotherm; raises ConfigError for what is none, or for a region that is not among `labels`."""
    what, inside, region = (part.strip() for part in text.partition(" in "))
    if inside and region not in (labels or {}):
        raise ConfigError(
            f"the isotherm {text!r} looks in {region!r}; known regions: {', '.join(labels or {}) or 'none'}"
        )
    if match := _ABOVE.fullmatch(what):
        limit = float(match[2])
        return Isotherm(
            text, limit if match[1] == ">" else -math.inf, math.inf if match[1] == ">" else limit, region=region
        )
    if match := _BETWEEN.fullmatch(what):
        return _between(text, float(match[1]), float(match[2]), region)
    if what == "dewpoint":
        return Isotherm(text, surface_humidity=1.0, region=region)
    if match := _HUMIDITY.fullmatch(what):
        return _humid(text, float(match[1]), region)
    if match := _INSULATION.fullmatch(what):
        return _insulation(text, *(float(part) for part in match.groups()), region=region)
    raise ConfigError(
        f"an isotherm is written >60, <10, 20..30, dewpoint, humidity:80 or insulation:0.7,21,-2 "
        f"(factor, inside, outside); not {text!r}"
    )


def _between(text: str, low_c: float, high_c: float, region: str) -> Isotherm:
    if not low_c < high_c:
        raise ConfigError(f"the isotherm {text!r} must end above its start")
    return Isotherm(text, low_c, high_c, region=region)


def _humid(text: str, percent: float, region: str) -> Isotherm:
    if not 0 < percent <= 100:
        raise ConfigError(f"the isotherm {text!r} needs a relative humidity above 0 and up to 100 %")
    return Isotherm(text, surface_humidity=percent / 100, region=region)


def _insulation(text: str, factor: float, inside_c: float, outside_c: float, *, region: str) -> Isotherm:
    """Return where the temperature factor of the inner surface is below `factor`.

    ``f = (T_surface - T_outside) / (T_inside - T_outside)``, the temperature factor at the internal surface (f_Rsi) of
    building physics (EN ISO 13788); the formula is common knowledge of the field, the standard's text was not at hand.
    """
    if not 0 < factor < 1 or inside_c == outside_c:
        raise ConfigError(f"the isotherm {text!r} needs a factor between 0 and 1, and different air inside and outside")
    limit = outside_c + factor * (inside_c - outside_c)
    notes = ["temperature factor of the inner surface: valid for a steady state, seen from inside"]
    if abs(inside_c - outside_c) < LEAST_DIFFERENCE_K:
        notes.append(f"inside and outside differ by less than {LEAST_DIFFERENCE_K:g} K: the picture says little")
    warmer_inside = inside_c > outside_c
    return Isotherm(
        text,
        -math.inf if warmer_inside else limit,
        limit if warmer_inside else math.inf,
        region=region,
        notes=tuple(notes),
    )


def find_isotherm(isotherm: Isotherm, celsius: Values, scene: Scene, region: Mask | None = None) -> IsothermArea:
    """Return where an isotherm lies in a picture [°C], inside a region (H W) where one is given."""
    low, high, notes = isotherm.low_c, isotherm.high_c, isotherm.notes
    if isotherm.surface_humidity is not None:
        high, why = _humidity_limit(scene, isotherm.surface_humidity)
        notes = (*notes, *why)
    considered = np.isfinite(celsius) if region is None else np.isfinite(celsius) & region
    mask = considered & (celsius >= low) & (celsius <= high)
    return IsothermArea(isotherm, low, high, mask, int(considered.sum()), notes)


def _humidity_limit(scene: Scene, surface_humidity: float) -> tuple[float, tuple[str, ...]]:
    """Return the temperature [°C] of a surface at which the air has a relative humidity, and what to know about it."""
    air, humidity = scene.atmosphere_k, scene.humidity
    air_c = air.value - ZERO_CELSIUS_K
    limit = dew_point_c(air_c, min(humidity.value / surface_humidity, 1.0))
    notes = [f"air {air_c:.1f} °C ({air.source}), {humidity.value:.0%} ({humidity.source}): {limit:.1f} °C"]
    if {air.source, humidity.source} & {Source.ASSUMED, Source.CAMERA_DEFAULT}:
        notes.append("the air was not measured: give --atmosphere-c and --humidity-percent")
    return limit, tuple(notes)


def dew_point_c(air_c: float, humidity: float) -> float:
    """Return the dew point [°C] of air at `air_c` [°C] and relative `humidity` (0..1).

    Magnus formula over water, -45 to 60 °C, with the constants of WMO-No. 8, *Guide to Instruments and Methods of
    Observation*, annex 4.B: e = 6.112 exp(17.62 t / (243.12 + t)) hPa. The temperature at which the air has the
    humidity r at a surface is ``dew_point_c(air_c, humidity / r)``.
    """
    if humidity <= 0:
        return -math.inf
    exponent = math.log(humidity) + _A * air_c / (_B_C + air_c)
    return _B_C * exponent / (_A - exponent)
