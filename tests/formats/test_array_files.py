"""NPZ, MAT and HDF5: the right array is chosen, its unit is told, and what is damaged is refused."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from array_files import hdf5, mat5, mat73, npz
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat

import isotherm
from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.thermogram import Thermogram
from isotherm.formats import ReadHints, read_bytes
from isotherm.formats.zip_members import members, unpacked
from isotherm.radiometry.estimated import EstimatedCalibration
from isotherm.radiometry.stored_estimates import StoredEstimates
from isotherm.radiometry.uncertainty import standard_uncertainty_k
from isotherm.workflows.convert import to_npz
from thermal_files import FlirFile, npy, ramp

CELSIUS = np.linspace(-20, 120, 12 * 16, dtype=np.float32).reshape(12, 16)


def test_what_convert_writes_is_what_is_read() -> None:
    original = read_bytes(FlirFile().jpeg())
    again = read_bytes(to_npz(original))
    assert again.format == "npz"
    np.testing.assert_array_equal(again.celsius(), original.celsius())
    assert again.notes[0] == "array 'celsius' is read; also here: counts"
    assert again.notes[1].startswith("temperatures as they were converted from flir (planck) (with emissivity 0.95, ")
    assert len(again.notes) == 2


@pytest.mark.parametrize(
    ("about", "sigma"),
    [
        ({"uncertainty_k": 1.5}, 1.5),
        ({}, None),
        ({"uncertainty_k": "x"}, None),
        ({"calibration": {"sigma_k": 2.5}}, 2.5),
        ({"calibration": {"sigma_k": None}}, None),
    ],
)
def test_what_was_estimated_stays_estimated(about: dict[str, object], sigma: float | None) -> None:
    text = json.dumps({"estimated": True, **about})
    found = read_bytes(npz(celsius=CELSIUS, about=np.array(text)))
    assert found.estimated
    np.testing.assert_allclose(found.celsius(), CELSIUS, atol=1e-4)
    assert found.calibration is not None
    assert found.calibration.describe() == {"kind": "estimated", "sigma_k": sigma}
    assert "estimated, not measured" in found.notes[-1]
    assert ("how far off is not known" in found.notes[-1]) == (sigma is None)


def test_estimates_keep_their_typical_uncertainty() -> None:
    calibration = EstimatedCalibration(280.0, 330.0, 0.3, np.full(5, 0.02))
    original = replace(read_bytes(npy(CELSIUS / 200 + 0.2)), calibration=calibration)
    again = read_bytes(to_npz(original))
    assert again.calibration == StoredEstimates(calibration.typical_sigma_k)
    assert standard_uncertainty_k(again, (3, 4)) == pytest.approx(calibration.typical_sigma_k)
    np.testing.assert_allclose(again.celsius(), original.celsius(), atol=1e-4)


@pytest.mark.parametrize("about", [np.array("{"), np.array("[" * 100_000), np.array("[1]"), np.array(3.0)])
def test_a_damaged_description_is_left_out(about: np.ndarray) -> None:
    found = read_bytes(npz(celsius=CELSIUS, about=about))
    assert found.radiometric
    assert not found.estimated


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
    assert found.notes[0] == "array 'b' is read; also here: a"


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
    assert found.notes[:2] == (
        "frame 3 of 7 is read, counted from 0 (choose with --frame)",
        f"frames of 'tdata' taken along axis {axis}",
    )


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


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "u2", "i4"])
def test_mat_matrices(compress: bool, dtype: str) -> None:
    numbers = (CELSIUS + 300).astype(dtype)
    found = read_bytes(mat5({"kelvin": numbers}, compress=compress))
    assert (found.format, found.counts.dtype) == ("mat", np.dtype(dtype))
    np.testing.assert_array_equal(found.counts, numbers)
    np.testing.assert_allclose(found.kelvin(), numbers, rtol=1e-6)


@pytest.mark.parametrize("compress", [False, True])
def test_mat_structures_and_cells(compress: bool) -> None:
    cells = np.empty((1, 3), dtype=object)
    for index in range(3):
        cells[0, index] = CELSIUS + index
    data = mat5({"note": "text", "shot": {"camera": "x", "images": cells, "one": 1.0}}, compress=compress)
    found = read_bytes(data, ReadHints(frame=2))
    np.testing.assert_array_equal(found.counts, CELSIUS + 2)
    assert "frame 2 of 3 is read" in found.notes[0]


def test_mat_frames_lie_along_the_last_axis() -> None:
    frames = np.random.default_rng(0).normal(20, 5, (12, 16, 7)).astype(np.float32)
    for data in (mat5({"temperature": frames}), mat73({"temperature": frames})):
        np.testing.assert_array_equal(read_bytes(data, ReadHints(frame=4)).counts, frames[..., 4])


def test_mat_whole_numbers_that_fit_into_bytes_are_greys_unless_the_unit_is_given() -> None:
    data = mat5({"picture": np.arange(12.0).reshape(3, 4)})
    # SciPy stores doubles as doubles; MATLAB stores these as bytes, which is done by hand here.
    assert read_bytes(data).radiometric
    packed = mat5({"picture": np.arange(12, dtype=np.uint8).reshape(3, 4)}, compress=False)
    place = packed.index(b"\x09\0\0\0", 128)  # the class of the matrix: uint8
    as_double = packed[:place] + b"\x06" + packed[place + 1 :]
    assert not read_bytes(as_double).radiometric
    assert read_bytes(as_double, ReadHints(unit="c")).celsius()[2, 3] == pytest.approx(11, abs=1e-4)


@pytest.mark.parametrize(
    "data", [mat5({"c": np.ones((3, 4)) * 1j}), mat5({"t": "text"}), mat5({"b": np.ones((3, 4), bool)})]
)
def test_mat_without_plain_numbers(data: bytes) -> None:
    with pytest.raises(FormatError, match="it holds nothing"):
        read_bytes(data)


@pytest.mark.parametrize(
    "options",
    [
        {}, {"chunks": (5, 7)}, {"chunks": (5, 7), "compression": "gzip"},
        {"chunks": (4, 16), "compression": "gzip", "shuffle": True, "fletcher32": True},
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<u2", ">i4"])
def test_hdf5_layouts(options: dict[str, object], dtype: str) -> None:
    numbers = (CELSIUS + 300).astype(dtype)
    found = read_bytes(hdf5({"group/kelvin": numbers}, **options))
    assert (found.format, found.counts.dtype) == ("hdf5", np.dtype(dtype).newbyteorder("="))
    np.testing.assert_array_equal(found.counts, numbers)


def test_hdf5_units_are_attributes() -> None:
    data = hdf5({"frame": CELSIUS}, units={"frame": "degF"})
    assert read_bytes(data).celsius()[0, 0] == pytest.approx((-20 - 32) / 1.8, abs=1e-3)
    assert read_bytes(hdf5({"frame": CELSIUS + 300}, units={"frame": "K"})).kelvin()[0, 0] == 280


def test_hdf5_frames_of_chunks_and_a_table() -> None:
    counts = np.random.default_rng(0).integers(0, 1000, (12, 16, 9)).astype(np.uint16)
    table = np.linspace(280, 320, 1000)
    arrays = {"Data/Tdata": counts, "MetaData/LookUpTable": table, "MetaData/DomainValues": np.arange(9.0)}
    for data in (hdf5(arrays, chunks=(5, 16, 4), compression="gzip"), mat73(arrays, chunks=(4, 16, 5))):
        found = read_bytes(data, ReadHints(frame=-2))
        np.testing.assert_array_equal(found.counts, counts[..., 7])
        np.testing.assert_allclose(found.kelvin(), table[counts[..., 7]], rtol=1e-6)


def test_hdf5_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(CELSIUS.tobytes())
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("a", shape=CELSIUS.shape, dtype="f4", external=[(str(tmp_path / "raw"), 0, 1 << 20)])
        file["b"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/c")
        file["d"] = h5py.SoftLink("/a")
    with pytest.raises(FormatError, match="lies in other files, which are not opened"):
        read_bytes(stream.getvalue())


@pytest.mark.parametrize("options", [{}, {"chunks": (12, 16), "compression": "gzip"}, {"chunks": (12, 16)}])
def test_hdf5_as_newer_libraries_may_write_it(options: dict[str, object]) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver=("v110", "v110")) as file:
        file.create_dataset("group/celsius", data=CELSIUS, **options).attrs["units"] = "degC"
    found = read_bytes(stream.getvalue())
    np.testing.assert_array_equal(found.counts, CELSIUS)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("version", "members", "options", "reason"),
    [
        ("v110", 1, {"chunks": (5, 7)}, "chunks in an index of HDF5 1.10 or later"),
        ("v110", 20, {}, "a group of many members"),
        ("latest", 1, {"chunks": (5, 7)}, "(data layout of version 5|chunks in an index)"),
    ],
)
def test_hdf5_that_is_not_read_says_how_to_write_it(
    version: str, members: int, options: dict[str, object], reason: str
) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w", libver=(version, version)) as file:
        for index in range(members):
            file.create_dataset(f"celsius{index}", data=CELSIUS, **options)
    with pytest.raises(FormatError, match=f"{reason}.*libver='earliest'"):
        read_bytes(stream.getvalue())


def test_hdf5_groups_of_many_members_and_attributes() -> None:
    arrays = {f"deep/{index:03}/mask": np.zeros((3, 4)) for index in range(200)}
    found = read_bytes(hdf5({**arrays, "deep/100/celsius": CELSIUS}, chunks=(2, 3)))
    np.testing.assert_array_equal(found.counts, CELSIUS)


def test_hdf5_chunks_that_were_never_written_hold_the_fill_value() -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        dataset = file.create_dataset("celsius", shape=(10, 10), chunks=(5, 5), dtype="f4", fillvalue=7.5)
        dataset[:5, :5] = 20
    celsius = read_bytes(stream.getvalue()).celsius()
    assert (celsius[0, 0], celsius[9, 9]) == (pytest.approx(20, abs=1e-4), pytest.approx(7.5, abs=1e-4))


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 1000),
    sides=st.tuples(st.integers(2, 30), st.integers(2, 30)),
    chunk=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    packed=st.booleans(),
)
def test_hdf5_any_chunks_survive(seed: int, sides: tuple[int, int], chunk: tuple[int, int], packed: bool) -> None:
    numbers = np.random.default_rng(seed).uniform(-50, 149, sides).astype(np.float32)
    options = {"compression": "gzip", "shuffle": True} if packed else {}
    data = hdf5({"celsius": numbers}, chunks=(min(chunk[0], sides[0]), min(chunk[1], sides[1])), **options)
    np.testing.assert_array_equal(read_bytes(data).counts, numbers)


def test_hdf5_of_another_filter_says_so() -> None:
    with pytest.raises(FormatError, match="packed with lzf; deflate and shuffle are read"):
        read_bytes(hdf5({"a": CELSIUS}, compression="lzf"))


@pytest.mark.real_data
def test_simulated_sequences(data: Path) -> None:
    folder = data / "sequences/pythermondt"
    first, other = (isotherm.read(folder / name, ReadHints(frame=20)) for name in ("expected1.hdf5", "source1.mat"))
    with h5py.File(folder / "expected1.hdf5") as file:
        kelvin = file["MetaData/LookUpTable"][()][file["Data/Tdata"][:, :, 20]]
    np.testing.assert_array_equal(first.counts, other.counts)
    for found in (first, other):
        np.testing.assert_allclose(found.kelvin(), kelvin, atol=2e-5)


@pytest.mark.real_data
def test_real_cells_of_matlab_5(data: Path) -> None:
    path = data / "sequences/huaiyoubuyi/F1.mat"
    frames = np.stack(list(loadmat(path)["F1"][0, 0]["images"][0]))
    found = isotherm.read(path, ReadHints(frame=20))
    assert not found.radiometric
    np.testing.assert_array_equal(found.counts, frames[20])
