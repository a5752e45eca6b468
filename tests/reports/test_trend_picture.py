"""The trend as PNG shows what the SVG shows: points where the values are, the alarm in its colour, no title."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from PIL import Image, ImageColor

from isotherm.measurement.trend import Change, Sample, Series
from isotherm.reports.trend_picture import ENLARGED, trend_png
from isotherm.reports.trend_plot import ALARM, HEIGHT, LINE, TITLE_PX, WIDTH, Labels, plot_of, trend_svg

START = datetime(2026, 3, 1, tzinfo=UTC)
RISING = Series("max_c", "°C", tuple(Sample(START + timedelta(days=30 * n), 20.0 + n, 0.4) for n in range(4)))
ALARMED = replace(RISING, last=Change(START, 3.0, 1.0, True))


def pixels(data: bytes) -> np.ndarray:
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    assert picture.size == (ENLARGED * WIDTH, ENLARGED * (HEIGHT - TITLE_PX))
    return np.asarray(picture.convert("RGB")).astype(int)


def is_near(found: np.ndarray, colour: str) -> np.ndarray:
    return np.abs(found - np.array(ImageColor.getrgb(colour))).max(axis=-1) <= 12


def test_each_point_lies_where_the_drawing_has_it() -> None:
    found = pixels(trend_png(RISING))

    for point in plot_of(RISING).points:
        row, column = round((point.y - TITLE_PX) * ENLARGED), round(point.x * ENLARGED)
        assert is_near(found[row, column], LINE)
    assert not is_near(found, ALARM).any()


def test_the_latest_point_has_the_colour_of_an_alarm() -> None:
    found = pixels(trend_png(ALARMED))
    last = plot_of(ALARMED).points[-1]

    rows, columns = np.nonzero(is_near(found, ALARM))
    assert abs(columns.mean() / ENLARGED - last.x) < 1
    assert rows.size > 100


def test_the_same_series_gives_the_same_bytes_and_one_value_is_enough() -> None:
    assert trend_png(RISING) == trend_png(RISING)
    pixels(trend_png(replace(RISING, samples=RISING.samples[:1])))


def test_numbers_and_days_are_written_as_asked() -> None:
    series = replace(RISING, samples=tuple(replace(s, value=s.value / 10) for s in RISING.samples))
    drawing = trend_svg(series, labels=Labels(",", "%d.%m.%Y", "%d.%m. %H:%M"), titled=False)

    assert ">01.03.2026<" in drawing
    assert ">2,5<" in drawing
    assert "01.03.2026 00:00: 2 °C ± 0,8" in drawing
    assert 'font-weight="600"' not in drawing
    assert f'viewBox="0 {TITLE_PX} {WIDTH} {HEIGHT - TITLE_PX}"' in drawing
