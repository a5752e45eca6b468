"""Whether numbers of now still come from where those of the training came from: two measures, and a verdict.

The population stability index [1]_ says how much has moved, the test of Kolmogorov and Smirnov [2]_ whether that can be
chance. Either alone misleads: the index of small samples is large by chance, and of large ones every trifle is certain.

References
----------
.. [1] Siddiqi, Credit Risk Scorecards, Wiley 2006; 0.1 and 0.25 are the usual steps.
.. [2] The asymptotic distribution with the correction of Stephens, J. R. Stat. Soc. B 32, 1970.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

State = Literal["stable", "watch", "drift", "unknown"]
STATES: tuple[State, ...] = ("unknown", "stable", "watch", "drift")
"""From nothing to tell to the worst."""
WATCH_PSI, DRIFT_PSI = 0.1, 0.25
LEAST_COUNT = 20
CHANCE = 0.01
"""How often all quantities together may be called moved where none has."""
_BINS = 10
_TERMS = 101

Numbers = Float[np.ndarray, " _"]


@dataclass(frozen=True)
class Shift:
    """How one quantity has moved.

    Parameters
    ----------
    name
        Of the quantity.
    reference_count, count
        How many values there are of the training, and of now.
    reference_median, median
        Their middles; None without values.
    psi
        Population stability index; None where there are too few values.
    distance, p_value
        The largest difference of the two distributions, 0 to 1, and how probable at least that is by chance.
    state
        ``drift`` or ``watch`` only where chance is improbable too; ``unknown`` with too few values.
    """

    name: str
    reference_count: int
    count: int
    reference_median: float | None = None
    median: float | None = None
    psi: float | None = None
    distance: float | None = None
    p_value: float | None = None
    state: State = "unknown"


def shifts(reference: Mapping[str, Numbers], current: Mapping[str, Numbers]) -> list[Shift]:
    """Compare each quantity that both have; values that are not finite are left out.

    The more quantities are looked at, the less probable each one's movement must be (Bonferroni).
    """
    names = [name for name in reference if name in current]
    return [_shift(name, _known(reference[name]), _known(current[name]), CHANCE / len(names)) for name in names]


def _known(values: Numbers) -> Numbers:
    found = np.asarray(values, np.float64)
    return found[np.isfinite(found)]


def _shift(name: str, reference: Numbers, current: Numbers, chance: float) -> Shift:
    middle, now = (float(np.median(values)) if values.size else None for values in (reference, current))
    found = Shift(name, reference.size, current.size, middle, now)
    if min(reference.size, current.size) < LEAST_COUNT:
        return found
    psi, (distance, p_value) = stability_index(reference, current), kolmogorov_smirnov(reference, current)
    state: State = "stable"
    if p_value < chance and psi >= WATCH_PSI:
        state = "drift" if psi >= DRIFT_PSI else "watch"
    return replace(found, psi=psi, distance=distance, p_value=p_value, state=state)


def stability_index(reference: Numbers, current: Numbers, bins: int = _BINS) -> float:
    """Return the population stability index over bins that hold equal shares of the reference.

    Parameters
    ----------
    reference, current
        Finite values, at least one of each.
    bins
        How many; equal values of the reference make others. Half a value is added to each bin, so that an empty one
        does not make the index infinite.
    """
    quantiles = np.quantile(reference, np.arange(1, bins) / bins)
    # A value that many share is a bin of its own, or what moves to below it would not show.
    shared = np.nextafter(quantiles[:-1][np.diff(quantiles) == 0], -np.inf)
    edges = np.unique(np.concatenate([quantiles, shared]))
    shares = []
    for values in (reference, current):
        counts = np.bincount(np.searchsorted(edges, values, side="left"), minlength=edges.size + 1) + 0.5
        shares.append(counts / counts.sum())
    return float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())


def kolmogorov_smirnov(reference: Numbers, current: Numbers) -> tuple[float, float]:
    """Return the largest difference of two distributions, and how probable at least that is where they are one."""
    first, second = np.sort(reference), np.sort(current)
    places = np.concatenate([first, second])
    below = [np.searchsorted(values, places, side="right") / values.size for values in (first, second)]
    distance = float(np.abs(below[0] - below[1]).max())
    size = math.sqrt(first.size * second.size / (first.size + second.size))
    return distance, _kolmogorov((size + 0.12 + 0.11 / size) * distance)


def _kolmogorov(reach: float) -> float:
    """Return the share of Kolmogorov's distribution beyond `reach`."""
    if reach < 0.2:
        return 1.0
    terms = np.arange(1, _TERMS)
    return float(np.clip(2 * ((-1.0) ** (terms - 1) * np.exp(-2 * (reach * terms) ** 2)).sum(), 0, 1))


def worst(states: list[State]) -> State:
    """Return the worst of states; ``unknown`` where there is none."""
    return max(states, key=STATES.index, default="unknown")
