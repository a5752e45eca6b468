"""The numbers of NumPy's NPY layout (NEP 1), for files and for the members of an NPZ archive; nothing is unpickled."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass

import numpy as np

from isotherm.core.errors import TooLargeError
from isotherm.formats.cursor import Cursor
from isotherm.formats.reader import MAX_PIXELS

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
"""Longest description that is read [bytes]; NumPy's own limit."""


@dataclass(frozen=True)
class Description:
    """What an NPY header says, and where its numbers start [byte]."""

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    start: int


def described(cursor: Cursor) -> Description:
    """Return what the header says; raises FormatError where it describes no plain numbers."""
    found = _described(cursor)
    if found.dtype.kind not in "fiu" or found.dtype.itemsize > 8:
        raise cursor.error(f"holds {found.dtype}; numbers of at most 64 bits are needed", 10)
    return found


def text(cursor: Cursor) -> str:
    """Return the text of an array that is a single one; raises FormatError where it is not."""
    about = _described(cursor)
    if about.dtype.kind != "U" or about.shape != ():
        raise cursor.error(f"holds {about.dtype} of shape {about.shape}; one text is needed", 10)
    raw = cursor.take(about.start, about.dtype.itemsize)
    return raw.decode("utf-32-le" if about.dtype.str.startswith("<") else "utf-32-be", "replace").rstrip("\0")


def _described(cursor: Cursor) -> Description:
    if cursor.take(0, 6) != MAGIC:
        raise cursor.error("does not begin like an NPY array", 0)
    wide = cursor.take(6, 2)[0] >= 2
    length = cursor.u32(8) if wide else cursor.u16(8)
    start = 12 if wide else 10
    if length > MAX_HEADER:
        raise cursor.error(f"header of {length} bytes; at most {MAX_HEADER} make sense", 8)
    try:
        header = ast.literal_eval(cursor.take(start, length).decode("latin-1").strip())
        dtype, shape, fortran = np.dtype(header["descr"]), tuple(header["shape"]), bool(header["fortran_order"])
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError) as error:
        raise cursor.error("the header is no description of an array", start) from error
    if not all(type(side) is int and side >= 0 for side in shape):
        raise cursor.error(f"shape {shape} makes no sense", start)
    return Description(dtype, shape, fortran, start + length)


def numbers(cursor: Cursor, description: Description) -> np.ndarray:
    """Return the array, read-only, in the byte order of the file.

    Raises
    ------
    TooLargeError
        It declares more than `MAX_PIXELS` numbers.
    FormatError
        The numbers are not all there.
    """
    count = math.prod(description.shape)
    if count > MAX_PIXELS:
        raise TooLargeError(
            f"{cursor.what}: shape {description.shape}; at most {MAX_PIXELS} pixels are decoded", cursor.place(10)
        )
    start, size = description.start, count * description.dtype.itemsize
    if start + size > len(cursor):
        raise cursor.error(f"needs {size} bytes at {start}, but there are {len(cursor)}", start)
    flat = np.frombuffer(cursor.data, description.dtype, count, start)
    return flat.reshape(description.shape, order="F" if description.fortran else "C")
