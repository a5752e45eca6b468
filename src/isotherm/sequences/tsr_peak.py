"""When the second derivative of a fitted curve has its first prominent peak, and the depth that it tells."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.sequences.tsr_fit import LogCurves, log_basis

_PLACES = 200
_FIRST, _LAST = -0.76, 0.94
"""Where a peak counts, of the fitted span of log time from -1 to 1: at its ends polynomials swing."""
_PROMINENT = 0.6
_STEEPEST = -0.47
"""At the peak of a slab the slope is -0.25, at a wiggle of the polynomial before it about -0.5."""
LEAST_BEND = 0.1
"""Peaks below this are noise: a back wall without losses makes one of about 0.4."""
_MOST_BEND = 0.9
"""Peaks above this are no heat that meets a wall (0.47 at most) but a flash whose time is a little off."""
_BLOCK_PX = 64 * 1024
_SLABS = 96


def peak_times(curves: LogCurves, *, least: float = LEAST_BEND, corrected: bool = True) -> Float32[np.ndarray, "H W"]:
    """Return the time of the first prominent peak of the second derivative [s]; NaN where there is none.

    Prominent is a peak at least 0.6 as high as the pixel's highest, above `least`, and where the curve has left the
    slope -1/2 already; one above 0.9 is none, as a flash whose time is a little off makes them. The first 12 % and the
    last 3 % of the fitted span of log time are left out.

    A polynomial of some order puts the peak of one and the same bend a little early or late (10 % of the depth at order
    7), depending on where in the span it lies. That is known from the exact curves of slabs, fitted in the same way,
    and taken out.

    Parameters
    ----------
    curves
        Fitted curves of the pixels.
    least
        Lowest peak that counts.
    corrected
        Whether to take out how far the polynomial shifts the peak of a slab.
    """
    found = _raw_peaks(curves, least)
    if not corrected:
        return found
    true, seen = _slab_peaks(curves, least)
    if true.size < 2:
        return found
    return np.asarray(np.exp(np.interp(np.log(found), np.log(seen), np.log(true))), np.float32)


def slab_curve(times: Float64[np.ndarray, "*any"]) -> Float64[np.ndarray, "*any"]:
    """Return the front temperature of an adiabatic slab after a flash, by the time in units of d^2 / (pi alpha).

    1 at the end. By the two series of the same function (H. Carslaw, J. Jaeger, Conduction of Heat in Solids, 2nd ed.,
    1959, 14.3), each where it is quick.
    """
    order = np.arange(1, 9).reshape(-1, *(1,) * times.ndim)
    fourier = times / np.pi
    late = 1 + 2 * np.exp(-(np.pi**2) * order**2 * fourier).sum(axis=0)
    early = (1 + 2 * np.exp(-(order**2) / fourier).sum(axis=0)) / np.sqrt(np.pi * fourier)
    return np.asarray(np.where(fourier > 0.3, late, early))


def _slab_peaks(curves: LogCurves, least: float) -> tuple[Float64[np.ndarray, " S"], Float64[np.ndarray, " S"]]:
    """Return the true times of the peaks of slabs and those at which the fit puts them, both rising."""
    times, order = curves.times_s, len(curves.coefficients) - 1
    true = curves.times_at(np.linspace(_FIRST, 1, _SLABS))
    logs = np.log(slab_curve(times[:, None] / true))
    fitted = np.linalg.pinv(log_basis(times, order)) @ logs
    slabs = LogCurves(fitted.astype(np.float32)[:, None, :], times)
    seen = _raw_peaks(slabs, least)[0].astype(np.float64)
    valid = np.isfinite(seen) & (np.abs(np.log(seen / true)) < 1)
    rising = np.maximum.accumulate(seen[valid])
    kept = np.concatenate([[True], np.diff(rising) > 1e-9])[: rising.size]
    return true[valid][kept], rising[kept]


def _raw_peaks(curves: LogCurves, least: float) -> Float32[np.ndarray, "H W"]:
    places = np.linspace(_FIRST, _LAST, _PLACES)
    times = curves.times_at(places)
    height, width = curves.coefficients.shape[1:]
    flat = curves.coefficients.reshape(len(curves.coefficients), 1, -1)
    found = np.empty(height * width, np.float32)
    for first in range(0, found.size, _BLOCK_PX):
        some = slice(first, first + _BLOCK_PX)
        part = LogCurves(flat[:, :, some], curves.times_s)
        bends, slopes = part.d2(times)[:, 0], part.d1(times)[:, 0]
        bends[slopes < _STEEPEST] = np.nan
        found[some] = curves.times_at(_first_peaks(bends, places, least))
    return found.reshape(height, width)


def _first_peaks(
    bends: Float32[np.ndarray, "G P"], places: Float64[np.ndarray, " G"], least: float
) -> Float64[np.ndarray, " P"]:
    """Return the place of each column's first prominent peak, between the grid's points by a parabola."""
    middle = bends[1:-1]
    peaks = (middle > bends[:-2]) & (middle >= bends[2:]) & (middle > least) & (middle < _MOST_BEND)
    highest = np.where(peaks, middle, -np.inf).max(axis=0)
    prominent = peaks & (middle >= _PROMINENT * highest)
    first = prominent.argmax(axis=0) + 1
    column = np.arange(bends.shape[1])
    before, at, after = (bends[first + by, column].astype(np.float64) for by in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.divide(before - after, 2 * bend, out=np.zeros_like(bend), where=bend < 0)
    return np.where(prominent.any(axis=0), places[first] + shift * (places[1] - places[0]), np.nan)
