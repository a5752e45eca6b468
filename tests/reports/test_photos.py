"""The photo of the same view: decoded within limits, moved, and its edges laid over the thermal picture."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from isotherm.core.capture import Alignment
from isotherm.core.errors import FormatError, TooLargeError
from isotherm.reports.drawing import Span
from isotherm.reports.edge_picture import BOX, HEADER, MARGIN, draw_edges
from isotherm.reports.photos import Nudge, PlacedPhoto, centred, decode_photo, edges_of, page_photo, reduced, warped
from thermal_files import encoded, exif_block

PIXELS = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_photos_are_decoded(kind: str) -> None:
    np.testing.assert_array_equal(decode_photo(encoded(PIXELS, kind)), PIXELS)


def test_a_photo_is_turned_upright() -> None:
    lying = encoded(PIXELS, "JPEG", quality=95, exif=b"Exif\0\0" + exif_block(orientation=6))
    assert decode_photo(lying).shape == (40, 30, 3)


def test_a_damaged_photo_is_refused() -> None:
    with pytest.raises(FormatError, match="photo: damaged"):
        decode_photo(encoded(PIXELS, "JPEG")[:200])
    with pytest.raises(FormatError, match="photo: the header is damaged"):
        decode_photo(b"no picture")


def test_a_photo_that_declares_too_much_is_refused_before_it_is_decoded() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10))) + chunk(b"IEND", b"")
    )
    with pytest.raises(TooLargeError, match="9000 x 9000 pixels"):
        decode_photo(bomb)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "BMP"]), st.integers(0, 500))
def test_whatever_the_bytes_only_format_errors_come_out(noise: bytes, kind: str, place: int) -> None:
    data = bytearray(encoded(PIXELS, kind))
    data[place : place + len(noise)] = noise
    with suppress(FormatError):
        assert decode_photo(bytes(data)).ndim == 3


def test_centred_pictures_share_their_middle_and_the_thermal_one_lies_within() -> None:
    found = centred((1000, 1600), (48, 64))
    assert (found.scale_x, found.source) == (1000 / 48, "centred (assumed)")
    middle = 31.5 * found.scale_x + found.offset_x, 23.5 * found.scale_y + found.offset_y
    assert middle == pytest.approx((799.5, 499.5))


def test_a_photo_moved_right_shows_what_was_left() -> None:
    base = Alignment(2.0, 2.0, 5.0, 7.0, "centred (assumed)")
    moved = Nudge(3, -1, 1.0).applied(base, (48, 64))
    # What thermal pixel 10, 10 shows now is what 7, 11 showed before.
    assert 10 * moved.scale_x + moved.offset_x == pytest.approx(7 * base.scale_x + base.offset_x)
    assert 10 * moved.scale_y + moved.offset_y == pytest.approx(11 * base.scale_y + base.offset_y)
    assert moved.source == "hand"


@given(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.1, 10))
def test_enlarging_keeps_the_middle(right: float, down: float, zoom: float) -> None:
    base = Alignment(2.0, 2.5, 5.0, 7.0, "x")
    moved = Nudge(right, down, zoom).applied(base, (48, 64))
    x, y = 31.5, 23.5
    there = (x + right) * moved.scale_x + moved.offset_x, (y + down) * moved.scale_y + moved.offset_y
    assert there == pytest.approx((x * base.scale_x + base.offset_x, y * base.scale_y + base.offset_y), abs=1e-6)


@given(st.floats(0.05, 1))
def test_a_reduced_photo_is_aligned_as_before(share: float) -> None:
    pixels = np.zeros((300, 400, 3), np.uint8)
    photo = PlacedPhoto(pixels, Alignment(4.0, 4.0, 20.0, 10.0, "x"), "a")
    small = reduced(photo, share)
    by_x = small.pixels.shape[1] / 400
    # The corner of a pixel lies at the same share of the photo's width.
    assert (small.alignment.offset_x + 0.5 + small.alignment.scale_x * 9) == pytest.approx((20.5 + 36) * by_x)


def square_photo() -> PlacedPhoto:
    """Return a photo of 4 px for each thermal pixel with a bright square over the thermal pixels 20..39 x 10..29."""
    pixels = np.full((192, 256, 3), 40, np.uint8)
    pixels[40:120, 80:160] = 220
    return PlacedPhoto(pixels, centred((192, 256), (48, 64)), "photo a.jpg")


def test_edges_lie_where_the_photo_changes() -> None:
    photo = square_photo()
    edges = edges_of(photo.pixels)
    assert edges[60, 78:82].max() > 200
    assert edges[80, 100:140].max() == 0
    over = np.asarray(warped(edges, photo.alignment, (640, 480), 10))
    columns = np.flatnonzero(over[200] > 120)
    # The left and the right side of the square, at thermal 20 and 40, shown ten times as large.
    assert columns[0] == pytest.approx(200, abs=8)
    assert columns[-1] == pytest.approx(400, abs=8)


def test_noise_in_the_dark_is_no_edge() -> None:
    dark = np.random.default_rng(0).integers(0, 5, (60, 80, 3)).astype(np.uint8)
    assert edges_of(dark).max() < 40


def test_the_picture_shows_edges_over_the_colours() -> None:
    values = np.full((48, 64), 20, np.float32)
    png = draw_edges("IR_1.jpg", values, Span(10, 60), table="iron", photo=square_photo())
    picture = np.asarray(Image.open(io.BytesIO(png)))
    scale = BOX // 64
    thermal = picture[HEADER : HEADER + 48 * scale, MARGIN : MARGIN + BOX].astype(int)
    white = thermal.min(axis=2) > 200
    assert white[20 * scale].nonzero()[0].min() == pytest.approx(20 * scale, abs=scale)
    assert not white[:, : 18 * scale].any()
    assert picture.shape[1] > 2 * BOX


def test_a_photo_in_a_page_is_small() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3)).astype(np.uint8)
    found = page_photo(PlacedPhoto(pixels, centred((1500, 2000), (48, 64)), "photo a.jpg"))
    with Image.open(io.BytesIO(base64.b64decode(found["src"].split(",")[1]))) as picture:
        assert picture.size == (960, 720)
    assert found["alignment"]["scale_x"] == pytest.approx(15)
