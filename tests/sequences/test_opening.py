"""Opening files of frames: all containers give the same frames, times, units; damage and doubt say what is wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import loadmat, savemat
from stack_files import plate, pythermondt, write_hdf5

import isotherm.sequences.sources as sources_module
from isotherm.core.errors import DataError, FormatError, IsothermError, UnknownNameError
from isotherm.sequences.sources import FrameCache, MappedSource, Unpacked
from isotherm.sequences.sources_frames import natural
from isotherm.sequences.stack import ThermalSequence
from thermal_files import FlirFile, ramp

PLATE = plate()
COUNTS = plate(dtype="uint16")


def written(folder: Path, kind: str) -> Path:
    """Write the plate in one of many ways."""
    writers = {"npy": _npy, "npz": _npz, "mat": _mat, "hdf5": _hdf5}
    path = folder / f"plate.{kind.split(maxsplit=1)[0]}"
    writers[kind.split(maxsplit=1)[0]](path, kind)
    return path


def _npy(path: Path, kind: str) -> None:
    np.save(path, np.asfortranarray(PLATE) if "fortran" in kind else PLATE)


def _npz(path: Path, kind: str) -> None:
    save = np.savez if kind == "npz" else np.savez_compressed
    save(path, frames=np.asfortranarray(PLATE) if "fortran" in kind else PLATE, mask=np.zeros((6, 7)))


def _mat(path: Path, kind: str) -> None:
    last = np.moveaxis(PLATE, 0, 2)
    if "7.3" in kind:
        write_hdf5(path, {"imageArray": last}, matlab=True, compression="gzip")
    elif "cells" in kind:
        cells = np.empty((1, len(PLATE)), object)
        for index, frame in enumerate(PLATE):
            cells[0, index] = frame
        savemat(path, {"F": {"images": cells}})
    elif "structure" in kind:
        savemat(path, {"run": {"data": last, "fps": 50.0}}, do_compression="packed" in kind)
    else:
        savemat(path, {"data": last, "label": np.zeros((6, 7))}, do_compression="packed" in kind)


def _hdf5(path: Path, kind: str) -> None:
    options = {"compression": "gzip", "shuffle": True, "chunks": (2, 4, 3)} if "chunks" in kind else {}
    write_hdf5(path, {"run/frames": PLATE}, **options)


KINDS = [
    "npy", "npy fortran", "npz", "npz packed", "npz fortran", "mat", "mat packed", "mat structure",
    "mat structure packed", "mat cells", "mat 7.3", "hdf5", "hdf5 chunks",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_gives_the_same_frames_and_blocks(tmp_path: Path, kind: str) -> None:
    sequence = ThermalSequence.open(written(tmp_path, kind), frame_rate_hz=50)
    assert sequence.shape == PLATE.shape
    assert np.array_equal(sequence.frames(), PLATE.astype(np.float32))
    blocks = np.concatenate([curves for _, curves in sequence.blocks(4 * 9 * 5)], axis=1)
    assert np.array_equal(blocks, PLATE.reshape(9, -1).astype(np.float32))
    assert (sequence.unit, sequence.timed, sequence.flash()) == ("K", True, 2)
    assert any("unit guessed: K" in note for note in sequence.notes)
    other = ThermalSequence.open(written(tmp_path, kind), unit="°C")
    assert (other.unit, other.timed) == ("°C", kind.startswith("mat structure"))


@pytest.mark.parametrize("kind", ["npy", "npz", "mat", "hdf5"])
def test_what_is_stored_plainly_is_mapped_and_not_read(tmp_path: Path, kind: str) -> None:
    assert isinstance(ThermalSequence.open(written(tmp_path, kind)).source, MappedSource)


@pytest.mark.parametrize("kind", ["npz packed", "mat packed", "mat 7.3", "hdf5 chunks"])
def test_what_is_packed_is_unpacked_into_a_file_where_it_is_large(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "HELD_BYTES", 100)
    sequence = ThermalSequence.open(written(tmp_path, kind))
    assert isinstance(sequence.source, Unpacked)
    assert np.array_equal(sequence.frames(), PLATE.astype(np.float32))
    assert isinstance(sequence.source._done, MappedSource)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources_module, "HELD_BYTES", 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"do not fit into .*; set TMPDIR"):
        ThermalSequence.open(written(tmp_path, "npz packed"), order="THW").frames()


def test_pythermondt_files_give_kelvin_times_and_the_pulse(tmp_path: Path) -> None:
    table = np.linspace(280, 320, 65536)
    times = np.geomspace(0.01, 2, 9)
    heat = np.array([0, 1, 1, 0, 0, 0, 0, 0, 0.0])
    path = pythermondt(tmp_path / "p.h5", np.moveaxis(COUNTS, 0, 2), table, times, heat)
    sequence = ThermalSequence.open(path)
    assert (sequence.shape, sequence.unit, sequence.timed) == (COUNTS.shape, "K", True)
    assert np.allclose(sequence.frames(), table[COUNTS], rtol=1e-7)
    assert np.array_equal(sequence.times_s, times)
    pulse = sequence.pulse()
    assert pulse is not None
    # It was on at the moments of frames 1 and 2: frame 2 is the first that shows it.
    assert (pulse.first, pulse.last, pulse.start_s, pulse.end_s) == (2, 2, times[1], times[2])
    flat = np.full_like(COUNTS, 20_000) + np.arange(7, dtype=np.uint16)
    hidden = ThermalSequence.open(pythermondt(tmp_path / "q.h5", np.moveaxis(flat, 0, 2), table, times, heat)).pulse()
    assert hidden is not None
    # Nothing shows in the mean: the record stands in, with a frame more on either side.
    assert (hidden.first, hidden.last, hidden.start_s, hidden.end_s) == (1, 3, times[0], times[3])
    assert ThermalSequence.open(path, unit="counts").frames().max() == COUNTS.max()
    assert ThermalSequence.open(path, frame_rate_hz=10).lamp_s is None


def test_a_record_that_marks_the_frames_that_show_the_heat_is_as_good(tmp_path: Path) -> None:
    heat = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0.0])
    np.savez(tmp_path / "a.npz", counts=COUNTS, times_s=np.arange(9) / 50, excitation=heat)
    sequence = ThermalSequence.open(tmp_path / "a.npz")
    assert sequence.flash() == 2
    assert "the mean of the frames 0 to 1 was subtracted" in sequence.cold("before_flash").notes[-1]


def test_the_times_of_the_heat_win_over_a_record_of_it(tmp_path: Path) -> None:
    heat = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0.0])
    times = np.arange(9) / 50
    np.savez(tmp_path / "a.npz", counts=COUNTS, times_s=times, excitation=heat, heat_start_s=0.021, heat_end_s=0.035)
    sequence = ThermalSequence.open(tmp_path / "a.npz")
    assert sequence.heated_s == (0.021, 0.035)
    pulse = sequence.pulse()
    assert pulse is not None
    # On and off again between two frames: none was taken with the heat on.
    assert (pulse.first, pulse.last, pulse.t0_s) == (2, 1, pytest.approx(0.028))
    assert sequence.cooling().times_s[0] == pytest.approx(0.012)


def test_a_variable_is_chosen_by_its_path_or_last_name_and_others_are_told(tmp_path: Path) -> None:
    savemat(tmp_path / "two.mat", {"cube": np.moveaxis(PLATE, 0, 2), "other": np.moveaxis(PLATE, 0, 2) + 5})
    assert "also here: other" in ThermalSequence.open(tmp_path / "two.mat").notes[0]
    other = ThermalSequence.open(tmp_path / "two.mat", variable="other")
    assert np.allclose(other.frames(), PLATE + 5, rtol=1e-6)
    path = write_hdf5(tmp_path / "two.h5", {"a/x": PLATE, "b/y": PLATE + 1})
    assert np.allclose(ThermalSequence.open(path, variable="Y").frames(), PLATE + 1, rtol=1e-6)


def test_a_wrong_variable_says_which_are_right(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"data": np.moveaxis(PLATE, 0, 2), "mask": np.zeros((6, 7))})
    with pytest.raises(UnknownNameError, match=r"unknown variable 'dta' .*'data'.*known: data, mask"):
        ThermalSequence.open(tmp_path / "a.mat", variable="dta")
    with pytest.raises(DataError, match=r"mask \(6, 7\).* is no sequence.*with three axes there are: data"):
        ThermalSequence.open(tmp_path / "a.mat", variable="mask")
    savemat(tmp_path / "b.mat", {"mask": np.zeros((6, 7))})
    with pytest.raises(DataError, match=r"no variable has three axes.*the file holds mask \(6, 7\)"):
        ThermalSequence.open(tmp_path / "b.mat")


def test_one_frame_is_no_sequence(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", PLATE[:1])
    with pytest.raises(DataError, match=r"one.npy: .*\(1, 6, 7\); at least two frames"):
        ThermalSequence.open(tmp_path / "one.npy")
    np.save(tmp_path / "flat.npy", PLATE[0])
    with pytest.raises(DataError, match="no variable has three axes"):
        ThermalSequence.open(tmp_path / "flat.npy")


@pytest.mark.parametrize("kind", ["npy", "mat", "hdf5 chunks"])
def test_frames_in_the_unusual_order_are_an_error_that_says_the_likely_one(tmp_path: Path, kind: str) -> None:
    numbers = plate(frames=40, height=30, width=36)
    stored = numbers if kind == "mat" else np.moveaxis(numbers, 0, 2)
    likely = "THW" if kind == "mat" else "HWT"
    path = tmp_path / f"turned.{kind.split(maxsplit=1)[0]}"
    if kind == "mat":
        savemat(path, {"data": stored})
    elif kind == "npy":
        np.save(path, stored)
    else:
        write_hdf5(path, {"data": stored}, chunks=(8, 8, 8), compression="gzip")
    with pytest.raises(DataError, match=rf"looks like .*\(order {likely}\).*give the order: {likely}"):
        ThermalSequence.open(path)
    sequence = ThermalSequence.open(path, order=likely)  # type: ignore[arg-type]
    assert np.array_equal(sequence.frames(), numbers.astype(np.float32))


def test_a_time_axis_tells_the_order_whatever_the_habit(tmp_path: Path) -> None:
    times = np.linspace(0, 1, 9)
    savemat(tmp_path / "t.mat", {"data": PLATE, "time": times})
    sequence = ThermalSequence.open(tmp_path / "t.mat")
    assert sequence.shape == PLATE.shape
    assert np.allclose(sequence.times_s, times)
    np.savez(tmp_path / "t.npz", data=PLATE, time=times[::-1])
    late = ThermalSequence.open(tmp_path / "t.npz")
    assert not late.timed
    assert "does not rise" in late.notes[-1]


def test_a_frame_rate_in_the_file_gives_times(tmp_path: Path) -> None:
    sequence = ThermalSequence.open(written(tmp_path, "mat structure"))
    assert np.allclose(sequence.times_s, np.arange(9) / 50)
    assert "frame rate of variable 'run/fps': 50 Hz" in sequence.notes[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.95])
def test_files_that_are_cut_short_say_so_and_nothing_else_comes_out(tmp_path: Path, kind: str, share: float) -> None:
    path = written(tmp_path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with suppress(FormatError, DataError):
        # Where nothing is said, only what lay behind the frames was cut off.
        assert np.array_equal(ThermalSequence.open(path).frames(), PLATE.astype(np.float32))


def test_a_truncated_hdf5_says_how_much_is_missing(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "cut.h5", {"data": np.random.default_rng(0).random((40, 30, 30))}, chunks=(4, 30, 30))
    path.write_bytes(path.read_bytes()[:150_000])
    with pytest.raises(FormatError, match=r"cut.h5: HDF5: the file is cut short: it has 150000 bytes.*chunks are lost"):
        ThermalSequence.open(path)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_let_out_only_our_own_errors(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(KINDS.index(kind))
    for _ in range(25):
        broken = whole.copy()
        at = rng.integers(0, min(broken.size, 3000), 3)
        broken[at] ^= rng.integers(1, 256, 3).astype(np.uint8)
        path.write_bytes(broken.tobytes())
        with suppress(IsothermError):
            ThermalSequence.open(path).frames(0, 2)


def test_packed_arrays_that_cannot_be_in_the_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, frames=np.zeros((60, 300, 300)))
    with zipfile.ZipFile(path) as archive:
        declared = archive.infolist()[0].file_size
    data = bytearray(path.read_bytes())
    # 43 MB of zeros are 42 kB already, which is as tight as deflate can pack.
    place = data.rfind(declared.to_bytes(4, "little"))
    data[place : place + 4] = (declared * 20).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(FormatError, match="cannot hold numbers"):
        ThermalSequence.open(path)
    with h5py.File(tmp_path / "bomb.h5", "w") as file:
        file.create_dataset("frames", (100_000, 1000, 1000), "u2", chunks=(1, 1000, 1000), compression="gzip")
    with pytest.raises(FormatError, match="cannot lie in a file of"):
        ThermalSequence.open(tmp_path / "bomb.h5")


def test_pickled_arrays_are_never_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([{}, {}], object), allow_pickle=True)
    with pytest.raises(FormatError, match="numbers of at most 64 bits"):
        ThermalSequence.open(tmp_path / "p.npy")


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_the_pages_of_a_tiff_are_frames(tmp_path: Path, options: dict[str, str]) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, plate(dtype="float32"), photometric="minisblack", metadata=None, **options)
    sequence = ThermalSequence.open(path, frame_rate_hz=50)
    assert isinstance(sequence.source, FrameCache)
    assert np.allclose(sequence.frames(), plate(dtype="float32"), rtol=1e-6)
    assert (sequence.unit, sequence.flash()) == ("K", 2)


def test_a_scale_that_is_guessed_for_the_first_page_holds_for_all(tmp_path: Path) -> None:
    # 0.01 K a count would give 290 K and 660 K: the second page alone would be guessed as grey levels.
    counts = np.stack([np.full((4, 5), 29_000, np.uint16), np.full((4, 5), 65_534, np.uint16)])
    tifffile.imwrite(tmp_path / "s.tif", counts, photometric="minisblack", metadata=None)
    sequence = ThermalSequence.open(tmp_path / "s.tif")
    assert sequence.unit == "K"
    assert np.allclose(sequence.frames()[:, 0, 0], [290, 655.34])


def test_a_tiff_of_one_page_is_no_sequence(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", PLATE[0].astype(np.float32))
    with pytest.raises(DataError, match="one picture"):
        ThermalSequence.open(tmp_path / "one.tif")


def test_a_folder_of_csv_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    celsius = PLATE - 273.15
    for index in (10, 9, 2, 1, 11, 8, 7, 3, 5):
        order = sorted((10, 9, 2, 1, 11, 8, 7, 3, 5)).index(index)
        np.savetxt(tmp_path / f"frame_{index}.csv", celsius[order], delimiter=",", fmt="%.4f")
    (tmp_path / "notes.md").write_text("not a frame")
    (tmp_path / "mask.png").write_bytes(b"not a frame either")
    sequence = ThermalSequence.open(tmp_path)
    assert np.allclose(sequence.frames(), PLATE, atol=1e-3)
    assert sequence.unit == "K"
    assert "from frame_1.csv to frame_11.csv" in sequence.notes[-2]
    assert sequence.notes[-1] == "left aside: mask.png, notes.md"


def test_a_folder_of_pictures_gives_grey_levels_and_each_is_read_once(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (4, 8, 9)).astype(np.uint8)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    sequence = ThermalSequence.open(tmp_path)
    assert np.array_equal(sequence.frames(), pictures)
    assert sequence.unit == "au"
    for file in tmp_path.iterdir():
        file.unlink()
    assert np.array_equal(sequence.frames(), pictures)


def test_frames_of_another_size_or_kind_are_named(tmp_path: Path) -> None:
    for index in range(3):
        Image.fromarray(np.zeros((8, 9 + index // 2), np.uint8)).save(tmp_path / f"{index}.png")
    with pytest.raises(DataError, match=r"frame 2 is of \(8, 10\) .*the first one of \(8, 9\)"):
        ThermalSequence.open(tmp_path).frames()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="an empty folder"):
        ThermalSequence.open(tmp_path / "empty")


def test_camera_sequences_give_kelvin_and_the_times_of_the_camera(tmp_path: Path) -> None:
    frames = [FlirFile(counts=ramp(low=17_000 + 500 * index)) for index in range(3)]
    seconds = (0, 1, 3)
    for frame, second in zip(frames, seconds, strict=True):
        object.__setattr__(frame, "seconds", 1_600_000_000 + second)
    path = tmp_path / "a.seq"
    path.write_bytes(b"".join(frame.fff() for frame in frames))
    sequence = ThermalSequence.open(path)
    assert (sequence.unit, sequence.timed) == ("K", True)
    assert np.allclose(sequence.times_s, seconds)
    found = sequence.frames()
    assert found.shape == (3, 12, 16)
    assert 250 < found.min() < found.max() < 400
    assert (np.diff(found.mean(axis=(1, 2))) > 0).all()


def test_single_pictures_and_missing_files_are_told(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "one.png")
    with pytest.raises(FormatError, match="a single picture is no sequence"):
        ThermalSequence.open(tmp_path / "one.png")
    with pytest.raises(DataError, match=r"missing.npy: cannot be read"):
        ThermalSequence.open(tmp_path / "missing.npy")


def test_natural_order_sorts_by_value() -> None:
    names = ["b2", "b10", "b1", "a", "10", "9", "B3"]
    assert sorted(names, key=natural) == ["a", "b1", "b2", "B3", "b10", "9", "10"]


MEASURE = """
import sys
import numpy as np
from isotherm.sequences.stack import ThermalSequence
sequence = ThermalSequence.open(sys.argv[1], order=sys.argv[2])
total = 0.0
for _, curves in sequence.blocks():
    total += float(curves[0].sum())
