"""The figure of a measurement."""

from __future__ import annotations

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from isotherm.core.shapes import Box, Ellipse, Line, Polygon, Spot
from isotherm.measurement.shapes import mask_of
from isotherm.reports.figures_measure import DrawnRegion, Marking, _curve, _free_place, _numbers, measurement_figure

SIZE = (120, 160)
CELSIUS = np.linspace(20, 60, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE)


def drawn(label: str, shape: Spot | Box | Ellipse | Line | Polygon) -> DrawnRegion:
    return DrawnRegion(label, f"{label} max 84.3 ± 4.1 °C", shape, mask_of(shape, SIZE))


@settings(deadline=None, max_examples=40)
@example([(0, 0), (0, 1), (0, 0)])
@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 110)), min_size=1, max_size=4))
def test_texts_lie_in_the_picture_and_few_hide_none(corners: list[tuple[int, int]]) -> None:
    taken = []
    for number, (x, y) in enumerate(corners):
        text, frame = _free_place(drawn(f"b{number}", Box(x, y, 9, 9)), taken, 0.25, SIZE)
        assert text.startswith(f"b{number}")
        assert frame.left >= 0
        assert frame.top >= 0
        assert frame.left + frame.width <= SIZE[1]
        assert frame.top + frame.height <= SIZE[0]
        taken.append(frame)
    assert not any(one.hits(other) for one, other in combinations(taken, 2))


def test_where_there_is_no_room_the_label_alone_is_written() -> None:
    taken: list = []
    texts = []
    for number in range(14):
        text, frame = _free_place(drawn(f"b{number}", Box(60, 60, 9, 9)), taken, 0.25, SIZE)
        taken.append(frame)
        texts.append(text)
    assert "max" in texts[0]
    assert texts[-1] == "b13"


@pytest.mark.parametrize("colours", ["iron", "grey"])
def test_every_shape_is_drawn_and_gaps_are_grey(colours: str) -> None:
    values = CELSIUS.copy()
    values[:20] = np.nan
    shapes = (
        Spot(30, 40),
        Box(50, 60, 20, 20),
        Ellipse(100, 60, 20, 10),
        Line(0, 0, 150, 110),
        Polygon(((5, 5), (60, 5), (30, 50))),
    )
    regions = [drawn(f"r{number}", shape) for number, shape in enumerate(shapes)]
    regions.append(DrawnRegion("mask", "mask", None, values > 50))
    regions.append(DrawnRegion("line", "line", shapes[3], None, distance=np.arange(5.0), along=np.arange(5.0)))
    edges, counts = np.linspace(20, 60, 5), np.arange(4.0)
    regions.append(DrawnRegion("h", "h", None, None, edges, counts))
    plain = measurement_figure("t", values, [], colours=colours)
    full = measurement_figure(
        "t", values, regions, [Marking(">40", values > 40), Marking("none", values > 99)], colours=colours
    )
    first, second = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int) for data in (plain, full))
    assert (np.abs(first - second).sum(axis=2) > 60).mean() > 0.01
    assert (np.abs(second - np.array([120, 126, 134])).sum(axis=2) < 6).mean() > 0.02


def test_the_same_measurement_gives_the_same_bytes() -> None:
    regions = [drawn("a", Box(10, 10, 30, 30))]
    assert measurement_figure("t", CELSIUS, regions) == measurement_figure("t", CELSIUS, regions)


def test_no_two_curves_look_the_same() -> None:
    image = DrawnRegion("image", "image", None, np.ones(SIZE, bool))
    regions = [image, *(drawn(f"b{number}", Box(number, 0, 5, 5)) for number in range(18))]
    shown = _numbers(regions)
    looks = [_curve(region, shown) for region in regions]
    assert len({(look["color"], look["linestyle"]) for look in looks}) == len(regions)
    # The whole picture's colour is nobody else's.
    assert looks[0]["color"] not in {look["color"] for look in looks[1:]}
