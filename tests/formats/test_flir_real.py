"""FLIR files of real cameras against reference values and against what the cameras printed.

The reference temperatures were computed apart from this code (single path, parameters of each file). The labels were
read by eye beside the colour scale of 30 pictures of a FLIR B300: the camera's own conversion of two counts that it
also wrote into the file, and so the one test here that does not rest on anybody's formula.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import isotherm
from isotherm.core.errors import FormatError
from isotherm.core.thermogram import Thermogram
from isotherm.formats import ReadHints

pytestmark = pytest.mark.real_data

# file -> (H W), min / max / mean [°C], lowest and highest count.
REFERENCE = {
    "thermal_parser/FLIR.jpg": ((320, 240), (25.934, 62.231, 29.097), (12501, 20042)),
    "thermal_parser/FLIR_AX8.jpg": ((60, 80), (24.349, 25.456, 25.019), (16711, 16876)),
    "thermal_parser/FLIR_B60.jpg": ((180, 180), (-67.585, -0.172, -9.790), (6953, 13994)),
    "thermal_parser/FLIR_E40.jpg": ((120, 160), (17.863, 24.668, 21.067), (17059, 18266)),
    "thermal_parser/FLIR_T640.jpg": ((480, 640), (25.448, 97.701, 36.873), (13988, 28094)),
    "thermimage/IR_2412.jpg": ((480, 640), (22.729, 35.215, 28.239), (17917, 20218)),
    "thermal_parser/DJI_XT2.jpg": ((512, 640), (21.812, 82.269, 31.640), (3233, 6859)),
    "thermal_parser/DJI_XTR.jpg": ((512, 640), (16.255, 59.416, 27.834), (3051, 4630)),
    "thermimage/SampleSEQ.seq": ((480, 640), (18.605, 38.230, 22.451), (17220, 20817)),
}

# What each formula reads too high at the hottest pixel of a file [K]: the half paths against the single one.
HALF_PATH_EXCESS_K = {
    "thermal_parser/FLIR.jpg": 0.089,
    "thermal_parser/FLIR_AX8.jpg": 0.013,
    "thermal_parser/FLIR_E40.jpg": 0.032,
    "thermal_parser/FLIR_T640.jpg": 0.153,
    "thermimage/IR_2412.jpg": 0.035,
    "thermal_parser/DJI_XT2.jpg": 0.655,
    "thermal_parser/DJI_XTR.jpg": 0.326,
}

# File -> scale ends [°C] as printed into the picture; those of 127 and more are printed in whole degrees.
with (Path(__file__).parents[1] / "printed_labels.csv").open(encoding="utf-8") as _stream:
    LABELS = {row["file"]: (float(row["low_c"]), float(row["high_c"])) for row in csv.DictReader(_stream)}
_WHOLE_DEGREES_FROM = 127


@pytest.mark.parametrize("name", REFERENCE)
def test_reference_temperatures(name: str, data: Path) -> None:
    thermogram = isotherm.read(data / "camera_files" / name)
    size, expected, counts = REFERENCE[name]
    celsius = thermogram.celsius()
    found = (celsius.min(), celsius.max(), celsius.mean(dtype=np.float64))
    assert thermogram.size == size
    assert (thermogram.counts.min(), thermogram.counts.max()) == counts
    np.testing.assert_allclose(found, expected, atol=0.002)


def in_double_precision(thermogram: Thermogram) -> np.ndarray:
    """Return °C by FLIR's formula, written down once more and apart from the package, pixel by pixel in float64."""
    constants = thermogram.calibration.describe()
    r1, r2, b, f, o = (constants[name] for name in ("r1", "r2", "b", "f", "o"))
    air = constants["atmosphere"]
    value = {name: param.value for name, param in thermogram.scene.params().items()}
    air_c = value["atmosphere_k"] - 273.15
    water = value["humidity"] * np.exp(1.5587 + 0.06939 * air_c - 2.7816e-4 * air_c**2 + 6.8455e-7 * air_c**3)
    depth = {k: np.sqrt(value["distance_m"]) * (air[f"alpha{k}"] + air[f"beta{k}"] * np.sqrt(water)) for k in (1, 2)}
    tau = air["x"] * np.exp(-depth[1]) + (1 - air["x"]) * np.exp(-depth[2])

    def counts_at(kelvin: float) -> float:
        return r1 / (r2 * (np.exp(b / kelvin) - f)) - o

    eps, tau_w = value["emissivity"], value["window_transmission"]
    from_object = (
        thermogram.counts.astype(np.float64)
        - (1 - tau_w) * counts_at(value["window_k"])
        - (1 - tau) * tau_w * counts_at(value["atmosphere_k"])
        - (1 - eps) * tau * tau_w * counts_at(value["reflected_k"])
    ) / (eps * tau * tau_w)
    return b / np.log(r1 / (r2 * (from_object + o)) + f) - 273.15


