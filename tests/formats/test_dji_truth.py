"""DJI temperatures against those of DJI's own library (Thermal SDK 1.7) on seven cameras, through the real program."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

import isotherm
from isotherm.core.scene import SceneEdit
from isotherm.formats import dji_program, read_bytes

REAL = os.environ.get("ISOTHERM_TEST_DJI_READER") or str(
    Path(__file__).resolve().parents[2] / ".venv-dji/bin/dji-thermal-cli"
)
needs_program = pytest.mark.skipif(not Path(REAL).is_file(), reason="needs dji-thermal-cli: make .venv-dji/installed")
CAMERAS = [
    "DJI_XTS.jpg",
    "DJI_H20T.jpg",
    *(f"{name}/DJI_0001_R.JPG" for name in ("H20N", "M2EA", "M3T", "M30T", "H30T")),
]


@pytest.mark.real_data
@needs_program
@pytest.mark.parametrize("name", CAMERAS)
def test_temperatures_equal_those_of_djis_own_library(name: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dji_program.VARIABLE, REAL)
    root = data / "camera_files"
    thermogram = isotherm.read(root / "thermal_parser" / name)
    with np.load(root / "_dji_sdk_reference/thermal_parser" / f"{name}.npz") as truth:
        expected = truth["celsius_x100"] / 100
    assert thermogram.size == expected.shape
    assert np.abs(thermogram.celsius() - expected).max() <= 0.01
    summary = json.loads((root / "_dji_sdk_reference/summary.json").read_text())[f"thermal_parser/{name}"]
    scene = thermogram.scene
    found = (
        scene.emissivity.value,
        scene.distance_m.value,
        scene.humidity.value * 100,
        scene.reflected_k.value - 273.15,
    )
    wanted = [summary[key] for key in ("emissivity", "distance", "humidity", "reflection")]
    assert found == pytest.approx(wanted, abs=1e-4)


@pytest.mark.real_data
@needs_program
def test_a_preview_cut_short_costs_no_temperature(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dji_program.VARIABLE, REAL)
    whole = (data / "camera_files/thermal_parser/M3T/DJI_0001_R.JPG").read_bytes()
    np.testing.assert_array_equal(read_bytes(whole[:-5000]).celsius(), read_bytes(whole).celsius())


@pytest.mark.real_data
@needs_program
@pytest.mark.parametrize(
    ("name", "honoured", "ignored"),
    [
        ("DJI_XTS.jpg", {"emissivity": 0.8}, {"distance_m": 20}),
        ("M3T/DJI_0001_R.JPG", {"distance_m": 20}, {"atmosphere_c": 10}),
        ("H30T/DJI_0001_R.JPG", {"atmosphere_c": 10}, {"window_transmission": 0.8}),
    ],
)
def test_each_camera_honours_what_it_says(
    name: str, honoured: dict[str, float], ignored: dict[str, float], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(dji_program.VARIABLE, REAL)
    thermogram = isotherm.read(data / "camera_files/thermal_parser" / name)
    changed, kept = thermogram.edited(SceneEdit(**honoured)), thermogram.edited(SceneEdit(**ignored))
    assert np.abs(changed.celsius() - thermogram.celsius()).max() > 0.1
    np.testing.assert_array_equal(kept.celsius(), thermogram.celsius())
    assert any(": not used by " in note for note in kept.notes)


@pytest.mark.real_data
@pytest.mark.parametrize("name", CAMERAS)
def test_without_the_program_every_camera_is_a_picture_with_a_note(name: str, data: Path) -> None:
    thermogram = isotherm.read(data / "camera_files/thermal_parser" / name)
    assert (thermogram.format, thermogram.radiometric) == ("dji", False)
    assert "isotherm[dji]" in thermogram.notes[0]
