"""A trend as SVG that needs nothing else: points with their uncertainty over time, the latest one marked by an alarm.

Lines and letters take the colour of the text around them, so that one drawing serves light and dark pages and paper.
There is no style in it, because the pages allow none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape

from isotherm.measurement.trend import Sample, Series
from isotherm.reports.view_data import COVERAGE

WIDTH, HEIGHT = 560, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 14, 28, 32
_LINE, _ALARM = "#3a7ca5", "#d1495b"
_STEPS = (1, 2, 2.5, 5, 10)
_FORMS = (
    (timedelta(days=2), "%Y-%m-%d"),
    (timedelta(hours=1), "%m-%d %H:%M"),
    (timedelta(seconds=2), "%H:%M:%S"),
    (timedelta(0), "%m-%d %H:%M:%S"),
)
"""From which time on how a moment is written."""


def trend_svg(series: Series, name: str = "") -> str:
    """Return the drawing of one series.

    Parameters
    ----------
    series
        At least one sample; bars show twice the standard uncertainty.
    name
        What it is called above the drawing and when it is read aloud; its own name, if empty.
    """
    name = name or series.name.removesuffix("_c").removesuffix("_k").replace("_", " ")
    title = f"{name} [{series.unit}]" if series.unit else name
    low, high, ticks = _scale(series.samples)
    first, last = series.samples[0].at, series.samples[-1].at
    across = _Axis(first.timestamp(), last.timestamp(), _LEFT + 8, WIDTH - _RIGHT - 8)
    up = _Axis(low, high, HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-family="sans-serif" font-size="12" color="currentColor">',
        f"<title>{escape(title)}</title>",
        _text(_LEFT, 14, title, anchor="start", bold=True),
        *_grid(ticks, up),
        *_dates(first, last, across),
        *_points(series, across, up),
        "</svg>",
    ]
    return "\n".join(parts)


class _Axis:
    """Where a value lies in the drawing."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start = low, start
        self._rate = (end - start) / (high - low) if high > low else 0.0
        if not self._rate:
            self._start = (start + end) / 2

    def __call__(self, value: float) -> float:
        return round(self._start + self._rate * (value - self._low), 2)


def _scale(samples: Sequence[Sample]) -> tuple[float, float, list[float]]:
    """Return the ends of the vertical axis and round values between them."""
    reach = [COVERAGE * (sample.uncertainty or 0.0) for sample in samples]
    low = min(sample.value - bar for sample, bar in zip(samples, reach, strict=True))
    high = max(sample.value + bar for sample, bar in zip(samples, reach, strict=True))
    rough = max(high - low, 1e-3 * max(1.0, abs(high))) / 4
    power = 10 ** math.floor(math.log10(rough))
    step = next(step * power for step in _STEPS if step * power >= rough)
    below, above = math.floor(low / step), math.ceil(high / step)
    above = above + 1 if above == below else above
    return below * step, above * step, [round(place * step, 10) for place in range(below, above + 1)]


def _grid(ticks: Sequence[float], up: _Axis) -> Iterator[str]:
    for tick in ticks:
        y = up(tick)
        yield (
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="0.18"/>'
        )
        yield _text(_LEFT - 6, y + 4, f"{tick:g}", anchor="end")


def _dates(first: datetime, last: datetime, across: _Axis) -> Iterator[str]:
    """Give the days below the drawing, at most five; of a few days, the times. None stands there twice."""
    span = last - first
    form = next(form for least, form in _FORMS if span >= least)
    places = {0: "start", 1: "middle", 2: "middle", 3: "middle", 4: "end"} if span else {0: "middle"}
    told = ""
    for place, anchor in places.items():
        at = first + span * (place / 4)
        if told != (told := at.strftime(form)):
            yield _text(across(at.timestamp()), HEIGHT - 10, told, anchor=anchor)


def _points(series: Series, across: _Axis, up: _Axis) -> Iterator[str]:
    places = [(across(sample.at.timestamp()), up(sample.value)) for sample in series.samples]
    path = " ".join(f"{x},{y}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{_LINE}" stroke-width="1.5" stroke-opacity="0.7"/>'
    for number, (sample, (x, y)) in enumerate(zip(series.samples, places, strict=True), start=1):
        alarm = series.alarm and number == len(places)
        colour = _ALARM if alarm else _LINE
        if sample.uncertainty:
            reach = COVERAGE * sample.uncertainty
            yield from _bar(x, up(sample.value - reach), up(sample.value + reach), colour)
        yield _mark(x, y, colour, _told(sample, series.unit), alarm=alarm)


def _bar(x: float, low: float, high: float, colour: str) -> Iterator[str]:
    for x1, x2, y1, y2 in ((x, x, high, low), (x - 3, x + 3, high, high), (x - 3, x + 3, low, low)):
        yield f'<line x1="{x1:g}" x2="{x2:g}" y1="{y1:g}" y2="{y2:g}" stroke="{colour}" stroke-width="1.2"/>'


def _mark(x: float, y: float, colour: str, told: str, *, alarm: bool) -> str:
    """Return a point; an alarm has another form too, for those who see no colours."""
    title = f"<title>{escape(told)}</title>"
    if alarm:
        return f'<path d="M{x:g} {y - 7:g} l6 11 h-12 z" fill="{colour}">{title}</path>'
    return f'<circle cx="{x:g}" cy="{y:g}" r="3.5" fill="{colour}">{title}</circle>'


def _told(sample: Sample, unit: str) -> str:
    told = f"{sample.at:%Y-%m-%d %H:%M}: {sample.value:.4g} {unit}".rstrip()
    return told + (f" ± {COVERAGE * sample.uncertainty:.2g}" if sample.uncertainty else "")


def _text(x: float, y: float, text: str, *, anchor: str, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor"{weight}>{escape(text)}</text>'
