"""Pulsed phase thermography: amplitude and phase of each pixel's curve at a few frequencies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Float64

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.sequences.kernels import projected
from isotherm.sequences.maps import MapStack, Wanted
from isotherm.sequences.stack import ThermalSequence

BLIND_DEPTH = 1.82
"""C1 of the depth at the blind frequency of the phase; 1.5 to 2 in the literature."""


@dataclass(frozen=True)
class PptConfig:
    """Settings of `Ppt`."""

    bins: int = setting(4, "number of frequencies: 1, 2, 3 ... whole periods in the recording", low=1, high=4096)
    first_hz: float | None = setting(None, "lowest frequency; not given: one period in the recording [Hz]", low=0)
    amplitude: bool = setting(True, "give the amplitudes too, not the phases alone")

    def __post_init__(self) -> None:
        validate(self)


class Ppt:
    """Pulsed phase thermography [1]_: F_n = sum over k of w_k T(t_k) exp(-2 pi i f_n (t_k - t_0)).

    The weights w are the time that each frame stands for, so that frames need not be evenly spaced; where they are, F
    is the discrete Fourier transform times the time step. What is constant in a pixel does not count. Amplitudes are
    in the sequence's unit times seconds, phases in rad from -pi to pi. Phases hardly depend on uneven heating and
    emissivity; the lower the frequency, the deeper it reaches (`blind_depth_m`).

    References
    ----------
    .. [1] X. Maldague, S. Marinetti, Pulse phase infrared thermography, J. Appl. Phys. 79, 1996.
    """

    name = "ppt"
    config_type = PptConfig
    wants: Wanted = "cooling"

    def maps(self, sequence: ThermalSequence, config: PptConfig) -> MapStack:
        """Return the amplitudes and phases; see `MapMethod.maps`.

        Raises
        ------
        DataError
            The frames are too few for the highest frequency.
        """
        weights = time_weights(sequence.times_s)
        frequencies = _frequencies(sequence, weights, config)
        rows = fourier_rows(sequence.times_s, frequencies, weights)
        values = _polar(projected(sequence, rows))
        names = [f"ppt_{what}_{number + 1}" for what in ("amplitude", "phase") for number in range(config.bins)]
        units = [f"{sequence.unit} s"] * config.bins + ["rad"] * config.bins
        if not config.amplitude:
            values, names, units = values[config.bins :], names[config.bins :], units[config.bins :]
        notes = () if sequence.timed else ("times are not known: frequencies are periods a frame",)
        return MapStack(values, tuple(names), tuple(units), self.name, {"frequency_hz": frequencies}, notes)


def _polar(parts: Float32[np.ndarray, "K H W"]) -> Float32[np.ndarray, "K H W"]:
    """Turn real, then imaginary parts into amplitudes, then phases, in the same memory."""
    real, imaginary = np.split(parts, 2)
    phases = np.arctan2(imaginary, real)
    np.square(real, out=real)
    np.square(imaginary, out=imaginary)
    real += imaginary
    np.sqrt(real, out=real)
    imaginary[:] = phases
    return parts


def time_weights(times_s: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, " T"]:
    """Return the time that each frame stands for [s]: half of the gaps on both sides, a whole one at the ends."""
    gaps = np.diff(times_s)
    return np.asarray((np.concatenate([gaps[:1], gaps]) + np.concatenate([gaps, gaps[-1:]])) / 2)


def fourier_rows(
    times_s: Float64[np.ndarray, " T"], frequencies_hz: Float64[np.ndarray, " F"], weights: Float64[np.ndarray, " T"]
) -> Float64[np.ndarray, "K T"]:
    """Return the weights of the frames for the real parts, then the imaginary parts, each row with the sum 0."""
    angles = 2 * np.pi * frequencies_hz[:, None] * (times_s - times_s[0])
    rows = np.concatenate([np.cos(angles), -np.sin(angles)]) * weights
    return np.asarray(rows - rows.sum(axis=1, keepdims=True) * (weights / weights.sum()))


def blind_depth_m(
    frequency_hz: Float[np.ndarray, "*any"] | float, diffusivity_m2_s: float, c1: float = BLIND_DEPTH
) -> Float[np.ndarray, "*any"] | float:
    """Return the depth of a defect whose phase contrast vanishes at this frequency and above [m].

    z = C1 sqrt(alpha / (pi f_b)), with C1 about 1.82 [1]_.

    References
    ----------
    .. [1] C. Ibarra-Castanedo, X. Maldague, Pulsed phase thermography reviewed, QIRT Journal 1(1), 2004.
    """
    return c1 * np.sqrt(diffusivity_m2_s / (np.pi * frequency_hz))


def _frequencies(
    sequence: ThermalSequence, weights: Float64[np.ndarray, " T"], config: PptConfig
) -> Float64[np.ndarray, " F"]:
    lowest = 1 / float(weights.sum())
    first = config.first_hz or lowest
    found = first + lowest * np.arange(config.bins)
    # Half of the frames' rate, by their usual distance.
    highest = 0.5 / float(np.median(weights))
    if found[-1] > highest * (1 + 1e-9):
        raise DataError(
            f"{sequence.name}: {config.bins} frequencies up to {found[-1]:g} Hz; "
            f"its {sequence.shape[0]} frames resolve up to {highest:g} Hz"
        )
    return found


def phase_difference(
    phase: Float32[np.ndarray, "*any"], sound: Float32[np.ndarray, "*any"] | float
) -> Float32[np.ndarray, "*any"]:
    """Return a difference of phases, from -pi to pi."""
    return np.asarray((phase - sound + np.pi) % (2 * np.pi) - np.pi, np.float32)


METHOD = Ppt()
