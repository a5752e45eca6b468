"""IRG files: three magics, their steps, what the header keeps, and damage."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from irg_files import irg
from PIL import Image

import isotherm
from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import Source
from isotherm.formats import ReadHints, read_bytes
from thermal_files import encoded

COUNTS = np.arange(4600, 4600 + 12, dtype=np.uint16).reshape(3, 4)
PHOTO = encoded(np.zeros((8, 8, 3), np.uint8), "JPEG")


@pytest.mark.parametrize(
    ("magic", "flag", "first_c"),
    [
        (b"\xca\xac", 0, 4600 / 16 - 273.15),
        (b"\xca\xac", 1, 4600 / 10 - 273.15),
        (b"\xba\xab", 0, 4600 / 10 - 273.15),
        (b"\x04\xa0", 0, 4600 / 10 - 273.2),
    ],
)
def test_each_magic_has_its_step(magic: bytes, flag: int, first_c: float) -> None:
    # Steps and zeros: package infiray_irg 1.6 (MIT).
    thermogram = read_bytes(irg(COUNTS, magic=magic, flag=flag))
    assert thermogram.format == "irg"
    assert thermogram.celsius()[0, 0] == pytest.approx(first_c, abs=1e-4)
    assert thermogram.calibration is not None
    assert thermogram.calibration.kind == "vendor"


def test_emissivity_distance_and_photo_are_kept() -> None:
    thermogram = read_bytes(irg(COUNTS, emissivity=0.87, distance_m=1.5, photo=PHOTO))
    assert thermogram.scene.emissivity.value == pytest.approx(0.87)
    assert thermogram.scene.emissivity.source is Source.FILE
    assert thermogram.scene.distance_m.value == pytest.approx(1.5)
    assert thermogram.visual is not None
    assert thermogram.visual.data == PHOTO
    assert thermogram.unsupported(isotherm.SceneEdit(emissivity=0.5)) == ["emissivity"]


def test_a_file_without_photo_has_none() -> None:
    assert read_bytes(irg(COUNTS)).visual is None
    assert read_bytes(irg(COUNTS, photo=PHOTO)[:-10]).visual is None


def test_values_that_make_no_sense_are_assumed() -> None:
    scene = read_bytes(irg(COUNTS, emissivity=7.0)).scene
    assert scene.emissivity.source is Source.ASSUMED


def test_low_gain_and_the_unproven_layout_say_so() -> None:
    assert any("low gain" in note for note in read_bytes(irg(COUNTS, high_gain=0)).notes)
    assert any("experimental" in note for note in read_bytes(irg(COUNTS, magic=b"\x04\xa0")).notes)
    assert not any("low gain" in note or "experimental" in note for note in read_bytes(irg(COUNTS)).notes)


def test_a_cut_file_fails_with_the_place() -> None:
    sample = irg(COUNTS)
    with pytest.raises(FormatError, match=r"needs 24 bytes at 140.*\(at byte 140\)"):
        read_bytes(sample[:150])


def test_a_header_without_its_end_is_refused() -> None:
    sample = bytearray(irg(COUNTS))
    sample[126:128] = b"\0\0"
    with pytest.raises(FormatError, match="does not end with acca"):
        read_bytes(bytes(sample))


def test_a_declared_size_beyond_reason_is_refused_before_memory_is_taken() -> None:
    sample = bytearray(irg(COUNTS))
    sample[4:12] = (65535 * 65535).to_bytes(4, "little") + b"\xff\xff\xff\xff"
    with pytest.raises(TooLargeError, match="at most"):
        read_bytes(bytes(sample))


def test_a_doubled_picture_says_the_size_of_its_sensor() -> None:
    doubled = np.arange(12, dtype=np.uint16).reshape(3, 4).repeat(2, 0).repeat(2, 1)
    thermogram = read_bytes(irg(doubled + 4600))
    assert thermogram.sensor_size == (3, 4)
    assert any("stored four times" in note for note in thermogram.notes)


def test_a_picture_that_is_not_doubled_says_no_size() -> None:
    striped = np.arange(8, dtype=np.uint16).reshape(2, 4).repeat(2, 0)
    assert [read_bytes(irg(counts)).sensor_size for counts in (COUNTS, striped, np.full((4, 4), 4600, np.uint16))] == [
        None
    ] * 3


@settings(deadline=None, max_examples=25)
@given(arrays.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(1, 65535)))
def test_counts_come_back_as_written(counts: np.ndarray) -> None:
    np.testing.assert_array_equal(isotherm.formats.FORMATS.get("irg").decode(irg(counts), ReadHints()).counts, counts)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "size", "expected", "distance_m", "photo"),
    [
        # minimum, maximum, mean: README of the shared data (fine counts through the package's formula).
        ("infiray_irg/example.irg", (256, 192), (25.85, 49.23, 37.87), 0.25, (192, 256)),
        ("hti_irimageparser/p1.irg", (320, 240), (13.35, 27.95, 17.10), 0.5, (240, 320)),
    ],
)
def test_real_files(
    name: str,
    size: tuple[int, int],
    expected: tuple[float, float, float],
    distance_m: float,
    photo: tuple[int, int],
    data: Path,
) -> None:
    thermogram = isotherm.read(data / "camera_files" / name)
    celsius = thermogram.celsius()
    assert thermogram.size == size
    assert (celsius.min(), celsius.max(), celsius.mean(dtype=np.float64)) == pytest.approx(expected, abs=0.006)
    assert (thermogram.scene.emissivity.value, thermogram.scene.distance_m.value) == (0.95, distance_m)
    assert thermogram.visual is not None
    assert Image.open(io.BytesIO(thermogram.visual.data)).size == photo


@pytest.mark.real_data
def test_the_camera_screen_shows_the_smoothed_sensor(data: Path) -> None:
    # Printed on p1.jpg: 25.4 °C at the centre, at most 26.1, at least 13.8. The file's own ends are 27.95 and 13.35.
    thermogram = isotherm.read(data / "camera_files/hti_irimageparser/p1.irg")
    assert thermogram.sensor_size == (160, 120)
    weights = np.exp(-np.square(np.arange(-4, 5)) / 2)
    seen = np.pad(thermogram.celsius()[::2, ::2].astype(np.float64), 4, mode="symmetric")
    for axis in (0, 1):
        seen = np.apply_along_axis(np.convolve, axis, seen, weights / weights.sum(), mode="valid")
    assert (seen[80, 60], seen.max(), seen.min()) == pytest.approx((25.4, 26.1, 13.8), abs=0.16)
