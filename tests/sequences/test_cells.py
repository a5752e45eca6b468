"""Cells and structure arrays of MATLAB, in files of version 5 and 7.3: pictures in them are frames."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import savemat
from stack_files import matlab_head, plate

from isotherm.core.errors import DataError
from isotherm.formats.hdf5_tree import datasets
from isotherm.sequences.stack import ThermalSequence

PLATE = plate(frames=12)
LOST = 4


class Newer:
    """A file as MATLAB's -v7.3 writes it: what cells hold lies in a group ``#refs#``, axes are turned round."""

    def __init__(self, file: h5py.File) -> None:
        self.file, self.held = file, file.create_group("#refs#")

    def member(self, numbers: np.ndarray) -> h5py.Reference:
        """Store what one place of a cell holds; large pictures are deflated, an empty one has its shape as numbers."""
        empty = numbers.size == 0
        stored = np.array(numbers.shape, np.uint64) if empty else np.atleast_2d(numbers).T
        options = {"chunks": stored.shape, "compression": "gzip"} if numbers.size > 40 else {}
        found = self.held.create_dataset(f"a{len(self.held)}", data=stored, **options)
        found.attrs["MATLAB_class"] = np.bytes_("double")
        if empty:
            found.attrs["MATLAB_empty"] = np.uint8(1)
        return found.ref

    def cell(self, name: str, members: list[np.ndarray], *, class_name: str = "cell") -> None:
        """Store a cell of 1 x T, or with an empty class name a field of a structure array."""
        places = np.array([self.member(np.asarray(one)) for one in members], h5py.ref_dtype).reshape(-1, 1)
        found = self.file.create_dataset(name, data=places, dtype=h5py.ref_dtype)
        if class_name:
            found.attrs["MATLAB_class"] = np.bytes_(class_name)


def older_cell(members: list[np.ndarray]) -> np.ndarray:
    found = np.empty((1, len(members)), object)
    for index, one in enumerate(members):
        found[0, index] = one
    return found


def write(path: Path, kind: str, members: list[np.ndarray], seconds: list[float]) -> Path:
    """Write pictures in one of the ways in which MATLAB's users keep frames; `seconds` go into structure arrays."""
    if kind.startswith("5"):
        fields = np.zeros((1, len(members)), [("image", object), ("time", object)])
        for index, one in enumerate(members):
            fields[0, index] = (one, seconds[index])
        contents = {
            "5 cell": {"images": older_cell(members)},
            "5 cell in a structure": {"F": {"images": older_cell(members), "fps": 50.0}},
            "5 structure array": {"F": fields},
        }
        savemat(path, contents[kind], do_compression=kind == "5 cell")
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        newer = Newer(file)
        if kind == "7.3 cell":
            newer.cell("images", members)
        elif kind == "7.3 cell in a structure":
            newer.cell("F/images", members)
            file.create_dataset("F/fps", data=np.array([[50.0]]))
        else:
            newer.cell("F/image", members, class_name="")
            newer.cell("F/time", [np.array(second) for second in seconds], class_name="")
    matlab_head(path)
    return path


KINDS = [f"{version} {kind}" for version in ("5", "7.3") for kind in ("cell", "cell in a structure", "structure array")]
SECONDS = [index / 50 for index in range(len(PLATE))]


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_in_cells_and_structure_arrays_are_frames(tmp_path: Path, kind: str) -> None:
    sequence = ThermalSequence.open(write(tmp_path / "F.mat", kind, list(PLATE), SECONDS))
    assert sequence.shape == PLATE.shape
    assert np.array_equal(sequence.frames(), PLATE.astype(np.float32))
    assert sequence.timed == ("structure" in kind)
    if sequence.timed:
        assert np.allclose(sequence.times_s, SECONDS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("odd", [np.zeros((0, 0)), np.ones((2, 3))])
def test_an_empty_place_costs_its_frame_alone_and_the_others_keep_their_times(
    tmp_path: Path, kind: str, odd: np.ndarray
) -> None:
    members = list(PLATE)
    members[LOST] = odd
    sequence = ThermalSequence.open(write(tmp_path / "F.mat", kind, members, SECONDS)).checked()
    assert f"frame {LOST} without any number (NaN) left out" in sequence.notes
    assert np.array_equal(sequence.frames(), np.delete(PLATE, LOST, axis=0).astype(np.float32))
    if sequence.timed:
        assert np.allclose(sequence.times_s, np.delete(SECONDS, LOST))


@pytest.mark.parametrize("kind", ["5 cell", "7.3 cell"])
def test_a_cell_of_many_things_is_asked_for_its_stack(tmp_path: Path, kind: str) -> None:
    stack = np.moveaxis(PLATE, 0, 2)
    found = ThermalSequence.open(write(tmp_path / "F.mat", kind, [np.eye(3), stack, np.ones((2, 9))], [0, 0, 0]))
    assert np.array_equal(found.frames(), PLATE.astype(np.float32))


@pytest.mark.parametrize("kind", ["5 cell", "7.3 cell"])
def test_a_cell_without_pictures_says_what_it_holds(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DataError, match=r"F.mat: .*three axes.*images \(3, 3\) float64, images \(2, 9\)"):
        ThermalSequence.open(write(tmp_path / "F.mat", kind, [np.eye(3), np.ones((2, 9))], [0, 0]))


def test_references_are_no_numbers_of_their_own(tmp_path: Path) -> None:
    path = write(tmp_path / "F.mat", "7.3 cell", list(PLATE), SECONDS)
    assert all(found.name.startswith("#refs#") for found in datasets(path.read_bytes()))


def test_a_reference_to_nowhere_is_a_lost_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "F.mat", "7.3 structure array", list(PLATE), SECONDS)
    with h5py.File(path, "r+") as file:
        places = file["F/image"][()]
        places[LOST, 0] = h5py.Reference()
        file["F/image"][...] = places
    sequence = ThermalSequence.open(path).checked()
    assert np.allclose(sequence.times_s, np.delete(SECONDS, LOST))
    assert np.array_equal(sequence.frames(), np.delete(PLATE, LOST, axis=0).astype(np.float32))
