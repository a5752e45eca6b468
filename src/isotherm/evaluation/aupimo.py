"""AUPIMO: how much of each defect is found at false alarm rates so low that an inspector would accept them.

Bertoldo, Ameln, Vaidya & Akçay, "AUPIMO: Redefining Visual Anomaly Detection Benchmarks with High Speed and Low
Tolerance", BMVC 2024: the recall of each faulty picture by itself, over the false positive rate that all *normal*
pictures share (the mean of their own rates), averaged over the logarithm of that rate between 1e-5 and 1e-4.

The paper reads the curve at some hundred thresholds; here the integral is exact. At a shared rate z the lowest
threshold whose rate does not exceed z is taken, so a defect pixel of score s is found from z(s) on, the rate of calling
everything at or above s; it contributes log(HIGH / z(s)) / log(HIGH / LOW), cut to 0..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from isotherm.core.errors import DataError
from isotherm.evaluation.pixels import Map, Pictures
from isotherm.evaluation.ranking import Undefined

LOW, HIGH = 1e-5, 1e-4
"""The limits of the shared false positive rate, those of the paper."""


@dataclass(frozen=True, eq=False)
class SharedRate:
    """The false positive rate that normal pictures share, at each of their highest scores.

    Parameters
    ----------
    scores
        (K) scores of normal pixels, ascending: the highest, down to the first whose rate is above `HIGH`.
    rates
        (K) the rate when everything at or above this score is called, descending.
    finest
        The smallest rate above 0 that these pictures can show: one pixel of the largest.
    pixels
        How many normal pixels there are.
    """

    scores: Float[np.ndarray, " K"]
    rates: Float[np.ndarray, " K"]
    finest: float
    pixels: int

    def at(self, scores: Float[np.ndarray, " P"]) -> Float[np.ndarray, " P"]:
        """Return the rate of calling everything at or above each score; at least the last kept rate below those."""
        place = np.searchsorted(self.scores, scores, side="left")
        return np.append(self.rates, 0.0)[place]


def shared_rate(normal: Sequence[Map]) -> SharedRate:
    """Return the shared false positive rate of normal pictures.

    It is the mean over pictures of each one's own rate, so that a large picture weighs as much as a small one. Pictures
    are taken one after another; memory is that of the highest pixels.

    Raises
    ------
    DataError
        A score is not a number.
    """
    scores, weights = np.empty(0), np.empty(0)
    pixels, largest = 0, 0
    for values in normal:
        if np.isnan(values).any():
            raise DataError("a score is not a number (NaN), so it cannot be ranked")
        pixels, largest = pixels + values.size, max(largest, values.size)
        share = 1.0 / (values.size * len(normal))
        scores = np.concatenate([scores, values.ravel()])
        weights = np.concatenate([weights, np.full(values.size, share)])
        order = np.argsort(scores)[::-1]
        scores, weights = scores[order], weights[order]
        # Further pictures only add to these rates, so what is above HIGH already will never be asked for.
        kept = int(np.searchsorted(np.cumsum(weights), HIGH, side="right")) + 1
        scores, weights = scores[:kept], weights[:kept]
    rates = np.cumsum(weights)
    # Of equal scores the last has the rate of all of them.
    last = np.append(scores[1:] != scores[:-1], True)[: scores.size]
    finest = 1.0 / (largest * len(normal)) if largest else 1.0
    return SharedRate(scores[last][::-1], rates[last][::-1], finest, pixels)


def aupimo(pictures: Pictures, faulty: Bool[np.ndarray, " N"]) -> Float[np.ndarray, " F"] | Undefined:
    """Return the area under each faulty picture's curve, 0..1 (0: nothing is found before one false pixel in 10,000).

    Undefined without a defect pixel, and where the normal pictures have so few pixels that a rate of 1e-5 is less than
    one of them; a lower bound that the data cannot show is not made up.

    Parameters
    ----------
    pictures
        (N) masks and maps.
    faulty
        (N) true for faulty pictures; the others give the shared rate.
    """
    if not faulty.any():
        return Undefined("no anomalous samples")
    rate = shared_rate(_Maps(pictures, np.flatnonzero(~faulty).tolist()))
    if rate.finest > LOW:
        return Undefined(
            f"a false positive rate of {LOW:g} needs at least {round(1 / LOW)} normal pixels; there are {rate.pixels}"
        )
    chosen = [pictures[place] for place in np.flatnonzero(faulty).tolist()]
    return np.array([_area(scores[mask], rate) for mask, scores in chosen if mask.any()])


def _area(defect: Float[np.ndarray, " P"], rate: SharedRate) -> float:
    reached = np.clip(rate.at(defect), LOW, HIGH)
    return float(np.mean(np.log(HIGH / reached)) / np.log(HIGH / LOW))


@dataclass(frozen=True)
class _Maps(Sequence[Map]):
    """The maps alone of some pictures, made when asked for."""

    pictures: Pictures
    places: list[int]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, place: int) -> Map:  # type: ignore[override]
        return self.pictures[self.places[place]][1]
