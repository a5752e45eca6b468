"""The trend of an asset as a section of a report, in each of its languages."""

from __future__ import annotations

from functools import partial

from isotherm.measurement.asset_trend import DELTA, MAX, RATED, SCORE, AssetTrend
from isotherm.measurement.trend import Change, Sample, Series
from isotherm.reports.document.content import Figure, ReportSection, Table
from isotherm.reports.document.wording import Wording, wording
from isotherm.reports.trend_picture import trend_png
from isotherm.reports.trend_plot import Labels, trend_svg
from isotherm.reports.view_data import COVERAGE

MOST_ROWS = 24
NAMES = {MAX: "trend_max_c", DELTA: "trend_delta_t_k", RATED: "trend_rated_delta_t_k", SCORE: "trend_score"}
"""What the words of a report call each quantity."""


def trend_section(asset: str, about: str, trend: AssetTrend, language: str = "en") -> ReportSection:
    """Return the section of one asset.

    Parameters
    ----------
    asset, about
        Its name; its kind, place and rating in one line.
    trend
        At least one row.
    language
        A key of `isotherm.reports.document.wording.LANGUAGES`.

    Raises
    ------
    UnknownNameError
        There are no words in this language.
    """
    w = wording(language)
    said = tuple(_change(w, one) for one in trend.series if one.last is not None)
    verdict = () if any(one.alarm for one in trend.series) else (w("trend_calm"),)
    figures = tuple(_figure(one, asset, w) for one in trend.series if len(one.samples) > 1)
    paragraphs = (*filter(None, (about,)), *verdict, *said, w("trend_bars"))
    if len(trend.rows) > MOST_ROWS:
        paragraphs = (*paragraphs, w("trend_latest"))
    return ReportSection(f"{w('trend')}: {asset}", paragraphs, figures, (_table(trend, w),))


def _number(w: Wording, value: float, unit: str, *, sign: bool = False) -> str:
    """Return a number with its unit: tenths of a kelvin, thousandths of a score."""
    return f"{w.number(value, 1 if unit else 3, sign=sign)} {unit}".rstrip()


def _change(w: Wording, series: Series) -> str:
    """Return one sentence about what has changed in a series."""
    change = next((change for change in (series.last, series.first) if change and change.alarm), series.last)
    assert change is not None
    unit = "K" if series.unit == "°C" else series.unit
    about = f"{w(NAMES[series.name])}: {_difference(w, change, unit)}"
    if series.slope is not None:
        rise, reach = (_number(w, value, unit) for value in (series.slope.per_year, series.slope.expanded))
        about += "; " + w("trend_slope", rise=rise, reach=reach)
    return f"⚠ {about}: {w('trend_alarm')}." if series.alarm else f"{about}."


def _difference(w: Wording, change: Change, unit: str) -> str:
    reach = w("trend_unknown") if change.expanded is None else f"± {_number(w, change.expanded, unit)}"
    risen = _number(w, change.difference, unit, sign=True)
    return w("trend_change", change=risen, day=w.day(change.since), reach=reach)


def _figure(series: Series, asset: str, w: Wording) -> Figure:
    labels = Labels(w("decimal"), w("day"), w("day_time"))
    name = w(NAMES[series.name])
    svg = trend_svg(series, name, labels=labels, titled=False).replace("currentColor", "#222222")
    caption = f"{name} [{series.unit}]" if series.unit else name
    alt = f"{asset}: {_change(w, series)}"
    return Figure(svg.encode(), "svg", alt, caption, raster=partial(trend_png, series, labels))


def _table(trend: AssetTrend, w: Wording) -> Table:
    names = [one.name for one in trend.series]
    units = {one.name: one.unit for one in trend.series}
    head = (w("trend_date"), w("trend_load"), *(w(NAMES[name]) for name in names))
    rows = []
    for row in trend.rows[-MOST_ROWS:]:
        load = row.look.load_percent
        cells = (_cell(getattr(row, name), units[name], w) for name in names)
        rows.append((w.day(row.look.at), "" if load is None else f"{load:.0f} %", *cells))
    return Table(w("trend"), head, tuple(rows))


def _cell(sample: Sample | None, unit: str, w: Wording) -> str:
    if sample is None:
        return ""
    value, digits = sample.value, 1 if unit else 3
    bar = "" if sample.uncertainty is None else f" ± {w.number(COVERAGE * sample.uncertainty, digits)}"
    return f"{w.number(value, digits)}{bar} {unit}".rstrip()
