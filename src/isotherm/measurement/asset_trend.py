"""The trend of one asset from what its inspections have found: highest temperature, delta-T, anomaly score."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from isotherm.core.findings import Finding, ImageResult
from isotherm.core.scene import ZERO_CELSIUS_K, Source
from isotherm.measurement.operation import Operation
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
    rated_rise_k
        The rise over the air that the maker allows at the rated current; None where not known.
    score_uncertainty
        The standard uncertainty of the score; None where not known.
    """

    at: datetime
    result: ImageResult
    load_percent: float | None = None
    score: float | None = None
    model: str = ""
    key: str = ""
    rated_rise_k: float | None = None
    score_uncertainty: float | None = None


@dataclass(frozen=True)
class Row:
    """One inspection as a row of a table.

    ``note`` says why its delta-T was not brought to the rated load. ``allowed_c`` is the highest temperature that the
    maker allows at this load and in this air, None where one of them is not known.
    """

    look: Look
    max_c: Sample | None
    delta_t_k: Sample | None
    rated_delta_t_k: Sample | None
    score: Sample | None
    note: str = ""
    allowed_c: float | None = None

    def above_allowed(self, coverage: float) -> bool:
        """Say whether the highest temperature is above the allowed one, by more than its expanded uncertainty."""
        if self.max_c is None or self.allowed_c is None:
            return False
        return self.max_c.value - coverage * (self.max_c.uncertainty or 0.0) > self.allowed_c


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

    @property
    def above_allowed(self) -> bool:
        """Whether the latest inspection is hotter than the maker allows at its load."""
        return bool(self.rows) and self.rows[-1].above_allowed(self.settings.coverage)


def trend_of(looks: Iterable[Look], settings: TrendSettings | None = None) -> AssetTrend:
    """Return the trend of an asset from its inspections, in any order.

    Where every delta-T can be brought to the rated load, the measured ones raise no alarm: a higher load is no fault.
    """
    settings = settings or TrendSettings()
    ordered = sorted(looks, key=lambda look: look.at)
    rows = tuple(_row(look, settings) for look in ordered)
    corrected = all(row.rated_delta_t_k is not None for row in rows if row.delta_t_k is not None)
    least = dict.fromkeys(UNITS, settings.least_change_k) | {SCORE: 0.0}
    if corrected:
        least[DELTA] = math.inf
    found = [_series(name, rows, settings, least[name]) for name in UNITS]
    return AssetTrend(rows, tuple(one for one in found if one.samples), settings)


def _row(look: Look, settings: TrendSettings) -> Row:
    delta = _delta(look)
    rated, note = at_rated_load(delta, look.load_percent, settings) if delta else (None, "")
    return Row(look, _hottest(look), delta, rated, _score(look), note, _allowed_c(look, settings))


def _allowed_c(look: Look, settings: TrendSettings) -> float | None:
    """Return Tmax,corr of [1]_ in `Operation`: the rise allowed at this load, over the air."""
    air = look.result.scene.get("atmosphere_k")
    if air is None or air.source in (Source.ASSUMED, Source.CAMERA_DEFAULT):
        return None
    operation = Operation(
        load_percent=look.load_percent, load_exponent=settings.load_exponent, rated_rise_c=look.rated_rise_k
    )
    rise = operation.allowed_rise_c()
    return None if rise is None else air.value - ZERO_CELSIUS_K + rise


def _hottest(look: Look) -> Sample | None:
    stats = look.result.temperatures
    return None if stats is None else Sample(look.at, stats.max_c, look.result.uncertainty_k)


def _delta(look: Look) -> Sample | None:
    """Return the largest delta-T of the hot spots, whichever model is at work; None where there is none."""
    known = [finding for finding in look.result.hotspots if finding.delta_t_c is not None]
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
    return None if score is None else Sample(look.at, score, look.score_uncertainty)


def _series(name: str, rows: Sequence[Row], settings: TrendSettings, least: float) -> Series:
    get: Callable[[Row], Sample | None] = {
        MAX: lambda row: row.max_c,
        DELTA: lambda row: row.delta_t_k,
        RATED: lambda row: row.rated_delta_t_k,
        SCORE: lambda row: row.score,
    }[name]
    scorer = next((row.look.model for row in reversed(rows) if row.score is not None), "")
    taken = [row for row in rows if name != SCORE or row.look.model == scorer]
    samples = [sample for row in taken if (sample := get(row)) is not None]
    return series(name, UNITS[name], samples, settings, least=least)
