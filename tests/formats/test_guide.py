"""Guide TP8: temperatures at a fixed place, the photo the right way up, and damage."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from guide_files import PHOTO, TEMPERATURES, bmp, camera_jpeg, guide
from PIL import Image

import isotherm
from isotherm.core.errors import FormatError
from isotherm.formats import FORMATS, ReadHints, read_bytes
from thermal_files import encoded


def test_tenths_of_a_degree_with_their_sign() -> None:
    counts = np.full((288, 384), 215, np.int16)
    counts[0, 0], counts[287, 383] = -373, 2615
    thermogram = read_bytes(guide(counts))
    celsius = thermogram.celsius()
    assert thermogram.format == "guide"
    np.testing.assert_array_equal(thermogram.counts, counts)
    assert (celsius[0, 0], celsius[287, 383], celsius[5, 5]) == pytest.approx((-37.3, 261.5, 21.5), abs=1e-4)


def test_unit_and_sign_are_said_to_be_inferred() -> None:
    assert any("inferred" in note for note in read_bytes(guide()).notes)


def test_the_photo_is_readable_and_the_right_way_up() -> None:
    thermogram = read_bytes(guide(photo_size=(6, 4)))
    assert thermogram.visual is not None
    photo = np.array(Image.open(io.BytesIO(thermogram.visual.data)).convert("RGB"))
    assert photo.shape == (4, 6, 3)
    assert photo[0, 0, 0] > 200 > photo[0, 0, 1]
    assert photo[3, 0, 1] > 200 > photo[3, 0, 0]


def test_a_cut_photo_costs_no_temperature() -> None:
    sample = guide()
    thermogram = read_bytes(sample[: PHOTO + 30])
    assert thermogram.visual is None
    np.testing.assert_array_equal(thermogram.counts, read_bytes(sample).counts)


@pytest.mark.parametrize("length", [PHOTO, PHOTO + 1])
def test_a_file_cut_behind_its_temperatures_has_all_of_them(length: int) -> None:
    sample = guide()
    thermogram = read_bytes(sample[:length])
    assert thermogram.format == "guide"
    np.testing.assert_array_equal(thermogram.counts, read_bytes(sample).counts)


@pytest.mark.parametrize("length", [TEMPERATURES - 9, TEMPERATURES + 9, PHOTO - 1])
def test_a_file_cut_in_its_temperatures_is_no_picture_but_says_so(length: int) -> None:
    with pytest.raises(FormatError, match=f"Guide file: cut short: the temperatures reach to byte {PHOTO}") as caught:
        read_bytes(guide()[:length])
    assert caught.value.offset == length


def test_the_cameras_jpeg_alone_is_a_picture() -> None:
    assert read_bytes(camera_jpeg()).format == "picture"


def test_a_picture_of_another_size_is_no_guide_file() -> None:
    other = encoded(np.zeros((20, 30), np.uint8), "JPEG").ljust(PHOTO, b"\0") + bmp(4, 3)
    assert not FORMATS.get("guide").recognises(other)
    assert read_bytes(other).format == "picture"


def test_without_its_photo_the_reader_says_where() -> None:
    with pytest.raises(FormatError, match="no BMP behind the temperatures") as caught:
        FORMATS.get("guide").decode(guide()[:PHOTO] + b"XX", ReadHints())
    assert caught.value.offset == PHOTO


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "low", "high"), [("Line_1", -37.3, -5.2), ("Sub_station_161", -35.1, 261.5)])
def test_real_files(name: str, low: float, high: float, data: Path) -> None:
    # Ends: README of the shared data, from the plane itself.
    thermogram = isotherm.read(data / f"camera_files/guide_tp8/{name}.JPG")
    celsius = thermogram.celsius()
    assert thermogram.size == (288, 384)
    assert (celsius.min(), celsius.max()) == pytest.approx((low, high), abs=1e-3)
    assert thermogram.visual is not None
    assert Image.open(io.BytesIO(thermogram.visual.data)).size == (640, 480)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["Line_1", "Sub_station_161"])
def test_a_real_file_that_is_cut_says_so(name: str, data: Path) -> None:
    whole = (data / f"camera_files/guide_tp8/{name}.JPG").read_bytes()
    with pytest.raises(FormatError, match="Guide file: cut short"):
        read_bytes(whole[:430_000])
    assert read_bytes(whole[:PHOTO]).format == "guide"


@pytest.mark.real_data
def test_the_plane_equals_the_published_one(data: Path) -> None:
    celsius = isotherm.read(data / "camera_files/guide_tp8/Line_1.JPG").celsius()
    plane = np.array(Image.open(data / "substations/celsius_x10_png16/Line_1.png")).astype(np.float64)
    np.testing.assert_allclose(celsius, (plane - 1000) / 10, atol=1e-4)


@pytest.mark.real_data
def test_the_photo_shows_the_tower_as_the_thermal_picture_does(data: Path) -> None:
    # Rows from the top: the tower's mean brightness by row follows the temperatures better than turned upside down.
    thermogram = isotherm.read(data / "camera_files/guide_tp8/Line_1.JPG")
    assert thermogram.visual is not None
    photo = Image.open(io.BytesIO(thermogram.visual.data)).convert("L").resize((96, 72), Image.Resampling.BOX)
    seen = np.array(photo, float)
    warm = thermogram.celsius().reshape(72, 4, 96, 4).mean((1, 3))
    upright, turned = (np.corrcoef(warm.ravel(), picture.ravel())[0, 1] for picture in (seen, seen[::-1]))
    assert upright > turned


@pytest.mark.real_data
def test_the_photos_alignment_puts_the_tower_where_it_is_warm(data: Path) -> None:
    thermogram = isotherm.read(data / "camera_files/guide_tp8/Line_1.JPG")
    assert thermogram.visual is not None
    assert thermogram.visual.alignment is not None
    photo = np.array(Image.open(io.BytesIO(thermogram.visual.data)).convert("L"), float)
    rows, columns = np.mgrid[0:288, 0:384]

    def agreement(scale: float, right: float, down: float) -> float:
        seen = photo[(rows * scale + down).round().astype(int), (columns * scale + right).round().astype(int)]
        return float(np.corrcoef(np.maximum(thermogram.celsius(), -25).ravel(), seen.ravel())[0, 1])

    found = thermogram.visual.alignment
    assert found.scale_x == found.scale_y
    # Centred: the photo's 640 x 480 over the whole thermal picture.
    assert agreement(found.scale_x, found.offset_x, found.offset_y) > agreement(1.66, 0, 0) + 0.15
