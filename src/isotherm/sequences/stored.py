"""What else a recording's file holds beside its frames: arrays by name, and texts that describe them."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.formats import hdf5_tree, zip_members
from isotherm.formats.cursor import Cursor
from isotherm.formats.mat_elements import order_of
from isotherm.formats.npy_numbers import text
from isotherm.formats.reader import MAX_PIXELS
from isotherm.formats.sequences import head_of
from isotherm.sequences.mapped import MappedCursor
from isotherm.sequences.recording import Variable

_MATLAB_7_3 = b"MATLAB 7.3"
_ABOUT = "about.npy"
_MOST_TEXT = 4 * 1024 * 1024
_PARAMETERS = "SimulationParameter"


def pictures_in(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Return the arrays of two axes (H W) of a file whose names end with one of `names` (in lower case), by that.

    Read are NPZ, MAT (5 to 7.3) and HDF5; any other file holds none.

    Raises
    ------
    FormatError
        The file is damaged.
    """
    found = {}
    for variable in _variables(path):
        array = variable.array
        if array.last in names and _is_picture(array.shape):
            found[array.last] = variable.load()
    return found


def _is_picture(shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and min(shape) > 1 and math.prod(shape) <= MAX_PIXELS


def _variables(path: Path) -> list[Variable]:
    if path.is_dir():
        return []
    head = head_of(path)
    if head.startswith(zip_members.SIGNATURE):
        from isotherm.sequences.sources_numpy import variables_of_npz

        return variables_of_npz(path)
    if order_of(head) is not None:
        from isotherm.sequences.sources_mat import variables_of_mat

        return variables_of_mat(path)[0]
    if hdf5_tree.starts_in(head):
        from isotherm.sequences.sources_hdf5 import variables_of_hdf5

        return variables_of_hdf5(path, what="HDF5", matlab=head.startswith(_MATLAB_7_3))
    return []


def about_in(path: Path) -> dict[str, Any]:
    """Return the description that isotherm's simulator stores in an NPZ; empty where there is none.

    Raises
    ------
    FormatError
        The archive is damaged.
    """
    if path.is_dir() or not head_of(path).startswith(zip_members.SIGNATURE):
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            if _ABOUT not in archive.namelist() or archive.getinfo(_ABOUT).file_size > _MOST_TEXT:
                return {}
            data = archive.read(_ABOUT)
        found = json.loads(text(Cursor(data, "<", f"NPZ: {_ABOUT}")))
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"{path}: NPZ: damaged ({error})") from error
    except (FormatError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def parameters_in(path: Path) -> dict[str, float]:
    """Return the numbers of the table of parameters in a file of pythermondt's simulation; empty where there is none.

    The table is a JSON list of rows [Name, Expression, Description, Value, Unit], as a text in ``/MetaData``, sometimes
    encoded twice.

    Raises
    ------
    FormatError
        The file is damaged.
    """
    if path.is_dir() or not hdf5_tree.starts_in(head_of(path)):
        return {}
    stored = hdf5_tree.group_texts(MappedCursor(path, "<", "HDF5"), "MetaData").get(_PARAMETERS, "")
    rows = _decoded(_decoded(stored))
    if not isinstance(rows, list):
        return {}
    able = [row for row in rows if isinstance(row, list) and len(row) > 3 and isinstance(row[3], (int, float))]
    return {str(row[0]): float(row[3]) for row in able}


def _decoded(stored: object) -> object:
    if not isinstance(stored, str):
        return stored
    try:
        # A bare nan is no JSON, but is written for it.
        return json.loads(stored.replace(", nan,", ", NaN,"))
    except (ValueError, RecursionError):
        return None
