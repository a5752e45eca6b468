"""NumPy's NPY: a matrix of temperatures, or of counts with a scale."""

from __future__ import annotations

import ast
import math

import numpy as np

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.cursor import Cursor
from isotherm.formats.reader import MAX_PIXELS, FormatCard, ReadHints
from isotherm.formats.scaling import CAMERA_STEPS, Meaning, of_counts, of_temperatures

_MAGIC = b"\x93NUMPY"
_MAX_HEADER = 10_000


class NpyReader:
    """A two-dimensional array: floats are °C unless hinted otherwise, 16-bit numbers counts, 8-bit ones grey levels."""

    name = "npy"
    card = FormatCard(
        makers="NumPy",
        suffixes=".npy",
        numbers="°C or K as floats; counts with a step; grey levels",
        evidence="documented",
        source="NumPy NEP 1",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether these bytes begin like an NPY file."""
        return data.startswith(_MAGIC)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode the array; nothing is ever unpickled."""
        numbers = _matrix(data)
        counts, meaning = _meaning(numbers, hints)
        return Thermogram(
            counts=counts,
            calibration=meaning.calibration,
            scene=assumed_scene(),
            format=self.name,
            notes=meaning.notes,
        )


def _meaning(numbers: np.ndarray, hints: ReadHints) -> tuple[np.ndarray, Meaning]:
    if numbers.dtype.kind == "f":
        return numbers, of_temperatures(numbers, hints, "NPY")
    if numbers.dtype == np.uint8:
        return numbers, Meaning(None)
    meaning = of_counts(numbers, hints, "NPY", steps=CAMERA_STEPS)
    if meaning.calibration is None and numbers.dtype != np.uint16:
        raise FormatError(f"NPY: whole numbers of type {numbers.dtype} need a scale (give step, offset and unit)")
    return numbers, meaning


def _matrix(data: bytes) -> np.ndarray:
    dtype, shape, fortran, start = _header(Cursor(data, "<", "NPY"))
    height, width = shape
    raw = Cursor(data, "<", "NPY").take(start, height * width * dtype.itemsize)
    matrix = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(matrix, dtype=dtype.newbyteorder("="))


def _header(cursor: Cursor) -> tuple[np.dtype, tuple[int, int], bool, int]:
    """Return dtype, shape, whether in Fortran order, and where the numbers start (NEP 1 layout)."""
    wide = cursor.take(6, 2)[0] >= 2
    length = cursor.u32(8) if wide else cursor.u16(8)
    start = 12 if wide else 10
    if length > _MAX_HEADER:
        raise cursor.error(f"header of {length} bytes; at most {_MAX_HEADER} make sense", 8)
    try:
        header = ast.literal_eval(cursor.take(start, length).decode("latin-1").strip())
        dtype, shape, fortran = np.dtype(header["descr"]), tuple(header["shape"]), bool(header["fortran_order"])
    except (ValueError, TypeError, KeyError, SyntaxError, MemoryError, RecursionError) as error:
        raise cursor.error("the header is no description of an array", start) from error
    return _checked(cursor, dtype, shape), shape, fortran, start + length


def _checked(cursor: Cursor, dtype: np.dtype, shape: tuple[object, ...]) -> np.dtype:
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise cursor.error(f"holds {dtype}; numbers of at most 64 bits are needed", 10)
    if len(shape) != 2 or not all(type(side) is int and side > 0 for side in shape):
        raise cursor.error(f"shape {shape}; two dimensions (height, width) are needed", 10)
    if math.prod(side for side in shape if isinstance(side, int)) > MAX_PIXELS:
        raise TooLargeError(f"NPY: shape {shape}; at most {MAX_PIXELS} pixels are decoded", cursor.place(10))
    return dtype


READER = NpyReader()
