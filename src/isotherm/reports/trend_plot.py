"""A trend as a drawing: points with their uncertainty over time, the latest one marked by an alarm.

As SVG it needs nothing else: lines and letters take the colour of the text around them, so that one drawing serves
light and dark pages and paper, and there is no style in it, because the pages allow none.
`isotherm.reports.trend_picture` paints the same for what cannot hold SVG.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Literal

from isotherm.measurement.trend import Sample, Series
from isotherm.reports.view_data import COVERAGE

WIDTH, HEIGHT = 560, 230
TITLE_PX = 18
"""So much of the height is the title's."""
LEFT, RIGHT, BOTTOM = 50, WIDTH - 14, HEIGHT - 32
_TOP = 28
LINE, ALARM = "#3a7ca5", "#d1495b"
LETTERS_PX, BAR_PX, POINT_PX, END_PX = 12, 1.2, 3.5, 3
"""Size of letters; width of bars; radius of points; half the width of a bar's ends [px]."""
_STEPS = (1, 2, 2.5, 5, 10)
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Labels:
    """How numbers and moments are written: the day, and that day of the year with its time."""

    decimal: str = "."
    day: str = "%Y-%m-%d"
    day_time: str = "%m-%d %H:%M"

    def forms(self) -> tuple[tuple[timedelta, str], ...]:
        """Return from which length of time on how a moment is written."""
        return (
            (timedelta(days=2), self.day),
            (timedelta(hours=1), self.day_time),
            (timedelta(seconds=2), "%H:%M:%S"),
            (timedelta(0), f"{self.day_time}:%S"),
        )


@dataclass(frozen=True)
class Point:
    """Where a sample lies, from where to where its bar goes up and down, and what it says."""

    x: float
    y: float
    bar: tuple[float, float] | None
    alarm: bool
    told: str

    @property
    def colour(self) -> str:
        """The colour of its mark and its bar."""
        return ALARM if self.alarm else LINE


@dataclass(frozen=True)
class TrendPlot:
    """Where everything lies in a drawing of `WIDTH` x `HEIGHT` px.

    Parameters
    ----------
    title
        Name and unit.
    ticks
        Height and text of each line of the grid.
    days
        Where a date is written, which, and what of it lies there.
    points
        Oldest first.
    """

    title: str
    ticks: tuple[tuple[float, str], ...]
    days: tuple[tuple[float, str, Anchor], ...]
    points: tuple[Point, ...]


def plot_of(series: Series, name: str = "", labels: Labels | None = None) -> TrendPlot:
    """Return where the points of a series (at least one sample) and its scales lie; bars show twice the uncertainty."""
    labels = labels or Labels()
    name = name or series.name.removesuffix("_c").removesuffix("_k").replace("_", " ")
    low, high, ticks = _scale(series.samples)
    first, last = series.samples[0].at, series.samples[-1].at
    across = _Axis(first.timestamp(), last.timestamp(), LEFT + 8, RIGHT - 8)
    up = _Axis(low, high, BOTTOM, _TOP)
    return TrendPlot(
        f"{name} [{series.unit}]" if series.unit else name,
        tuple((up(tick), f"{tick:g}".replace(".", labels.decimal)) for tick in ticks),
        tuple(_days(first, last, across, labels)),
        tuple(_points(series, across, up, labels)),
    )


def trend_svg(series: Series, name: str = "", *, labels: Labels | None = None, titled: bool = True) -> str:
    """Return the drawing of one series.

    Parameters
    ----------
    series
        At least one sample; bars show twice the standard uncertainty.
    name
        What it is called above the drawing and when it is read aloud; its own name, if empty.
    labels
        How numbers and days are written.
    titled
        Whether the name stands above it.
    """
    plot = plot_of(series, name, labels)
    title, top = escape(plot.title), 0 if titled else TITLE_PX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 {top} {WIDTH} {HEIGHT - top}" role="img" '
        f'aria-label="{title}" font-family="sans-serif" font-size="{LETTERS_PX}" color="currentColor">',
        f"<title>{title}</title>",
        *([_text(LEFT, 14, plot.title, anchor="start", bold=True)] if titled else []),
        *_grid(plot),
        *_drawn(plot.points),
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