@pytest.mark.parametrize("name", [*REFERENCE, "thermimage/SampleCSQ.csq"])
def test_temperatures_are_those_of_the_formula_in_double_precision(name: str, data: Path) -> None:
    thermogram = isotherm.read(data / "camera_files" / name, ReadHints(frame=-1))
    assert np.abs(thermogram.celsius() - in_double_precision(thermogram)).max() < 0.001


@pytest.mark.parametrize("name", HALF_PATH_EXCESS_K)
def test_the_thermimage_formula_reproduces_the_known_excess(name: str, data: Path) -> None:
    path = data / "camera_files" / name
    single = isotherm.read(path).celsius()
    half = isotherm.read(path, ReadHints(formula="thermimage")).celsius()
    assert np.abs(half - single).max() == pytest.approx(HALF_PATH_EXCESS_K[name], abs=0.002)


def label_errors_k(data: Path, hints: ReadHints, low_c: float, high_c: float) -> np.ndarray:
    """Return read minus printed temperatures of the labels between two bounds."""
    errors = []
    for name, printed in LABELS.items():
        thermogram = isotherm.read(data / "resistive_circuit" / name, hints)
        read = thermogram.display_span_c()
        assert read is not None
        errors += [a - b for a, b in zip(read, printed, strict=True) if low_c <= b < high_c]
    return np.array(errors)


def test_scale_labels_of_the_b300_are_met(data: Path) -> None:
    errors = label_errors_k(data, ReadHints(), 35, 85)
    assert errors.size == 18
    assert np.sqrt(np.mean(errors**2)) <= 0.060
    assert abs(np.mean(errors)) <= 0.030


def test_all_scale_labels_with_a_decimal_are_met(data: Path) -> None:
    errors = label_errors_k(data, ReadHints(), 0, _WHOLE_DEGREES_FROM)
    assert errors.size == 51
    assert np.sqrt(np.mean(errors**2)) <= 0.045
    assert np.abs(errors).max() <= 0.095
    assert np.count_nonzero(np.abs(errors) <= 0.05) >= 40


def test_whole_degree_labels_are_met(data: Path) -> None:
    errors = label_errors_k(data, ReadHints(), _WHOLE_DEGREES_FROM, 200)
    assert errors.size == 9
    assert np.abs(errors).max() <= 0.55


def test_half_paths_miss_the_labels(data: Path) -> None:
    errors = label_errors_k(data, ReadHints(formula="thermimage"), 75, 85)
    assert np.mean(errors) == pytest.approx(0.130, abs=0.010)


def test_single_labels_of_other_cameras(data: Path) -> None:
    t640 = isotherm.read(data / "camera_files/thermal_parser/FLIR_T640.jpg").display_span_c()
    assert t640 is not None
    # Printed 82.9 °F at the low end.
    assert t640[0] * 1.8 + 32 == pytest.approx(82.9, abs=0.05)
    ax8 = isotherm.read(data / "camera_files/thermal_parser/FLIR_AX8.jpg").celsius()
    assert ax8.min() == pytest.approx(24.3, abs=0.05)


def test_camera_and_place(data: Path) -> None:
    folder = data / "camera_files"
    sc660 = isotherm.read(folder / "thermimage/IR_2412.jpg").camera
    assert (sc660.model, sc660.serial, sc660.lens) == ("FLIR SC660", "404003980", "FOL38")
    assert sc660.taken_at == "2013-05-09T20:22:23.335-06:00"
    xt2 = isotherm.read(folder / "thermal_parser/DJI_XT2.jpg")
    assert xt2.camera.maker == "DJI"
    assert xt2.position is not None
    assert xt2.position.latitude_deg == pytest.approx(9.972157, abs=1e-5)
    assert len(xt2.exif) > 1000


def test_a_sequence_says_which_frame_is_read(data: Path) -> None:
    notes = isotherm.read(data / "camera_files/thermimage/SampleSEQ.seq").notes
    assert "frame 0 of 2 is read, counted from 0 (choose with --frame)" in notes


def test_a_file_without_readable_pixels_says_why(data: Path) -> None:
    with pytest.raises(FormatError, match="raw PNG of mode RGB") as caught:
        isotherm.read(data / "camera_files/exiftool/FLIR.jpg")
    assert caught.value.offset is not None


def test_a_broken_preview_costs_no_temperature(data: Path) -> None:
    whole = (data / "camera_files/thermal_parser/FLIR_E40.jpg").read_bytes()
    # The picture's own data begins at byte 47,500; the FLIR segment lies before it.
    cut = isotherm.formats.read_bytes(whole[:48_000])
    assert cut.celsius().max() == pytest.approx(24.668, abs=0.002)