sequence.survey
status = open("/proc/self/status").read().split()
print(int(status[status.index("VmHWM:") + 1]) / 1024)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("order", ["THW", "HWT"])
def test_reading_a_mapped_file_takes_less_memory_than_it_has_bytes(tmp_path: Path, order: str) -> None:
    path = tmp_path / "large.npy"
    shape = (500, 512, 640) if order == "THW" else (512, 640, 500)
    large = np.lib.format.open_memmap(path, "w+", np.float32, shape)
    for index in range(shape[0]):
        large[index] = index
    del large
    assert path.stat().st_size > 650_000_000
    command = [sys.executable, "-c", MEASURE, str(path), order]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(found.stdout) < 450


@pytest.mark.real_data
def test_simulated_files_of_pythermondt(data: Path) -> None:
    folder = data / "sequences" / "pythermondt"
    expected = ThermalSequence.open(folder / "expected1.hdf5")
    matlab = ThermalSequence.open(folder / "source1.mat")
    assert expected.shape == matlab.shape == (1000, 100, 100)
    assert np.array_equal(expected.frames(), matlab.frames())
    assert np.allclose(expected.times_s, matlab.times_s)
    for name, last in (("example-data0", 6), ("example-data1", 2), ("expected1", 3)):
        sequence = ThermalSequence.open(folder / f"{name}.hdf5")
        assert sequence.lamp_s is not None
        pulse = sequence.pulse()
        assert pulse is not None
        assert (pulse.first, pulse.last) == (2, last)
        assert sequence.lamp_s[0] <= pulse.start_s < pulse.end_s <= sequence.lamp_s[1]


@pytest.mark.real_data
def test_a_real_cell_of_pictures(data: Path) -> None:
    path = data / "sequences" / "huaiyoubuyi" / "F1.mat"
    truth = np.stack(list(loadmat(path)["F1"][0, 0]["images"][0]))
    sequence = ThermalSequence.open(path)
    assert np.array_equal(sequence.frames(), truth)
    assert (sequence.timed, sequence.pulse()) == (False, None)


@pytest.mark.real_data
def test_real_camera_sequences(data: Path) -> None:
    seq = ThermalSequence.open(data / "camera_files" / "thermimage" / "SampleSEQ.seq")
    assert np.allclose(seq.frames().mean(axis=(1, 2)) - 273.15, [22.451, 22.304], atol=0.01)
    csq = ThermalSequence.open(data / "camera_files" / "thermimage" / "SampleCSQ.csq")
    assert csq.shape == (8, 768, 1024)
    assert np.all((csq.survey.mean > 273.15 + 22.485) & (csq.survey.mean < 273.15 + 22.605))