def _days(first: datetime, last: datetime, across: _Axis, labels: Labels) -> Iterator[tuple[float, str, Anchor]]:
    """Give the days below the drawing, at most five; of a few days, the times. None stands there twice."""
    span = last - first
    form = next(form for least, form in labels.forms() if span >= least)
    anchors: tuple[Anchor, ...] = ("start", "middle", "middle", "middle", "end")
    told = ""
    for place, anchor in enumerate(anchors if span else ("middle",)):
        at = first + span * (place / 4)
        if told != (told := at.strftime(form)):
            yield across(at.timestamp()), told, anchor


def _points(series: Series, across: _Axis, up: _Axis, labels: Labels) -> Iterator[Point]:
    for number, sample in enumerate(series.samples, start=1):
        reach = COVERAGE * sample.uncertainty if sample.uncertainty else None
        bar = None if reach is None else (up(sample.value - reach), up(sample.value + reach))
        alarm = series.alarm and number == len(series.samples)
        told = _told(sample, series.unit, labels)
        yield Point(across(sample.at.timestamp()), up(sample.value), bar, alarm, told)


def _told(sample: Sample, unit: str, labels: Labels) -> str:
    value = f"{sample.value:.4g} {unit}".rstrip()
    spread = f" ± {COVERAGE * sample.uncertainty:.2g}" if sample.uncertainty else ""
    return f"{sample.at.strftime(labels.day)} {sample.at:%H:%M}: " + f"{value}{spread}".replace(".", labels.decimal)


def _grid(plot: TrendPlot) -> Iterator[str]:
    for y, text in plot.ticks:
        yield f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y}" y2="{y}" stroke="currentColor" stroke-opacity="0.18"/>'
        yield _text(LEFT - 6, y + 4, text, anchor="end")
    for x, text, anchor in plot.days:
        yield _text(x, HEIGHT - 10, text, anchor=anchor)


def _drawn(points: Sequence[Point]) -> Iterator[str]:
    path = " ".join(f"{point.x},{point.y}" for point in points)
    yield f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.5" stroke-opacity="0.7"/>'
    for point in points:
        for x1, y1, x2, y2 in bar_lines(point):
            yield (
                f'<line x1="{x1:g}" x2="{x2:g}" y1="{y1:g}" y2="{y2:g}" '
                f'stroke="{point.colour}" stroke-width="{BAR_PX}"/>'
            )
        yield _mark(point)


def bar_lines(point: Point) -> Iterator[tuple[float, float, float, float]]:
    """Yield the lines (x1, y1, x2, y2) of a point's bar: from end to end, and both ends."""
    if point.bar is not None:
        low, high = point.bar
        yield point.x, high, point.x, low
        for y in (high, low):
            yield point.x - END_PX, y, point.x + END_PX, y


def triangle(point: Point) -> tuple[tuple[float, float], ...]:
    """Return the mark of an alarm, which has a form of its own for those who see no colours."""
    return (point.x, point.y - 7), (point.x + 6, point.y + 4), (point.x - 6, point.y + 4)


def _mark(point: Point) -> str:
    title = f"<title>{escape(point.told)}</title>"
    if point.alarm:
        corners = " ".join(f"{x:g},{y:g}" for x, y in triangle(point))
        return f'<polygon points="{corners}" fill="{point.colour}">{title}</polygon>'
    return f'<circle cx="{point.x:g}" cy="{point.y:g}" r="{POINT_PX}" fill="{point.colour}">{title}</circle>'


def _text(x: float, y: float, text: str, *, anchor: Anchor, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor"{weight}>{escape(text)}</text>'
