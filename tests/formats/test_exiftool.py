"""Raw counts against exiftool's own extraction: an independent reader of the same records."""

from __future__ import annotations

import io
import shutil
import subprocess
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pillow_jpls  # noqa: F401 (tells Pillow of JPEG-LS)
import pytest
from PIL import Image

import isotherm
from isotherm.formats import open_sequence
from isotherm.formats.fff import frame_layout
from isotherm.formats.mapped import MappedFile

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool (Debian: libimage-exiftool-perl)"),
]
FILES = [
    *(f"camera_files/thermal_parser/{name}" for name in ("FLIR.jpg", "FLIR_AX8.jpg", "FLIR_B60.jpg", "FLIR_E40.jpg")),
    "camera_files/thermal_parser/FLIR_T640.jpg",
    "camera_files/thermal_parser/DJI_XT2.jpg",
    "camera_files/thermal_parser/DJI_XTR.jpg",
    "camera_files/thermimage/IR_2412.jpg",
    "resistive_circuit/IR_0326.jpg",
    "resistive_circuit/IR_0373.jpg",
]


def extracted(path: Path, tag: str) -> bytes:
    return subprocess.run(["exiftool", "-b", f"-{tag}", str(path)], capture_output=True, check=True).stdout


def counts_of(raw: bytes) -> np.ndarray:
    """Return the pixels of what exiftool hands out: the embedded PNG or JPEG-LS as it is, or a TIFF of raw samples."""
    counts = np.asarray(Image.open(io.BytesIO(raw))).astype(np.uint16)
    # FLIR stores the samples of a PNG in the wrong byte order.
    return counts.byteswap() if raw.startswith(b"\x89PNG") else counts


@pytest.mark.parametrize("name", FILES)
def test_counts_equal_what_exiftool_extracts(name: str, data: Path) -> None:
    path = data / name
    np.testing.assert_array_equal(isotherm.read(path).counts, counts_of(extracted(path, "RawThermalImage")))


def test_frames_of_a_seq_file_equal_what_exiftool_extracts(data: Path, tmp_path: Path) -> None:
    path = data / "camera_files/thermimage/SampleSEQ.seq"
    command = ["exiftool", "-q", "-ee2", "-b", "-RawThermalImage", "-W", f"{tmp_path}/frame%c.%s", str(path)]
    subprocess.run(command, capture_output=True, check=True)
    with open_sequence(path) as sequence:
        for index, name in enumerate(("frame.tiff", "frame1.tiff")):
            expected = counts_of((tmp_path / name).read_bytes())
            np.testing.assert_array_equal(sequence.frame(index).counts, expected)


def test_frames_of_a_csq_file_equal_what_exiftool_extracts(data: Path, tmp_path: Path) -> None:
    path = data / "camera_files/thermimage/SampleCSQ.csq"
    edges = [0]
    with closing(MappedFile(path)) as file:
        while edges[-1] < len(file):
            edges.append(edges[-1] + frame_layout(file, edges[-1]).length)
    whole = path.read_bytes()
    with open_sequence(path) as sequence:
        assert len(sequence) == len(edges) - 1 == 8
        for index, (start, end) in enumerate(pairwise(edges)):
            # exiftool 12.57 stops behind the first frame of this file: it gets each as a file of its own.
            alone = tmp_path / f"{index}.fff"
            # The file lacks the four filling bytes that its last record declares, which exiftool insists on.
            alone.write_bytes(whole[start:end].ljust(end - start + 4, b"\0") if index == 7 else whole[start:end])
            expected = counts_of(extracted(alone, "RawThermalImage"))
            np.testing.assert_array_equal(sequence.frame(index).counts, expected)


@pytest.mark.parametrize("name", FILES)
def test_scene_equals_what_exiftool_prints(name: str, data: Path) -> None:
    path = data / name
    scene = isotherm.read(path).scene
    assert scene.emissivity.value == pytest.approx(float(extracted(path, "FLIR:Emissivity#")), abs=1e-6)
    assert scene.distance_m.value == pytest.approx(float(extracted(path, "FLIR:ObjectDistance#")), abs=1e-6)
    reflected_c = float(extracted(path, "FLIR:ReflectedApparentTemperature#"))
    # exiftool subtracts 273.15 and prints what is left.
    assert scene.reflected_k.value - 273.15 == pytest.approx(reflected_c, abs=1e-3)


def test_photo_and_palette_equal_what_exiftool_extracts(data: Path) -> None:
    path = data / "camera_files/thermal_parser/FLIR_T640.jpg"
    thermogram = isotherm.read(path)
    assert thermogram.visual is not None
    assert thermogram.visual.data == extracted(path, "EmbeddedImage")
    assert thermogram.palette is not None
    luma = np.frombuffer(extracted(path, "Palette"), np.uint8).reshape(-1, 3)[:, 0]
    assert len(luma) == len(thermogram.palette.colours)
    # The first and the last colour are grey, where all three channels are the luma.
    assert thermogram.palette.colours[[0, -1]].tolist() == [[luma[0]] * 3, [luma[-1]] * 3]
