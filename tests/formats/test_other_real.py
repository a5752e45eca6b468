"""Files of other makers: read where the format is known, and otherwise an honest picture or a clear reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import isotherm
from isotherm.formats import ReadHints
from isotherm.workflows.reading import list_images, read_many

pytestmark = pytest.mark.real_data


def test_smartview_export(data: Path) -> None:
    thermogram = isotherm.read(data / "camera_files/fluke_ti400_csv/sample1.csv")
    celsius = thermogram.celsius()
    assert thermogram.size == (240, 320)
    assert celsius.min() == pytest.approx(24.5, abs=1e-4)
    assert celsius.max() == pytest.approx(37.4, abs=1e-4)
    assert celsius.mean(dtype=np.float64) == pytest.approx(29.14, abs=0.005)


def test_a_thermal_file_that_lost_its_temperatures_is_a_picture_that_says_so(data: Path) -> None:
    thermogram = isotherm.read(data / "camera_files/exiftool/InfiRay.jpg")
    assert not thermogram.radiometric
    assert any("InfiRay IJPEG without its temperatures" in note for note in thermogram.notes)


def test_a_plain_picture_says_nothing(data: Path) -> None:
    assert isotherm.read(data / "camera_files/hti_irimageparser/p1.jpg").notes == ()


def test_sixteen_bit_planes_with_their_scale(data: Path) -> None:
    folder = data / "substations/celsius_x10_png16"
    hints = ReadHints(step=0.1, offset=-100, unit="c")
    line = isotherm.read(folder / "Line_1.png", hints).celsius()
    assert (line.min(), line.max()) == (pytest.approx(-37.3, abs=1e-3), pytest.approx(-5.2, abs=1e-3))
    raw = np.frombuffer((data / "camera_files/guide_tp8/Line_1.JPG").read_bytes(), "<i2", 384 * 288, 209536)
    np.testing.assert_allclose(line, raw.reshape(288, 384) / 10, atol=1e-3)


def test_sixteen_bit_planes_without_a_scale_lose_nothing(data: Path) -> None:
    plane = isotherm.read(data / "substations/celsius_x10_png16/Line_1.png")
    assert not plane.radiometric
    assert plane.counts.dtype == np.uint16
    assert any("scale" in note for note in plane.notes)


def test_one_line_sensor_logs(data: Path) -> None:
    thermogram = isotherm.read(data / "hands_mlx90640/auki_aki/1/out0.txt")
    assert thermogram.size == (24, 32)
    assert 19 < thermogram.celsius().mean() < 39


def test_every_camera_file_is_read_or_says_why(data: Path) -> None:
    root = data / "camera_files"
    outcomes = list(read_many(list_images(root), root=root))
    assert len(outcomes) > 30
    assert all((outcome.thermogram is None) == bool(outcome.error) for outcome in outcomes)
    assert all("\n" not in outcome.error for outcome in outcomes)


def test_pictures_of_transformers_are_qualitative(data: Path) -> None:
    outcomes = list(read_many(list_images(data / "transformers/images")))
    assert all(outcome.thermogram is not None for outcome in outcomes)
    assert not any(outcome.thermogram.radiometric for outcome in outcomes if outcome.thermogram)
