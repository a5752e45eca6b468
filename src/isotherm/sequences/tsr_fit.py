"""Polynomials in log time, fitted to the logarithm of every pixel's curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy.polynomial import chebyshev

from isotherm.core.errors import DataError
from isotherm.sequences.kernels import ALL_BYTES, block_bytes, sampled
from isotherm.sequences.stack import ThermalSequence
from isotherm.sequences.tiles import Tile, multiply

_SAMPLE_PX = 1024
_CLEAR, _SAFE = 2.0, 8.0
_SOLVED_PX = 8192
_PRIOR = 1e-3


@dataclass(frozen=True, eq=False)
class LogCurves:
    """ln dT of each pixel as a polynomial in ln t.

    Parameters
    ----------
    coefficients
        (C H W), of Chebyshev polynomials in u, which runs from -1 to 1 over ln t between the first and the last time.
    times_s
        Times at which the curves were fitted [s].
    """

    coefficients: Float32[np.ndarray, "C H W"]
    times_s: Float64[np.ndarray, " T"]

    def spread_times(self, count: int) -> Float64[np.ndarray, " K"]:
        """Return times that part the fitted span of log time evenly, its ends left out [s]."""
        return self.times_at(2 * np.arange(1, count + 1) / (count + 1) - 1)

    def times_at(self, places: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " K"]:
        """Return the times [s] at places u from -1 to 1 in log time."""
        return np.asarray(np.exp(np.log(self.times_s[0]) + (places + 1) / 2 * self._span))

    def rebuilt(self, times_s: Float64[np.ndarray, " K"]) -> Float32[np.ndarray, "K H W"]:
        """Return the fitted differences dT, without their noise, at some times."""
        return np.asarray(np.exp(self._product(self._rows(times_s, 0))))

    def d1(self, times_s: Float64[np.ndarray, " K"]) -> Float32[np.ndarray, "K H W"]:
        """Return the first derivative d ln dT / d ln t at some times."""
        return self._product(self._rows(times_s, 1))

    def d2(self, times_s: Float64[np.ndarray, " K"]) -> Float32[np.ndarray, "K H W"]:
        """Return the second derivative d2 ln dT / (d ln t)^2 at some times."""
        return self._product(self._rows(times_s, 2))

    def powers(self) -> Float32[np.ndarray, "C H W"]:
        """Return the coefficients a_k of (ln t)^k, t in seconds; they are many digits larger than what they sum to."""
        count = len(self.coefficients)
        middle = -1 - 2 * np.log(self.times_s[0]) / self._span
        place = np.polynomial.Polynomial([middle, 2 / self._span])
        rows = np.zeros((count, count))
        for number, unit in enumerate(np.eye(count)):
            turned = np.polynomial.Polynomial(chebyshev.cheb2poly(unit))(place).coef
            rows[: turned.size, number] = turned
        found = np.tensordot(rows, self.coefficients.astype(np.float64), axes=1)
        return found.astype(np.float32)

    @property
    def _span(self) -> float:
        return float(np.log(self.times_s[-1] / self.times_s[0]))

    def _rows(self, times_s: Float64[np.ndarray, " K"], derivative: int) -> Float64[np.ndarray, "K C"]:
        places = 2 * np.log(times_s / self.times_s[0]) / self._span - 1
        units = np.eye(len(self.coefficients))
        rows = [chebyshev.chebval(places, chebyshev.chebder(each, derivative)) for each in units]
        return np.stack(rows, axis=1) * (2 / self._span) ** derivative

    def _product(self, rows: Float64[np.ndarray, "K C"]) -> Float32[np.ndarray, "K H W"]:
        count, height, width = self.coefficients.shape
        found = rows.astype(np.float32) @ self.coefficients.reshape(count, -1)
        return np.asarray(found.reshape(-1, height, width))


@np.errstate(invalid="ignore", divide="ignore")
def fitted(sequence: ThermalSequence, order: int) -> tuple[LogCurves, tuple[str, ...]]:
    """Fit ln dT by a polynomial in ln t, every frame alike.

    Parameters
    ----------
    sequence
        Differences from the cold state; its times are above 0. See `isotherm.sequences.tsr.fit` for the checks.
    order
        Of the polynomial.

    Returns
    -------
    curves
        NaN for pixels without a number in some frame, or with too few differences above 0.
    notes
        What was left out.
    """
    sample = sampled(sequence, _SAMPLE_PX)
    noise, median = _noise(sample, sequence), np.median(sample, axis=1)
    count = _clear_frames(noise, median, order, sequence)
    noted = len(sample) - count
    basis = log_basis(sequence.times_s[:count], order)
    usual = _usual_coefficients(median[:count].astype(np.float64), basis)
    # Close to 0 a logarithm is mostly noise, and far off.
    floor = np.where(median < _SAFE * noise, noise, 0)[:count].astype(np.float32)
    found, refitted = _coefficients(sequence, basis, usual, floor)
    curves = LogCurves(found.reshape(order + 1, *sequence.shape[1:]), sequence.times_s[:count])
    notes = [f"{noted} frames at the end left out: below twice the noise"] if noted else []
    if refitted:
        notes.append(f"pixels with differences near 0 or below, which were left out of their fit: {refitted}")
    return curves, tuple(notes)


def log_basis(times_s: Float64[np.ndarray, " T"], order: int) -> Float64[np.ndarray, "T C"]:
    """Return the Chebyshev polynomials of `LogCurves` at the times at which curves are fitted."""
    logs = np.log(times_s)
    return np.asarray(chebyshev.chebvander(2 * (logs - logs[0]) / (logs[-1] - logs[0]) - 1, order))


def _coefficients(
    sequence: ThermalSequence,
    basis: Float64[np.ndarray, "T C"],
    usual: Float64[np.ndarray, " C"],
    floor: Float32[np.ndarray, " T"],
) -> tuple[Float32[np.ndarray, "C P"], int]:
    """Return the coefficients of all pixels, and how many were fitted without some of their frames."""
    count, size = basis.shape
    found = np.empty((size, sequence.shape[1] * sequence.shape[2]), np.float32)
    solve = np.linalg.pinv(basis).astype(np.float32)
    refitted = 0
    for pixels, whole in sequence.blocks(block_bytes(sequence, ALL_BYTES)):
        curves, part = whole[:count], found[:, pixels]
        multiply(solve, curves, part, partial(_logarithms, floor))
        bad = np.flatnonzero(~np.isfinite(part[0]))
        for first in range(0, bad.size, _SOLVED_PX):
            some = bad[first : first + _SOLVED_PX]
            few = curves[:, some]
            every = slice(0, count), slice(0, some.size)
            part[:, some], done = _masked(few, _logarithms(floor, few, every, np.empty_like(few)), basis, usual)
            refitted += done
    return found, refitted


def _logarithms(floor: Float32[np.ndarray, " T"], tile: Tile, place: tuple[slice, slice], room: Tile) -> Tile:
    """Return the logarithms of some differences, NaN where they are not above the floor of their frame."""
    np.log(tile, out=room)
    floors = floor[place[0]]
    for frame in np.flatnonzero(floors):
        room[frame, tile[frame] <= floors[frame]] = np.nan
    return room


def _masked(
    curves: Float32[np.ndarray, "T P"],
    logs: Float32[np.ndarray, "T P"],
    basis: Float64[np.ndarray, "T C"],
    usual: Float64[np.ndarray, " C"],
) -> tuple[Float32[np.ndarray, "C P"], int]:
    """Fit pixels by their valid logarithms alone; where those say little, the usual curve of the part does.

    Without it a polynomial would run away where a pixel has no valid frames.
    """
    valid = np.isfinite(logs)
    size = basis.shape[1]
    level, share = _levels(valid, logs, basis @ usual)
    pairs = (basis[:, :, None] * basis[:, None, :]).reshape(len(basis), -1)
    products = (valid.T.astype(np.float64) @ pairs).reshape(-1, size, size)
    rest = np.where(valid, logs - (basis @ usual)[:, None] - level, 0)
    prior = _PRIOR * len(basis) * np.eye(size)
    prior[0, 0] = 1e-9
    solved = np.linalg.solve(products + prior, (basis.T @ rest).T[..., None])[..., 0].T
    found = solved + usual[:, None]
    found[0] += level
    known = np.isfinite(curves).all(axis=0) & (share * len(basis) >= size + 1)
    found[:, ~known] = np.nan
    return found.astype(np.float32), int(np.count_nonzero(known))


def _levels(
    valid: Bool[np.ndarray, "T P"], logs: Float32[np.ndarray, "T P"], usual: Float64[np.ndarray, " T"]
) -> tuple[Float64[np.ndarray, " P"], Float64[np.ndarray, " P"]]:
    """Return how far each pixel lies above the usual curve, and the share of its valid frames."""
    above = np.where(valid, logs - usual[:, None], 0).sum(axis=0)
    count = valid.sum(axis=0)
    return above / np.maximum(count, 1), count / len(valid)


def _usual_coefficients(
    median: Float64[np.ndarray, " T"], basis: Float64[np.ndarray, "T C"]
) -> Float64[np.ndarray, " C"]:
    """Return the fit of the median of spread pixels."""
    positive = median > 0
    if np.count_nonzero(positive) <= basis.shape[1]:
        raise DataError("the usual difference is 0 or below in most frames: is the cold frame right?")
    return np.asarray(np.linalg.lstsq(basis[positive], np.log(median[positive]), rcond=None)[0])


def _noise(sample: Float32[np.ndarray, "T S"], sequence: ThermalSequence) -> Float64[np.ndarray, " T"]:
    """Return the noise of each frame, by how differently the curves of spread pixels bend there."""
    if not sample.shape[1]:
        raise DataError(f"{sequence.name}: no pixel has a number in every frame")
    bends = sample[:-2] - 2 * sample[1:-1] + sample[2:]
    bends = bends - np.median(bends, axis=1, keepdims=True)
    noise = 1.4826 * np.median(np.abs(bends), axis=1).astype(np.float64) / np.sqrt(6)
    return np.concatenate([noise[:1], noise, noise[-1:]])


def _clear_frames(
    noise: Float64[np.ndarray, " T"], median: Float32[np.ndarray, " T"], order: int, sequence: ThermalSequence
) -> int:
    """Return how many frames there are up to the last one whose usual difference is above the noise."""
    clear = np.flatnonzero(median > _CLEAR * noise)
    count = int(clear[-1]) + 1 if clear.size else 0
    if count <= order + 1:
        raise DataError(
            f"{sequence.name}: {count} frames rise above the noise; a polynomial of order {order} needs {order + 2}. "
            "Negative differences after a cold frame are normal noise, but these are no rise: is the cold frame right?"
        )
    return count
