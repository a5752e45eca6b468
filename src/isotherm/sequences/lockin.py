"""Lock-in thermography: amplitude and phase at the frequency of the heating."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.sequences.kernels import projected
from isotherm.sequences.maps import MapStack, Wanted, required_times
from isotherm.sequences.stack import ThermalSequence

_UNLIKE = 0.4
"""Share of `unlike_a_period_later` above which heating does not look periodic."""


@dataclass(frozen=True)
class LockinConfig:
    """Settings of `Lockin`."""

    frequency_hz: float | None = setting(
        None, "of the heating [Hz]; not given: the strongest in the mean of the frames", low=1e-6, high=1e5
    )
    harmonics: int = setting(1, "give so many: 1 is the frequency itself, 2 also twice that ...", low=1, high=16)
    drift: int = setting(
        1, "order of the slow change that is fitted beside: 0 constant, 1 line, 2 parabola", low=0, high=4
    )
    whole_periods: bool = setting(True, "leave out frames after the last whole period")

    def __post_init__(self) -> None:
        validate(self)


class Lockin:
    """Lock-in thermography [1]_: each curve is fitted by A cos(w t + phi) and a slow drift, by least squares.

    Over whole periods with evenly spaced frames and no drift this is S = 2/T sum of T(t) exp(-i w t), A = abs(S) and
    phi = arg(S); the fit is also right for uneven times and in a slow warming. Time counts from the first frame of the
    sequence, so that a phase is the lag behind the heating where the recording begins with it. All sines and the drift
    are one pseudo-inverse, and so one product with the frames.

    References
    ----------
    .. [1] O. Breitenstein, W. Warta, M. Langenkamp, Lock-in Thermography, 2nd ed., Springer 2010, ch. 2.
    """

    name = "lockin"
    config_type = LockinConfig
    wants: Wanted = "whole"

    def maps(self, sequence: ThermalSequence, config: LockinConfig) -> MapStack:
        """Return amplitude and phase; see `MapMethod.maps`.

        Raises
        ------
        DataError
            The times are not known, no frequency stands out, or the frames do not hold a period of it.
        """
        required_times(sequence, self.name)
        frequency = config.frequency_hz or strongest_hz(sequence)
        times = sequence.times_s - sequence.times_s[0]
        used = _used(sequence, frequency, config)
        frequencies = frequency * np.arange(1, config.harmonics + 1)
        rows = np.zeros((2 * config.harmonics, times.size))
        rows[:, used] = fitting_rows(times[used], frequencies, config.drift)
        parts = projected(sequence, rows)
        cosines, sines = parts[: config.harmonics], parts[config.harmonics :]
        values = np.concatenate([np.hypot(cosines, sines), np.arctan2(-sines, cosines)])
        ends = [""] + [f"_{number}" for number in range(2, config.harmonics + 1)]
        names = [f"lockin_{what}{end}" for what in ("amplitude", "phase") for end in ends]
        units = [sequence.unit] * config.harmonics + ["rad"] * config.harmonics
        found = () if config.frequency_hz else (f"frequency of the heating taken from the frames: {frequency:.6g} Hz",)
        notes = (*found, *_doubts(sequence, frequency, config))
        return MapStack(values, tuple(names), tuple(units), self.name, {"frequency_hz": frequencies}, notes)


def fitting_rows(
    times_s: Float64[np.ndarray, " T"], frequencies_hz: Float64[np.ndarray, " F"], drift: int
) -> Float64[np.ndarray, "K T"]:
    """Return the weights of the frames that fit a cosine and a sine at each frequency, with a polynomial beside.

    Raises
    ------
    DataError
        The frames do not tell them apart: too few, or at the same phases of the heating.
    """
    angles = 2 * np.pi * frequencies_hz[:, None] * times_s
    span = 2 * (times_s - times_s.min()) / np.ptp(times_s) - 1
    model = np.concatenate([np.cos(angles), np.sin(angles), np.polynomial.legendre.legvander(span, drift).T])
    spreads = np.linalg.svd(model, compute_uv=False)
    if model.shape[0] > times_s.size or spreads[-1] < 1e-6 * spreads[0]:
        raise DataError(
            f"{times_s.size} frames cannot tell {frequencies_hz.size} frequencies from {frequencies_hz[0]:g} Hz and a "
            f"drift of order {drift} apart; record faster, or take fewer harmonics"
        )
    return np.linalg.pinv(model).T[: 2 * frequencies_hz.size]


def strongest_hz(sequence: ThermalSequence) -> float:
    """Return the frequency that is strongest in the mean of the frames.

    Sought first in steps of half a period in the recording, then by ever finer ones.

    Raises
    ------
    DataError
        The mean of the frames does not swing.
    """
    mean = sequence.survey.mean
    valid = np.isfinite(mean)
    times, mean = sequence.times_s[valid] - sequence.times_s[valid][0], mean[valid]
    if times.size < 8:
        raise DataError(f"{sequence.name}: {times.size} frames are too few to find the frequency of the heating")
    rest = mean - np.polynomial.Polynomial.fit(times, mean, 1)(times)
    step = 0.5 / float(np.ptp(times))
    grid = np.arange(2, times.size) * step
    if not np.square(rest).sum() > 1e-10 * np.square(mean - mean.mean()).sum():
        raise DataError(f"{sequence.name}: the mean of the frames does not swing; give the frequency of the heating")
    best = _peak(times, rest, grid)
    for _ in range(4):
        step /= 8
        best = _peak(times, rest, best + step * np.arange(-10, 11))
    return best


def _doubts(sequence: ThermalSequence, frequency_hz: float, config: LockinConfig) -> tuple[str, ...]:
    """Return a note where the mean of the frames does not look as if the heating had come again and again."""
    valid = np.isfinite(sequence.survey.mean)
    share = unlike_a_period_later(sequence.times_s[valid], sequence.survey.mean[valid], frequency_hz)
    instead = "if the heat came once, as a flash, take ppt, pct or tsr; else give the frequency of the heating"
    if share is None and config.frequency_hz is None:
        return (f"fewer than two periods of {frequency_hz:.6g} Hz are in the recording, so nothing repeats: {instead}",)
    if share is not None and share > _UNLIKE:
        return (f"the mean of the frames does not repeat at {frequency_hz:.6g} Hz: {instead}",)
    return ()


def unlike_a_period_later(
    times_s: Float64[np.ndarray, " T"], mean: Float64[np.ndarray, " T"], frequency_hz: float
) -> float | None:
    """Return how much a curve differs from itself one period later, against two curves that are not related.

    0 for what repeats, 1 for noise and for a single pulse. A slow change (a parabola) does not count. None where there
    are fewer than two periods, or fewer than four frames in one, to tell by.
    """
    period_s, gap_s = 1 / frequency_hz, float(np.median(np.diff(times_s)))
    before = times_s <= times_s[-1] + 0.5 * gap_s - period_s
    if np.ptp(times_s) + gap_s < 2 * period_s or period_s < 4 * gap_s:
        return None
    times, later = times_s[before], np.interp(times_s[before] + period_s, times_s, mean)
    change = _without_parabola(times, later - mean[before])
    usual = np.var(_without_parabola(times, mean[before])) + np.var(_without_parabola(times, later))
    return float(np.var(change) / usual) if usual > 1e-12 * np.var(mean) else 0.0


def _without_parabola(times_s: Float64[np.ndarray, " T"], values: Float64[np.ndarray, " T"]) -> np.ndarray:
    return np.asarray(values - np.polynomial.Polynomial.fit(times_s, values, 2)(times_s))


def _peak(times: Float64[np.ndarray, " T"], rest: Float64[np.ndarray, " T"], grid: Float64[np.ndarray, " F"]) -> float:
    """Return the frequency of a grid with the largest Fourier sum."""
    grid = grid[grid > 0]
    sums = np.array([np.abs(np.exp(-2j * np.pi * each * times) @ rest) for each in grid])
    return float(grid[sums.argmax()])


def four_bucket(buckets: Float[np.ndarray, "4 H W"]) -> tuple[Float[np.ndarray, "H W"], Float[np.ndarray, "H W"]]:
    """Return amplitude and phase [rad] of frames at 0, 90, 180 and 270 degrees of the heating.

    phi = atan((S1 - S3) / (S2 - S4)) of a sine, as usual with this method: T = A sin(w t + phi).
    """
    first, second = buckets[0] - buckets[2], buckets[1] - buckets[3]
    return np.hypot(first, second) / 2, np.arctan2(first, second)


def _used(sequence: ThermalSequence, frequency_hz: float, config: LockinConfig) -> Bool[np.ndarray, " T"]:
    """Return which frames count: those inside of whole periods."""
    times = sequence.times_s - sequence.times_s[0]
    gap = float(np.median(np.diff(times)))
    periods = np.floor((times[-1] + gap) * frequency_hz + 1e-6)
    if periods < 1:
        raise DataError(
            f"{sequence.name}: its {times[-1] + gap:g} s hold no whole period of {frequency_hz:g} Hz; "
            "one is needed at least"
        )
    if not config.whole_periods:
        return np.ones(times.size, bool)
    return np.asarray(times < periods / frequency_hz - 1e-3 * gap)


def phase_lag_depth_m(
    phase: Float32[np.ndarray, "*any"], frequency_hz: float, diffusivity_m2_s: float
) -> Float32[np.ndarray, "*any"]:
    """Return the thermal diffusion length times a lag of phase [rad]: how deep a thermal wave has run [m].

    mu = sqrt(alpha / (pi f)); z = phi mu, of a wave that runs one way.
    """
    return np.asarray(phase * np.sqrt(diffusivity_m2_s / (np.pi * frequency_hz)), np.float32)


METHOD = Lockin()
