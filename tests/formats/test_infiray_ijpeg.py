"""InfiRay IJPEG: planes in joined segments, the scene that the app used, and files that lost their data."""

from __future__ import annotations

import numpy as np
import pytest
from drone_files import ijpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import Source
from isotherm.formats import FORMATS, ReadHints, read_bytes
from thermal_files import ramp


def test_ijpeg_temperatures_are_sixty_fourths_of_a_kelvin() -> None:
    counts = ramp(low=18000, high=20000)
    thermogram = read_bytes(ijpeg(counts))
    np.testing.assert_array_equal(thermogram.counts, counts)
    # Public example of Thermal-Master-P2-Extractor: 20000 is 39.4 °C.
    assert thermogram.celsius()[-1, -1] == pytest.approx(39.35, abs=1e-3)
    scene = thermogram.scene
    assert (scene.emissivity.value, scene.distance_m.value, scene.humidity.value) == (0.99, 0.25, 0.5)
    assert (scene.atmosphere_k.value, scene.reflected_k.value) == (298.15, 295.15)
    assert any("experimental" in note for note in thermogram.notes)


def test_ijpeg_values_that_make_no_sense_are_assumed() -> None:
    scene = read_bytes(ijpeg(ramp(), scene=(float("nan"), -1.0, 3.0, 0.5, 22.0))).scene
    assert {name for name, param in scene.params().items() if param.source is Source.FILE} == {
        "humidity",
        "reflected_k",
    }


def test_ijpeg_without_its_data_is_a_picture() -> None:
    sample = ijpeg(ramp(), part=60_000)
    first = sample.index(b"\xff\xe3")
    cut = sample[:first] + sample[sample.index(b"\xff\xe5") :]
    assert read_bytes(cut).format == "picture"
    with pytest.raises(FormatError, match="needs 384 bytes at 384"):
        FORMATS.get("infiray-ijpeg").decode(cut, ReadHints())


def test_ijpeg_sizes_beyond_reason_are_refused_before_memory_is_taken() -> None:
    sample = bytearray(ijpeg(ramp()))
    header = sample.index(b"IJPEG") - 4
    sample[header + 0x30 : header + 0x38] = (0xFFFF_FFF0).to_bytes(8, "little")
    with pytest.raises(TooLargeError, match="at most"):
        FORMATS.get("infiray-ijpeg").decode(bytes(sample), ReadHints())


@settings(deadline=None, max_examples=25)
@given(
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(1, 65535)),
    st.integers(7, 300),
)
def test_ijpeg_counts_come_back_whatever_the_segments(counts: np.ndarray, part: int) -> None:
    np.testing.assert_array_equal(read_bytes(ijpeg(counts, part=part)).counts, counts)
