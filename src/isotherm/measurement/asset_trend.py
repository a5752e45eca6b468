"""The trend of one asset from what its inspections have found: highest temperature, delta-T, anomaly score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from isotherm.core.findings import Finding, ImageResult
from isotherm.measurement.trend import Sample, Series, TrendSettings, at_rated_load, series

MAX, DELTA, RATED, SCORE = "max_c", "delta_t_k", "rated_delta_t_k", "score"
UNITS = {MAX: "°C", DELTA: "K", RATED: "K", SCORE: ""}


@dataclass(frozen=True)
class Look:
    """One inspection of the asset.

    Parameters
    ----------
    at
        When the picture was taken.
    result
        What was found.
    load_percent
        The load of the asset then [% of its rated current]; None where not known.
    score
        Of an anomaly model, that of the result where None.
    model
        Which model gave the score; scores of two models are not compared.
    key
        What the caller knows the picture by.
    """

    at: datetime
    result: ImageResult
    load_percent: float | None = None
    score: float | None = None
    model: str = ""
    key: str = ""


@dataclass(frozen=True)
class Row:
    """One inspection as a row of a table; ``note`` says why its delta-T was not brought to the rated load."""

    look: Look
    max_c: Sample | None
    delta_t_k: Sample | None
    rated_delta_t_k: Sample | None
    score: Sample | None
    note: str = ""


@dataclass(frozen=True)
class AssetTrend:
    """All rows, oldest first, the series of what at least one of them has, and what has changed beyond doubt."""

    rows: tuple[Row, ...]
    series: tuple[Series, ...]
    settings: TrendSettings

    @property
    def alarms(self) -> list[Series]:
        """The series whose latest value has risen beyond its uncertainty."""
        return [one for one in self.series if one.alarm]


def trend_of(looks: Iterable[Look], settings: TrendSettings | None = None) -> AssetTrend:
    """Return the trend of an asset from its inspections, in any order.

    Where every delta-T can be brought to the rated load, the measured ones raise no alarm: a higher load is no fault.
    """
    settings = settings or TrendSettings()
    ordered = sorted(looks, key=lambda look: look.at)
    rows = tuple(_row(look, settings) for look in ordered)
    found = [_series(name, rows, settings) for name in UNITS]
    return AssetTrend(rows, tuple(one for one in found if one.samples), settings)


def _row(look: Look, settings: TrendSettings) -> Row:
    delta = _delta(look)
    rated, note = at_rated_load(delta, look.load_percent, settings) if delta else (None, "")
    return Row(look, _hottest(look), delta, rated, _score(look), note)


def _hottest(look: Look) -> Sample | None:
    stats = look.result.temperatures
    return None if stats is None else Sample(look.at, stats.max_c, look.result.uncertainty_k)


def _delta(look: Look) -> Sample | None:
    """Return the largest delta-T of the findings; None where there is none."""
    known = [finding for finding in look.result.findings if finding.delta_t_c is not None]
    if not known:
        return None
    worst = max(known, key=_delta_of)
    return Sample(look.at, _delta_of(worst), worst.delta_t_uncertainty_k)


def _delta_of(finding: Finding) -> float:
    return finding.delta_t_c or 0.0


def _score(look: Look) -> Sample | None:
    score = look.score
    if score is None and look.result.anomaly is not None:
        score = look.result.anomaly.score
    return None if score is None else Sample(look.at, score)


def _series(name: str, rows: Sequence[Row], settings: TrendSettings) -> Series:
    get: Callable[[Row], Sample | None] = {
        MAX: lambda row: row.max_c,
        DELTA: lambda row: row.delta_t_k,
        RATED: lambda row: row.rated_delta_t_k,
        SCORE: lambda row: row.score,
    }[name]
    taken = [row for row in rows if name != SCORE or row.look.model == rows[-1].look.model]
    samples = [sample for row in taken if (sample := get(row)) is not None]
    return series(name, UNITS[name], samples, settings, least=0.0 if name == SCORE else settings.least_change_k)
