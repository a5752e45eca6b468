"""Raw counts against exiftool's own extraction: an independent reader of the same records."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import isotherm

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(shutil.which("exiftool") is None, reason="needs exiftool (Debian: libimage-exiftool-perl)"),
]
FILES = ["FLIR.jpg", "FLIR_AX8.jpg", "FLIR_B60.jpg", "FLIR_E40.jpg", "FLIR_T640.jpg"]


def extracted(path: Path, tag: str) -> bytes:
    return subprocess.run(["exiftool", "-b", f"-{tag}", str(path)], capture_output=True, check=True).stdout


@pytest.mark.parametrize("name", FILES)
def test_counts_equal_what_exiftool_extracts(name: str, data: Path) -> None:
    path = data / "camera_files" / "thermal_parser" / name
    counts = isotherm.read(path).counts
    raw = extracted(path, "RawThermalImage")
    if raw.startswith(b"\x89PNG"):
        # exiftool hands out the embedded PNG as it is; FLIR stores its samples in the wrong byte order.
        expected = np.asarray(Image.open(io.BytesIO(raw))).astype(np.uint16).byteswap()
    else:
        # exiftool wraps raw samples in a TIFF.
        expected = np.asarray(Image.open(io.BytesIO(raw))).astype(np.uint16)
    np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("name", FILES)
def test_scene_equals_what_exiftool_prints(name: str, data: Path) -> None:
    path = data / "camera_files" / "thermal_parser" / name
    scene = isotherm.read(path).scene
    assert scene.emissivity.value == pytest.approx(float(extracted(path, "Emissivity#")), abs=1e-6)
    assert scene.distance_m.value == pytest.approx(float(extracted(path, "ObjectDistance#")), abs=1e-6)
    reflected_c = float(extracted(path, "ReflectedApparentTemperature#"))
    # exiftool subtracts 273.15 and prints what is left.
    assert scene.reflected_k.value - 273.15 == pytest.approx(reflected_c, abs=1e-3)
