"""Maps without what sound material differs by: uneven heating, the ends of the part, noise that is not even."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float32, Float64

Maps = Float32[np.ndarray, "K H W"]
Field = Float64[np.ndarray, "H W"]
Mask = Bool[np.ndarray, "H W"]

ORDER, NOISE_ORDER = 4, 2
"""Of the surfaces that are taken off, and of those of the noise."""
ROUNDS = 4
FAR = 2.5
"""Pixels farther from a surface than so many robust deviations have no say in it."""
SAMPLE_PX = 6_000
"""A surface has few coefficients: so many pixels, evenly spread, are enough for it."""
NOISE_PX = 2.0
"""What a map differs by from itself smoothed so far is noise."""
_ROUNDING = 1e-6


def levelled(maps: Maps, known: Mask, *, smooth_px: float) -> Float32[np.ndarray, "k H W"]:
    """Return maps in which sound material is level: noise of one size round 0.

    Uneven heating bends maps slowly over the whole part, and heat that cannot leave at the ends of a part makes strips
    along them: taken off are a surface (a polynomial of the fourth order) and the median of each row and column. Where
    the part was heated less the noise is larger: each map is divided by a surface of its noise. Then noise is smoothed;
    heat has blurred the defects more than that.

    Parameters
    ----------
    maps
        (K H W).
    known
        (H W) pixels with a number in all of them; the others are NaN in the result.
    smooth_px
        Standard deviation of the Gaussian [px]; 0 leaves maps as sharp as they are.

    Returns
    -------
    maps
        Those that are not constant, nor a surface without anything on it.
    """
    found = list(_levelled(maps, known, smooth_px))
    return np.stack(found) if found else np.empty((0, *known.shape), np.float32)


def _levelled(maps: Maps, known: Mask, smooth_px: float) -> Iterator[Float32[np.ndarray, "H W"]]:
    surfaces, noises = _Surface(known, ORDER), _Surface(known, NOISE_ORDER)
    for each in maps:
        values = np.where(known, each, 0).astype(np.float64)
        if not np.ptp(values[known]) > 0:
            continue
        spread = float(values[known].std())
        values = _without_strips(values - surfaces.fit(values), known)
        if not values[known].std() > _ROUNDING * spread:
            continue
        noise = np.abs(values - smoothed(values, known, NOISE_PX))
        least = _ROUNDING * float(noise[known].max())
        if least > 0:
            values /= np.exp(noises.fit(np.log(np.maximum(noise, least))))
        yield np.where(known, smoothed(values, known, smooth_px), np.nan).astype(np.float32)


class _Surface:
    """Polynomials in the place of a pixel, fitted to most pixels."""

    def __init__(self, known: Mask, order: int) -> None:
        places = (np.linspace(-1, 1, size) for size in known.shape)
        self._down, self._across = (np.polynomial.legendre.legvander(place, order) for place in places)
        self._powers = [(down, across) for down in range(order + 1) for across in range(order + 1 - down)]
        rows, columns = np.nonzero(known)
        step = max(1, rows.size // SAMPLE_PX)
        self._sample = rows[::step], columns[::step]
        self._basis = self._at(*self._sample)

    def fit(self, values: Field) -> Field:
        """Return the surface; what stands out of it has no say, found by turns from the median."""
        sample = values[self._sample]
        coefficients = np.zeros(len(self._powers))
        away = sample - np.median(sample)
        for _ in range(ROUNDS):
            distance = np.abs(away - np.median(away))
            near = distance <= FAR * 1.4826 * np.median(distance)
            basis = self._basis[near]
            # Legendre's polynomials are nearly orthogonal: the normal equations lose nothing, and are quick.
            coefficients = np.linalg.lstsq(basis.T @ basis, basis.T @ sample[near], rcond=None)[0]
            away = sample - self._basis @ coefficients
        whole = np.zeros((self._down.shape[1], self._across.shape[1]))
        whole[tuple(np.transpose(self._powers))] = coefficients
        return np.asarray(self._down @ whole @ self._across.T)

    def _at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        return np.stack([self._down[rows, down] * self._across[columns, across] for down, across in self._powers], 1)


def _without_strips(values: Field, known: Mask) -> Field:
    """Take the median of each row off, and then that of each column."""
    for axis in (1, 0):
        if known.all():
            values = values - np.median(values, axis=axis, keepdims=True)
            continue
        # Lines without a known pixel have no median, and need none.
        lines = known.any(axis=axis, keepdims=True)
        filled = np.where(known | ~lines, values, np.nan)
        values = values - np.nanmedian(filled, axis=axis, keepdims=True)
    return values


def smoothed(values: Field, known: Mask, sigma_px: float) -> Field:
    """Return the Gaussian mean of the known pixels round each; unknown ones and those outside have no weight."""
    if sigma_px == 0:
        return values
    weight = _blurred(known.astype(np.float64), sigma_px)
    return np.asarray(_blurred(np.where(known, values, 0), sigma_px) / np.maximum(weight, 1e-12))


def _blurred(values: Field, sigma_px: float) -> Field:
    reach = math.ceil(3 * sigma_px)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_px) ** 2)
    for axis in (0, 1):
        padded = np.pad(values, [(reach, reach) if each == axis else (0, 0) for each in (0, 1)])
        size = values.shape[axis]
        parts = (tap * np.take(padded, np.arange(first, first + size), axis) for first, tap in enumerate(taps))
        values = sum(parts, np.zeros_like(values))
    return np.asarray(values / taps.sum() ** 2)
