"""What goes in and out of the routes of trends, matching and drift; see `isotherm.server.schemas`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from isotherm.measurement.asset_trend import AssetTrend, Row
from isotherm.server.schemas import Id, In, Number, Out
from isotherm.workflows.service.drift import Drift, plain_drift
from isotherm.workflows.service.trends import View, Views

State = Literal["stable", "watch", "drift", "unknown"]


class AssetOfImage(In):
    """The asset that an image shows, said by hand; null: none of them."""

    asset_id: Id | None


class LoadOfImage(In):
    """The load that an image was taken at: in percent of the rated current, or in ampere; neither: not known."""

    load_percent: Number | None = None
    current_a: Number | None = None


class MatchedOut(Out):
    """What matching again has done; `left`: there are older images that were not looked at."""

    looked: int
    changed: int
    matched: int
    noted: int
    left: bool


class SampleOut(Out):
    """A value, and its standard uncertainty (k = 1) where one can be stated."""

    at: datetime
    value: float
    uncertainty: float | None


class ChangeOut(Out):
    """The latest value less an earlier one; `expanded` is the expanded uncertainty of that."""

    since: datetime
    difference: float
    expanded: float | None
    alarm: bool


class SlopeOut(Out):
    """The rise a year of a straight line, with its expanded uncertainty."""

    per_year: float
    expanded: float


class SeriesOut(Out):
    """One quantity over time; `alarm`: it has risen beyond its uncertainty."""

    name: str
    unit: str
    alarm: bool
    samples: list[SampleOut]
    last: ChangeOut | None
    first: ChangeOut | None
    slope: SlopeOut | None


class TrendRowOut(Out):
    """One inspection; `note`: why its delta-T was not brought to the rated load; `allowed_c`: by the rating, then."""

    image_id: str
    at: datetime
    load_percent: float | None
    max_c: SampleOut | None
    delta_t_k: SampleOut | None
    rated_delta_t_k: SampleOut | None
    score: SampleOut | None
    note: str
    allowed_c: float | None


class TrendOut(Out):
    """The trend of an asset, oldest first; `above_allowed`: the latest is hotter than its rating allows at its load."""

    alarms: list[str]
    above_allowed: bool
    series: list[SeriesOut]
    rows: list[TrendRowOut]


def trend_out(trend: AssetTrend) -> TrendOut:
    """Return a trend as the API gives it."""
    series = [SeriesOut.model_validate(one) for one in trend.series]
    alarms, rows = [one.name for one in trend.alarms], [_row(row) for row in trend.rows]
    return TrendOut(alarms=alarms, above_allowed=trend.above_allowed, series=series, rows=rows)


def _row(row: Row) -> TrendRowOut:
    samples = {name: getattr(row, name) for name in ("max_c", "delta_t_k", "rated_delta_t_k", "score")}
    about = {"image_id": row.look.key, "at": row.look.at, "load_percent": row.look.load_percent}
    rest = {"note": row.note, "allowed_c": row.allowed_c}
    return TrendRowOut.model_validate(about | samples | rest, from_attributes=True)


class ViewOut(Out):
    """An earlier image beside the newest; `matrix` maps a pixel (x, y, 1) of the newest to one of it."""

    image_id: str
    at: datetime
    same: bool
    said: str
    correlation: float | None
    overlap: float | None
    matrix: list[list[float]] | None
    max_c: float | None


class ViewsOut(Out):
    """The newest image of an asset and the earlier ones beside it; `max_c` is the highest in the box that was asked."""

    image_id: str
    max_c: float | None
    earlier: list[ViewOut]


def views_out(views: Views) -> ViewsOut:
    """Return views as the API gives them."""
    return ViewsOut(image_id=views.newest.id, max_c=views.max_c, earlier=[_view(view) for view in views.earlier])


def _view(view: View) -> ViewOut:
    found = view.registration
    return ViewOut(
        image_id=view.image.id,
        at=view.at,
        same=view.same,
        said=view.said,
        correlation=None if found is None else found.correlation,
        overlap=None if found is None else found.overlap,
        matrix=found.matrix.tolist() if found is not None and view.same else None,
        max_c=view.max_c,
    )


class LinkedOut(Out):
    """An image that lies outside of what the training has seen."""

    id: str
    name: str
    value: float


class ShiftOut(Out):
    """How one quantity has moved."""

    name: str
    state: State
    reference_count: int
    count: int
    reference_median: float | None
    median: float | None
    psi: float | None
    distance: float | None
    p_value: float | None
    images: list[LinkedOut]


class DriftOut(Out):
    """How far the newest images are from those of the training; `state` is the worst of all quantities."""

    at: datetime
    state: State
    psi: float | None
    reference: str
    model_id: str | None
    anomaly_model_id: str | None = None
    shifts: list[ShiftOut]


def drift_out(drift: Drift) -> DriftOut:
    """Return a check of drift as the API gives it."""
    return DriftOut.model_validate(plain_drift(drift))


class DriftCheckOut(Out):
    """A check that the server has made by itself."""

    id: str
    created_at: datetime
    state: State
    psi: float | None
