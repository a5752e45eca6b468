"""What becomes of an asset from one inspection to the next: its temperatures, brought to one load, and their changes.

A change counts where it is larger than its expanded uncertainty. The uncertainties of two inspections are taken as
independent; errors that both share (the same wrong emissivity) are smaller in the difference, so there are rather too
few alarms than too many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.measurement.operation import Operation

YEAR_S = 365.25 * 24 * 3600
LEAST_FOR_SPREAD = 3
"""From so many earlier values their spread is taken as the uncertainty, where none is stated."""
_LEAST_FOR_SLOPE, _LEAST_SPAN_YEARS = 3, 30 / 365.25
# Student's t, two-sided 95 %, for 1 to 10 degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2).
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
_Z = 1.959964


@dataclass(frozen=True)
class TrendSettings:
    """How inspections are compared."""

    load_exponent: float = setting(2.0, "temperature rise goes with the current to this power", low=1.6, high=2.0)
    min_load_percent: float = setting(
        40.0, "below this load [% of the rated current] no difference is brought to the rated load", low=1, high=100
    )
    load_uncertainty_percent: float = setting(3.0, "standard uncertainty of a load [% of the load]", low=0, high=50)
    coverage: float = setting(2.0, "a change counts beyond so many of its standard uncertainties", low=1, high=5)
    least_change_k: float = setting(1.0, "smaller changes of a temperature never alarm [K]", low=0, high=1000)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Sample:
    """One value at one time; ``uncertainty`` is the standard one (k = 1), None where none can be stated."""

    at: datetime
    value: float
    uncertainty: float | None = None


@dataclass(frozen=True)
class Change:
    """The latest value less an earlier one.

    ``expanded`` is the expanded uncertainty of the difference, None where none can be stated; ``alarm`` says that the
    value has risen by more than that, and by more than the least change that counts.
    """

    since: datetime
    difference: float
    expanded: float | None
    alarm: bool


@dataclass(frozen=True)
class Slope:
    """A straight line through all values: its rise a year, and the expanded uncertainty of that."""

    per_year: float
    expanded: float


@dataclass(frozen=True)
class Series:
    """The values of one quantity in the order of time, and what has changed.

    Parameters
    ----------
    name, unit
        Such as ``delta_t`` and ``K``.
    samples
        Oldest first.
    last, first
        The change since the inspection before, and since the first one; None with a single value.
    slope
        None with fewer than three values, or less than 30 days between them.
    """

    name: str
    unit: str
    samples: tuple[Sample, ...]
    last: Change | None = None
    first: Change | None = None
    slope: Slope | None = None

    @property
    def alarm(self) -> bool:
        """Whether the latest value has risen beyond its uncertainty."""
        return any(change is not None and change.alarm for change in (self.last, self.first))


def at_rated_load(
    rise_k: Sample, load_percent: float | None, settings: TrendSettings | None = None
) -> tuple[Sample | None, str]:
    """Return a temperature difference as it would be at the rated load, or why it cannot be stated.

    The formula is that of `isotherm.measurement.operation.Operation`: the rise goes with the current to a power.

    Parameters
    ----------
    rise_k
        The difference as measured [K].
    load_percent
        The load at that time [% of the rated current]; None where not known.
    settings
        The exponent, the least load and the uncertainty of loads.
    """
    settings = settings or TrendSettings()
    if load_percent is None:
        return None, "the load is not known"
    if load_percent < settings.min_load_percent:
        return None, f"a load of {load_percent:g} % is below {settings.min_load_percent:g} %"
    operation = Operation(load_percent=load_percent, load_exponent=settings.load_exponent)
    value = operation.at_rated_load(rise_k.value)
    factor = operation.load_factor
    if value is None or factor is None or rise_k.uncertainty is None:
        return (None, "the load is nil") if value is None else (Sample(rise_k.at, value), "")
    of_load = settings.load_exponent * settings.load_uncertainty_percent / 100 * value
    return Sample(rise_k.at, value, math.hypot(rise_k.uncertainty / factor, of_load)), ""


def series(
    name: str, unit: str, samples: Sequence[Sample], settings: TrendSettings | None = None, *, least: float = 0.0
) -> Series:
    """Return the values of a quantity with what has changed.

    Parameters
    ----------
    name, unit
        Of the quantity.
    samples
        In any order; at one time there may be several.
    settings
        The coverage.
    least
        A smaller change never alarms.

    Raises
    ------
    DataError
        A value or an uncertainty is no finite number.
    """
    settings = settings or TrendSettings()
    ordered = tuple(sorted(samples, key=lambda sample: sample.at))
    for sample in ordered:
        if not math.isfinite(sample.value) or not math.isfinite(sample.uncertainty or 0.0):
            raise DataError(f"{name}: {sample.value} ± {sample.uncertainty} of {sample.at.isoformat()} is no number")
    if len(ordered) < 2:
        return Series(name, unit, ordered)
    spread = half_width([sample.value for sample in ordered[:-1]])
    last, first = (
        _change(ordered[-1], earlier, settings.coverage, spread, least) for earlier in (ordered[-2], ordered[0])
    )
    return Series(name, unit, ordered, last, first, _slope(ordered, settings.coverage))


def half_width(values: Sequence[float]) -> float | None:
    """Return half the width of the 95 % interval in which one more value like these would lie; None of fewer than 3."""
    count = len(values)
    if count < LEAST_FOR_SPREAD:
        return None
    deviation = float(np.std(values, ddof=1))
    return student_t(count - 1) * deviation * math.sqrt(1 + 1 / count)


def _change(latest: Sample, earlier: Sample, coverage: float, spread: float | None, least: float) -> Change:
    difference, expanded = latest.value - earlier.value, spread
    if latest.uncertainty is not None and earlier.uncertainty is not None:
        expanded = coverage * math.hypot(latest.uncertainty, earlier.uncertainty)
    alarm = expanded is not None and difference > expanded and difference >= least
    return Change(earlier.at, difference, expanded, alarm)


def _slope(samples: Sequence[Sample], coverage: float) -> Slope | None:
    """Return a weighted straight line; its uncertainty is that of the values or of their scatter, whichever is more."""
    times = np.array([(sample.at - samples[0].at).total_seconds() / YEAR_S for sample in samples])
    if len(samples) < _LEAST_FOR_SLOPE or np.ptp(times) < _LEAST_SPAN_YEARS:
        return None
    values = np.array([sample.value for sample in samples])
    stated = all(sample.uncertainty for sample in samples)
    weights = np.array([sample.uncertainty or 1.0 for sample in samples]) ** -2.0 if stated else np.ones(len(samples))
    middle = np.average(times, weights=weights)
    across = weights @ (times - middle) ** 2
    rise = float(weights @ ((times - middle) * (values - np.average(values, weights=weights))) / across)
    rest = values - np.average(values, weights=weights) - rise * (times - middle)
    free = len(samples) - 2
    scatter = student_t(free) * math.sqrt(float(weights @ rest**2) / free / across)
    return Slope(rise, max(scatter, coverage / math.sqrt(across) if stated else 0.0))


def student_t(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t.

    From a table up to 10 degrees of freedom, then by the expansion of Cornish and Fisher (wrong by less than 0.003).
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    cubed, fifth = _Z**3, _Z**5
    return _Z + (cubed + _Z) / (4 * freedom) + (5 * fifth + 16 * cubed + 3 * _Z) / (96 * freedom**2)
