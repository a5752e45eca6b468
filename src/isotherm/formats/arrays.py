"""Files that hold named arrays (NPZ, MAT, HDF5): which of them is the picture, and what its numbers mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Thermogram
from isotherm.formats.frames import chosen_frame
from isotherm.formats.reader import ReadHints
from isotherm.formats.scaling import of_array, of_table
from isotherm.radiometry.linear import Unit

# The last part of a name -> how likely it is the picture: the earlier, the likelier.
_LIKELY = ("celsius", "kelvin", "fahrenheit", "temp", "therm", "tdata", "counts", "raw", "data", "image", "frame")
_UNLIKELY = re.compile(r"mask|label|truth|valid|index|lookup|lut|time|coord|emissiv|distance", re.IGNORECASE)
_TIMES = re.compile(r"time|domainvalues|timestamp", re.IGNORECASE)
_TABLE = re.compile(r"lookup|\blut\b", re.IGNORECASE)
_UNITS: tuple[tuple[Unit, re.Pattern[str]], ...] = (
    ("c", re.compile(r"celsius|(?:°|\bdeg[_ ]?|_)c$", re.IGNORECASE)),
    ("f", re.compile(r"fahrenheit|(?:°|\bdeg[_ ]?|_)f$", re.IGNORECASE)),
    ("k", re.compile(r"kelvin|^k$|_k$", re.IGNORECASE)),
)
_LEAST_TABLE, _MOST_TABLE = 256, 1 << 20
_MULTIPLE = re.compile(r"_x\d+$")
_MOST_CHANNELS = 4
_NAMED = 6


@dataclass(frozen=True)
class NamedArray:
    """What a file says about one of its arrays: its path in the file, shape, type, and unit and frame axis if told."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    unit: str = ""
    axis: int | None = None

    @property
    def last(self) -> str:
        """The last part of its path, in lower case."""
        return re.split(r"[/.]", self.name)[-1].casefold()

    @property
    def declared(self) -> Unit | None:
        """The unit of its numbers that its unit attribute or its name tells; none for multiples (``celsius_x100``)."""
        if _MULTIPLE.search(self.last):
            return None
        texts = [text for text in (self.unit.strip(), self.last) if text]
        if self.unit.strip().casefold() in ("c", "f", "k"):
            return next(unit for unit, _ in _UNITS if unit == self.unit.strip().casefold())
        return next((unit for text in texts for unit, pattern in _UNITS if pattern.search(text)), None)


@dataclass(frozen=True)
class Choice:
    """The array that is read, the axis along which its frames lie (None: a single picture), and what to tell."""

    array: NamedArray
    axis: int | None
    notes: tuple[str, ...]

    @property
    def frames(self) -> int:
        """The number of its frames."""
        return 1 if self.axis is None else self.array.shape[self.axis]

    def frame_of(self, numbers: np.ndarray, hints: ReadHints) -> np.ndarray:
        """Return the picture (H W) among the numbers of the whole array; raises FormatError where there is none."""
        if self.axis is None:
            return numbers
        frame: np.ndarray = numbers.take(chosen_frame(hints, self.frames)[0], self.axis)
        return frame


def chosen(arrays: Sequence[NamedArray], what: str, *, frame_axis: int = 0) -> Choice:
    """Return which array is the picture: the one with the likeliest name, then the largest.

    Arrays of three axes are frames. They lie along the axis that is as long as the file's time axis, or else along
    `frame_axis`, the habit of the format.

    Raises
    ------
    FormatError
        None is a picture; the message lists what there is.
    """
    able = [array for array in arrays if _is_picture(array)]
    if not able:
        held = ", ".join(f"{array.name} {array.shape} {array.dtype}" for array in arrays[:8]) or "nothing"
        raise FormatError(f"{what}: no array of two dimensions (height, width) of numbers; it holds {held}")
    best = min(able, key=_rank)
    others = [array.name for array in able if array is not best and not _is_line(array)]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    notes = (f"array {best.name!r} is read; also here: {', '.join(others[:_NAMED])}{more}",) if others else ()
    return Choice(best, _frames_along(best, arrays, frame_axis), notes)


def _is_picture(array: NamedArray) -> bool:
    numbers = array.dtype.kind in "fiu" and array.dtype.itemsize <= 8
    channels = len(array.shape) == 3 and array.axis is None and array.shape[2] <= _MOST_CHANNELS < array.shape[0]
    return numbers and len(array.shape) in (2, 3) and 0 not in array.shape and not channels


def _is_line(array: NamedArray) -> bool:
    """Say whether this is a line or a single number, which MATLAB calls a matrix too."""
    return sum(side > 1 for side in array.shape) < 2


def _rank(array: NamedArray) -> tuple[bool, bool, int, int]:
    likely = next((place for place, word in enumerate(_LIKELY) if word in array.last), len(_LIKELY))
    return _is_line(array), bool(_UNLIKELY.search(array.last)), likely, -int(np.prod(array.shape, dtype=np.float64))


def _frames_along(array: NamedArray, arrays: Sequence[NamedArray], habit: int) -> int | None:
    if len(array.shape) < 3 or array.axis is not None:
        return array.axis
    if 1 in array.shape:
        return array.shape.index(1)
    lengths = {max(other.shape) for other in arrays if other.shape and _TIMES.search(other.last)}
    return next((axis for axis, side in enumerate(array.shape) if side in lengths), habit % 3)


def table_among(arrays: Sequence[NamedArray]) -> NamedArray | None:
    """Return the table that turns counts into temperatures, where there is one."""
    able = (array for array in arrays if _TABLE.search(array.last) and array.dtype.kind == "f")
    return next((array for array in able if _LEAST_TABLE <= max(array.shape, default=0) <= _MOST_TABLE), None)


def thermogram_of(
    numbers: np.ndarray, choice: Choice, hints: ReadHints, *, name: str, what: str, table: np.ndarray | None = None
) -> Thermogram:
    """Return the thermogram of one picture (H W) of the chosen array.

    Parameters
    ----------
    numbers
        (H W), in any byte order.
    choice
        Where they are from.
    hints
        The user's; a given step wins over a table.
    name, what
        The reader's name, and the format's name in messages.
    table
        Temperature of each count, where the file has one.
    """
    notes = choice.notes + chosen_frame(hints, choice.frames)[1]
    if choice.frames > 1:
        notes += (f"frames of {choice.array.name!r} taken along axis {choice.axis}",)
    numbers = np.ascontiguousarray(numbers, dtype=numbers.dtype.newbyteorder("="))
    if table is not None and numbers.dtype.kind == "u" and hints.step is None:
        meaning = of_table(table.ravel(), hints, what)
    else:
        meaning = of_array(numbers, hints, what, declared=choice.array.declared)
    return Thermogram(
        counts=numbers,
        calibration=meaning.calibration,
        scene=assumed_scene(),
        format=name,
        notes=(*notes, *meaning.notes),
    )
