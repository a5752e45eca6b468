"""A path to the recording in it: by content, never by name."""

from __future__ import annotations

from pathlib import Path

from isotherm.core.errors import DataError, FormatError
from isotherm.formats import hdf5_tree, npy_numbers, zip_members
from isotherm.formats.ifd import layout_of
from isotherm.formats.mat_elements import order_of
from isotherm.formats.sequences import head_of, sequence_reader
from isotherm.sequences.axes import check_frames
from isotherm.sequences.recording import Asked, Recording

_KNOWN = "NPY, NPZ, MAT, HDF5, TIFF stacks, camera sequences, and folders of frames"
_MATLAB_7_3 = b"MATLAB 7.3"


def recording_in(path: Path, asked: Asked) -> Recording:
    """Return the recording in a file or folder.

    Raises
    ------
    DataError
        No such file, or no sequence in it.
    FormatError
        Damaged, or of no known format; the message names the file.
    UsageError
        There is no such variable.
    """
    try:
        found = _opened(path, asked)
        check_frames(found.source.shape, "the recording")
        return found
    except FormatError as error:
        raise type(error)(f"{path}: {error.reason}", error.offset) from error
    except DataError as error:
        raise DataError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from error


def _opened(path: Path, asked: Asked) -> Recording:
    if path.is_dir():
        from isotherm.sequences.sources_frames import open_folder

        return open_folder(path, asked)
    head = head_of(path)
    if not head:
        raise FormatError("the file is empty (0 bytes)")
    if head.startswith(npy_numbers.MAGIC):
        from isotherm.sequences.sources_numpy import open_npy

        return open_npy(path, asked)
    if head.startswith(zip_members.SIGNATURE):
        from isotherm.sequences.sources_numpy import open_npz

        return open_npz(path, asked)
    if order_of(head) is not None:
        from isotherm.sequences.sources_mat import open_mat

        return open_mat(path, asked)
    if hdf5_tree.starts_in(head):
        from isotherm.sequences.sources_hdf5 import open_hdf5

        matlab = head.startswith(_MATLAB_7_3)
        return open_hdf5(path, asked, what="MAT" if matlab else "HDF5", matlab=matlab)
    return _of_frames(path, head, asked)


def _of_frames(path: Path, head: bytes, asked: Asked) -> Recording:
    from isotherm.sequences.sources_frames import open_camera, open_tiff

    if sequence_reader(head) is not None:
        return open_camera(path, asked)
    if layout_of(head) is not None:
        return open_tiff(path, asked)
    raise FormatError(f"no sequence of a known format; known: {_KNOWN} (a single picture is no sequence)", 0)
