"""Recordings that cannot be used, or not as they stand: each message says what, where, and what would be right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat
from stack_files import write_hdf5

from isotherm.cli.main import main
from isotherm.core.errors import DataError, FormatError
from isotherm.sequences import recording
from isotherm.sequences.stack import ThermalSequence
from isotherm.workflows.sequence_maps import make_maps
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording
from thermal_files import FlirFile, ramp


def cooling(frames: int = 40, height: int = 30, width: int = 36) -> np.ndarray:
    """Return frames [K] of a flashed plate with one warm spot, with the noise of a camera."""
    since = np.maximum(np.arange(frames) - 1.5, 0)
    rise = np.where(since > 0, 45 / np.sqrt(np.maximum(since, 0.5)), 0)
    late = np.where(since > 0, 3 * np.exp(-((since - 8) ** 2) / 30), 0)
    rows, columns = np.mgrid[:height, :width]
    spot = np.exp(-((rows - 12) ** 2 + (columns - 20) ** 2) / 18)
    noise = np.random.default_rng(0).normal(0, 0.02, (frames, height, width))
    return 300 + noise + rise[:, None, None] + late[:, None, None] * spot


PLATE = cooling()
LAST = np.moveaxis(PLATE, 0, 2)
TIMES = np.arange(40) / 10


def npy(numbers: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, numbers)


def npz(**arrays: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


def mat(**arrays: object) -> Callable[[Path], None]:
    return lambda path: savemat(path, arrays)


def cut(write: Callable[[Path], None], share: float = 0.6) -> Callable[[Path], None]:
    def shorter(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])

    return shorter


def changed(numbers: np.ndarray, where: object, value: float) -> np.ndarray:
    found = numbers.copy()
    found[where] = value
    return found


def packed(path: Path) -> None:
    write_hdf5(path, {"run/data": PLATE, "run/time": TIMES}, compression="gzip", chunks=(5, 30, 36))


def seq(frames: int) -> Callable[[Path], None]:
    whole = [FlirFile(counts=ramp(low=17_000 + 500 * index), seconds=1_600_000_000 + index) for index in range(frames)]
    return lambda path: path.write_bytes(b"".join(frame.fff() for frame in whole)) and None


def stack(path: Path) -> None:
    tifffile.imwrite(path, PLATE.astype(np.float32), photometric="minisblack", metadata=None)


@dataclass(frozen=True)
class Case:
    """A file, what the command says of it, and with which status it ends."""

    name: str
    write: Callable[[Path], None]
    said: tuple[str, ...]
    flags: tuple[str, ...] = ()
    status: int = 1


COLOUR = "pictures in colours hold no temperatures"
REFUSED = [
    Case("flat.npy", npy(PLATE[0]), ("flat.npy", "no variable has three axes", "array (30, 36) float64")),
    Case("one.npy", npy(PLATE[:1]), ("one.npy", "(1, 30, 36)", "at least two frames")),
    Case("none.npy", npy(PLATE[:0]), ("none.npy", "two of them longer than 1", "(0, 30, 36)")),
    Case("pixel.npy", npy(PLATE[:, :1, :1]), ("pixel.npy", "two of them longer than 1", "(40, 1, 1)")),
    Case("line.npy", npy(np.arange(5.0)), ("line.npy", "three axes", "array (5,)")),
    Case("nan.npy", npy(np.full_like(PLATE, np.nan)), ("nan.npy", "40 of 40 frames hold no number (NaN only)")),
    Case("same.npy", npy(np.full_like(PLATE, 7)), ("same.npy", "the same value (7) everywhere", "right variable?")),
    Case("turned.npy", npy(LAST), ("turned.npy", "looks like height x width x frames", "give the order: HWT")),
    Case("turned.mat", mat(data=PLATE), ("turned.mat", "looks like frames x height x width", "give the order: THW")),
    Case("rgb.npy", npy(np.repeat(PLATE[..., None], 3, -1)), ("rgb.npy", "(40, 30, 36, 3)", COLOUR, "grey channel")),
    Case("rgb.mat", mat(video=np.repeat(LAST[:, :, None], 3, 2)), ("rgb.mat", "video (30, 36, 3, 40)", COLOUR)),
    Case(
        "rgb2.mat",
        mat(video=np.repeat(LAST[:, :, None], 3, 2), data=LAST),
        ("video (30, 36, 3, 40)", "with three axes there are: data", COLOUR),
        ("--variable", "video"),
    ),
    Case("complex.npy", npy(PLATE.astype(complex)), ("complex.npy", "holds complex128")),
    Case("mask.npy", npy(PLATE > 300), ("mask.npy", "holds bool")),
    Case("variable.npz", npz(data=PLATE), ("unknown variable 'dta'", "known: data"), ("--variable", "dta"), 2),
    Case("rate.npz", npz(data=PLATE), ("--frame-rate-hz must be at least",), ("--frame-rate-hz", "0"), 2),
    Case("cut.npy", cut(npy(PLATE)), ("cut.npy", "cut short", "need 345600 bytes, 207308 are there")),
    Case("cut.npz", cut(npz(data=PLATE)), ("cut.npz", "cut short", "list of its arrays")),
    Case("cut.mat", cut(mat(data=LAST)), ("cut.mat", "cut short", "bytes, but")),
    Case("cut.h5", cut(packed), ("cut.h5", "the file is cut short: it has")),
    Case("cut.tif", cut(stack), ("cut.tif", "cut short or damaged behind page 1", "one picture")),
    Case("one.seq", seq(1), ("one.seq", "(1, 12, 16)", "at least two frames")),
    Case("empty.h5", lambda path: path.write_bytes(b"") and None, ("empty.h5", "the file is empty")),
    Case("text.csv", lambda path: path.write_text("hello") and None, ("text.csv", "known: NPY, NPZ, MAT, HDF5")),
    Case("folder", lambda path: path.mkdir(), ("folder", "an empty folder", "at least two frames")),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_cannot_be_used_is_refused_with_what_would_be_right(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / case.name
    case.write(path)
    assert main(["sequence", "maps", str(path), "-o", str(tmp_path / "out"), *case.flags]) == case.status
    said = capsys.readouterr().err
    for part in case.said:
        assert part in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["segment", "curve"])
@pytest.mark.parametrize("case", [REFUSED[0], REFUSED[5], REFUSED[7]], ids=lambda case: case.name)
def test_the_other_commands_refuse_the_same(
    command: str, case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / case.name
    case.write(path)
    flags = ["--at", "3,4", "-o", str(tmp_path / "c.csv")] if command == "curve" else ["-o", str(tmp_path / "out")]
    assert main(["sequence", command, str(path), *flags]) == 1
    said = capsys.readouterr().err
    assert all(part in said for part in case.said)


DIFFERENCES = "negative ones are normal (and have no logarithm)"
TAKEN = [
    Case("lost.npy", npy(changed(PLATE, [5, 9], np.nan)), ("frames 5, 9 without any number (NaN) left out",)),
    Case("gap.npy", npy(changed(PLATE, (slice(None), 3, 4), np.nan)), ("0.09% of the pixels", "maps have gaps")),
    Case("constant.npy", npy(changed(PLATE, 7, 300)), ("frame 7: one and the same value", "lost in recording?")),
    Case("endless.npy", npy(changed(PLATE, (7, 3, 4), np.inf)), ("of the pixels of a frame have no number",)),
    Case("cold.npy", npy(PLATE), (DIFFERENCES,)),
    Case("single.mat", mat(video=LAST[:, :, None]), ("unit guessed: K",)),
    Case("single.npy", npy(PLATE[..., None]), ("unit guessed: K",)),
    Case("falling.npz", npz(data=PLATE, time=TIMES[::-1]), ("variable 'time' does not rise from frame to frame",)),
    Case("nan.npz", npz(data=PLATE, time=changed(TIMES, 3, np.nan)), ("variable 'time' does not rise",)),
    Case("short.npz", npz(data=PLATE, time=TIMES[:-1]), ("variable 'time' has 39 numbers for 40 frames: no times",)),
    Case("zero.mat", mat(data=LAST, fps=0.0), ("the frame rate of variable 'fps' is 0 Hz: no times",)),
    Case("below.mat", mat(data=LAST, fps=-5.0), ("the frame rate of variable 'fps' is -5 Hz: no times",)),
    Case("asked.npy", npy(LAST), ("looks like height x width x frames", "as it was asked for"), ("--order", "THW")),
]


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case.name)
def test_what_is_odd_is_told_and_costs_only_what_it_must(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, table = tmp_path / case.name, tmp_path / "c.csv"
    case.write(path)
    assert main(["sequence", "curve", str(path), "--at", "20,12", "-o", str(table), *case.flags]) == 0
    said = capsys.readouterr().out
    for part in case.said:
        assert part in said
    curve = np.genfromtxt(table, delimiter=",", skip_header=1)
    assert np.isfinite(curve).all()
    assert len(curve) == len(PLATE) - 2 * (case.name == "lost.npy") - 10 * (case.name == "asked.npy")


def test_maps_have_a_gap_where_a_pixel_has_none(tmp_path: Path) -> None:
    path = tmp_path / "gap.npy"
    np.save(path, changed(PLATE, (slice(None), 3, 4), np.nan))
    (stack,) = make_maps(path, ["pct"]).stacks
    assert np.array_equal(np.argwhere(np.isnan(stack.values[0])), [[3, 4]])


def test_a_method_that_needs_times_says_why_there_are_none_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "short.npz", tmp_path / "out"
    np.savez(path, data=PLATE, time=TIMES[:-1])
    assert main(["sequence", "maps", str(path), "-o", str(out), "--methods", "tsr,pct"]) == 3
    said = capsys.readouterr().err
    for part in (
        "no maps of tsr",
        "'time' has 39 numbers for 40 frames",
        "give times or a frame rate (--frame-rate-hz)",
    ):
        assert part in said
    assert (out / "pct.png").exists()
    assert main(["sequence", "maps", str(path), "-o", str(out), "--methods", "tsr", "--frame-rate-hz", "10"]) == 0


def test_differences_have_no_logarithm_but_a_curve(tmp_path: Path) -> None:
    path, picture = tmp_path / "plate.npz", tmp_path / "c.png"
    np.savez(path, data=PLATE, time=TIMES)
    assert main(["sequence", "curve", str(path), "--at", "3,4", "--cold", "last", "--log", "-o", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_camera_recording_that_broke_off_keeps_its_whole_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.seq"
    cut(seq(4))(path)
    sequence = ThermalSequence.open(path)
    assert sequence.shape == (2, 12, 16)
    assert any("frame 2 is cut short or damaged: left out" in note for note in sequence.notes)


def test_damage_that_shows_late_names_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_ASKED_BYTES", 0)
    path = tmp_path / "late.npz"
    np.savez_compressed(path, data=PLATE)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 255
    path.write_bytes(whole)
    with pytest.raises(FormatError, match=r"late.npz: NPZ: 'data.npy' is damaged"):
        open_recording(path, PrepareSettings())


def test_pictures_in_colours_are_taken_as_brightness_and_it_is_said(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (3, 8, 9, 3)).astype(np.uint8)
    for index, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
    assert any("in colours: their brightness" in note for note in ThermalSequence.open(tmp_path).notes)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (PLATE[0], "single picture"),
        (np.repeat(PLATE[..., None], 3, -1), COLOUR),
        (PLATE.astype(complex), "plain numbers"),
        (LAST, "give the order: HWT"),
    ],
)
def test_arrays_are_judged_as_files_are(numbers: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        ThermalSequence.open(numbers)


def test_axes_of_length_one_are_left_out_in_every_container(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", data=np.asfortranarray(PLATE[:, None]))
    savemat(tmp_path / "b.mat", {"data": LAST[:, :, None]}, do_compression=True)
    write_hdf5(tmp_path / "c.h5", {"data": PLATE[..., None]})
    write_hdf5(tmp_path / "d.mat", {"data": LAST[:, :, None]}, matlab=True, compression="gzip", chunks=(9, 1, 8, 9))
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(ThermalSequence.open(path).frames(), PLATE.astype(np.float32)), path.name
    assert ThermalSequence.open(PLATE[..., None]).shape == PLATE.shape


@pytest.mark.parametrize("unit", ["K", "C", "counts", "au"])
def test_a_user_can_say_the_unit(unit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, table = tmp_path / "plate.npy", tmp_path / "c.csv"
    np.save(path, PLATE)
    flags = ["--unit", unit, "--cold", "none", "--at", "3,4", "-o", str(table)]
    assert main(["sequence", "curve", str(path), *flags]) == 0
    assert "note" not in capsys.readouterr().out
    assert f"[{'°C' if unit == 'C' else unit}]" in table.read_text(encoding="utf-8")


@pytest.mark.parametrize("size", ["0", "4", "-1"])
def test_a_square_has_an_odd_side(size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plate.npy"
    np.save(path, PLATE)
    flags = ["--at", "3,4", "-o", str(tmp_path / "c.csv"), "--size-px", size]
    assert main(["sequence", "curve", str(path), *flags]) == 2
    assert f"odd number of pixels, such as 1, 3, 5; not {size}" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "status", "said"), [("x.txt", 2, "must end with .npz"), ("no/x.npz", 1, "no folder")])
def test_a_simulation_is_not_begun_where_its_result_cannot_be_written(
    name: str, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sequence", "simulate", "-o", str(tmp_path / name)]) == status
    told = capsys.readouterr().err
    assert said in told
    assert "heat flow" not in told
