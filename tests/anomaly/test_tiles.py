"""Where a picture lies in the network inputs: aspect ratio, border, tiles and back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.anomaly.tiles import STEP, STRETCH, Frame, fitting_size, ramp, starts

SIDES = st.integers(1, 16).map(lambda count: count * STEP)


@pytest.mark.parametrize(
    ("side", "aspect", "expected"),
    [(256, 1.0, (256, 256)), (256, 480 / 640, (224, 288)), (384, 640 / 250, (640, 256)), (64, 0.02, (32, 128))],
)
def test_the_input_has_the_pictures_aspect(side: int, aspect: float, expected: tuple[int, int]) -> None:
    assert fitting_size(side, aspect) == expected


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 32), st.floats(0.25, 4.0))
def test_the_input_has_about_the_wanted_area(steps: int, aspect: float) -> None:
    height, width = fitting_size(steps * 32, aspect)
    assert height % STEP == width % STEP == 0
    assert 0.4 <= height * width / (steps * 32) ** 2 <= 2.6
    if steps >= 8:
        assert abs(np.log(height / width / aspect)) < 0.2


@settings(max_examples=200, deadline=None)
@given(SIDES, SIDES)
def test_tiles_cover_everything_and_overlap(whole: int, part: int) -> None:
    places = starts(whole, min(part, whole))
    part = min(part, whole)
    assert places[0] == 0
    assert places[-1] + part == whole
    assert all(place % STEP == 0 for place in places)
    assert all(after - before <= max(STEP, part - part // 4) for before, after in pairwise(places))


def test_a_picture_of_another_aspect_is_bordered_in_the_middle() -> None:
    frame = Frame((192, 256), (192, 256))
    assert frame.place((480, 640)) == (0, 0, 192, 256)
    assert frame.place((100, 100)) == (0, 32, 192, 192)
    top, left, height, width = frame.place((10, 640))
    assert (left, width) == (0, 256)
    assert height == 4
    assert top == 94
    # A little distortion is less harm than a border.
    assert frame.place((round(480 * STRETCH) - 1, 640)) == (0, 0, 192, 256)


def smooth_picture(size: tuple[int, int]) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]] / 64
    return (np.sin(2 * rows) + np.cos(3 * columns)).astype(np.float32)


@pytest.mark.parametrize("stride", [4, 8, 32])
def test_joined_tiles_show_no_seam(stride: int) -> None:
    frame = Frame((416, 640), (128, 192))
    picture = smooth_picture((416 // stride, 640 // stride))
    tiles = [
        picture[top // stride : (top + 128) // stride, left // stride : (left + 192) // stride]
        for top, left in frame.tiles
    ]
    assert len(tiles) > 8
    assert frame.join(tiles) == pytest.approx(picture, abs=1e-5)


def test_what_tiles_disagree_about_changes_slowly() -> None:
    # Each tile is off by another constant, as detectors at the edge of their view are: no step from cell to cell may be
    # more than what the ramp of the overlap allows.
    frame = Frame((128, 512), (128, 128))
    offsets = np.linspace(0, 1, len(frame.tiles))
    joined = frame.join([np.full((16, 16), offset, np.float32) for offset in offsets])
    step = float(np.abs(np.diff(joined, axis=1)).max())
    assert step < 0.4 * float(np.diff(offsets).max())
    assert joined.min() == 0
    assert joined.max() == 1


def test_maps_of_an_odd_stride_are_joined_on_a_grid_that_fits() -> None:
    frame = Frame((256, 256), (128, 128))
    assert frame.join([np.ones((9, 9), np.float32)] * len(frame.tiles)) == pytest.approx(np.ones((32, 32)))


def test_the_border_is_cut_off_again() -> None:
    frame = Frame((192, 256), (192, 256))
    canvas = np.zeros((24, 32), np.float32)
    canvas[:, 4:28] = smooth_picture((24, 24))
    assert frame.uncover(canvas, (100, 100)) == pytest.approx(smooth_picture((24, 24)), abs=1e-6)
    assert frame.uncover(canvas, (48, 64)) is canvas


def test_weights_fall_inside_and_not_at_the_outer_border() -> None:
    first, middle, last = (ramp(512, 128, start, 16) for start in (0, 192, 384))
    assert first[0] == 1
    assert first[-1] < 0.2
    assert middle[0] < 0.2
    assert middle[-1] < 0.2
    assert last[-1] == 1
