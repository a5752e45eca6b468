"""Thermal contrast: how far each pixel's curve departs from that of sound material, and when most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError, DataError
from isotherm.sequences.kernels import COPY_BYTES, block_bytes
from isotherm.sequences.maps import MapStack, Wanted, required_times
from isotherm.sequences.sound import sound_curve
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tsr_peak import slab_curve

_FIRST_CLEAR = 2


@dataclass(frozen=True)
class ContrastConfig:
    """Settings of `Contrast`."""

    kind: Literal["absolute", "running", "normalised", "standard", "dac"] = setting(
        "absolute",
        "absolute: dT - dTs; running: (dT - dTs) / dTs; normalised: dT / dT(t') - dTs / dTs(t'); standard: dT / dTs; "
        "dac: each pixel is its own sound curve, from t' on",
    )
    sound: str | None = setting(
        None, "a box of sound material, x,y,width,height [px]; not given: the median of the part (not used by dac)"
    )
    reference_s: float | None = setting(
        None, "t', before the first defect shows (normalised, dac); not given: the third frame [s]", low=0
    )
    least_share: float = setting(
        0.02, "leave out frames where the sound curve is below this share of its highest value", low=0, high=1
    )
    thickness_mm: float | None = setting(None, "dac: of the part, for its back wall [mm]", low=1e-3, high=1e4)
    diffusivity_m2_s: float | None = setting(
        None, "dac: through the thickness, for its back wall [m2/s]", low=1e-9, high=1e-2
    )

    def __post_init__(self) -> None:
        validate(self)


class Contrast:
    """Contrasts of thermography [1]_, and differential absolute contrast [2]_; needs differences from the cold state.

    Differential absolute contrast takes no sound region: until the time t' every pixel cools like a half-space, so its
    own sound curve is T(t') sqrt(t' / t). With thickness and diffusivity it is T(t') S(t) / S(t') instead, S being the
    curve of an adiabatic slab, which is what the form by thermal quadrupoles [3]_ comes to after a flash.

    Three maps: the value of the largest departure from 0 (from 1: standard), the time of it, and the mean over the
    frames.

    References
    ----------
    .. [1] X. Maldague, Theory and Practice of Infrared Technology for Nondestructive Testing, Wiley 2001, ch. 5.
    .. [2] M. Pilla, M. Klein, X. Maldague, A. Salerno, New absolute contrast for pulsed thermography, QIRT 2002.
    .. [3] H. Benítez, C. Ibarra-Castanedo, A. Bendada, X. Maldague, H. Loaiza, E. Caicedo, Definition of a new thermal
       contrast and pulse correction for defect quantification in pulsed thermography, Infrared Phys. Technol. 51, 2008.
    """

    name = "contrast"
    config_type = ContrastConfig
    wants: Wanted = "cooling"

    @np.errstate(invalid="ignore", divide="ignore", over="ignore")
    def maps(self, sequence: ThermalSequence, config: ContrastConfig) -> MapStack:
        """Return the largest contrast, its time, and the mean; see `MapMethod.maps`.

        Raises
        ------
        DataError
            No sound pixel, t' outside of the frames, or dac without times that count from the flash.
        ConfigError
            Only one of thickness and diffusivity.
        """
        sound, used = _sound(sequence, config)
        times = sequence.times_s[used]
        reference = _reference(times, config)
        fading = _fading(sequence, times, reference, config) if config.kind == "dac" else None
        _, height, width = sequence.shape
        found = np.empty((3, height * width), np.float32)
        for pixels, curves in sequence.blocks(block_bytes(sequence, COPY_BYTES)):
            found[:, pixels] = _summary(_contrasts(curves[used], sound, reference, fading, config.kind), times, config)
        names = tuple(f"contrast_{config.kind}_{what}" for what in ("largest", "time", "mean"))
        unit = sequence.unit if config.kind in ("absolute", "dac") else "1"
        details = {"sound": sound, "time_s": times}
        return MapStack(found.reshape(3, height, width), names, (unit, "s", unit), self.name, details)


def _sound(sequence: ThermalSequence, config: ContrastConfig) -> tuple[Float64[np.ndarray, " t"], np.ndarray]:
    """Return the sound curve at the frames that are used, and which those are."""
    if config.kind == "dac":
        count = sequence.shape[0]
        return np.ones(count), np.arange(count)
    whole = sound_curve(sequence, config.sound)
    used = np.flatnonzero(whole > config.least_share * whole.max())
    if used.size < 2 or whole.max() <= 0:
        raise DataError(
            f"{sequence.name}: the sound material does not rise above the cold state; is the cold frame right?"
        )
    return whole[used], used


def _reference(times: Float64[np.ndarray, " t"], config: ContrastConfig) -> int:
    """Return the number of the frame at t'."""
    if config.reference_s is None:
        return min(_FIRST_CLEAR, times.size - 1)
    if not times[0] <= config.reference_s <= times[-1]:
        raise DataError(f"t' at {config.reference_s:g} s is outside of the frames, {times[0]:g} to {times[-1]:g} s")
    return int(np.abs(times - config.reference_s).argmin())


def _fading(
    sequence: ThermalSequence, times: Float64[np.ndarray, " t"], reference: int, config: ContrastConfig
) -> Float32[np.ndarray, " t"]:
    """Return how sound material fades from t' on, 1 at t'."""
    required_times(sequence, "differential absolute contrast")
    if times[0] <= 0:
        raise DataError(f"{sequence.name}: dac needs times that count from the flash (cooling)")
    if (config.thickness_mm is None) != (config.diffusivity_m2_s is None):
        raise ConfigError("the back wall needs both thickness_mm and diffusivity_m2_s")
    if config.thickness_mm is None or config.diffusivity_m2_s is None:
        return np.asarray(np.sqrt(times[reference] / times), np.float32)
    unit = (config.thickness_mm / 1000) ** 2 / (np.pi * config.diffusivity_m2_s)
    curve = slab_curve(times / unit)
    return np.asarray(curve / curve[reference], np.float32)


def _contrasts(
    curves: Float32[np.ndarray, "t P"],
    sound: Float64[np.ndarray, " t"],
    reference: int,
    fading: Float32[np.ndarray, " t"] | None,
    kind: str,
) -> Float32[np.ndarray, "t P"]:
    usual = sound.astype(np.float32)[:, None]
    if fading is not None:
        return np.asarray(curves - fading[:, None] * curves[reference])
    if kind == "normalised":
        return np.asarray(curves / curves[reference] - usual / usual[reference])
    if kind == "standard":
        return np.asarray(curves / usual)
    return np.asarray((curves - usual) / usual if kind == "running" else curves - usual)


def _summary(
    contrasts: Float32[np.ndarray, "t P"], times: Float64[np.ndarray, " t"], config: ContrastConfig
) -> Float32[np.ndarray, "3 P"]:
    departure = np.abs(contrasts - np.float32(1)) if config.kind == "standard" else np.abs(contrasts)
    largest = departure.argmax(axis=0)
    found = np.stack([contrasts[largest, np.arange(largest.size)], times[largest], contrasts.mean(axis=0)])
    found[:, ~np.isfinite(found[2])] = np.nan
    return found.astype(np.float32)


METHOD = Contrast()
