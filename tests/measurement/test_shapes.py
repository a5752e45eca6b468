"""Shapes as people type them, their pixels, and profiles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError
from isotherm.core.shapes import Box, Ellipse, Line, Marked, Polygon, Shape, Spot
from isotherm.measurement.shapes import (
    PARSERS,
    full_size_px,
    kind_of,
    line_pixels,
    mask_of,
    outside_px,
    parse_marked,
    profile,
)


@pytest.mark.parametrize(
    ("kind", "text", "shape"),
    [
        ("spot", "8,6", Spot(8, 6)),
        ("spot", " 8, 6 ,5", Spot(8, 6, 5)),
        ("box", "1,2,30,40", Box(1, 2, 30, 40)),
        ("ellipse", "8,6.5,4,2", Ellipse(8, 6.5, 4, 2)),
        ("line", "0,0,9.5,3", Line(0, 0, 9.5, 3)),
        ("polygon", "1,1 9,1 5,7", Polygon(((1, 1), (9, 1), (5, 7)))),
        ("polygon", "1,1,9,1;5,7", Polygon(((1, 1), (9, 1), (5, 7)))),
    ],
)
def test_shapes_are_read(kind: str, text: str, shape: object) -> None:
    assert PARSERS[kind](text) == shape
    assert kind_of(shape) == kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("spot", "8", "two whole numbers"),
        ("spot", "8,6,4", "odd"),
        ("spot", "-1,6", "two whole numbers"),
        ("spot", "9999999,6", "two whole numbers"),
        ("box", "1,2,3", "four whole numbers"),
        ("box", "1,2,0,3", "at least 1 px"),
        ("ellipse", "8,6,0,2", "half axes above 0"),
        ("ellipse", "8,6,nan,2", "four numbers"),
        ("line", "0,0,9", "four numbers"),
        ("line", "0,0,1e9,0", "four numbers"),
        ("polygon", "1,1 9,1", "three corners"),
        ("polygon", "1,1 9,1 5", "three corners"),
        ("polygon", "", "corners"),
    ],
)
def test_what_is_no_shape_is_said(kind: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        PARSERS[kind](text)


def test_labels_are_given_counted_and_checked() -> None:
    taken: set[str] = {"s1"}
    assert parse_marked("spot", "1,2", taken) == Marked("s2", Spot(1, 2))
    assert parse_marked("spot", "left clamp=1,2", taken).label == "left clamp"
    assert taken == {"s1", "s2", "left clamp"}
    for text, says in (
        ("s2=1,2", "two regions"),
        ("ambient=1,2", "deltas use that word"),
        ("a(b=1,2", "a label is"),
        ("=1,2", "a label is"),
    ):
        with pytest.raises(ConfigError, match=says):
            parse_marked("spot", text, taken)


def test_a_spot_is_a_square_round_its_pixel_and_ends_with_the_picture() -> None:
    mask = mask_of(Spot(3, 2), (6, 8))
    assert mask[1:4, 2:5].all()
    assert mask.sum() == 9 == full_size_px(Spot(3, 2))
    assert mask_of(Spot(0, 0), (6, 8)).sum() == 4
    assert not mask_of(Spot(20, 2), (6, 8)).any()


def test_a_box_and_a_polygon_of_half_pixels_are_the_same_pixels() -> None:
    box = mask_of(Box(2, 1, 4, 3), (6, 8))
    corners = ((1.5, 0.5), (5.5, 0.5), (5.5, 3.5), (1.5, 3.5))
    assert np.array_equal(box, mask_of(Polygon(corners), (6, 8)))
    assert np.array_equal(box, mask_of(Polygon(corners[::-1]), (6, 8)))
    assert box.sum() == 12


def test_an_ellipse_has_about_its_area() -> None:
    mask = mask_of(Ellipse(50, 40, 30.5, 20.5), (90, 110))
    assert mask.sum() == pytest.approx(np.pi * 30.5 * 20.5, rel=0.01)
    assert np.array_equal(mask[:, :101], mask[:, :101][:, ::-1])


def test_a_polygon_that_crosses_itself_is_even_odd() -> None:
    # A pentagram: the middle is crossed twice, so it is outside.
    angles = np.deg2rad(90 + 144 * np.arange(5))
    star = Polygon(tuple((50 + 40 * np.cos(a), 50 - 40 * np.sin(a)) for a in angles))
    mask = mask_of(star, (100, 100))
    assert not mask[50, 50]
    assert mask[20, 50]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 20)), min_size=3, max_size=7),
    st.integers(0, 15),
    st.integers(0, 20),
)
def test_polygons_follow_the_ray_rule(corners: list[tuple[float, float]], y: int, x: int) -> None:
    inside = False
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y0 > y) != (y1 > y):
            crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
            if abs(crossing - x) < 1e-9:
                return
            inside ^= x < crossing
    # The mask counts an edge where y0 <= y < y1; the rule above where y0 > y or y1 > y: the same rows.
    assert mask_of(Polygon(tuple(corners)), (16, 21))[y, x] == inside


@settings(deadline=None, max_examples=60)
@given(st.tuples(*[st.floats(-9, 30)] * 4))
def test_a_line_has_no_gap(ends: tuple[float, float, float, float]) -> None:
    x, y = line_pixels(Line(*ends), (2000, 2000))
    if x.size > 1:
        assert max(np.abs(np.diff(x)).max(), np.abs(np.diff(y)).max()) <= 1


def test_a_profile_gives_values_that_pixels_have() -> None:
    values = np.arange(48, dtype=np.float32).reshape(6, 8)
    distance, found = profile(values, Line(1, 2, 5, 2))
    assert distance.tolist() == [0, 1, 2, 3, 4]
    assert found.tolist() == [17, 18, 19, 20, 21]
    distance, found = profile(values, Line(0, 0, 20, 20))
    assert found.tolist() == [0, 9, 18, 27, 36, 45]
    assert mask_of(Line(0, 0, 20, 20), (6, 8)).sum() == 6
    assert profile(values, Line(3, 3, 3, 3))[1].tolist() == [27]
    assert profile(values, Line(-9, -9, -2, -2))[1].size == 0


@pytest.mark.parametrize(
    ("shape", "outside"),
    [
        (Spot(0, 5), 3),
        (Box(7, 0, 4, 2), 2),
        (Line(3.0, 2.0, 13.0, 2.0), 4),
        (Line(3.0, 2.0, 9.4, 2.0), 0),
        (Ellipse(9.0, 4.0, 2.0, 1.0), 2),
        (Ellipse(5.0, 4.0, 2.2, 1.3), 0),
        (Polygon(((-2.0, 1.0), (4.0, 1.0), (4.0, 3.0), (-2.0, 3.0))), 4),
        (Polygon(((0.0, 0.0), (9.0, 0.0), (9.0, 7.0))), 0),
        (Line(0.0, 0.0, 5e5, 5e5), 500_001 - 8),
        (Ellipse(0.0, 0.0, 1e5, 1e5), round(math.pi * 1e10) - 80),
    ],
)
def test_what_lies_outside_the_picture_is_counted_for_every_shape(shape: Shape, outside: int) -> None:
    assert outside_px(shape, mask_of(shape, (8, 10))) == outside
