"""NPZ, MAT and HDF5: the right array is chosen, its unit is told, and what is damaged is refused."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from array_files import npz
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.thermogram import Thermogram
from isotherm.formats import ReadHints, read_bytes
from isotherm.formats.zip_members import members, unpacked
from isotherm.workflows.convert import to_npz
from thermal_files import FlirFile, npy, ramp

CELSIUS = np.linspace(-20, 120, 12 * 16, dtype=np.float32).reshape(12, 16)


def test_what_convert_writes_is_what_is_read() -> None:
    original = read_bytes(FlirFile().jpeg())
    again = read_bytes(to_npz(original))
    assert again.format == "npz"
    np.testing.assert_array_equal(again.celsius(), original.celsius())
    assert again.notes == ("array 'celsius' is read; also here: counts",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("counts", "celsius"), "celsius"),
        (("mask", "frame"), "frame"),
        (("emissivity_map", "other"), "other"),
        (("background", "temperature_k"), "temperature_k"),
    ],
)
def test_the_likeliest_name_wins(names: tuple[str, str], expected: str) -> None:
    arrays = {name: CELSIUS + 300 * (name == expected) for name in names}
    np.testing.assert_array_equal(read_bytes(npz(**arrays)).counts, CELSIUS + 300)


def test_the_larger_of_equally_likely_arrays_is_read() -> None:
    found = read_bytes(npz(a=CELSIUS[:4], b=CELSIUS, c=np.arange(5.0)))
    assert found.size == (12, 16)
    assert found.notes == ("array 'b' is read; also here: a",)


@pytest.mark.parametrize(
    ("name", "kelvin"),
    [
        ("celsius", 293.15), ("temp_c", 293.15), ("degC", 293.15), ("kelvin", 20.0), ("T_k", 20.0),
        ("fahrenheit", 266.483), ("t_f", 266.483), ("temperature", 293.15),
    ],
)  # fmt: skip
def test_a_name_tells_the_unit(name: str, kelvin: float) -> None:
    found = read_bytes(npz(**{name: np.full((3, 4), 20.0)}))
    assert found.kelvin()[0, 0] == pytest.approx(kelvin, abs=1e-3)


def test_the_hint_wins_over_the_name() -> None:
    assert read_bytes(npz(celsius=np.full((3, 4), 300.0)), ReadHints(unit="k")).kelvin()[0, 0] == 300


def test_counts_and_greys() -> None:
    assert "guessed: 0.04 K" in read_bytes(npz(raw=ramp(low=7000, high=8000))).notes[0]
    assert not read_bytes(npz(raw=ramp(low=0, high=65535))).radiometric
    assert not read_bytes(npz(picture=np.arange(12, dtype=np.uint8).reshape(3, 4))).radiometric


def test_a_table_turns_counts_into_degrees() -> None:
    table = np.linspace(280, 320, 1000)
    found = read_bytes(npz(counts=np.array([[0, 999], [500, 1000]], np.uint16), lookup_table=table))
    kelvin = found.kelvin()
    assert (kelvin[0, 0], kelvin[0, 1]) == (280, 320)
    assert kelvin[1, 0] == pytest.approx(table[500], abs=1e-4)
    assert np.isnan(kelvin[1, 1])  # a count behind the table's end
    assert found.calibration is not None
    assert found.calibration.describe() == {"kind": "table", "entries": 1000, "ends_k": [280.0, 320.0]}
    assert "unit of the table in this NPZ guessed: kelvin" in found.notes[-1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_frames_lie_along_the_axis_of_the_times(axis: int) -> None:
    frames = np.random.default_rng(0).normal(20, 5, (7, 12, 16)).astype(np.float32)
    found = read_bytes(npz(tdata=np.moveaxis(frames, 0, axis), time_s=np.arange(7.0)), ReadHints(frame=3))
    np.testing.assert_array_equal(found.counts, frames[3])
    assert found.notes == (f"frame 3 of 7 is read (they lie along axis {axis}; choose with frame)",)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npz(a=np.arange(5.0)), r"no array of two dimensions .*it holds a \(5,\) float64"),
        (npz(a=np.array(["text"])), "holds <U4; numbers"),
        (npz(a=np.zeros((0, 4))), "no array of two dimensions"),
        (npz(a=CELSIUS)[:-30], "no directory at its end"),
    ],
)
def test_archives_without_a_picture_say_what_they_hold(data: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        read_bytes(data)


def test_npz_never_unpickles() -> None:
    stream = io.BytesIO()
    np.savez(stream, a=np.array([[print]], dtype=object))
    with pytest.raises(FormatError, match="holds object"):
        read_bytes(stream.getvalue())


def archive(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as target:
        target.writestr(name, content)
    return stream.getvalue()


def test_members_are_found_and_checked() -> None:
    data = archive("a.npy", npy(CELSIUS))
    (member,) = members(data, "ZIP")
    assert (member.name, member.size) == ("a.npy", len(npy(CELSIUS)))
    assert unpacked(data, member, "ZIP", 1 << 20) == npy(CELSIUS)
    with pytest.raises(TooLargeError, match="at most 10 are unpacked"):
        unpacked(data, member, "ZIP", 10)
    damaged = bytearray(data)
    damaged[100] ^= 0xFF
    with pytest.raises(FormatError, match=r"damaged"):
        unpacked(bytes(damaged), member, "ZIP", 1 << 20)
    with pytest.raises(FormatError, match="packed by method 12"):
        read_bytes(archive("a.npy", npy(CELSIUS), zipfile.ZIP_BZIP2))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 1000), height=st.integers(1, 20), width=st.integers(1, 20), big=st.booleans())
def test_any_matrix_survives(seed: int, height: int, width: int, big: bool) -> None:
    numbers = np.random.default_rng(seed).uniform(-50, 149, (height, width)).astype(">f4" if big else "<f8")
    found: Thermogram = read_bytes(npz(frame=numbers))
    np.testing.assert_array_equal(found.counts, numbers)
    assert found.counts.dtype.isnative
