"""The drawing of a trend: each moment below it is told once, every value and bar lies in it, and text is only text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.measurement.trend import Sample, Series
from isotherm.reports.trend_plot import HEIGHT, WIDTH, trend_svg

START = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)


def series(spans: list[timedelta], values: list[float], uncertainty: float | None = None) -> Series:
    pairs = zip(spans, values, strict=True)
    return Series("max_c", "°C", tuple(Sample(START + span, value, uncertainty) for span, value in pairs))


def moments(drawing: str) -> list[str]:
    texts = [element.text or "" for element in ElementTree.fromstring(drawing).iter() if element.tag.endswith("text")]
    return [text for text in texts if re.match(r"\d+[-:]\d+", text)]


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (timedelta(days=400), ["2026-03-01", "2026-06-09", "2026-09-17", "2026-12-26", "2027-04-05"]),
        (timedelta(days=2), ["2026-03-01", "2026-03-02", "2026-03-03"]),
        (timedelta(hours=4), ["03-01 08:30", "03-01 09:30", "03-01 10:30", "03-01 11:30", "03-01 12:30"]),
        (timedelta(seconds=40), ["08:30:00", "08:30:10", "08:30:20", "08:30:30", "08:30:40"]),
        (timedelta(0), ["03-01 08:30:00"]),
    ],
)
def test_moments_are_told_as_finely_as_they_differ_and_once(span: timedelta, told: list[str]) -> None:
    assert moments(trend_svg(series([timedelta(0), span], [20.0, 21.0]))) == told


def test_a_name_from_outside_is_text() -> None:
    drawing = trend_svg(series([timedelta(0)], [20.0]), 'Motor <script>"&')
    titles = [element.text for element in ElementTree.fromstring(drawing).iter() if element.tag.endswith("title")]
    assert 'Motor <script>"& [°C]' in titles


@given(
    st.lists(st.floats(-270, 3000), min_size=1, max_size=8),
    st.none() | st.floats(0, 50),
    st.floats(0, 3e8),
)
@settings(deadline=None, max_examples=60)
def test_all_values_and_bars_lie_in_the_drawing(values: list[float], uncertainty: float | None, step_s: float) -> None:
    spans = [timedelta(seconds=step_s * place) for place in range(len(values))]
    drawing = ElementTree.fromstring(trend_svg(series(spans, values, uncertainty)))
    places = [
        (float(element.get("cx", 0)), float(element.get("cy", 0)))
        for element in drawing.iter()
        if "cx" in element.attrib
    ]
    lines = [element for element in drawing.iter() if element.tag.endswith("line") and "x1" in element.attrib]
    places += [(float(line.get(f"x{end}", 0)), float(line.get(f"y{end}", 0))) for line in lines for end in (1, 2)]
    assert len(places) >= len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
