"""FLIR's measurement formula: counts to the temperature of the object, and back.

::

    W(T)  = R1 / (R2 (exp(B/T) - F)) - O                         counts of a blackbody at T [K]
    S     = eps tau tau_w W(T_obj) + (1-eps) tau tau_w W(T_refl)
            + (1-tau) tau_w W(T_atm) + (1-tau_w) W(T_w)          counts that the camera records
    T_obj = B / ln(R1 / (R2 (W_obj + O)) + F)

eps emissivity, tau transmission of the air (`isotherm.radiometry.atmosphere`), tau_w of a window before the camera.
Source: FLIR, *The measurement formula* (user's manuals) and the GigE Vision sample code. Every constant is the file's.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.errors import FormatError
from isotherm.core.scene import Scene
from isotherm.core.thermogram import Counts, Temperatures
from isotherm.radiometry.atmosphere import Atmosphere

Formula = Literal["single-path", "thermimage"]
_LEAST_LOG_ARGUMENT = 1.0002
_SUPPORTS = frozenset(
    {"emissivity", "reflected_k", "atmosphere_k", "humidity", "distance_m", "window_transmission", "window_k"}
)


# Rows are looked up together up to this many pixels: NumPy makes 8-byte indices of them, which should stay in the cache
# and below what the allocator gives back to the system after each picture.
_PIXELS_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class Path:
    """What lies between the object and the counts: ``counts = (W_obj + offset) / gain``."""

    gain: float
    offset: float


@dataclass(frozen=True)
class PlanckCalibration:
    """The constants of one camera in one range.

    Parameters
    ----------
    r1, r2, b, f, o
        Planck constants; b in kelvin, o in counts.
    atmosphere
        Constants of the air's transmission.
    raw_min, raw_max
        Counts between which the camera is calibrated; None where the file does not say.
    formula
        "single-path" as the cameras compute, or "thermimage" to reproduce programs that copied its half paths.
    """

    r1: float
    r2: float
    b: float
    f: float
    o: float
    atmosphere: Atmosphere
    raw_min: int | None = None
    raw_max: int | None = None
    formula: Formula = "single-path"

    def __post_init__(self) -> None:
        constants = (self.r1, self.r2, self.b, self.f, self.o, *asdict(self.atmosphere).values())
        if not all(math.isfinite(constant) for constant in constants):
            raise FormatError(f"a calibration constant is no finite number: {constants}")
        if min(self.r1, self.r2, self.b, self.f) <= 0:
            raise FormatError(f"R1 {self.r1:g}, R2 {self.r2:g}, B {self.b:g}, F {self.f:g}: all must be above 0")

    @property
    def kind(self) -> str:
        """The name shown to users."""
        return "planck"

    @property
    def supports(self) -> frozenset[str]:
        """Every parameter of the scene."""
        return _SUPPORTS

    def kelvin(self, counts: Counts, scene: Scene) -> Temperatures:
        """Return float32 kelvin (H W), NaN where a count is too low to have a temperature.

        Whole-number counts go through a table of all counts that occur, which is exact.
        """
        if counts.dtype.kind not in "iu":
            return self._kelvin(counts.astype(np.float64), scene)
        low, high = int(counts.min()), int(counts.max())
        if high - low >= counts.size:
            return self._kelvin(counts.astype(np.float64), scene)
        return _looked_up(self._kelvin(np.arange(low, high + 1, dtype=np.float64), scene), counts, low)

    def _kelvin(self, counts: Float64[np.ndarray, "*points"], scene: Scene) -> Float32[np.ndarray, "*points"]:
        path = self.path(scene)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            radiation = path.gain * counts - path.offset + self.o
            argument = self.r1 / (self.r2 * radiation) + self.f
            kelvin = self.b / np.log(argument)
            kelvin[~((radiation > 0) & (argument >= _LEAST_LOG_ARGUMENT))] = np.nan
            return kelvin.astype(np.float32)

    def counts(self, kelvin: Float64[np.ndarray, "*points"], scene: Scene) -> Float64[np.ndarray, "*points"]:
        """Return the counts that the camera would record of an object at `kelvin`: the inverse of `kelvin`."""
        path = self.path(scene)
        radiation = self.r1 / (self.r2 * (np.exp(self.b / kelvin) - self.f)) - self.o
        return (radiation + path.offset) / path.gain

    def blackbody(self, kelvin: float) -> float:
        """Return W(T) [counts]."""
        if kelvin <= 0 or self.b / kelvin > 700:
            # exp would overflow: there is no radiation to speak of.
            return -self.o
        occupancy = math.exp(self.b / kelvin) - self.f
        return self.r1 / (self.r2 * occupancy) - self.o if occupancy > 0 else math.inf

    def path(self, scene: Scene) -> Path:
        """Return gain and offset of the scene under this calibration's formula."""
        return self._single_path(scene) if self.formula == "single-path" else self._half_paths(scene)

    def _single_path(self, scene: Scene) -> Path:
        eps, tau_w = scene.emissivity.value, scene.window_transmission.value
        tau = self.atmosphere.transmission(scene)
        reflected = (1 - eps) / eps * self.blackbody(scene.reflected_k.value)
        air = (1 - tau) / (eps * tau) * self.blackbody(scene.atmosphere_k.value)
        window = (1 - tau_w) / (eps * tau * tau_w) * self.blackbody(scene.window_k.value)
        return Path(1 / (eps * tau * tau_w), reflected + air + window)

    def _half_paths(self, scene: Scene) -> Path:
        """Return what ``raw2temp`` of the R package Thermimage computes: air, window, air."""
        eps, tau_w = scene.emissivity.value, scene.window_transmission.value
        tau = max(self.atmosphere.half_path_transmission(scene), 1e-6)
        air_counts = self.blackbody(scene.atmosphere_k.value)
        reflected = (1 - eps) / eps * self.blackbody(scene.reflected_k.value)
        near = (1 - tau) / (eps * tau) * air_counts
        window = (1 - tau_w) / (eps * tau * tau_w) * self.blackbody(scene.window_k.value)
        far = (1 - tau) / (eps * tau * tau_w * tau) * air_counts
        return Path(1 / (eps * tau * tau_w * tau), reflected + near + window + far)

    def describe(self) -> dict[str, Any]:
        """Return the constants, ready for JSON."""
        return {"kind": self.kind, **asdict(self)}


def _looked_up(table: Float32[np.ndarray, " K"], counts: Counts, low: int) -> Temperatures:
    """Return ``table[counts - low]`` (H W)."""
    height, width = counts.shape
    found = np.empty((height, width), np.float32)
    rows = max(1, _PIXELS_AT_ONCE // width)
    for start in range(0, height, rows):
        part = slice(start, start + rows)
        np.take(table, counts[part] - counts.dtype.type(low), out=found[part], mode="clip")
    return found
