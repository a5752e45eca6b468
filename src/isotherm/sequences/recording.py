"""What is found in a file: where the frames are, their unit and times; and which of its variables are the frames."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Shaped

from isotherm.core.errors import DataError, FormatError, UnknownNameError
from isotherm.formats.arrays import NamedArray, chosen, table_among
from isotherm.sequences.axes import (
    ASKED_SLICES,
    Order,
    Unit,
    check_frames,
    in_colours,
    likely_order,
    order_notes,
    pair_places,
    rising,
)
from isotherm.sequences.sources import FrameSource, Table, Unpacked

_TIMES = re.compile(r"time|domainvalues|^t$|^t_s$", re.IGNORECASE)
_RATE = re.compile(r"^(fps|frame_?rate|framerate_?hz|sampling_?rate|fs)$", re.IGNORECASE)
_HEAT = re.compile(r"excitation|heating|pulse", re.IGNORECASE)
_HEAT_STARTS, _HEAT_ENDS = "heat_start_s", "heat_end_s"
_KELVIN_BETWEEN, _KELVIN_TABLE = (200.0, 3000.0), 150.0
# Larger packed files are not unpacked only to ask for the order of their axes.
_ASKED_BYTES = 64 * 1024 * 1024
_NAMED = 8
NO_TIMES = ": no times"
"""End of a note that says why the times of a file are not used."""


@dataclass(frozen=True)
class Asked:
    """What the user says about a file."""

    order: Order | None = None
    variable: str | None = None
    unit: Unit | None = None


@dataclass(frozen=True, eq=False)
class Recording:
    """The frames of a file.

    Parameters
    ----------
    source
        Where the numbers are.
    unit
        Of the numbers.
    times_s
        Time of each frame; None where the file does not say.
    heated_s
        When the heat came and went [s], where the file says.
    lamp_s
        The same to a frame on either side, where the file has a record of the heat frame by frame.
    notes
        What was assumed, for the user.
    """

    source: FrameSource
    unit: Unit
    times_s: Float64[np.ndarray, " T"] | None = None
    heated_s: tuple[float, float] | None = None
    lamp_s: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Variable:
    """One array of a file: what the file says about it, and how to get at its numbers.

    Parameters
    ----------
    array
        Path, shape and type.
    load
        Returns all numbers (of small arrays: times, tables).
    source
        Returns the frames for the axes (of the array) that are frames, height and width.
    """

    array: NamedArray
    load: Callable[[], np.ndarray]
    source: Callable[[tuple[int, int, int], Table | None], FrameSource]


def recording_among(variables: Sequence[Variable], asked: Asked, what: str, *, habit: Order) -> Recording:
    """Return the recording among the variables of a file.

    Parameters
    ----------
    variables
        All that the file holds.
    asked
        The user's order, variable and unit.
    what
        The format's name, for messages.
    habit
        The usual order of the format.

    Raises
    ------
    DataError
        No variable has three axes, or the one that was asked for has not, or its order is likely another.
    UnknownNameError
        There is no such variable.
    FormatError
        The file is damaged.
    """
    arrays = [variable.array for variable in variables]
    chosen_one, notes = _chosen(variables, asked.variable, what)
    array, name = chosen_one.array, f"{what}: variable {chosen_one.array.name!r}"
    axis, told = _frame_axis(array, arrays, asked, habit)
    axes = _axes(axis)
    check_frames(tuple(array.shape[place] for place in axes), name)
    table = table_among(arrays) if array.dtype.kind == "u" and asked.unit != "counts" else None
    values = None if table is None else _of(variables, table).load().ravel().astype(np.float64)
    source = chosen_one.source(axes, values)
    if axis != 1:
        likely = likely_order(array.shape, _lines(source, axis))
        notes += order_notes(array.shape, "HWT" if axis == 2 else "THW", likely, name, told=told)
    unit, more = _unit(array, values, asked.unit, source)
    times, late = _times(variables, array.shape[axis])
    notes = (*notes, *more, *late)
    if times is None:
        return Recording(source, unit, notes=notes)
    return Recording(source, unit, times, _heated(variables), _lamp(variables, times), notes)


def _of(variables: Sequence[Variable], array: NamedArray) -> Variable:
    return next(variable for variable in variables if variable.array is array)


def _chosen(variables: Sequence[Variable], wanted: str | None, what: str) -> tuple[Variable, tuple[str, ...]]:
    """Return the variable that holds the frames, and a note where there are several."""
    able = [variable for variable in variables if _is_stack(variable.array)]
    if wanted is not None:
        return _wanted(variables, wanted, what), ()
    if not able:
        held = ", ".join(_described(variable.array) for variable in variables[:_NAMED]) or "nothing"
        colours = next(filter(None, (in_colours(variable.array.shape) for variable in variables)), "")
        raise DataError(
            f"{what}: no variable has three axes (frames, rows, columns), two of them longer than 1; the file holds "
            f"{held}{f'; {colours}' if colours else ''}"
        )
    choice = chosen([variable.array for variable in able], what)
    others = [variable.array.name for variable in able if variable.array is not choice.array]
    notes = (f"variable {choice.array.name!r} is read; also here: {', '.join(others[:_NAMED])}",) if others else ()
    return _of(able, choice.array), notes


def _is_stack(array: NamedArray) -> bool:
    sides = array.shape
    return len(sides) == 3 and array.dtype.kind in "fiu" and 0 not in sides and sum(side > 1 for side in sides) >= 2


def _described(array: NamedArray) -> str:
    return f"{array.name} {array.shape} {array.dtype}"


def _wanted(variables: Sequence[Variable], wanted: str, what: str) -> Variable:
    """Return the variable of a path, or of the last part of one."""
    exact = [variable for variable in variables if variable.array.name == wanted]
    found = exact or [variable for variable in variables if variable.array.last == wanted.casefold()]
    if not found:
        raise UnknownNameError("variable", wanted, [variable.array.name for variable in variables])
    if not _is_stack(found[0].array):
        stacks = [variable.array.name for variable in variables if _is_stack(variable.array)]
        instead = f"; with three axes there are: {', '.join(stacks[:_NAMED])}" if stacks else ""
        colours = in_colours(found[0].array.shape)
        instead += f"; {colours}" if colours else ""
        raise DataError(
            f"{what}: variable {_described(found[0].array)} is no sequence, which has three axes (frames, rows, "
            f"columns){instead}"
        )
    return found[0]


def _frame_axis(array: NamedArray, arrays: Sequence[NamedArray], asked: Asked, habit: Order) -> tuple[int, bool]:
    """Return the axis that counts frames, and whether the user or the file tells it."""
    if array.axis is not None:
        return array.axis, True
    if asked.order is not None:
        return (2 if asked.order == "HWT" else 0), True
    lengths = {max(other.shape) for other in arrays if _is_line(other) and _TIMES.search(other.last)}
    fitting = [axis for axis, side in enumerate(array.shape) if side in lengths]
    usual = 2 if habit == "HWT" else 0
    if fitting:
        return (usual if usual in fitting else fitting[0]), len(fitting) == 1
    return usual, False


def _is_line(array: NamedArray) -> bool:
    return bool(array.shape) and max(array.shape) > 1 and sum(side > 1 for side in array.shape) == 1


def _axes(frames: int) -> tuple[int, int, int]:
    height, width = (axis for axis in range(3) if axis != frames)
    return frames, height, width


def _lines(source: FrameSource, axis: int) -> Float64[np.ndarray, "a b c"] | None:
    """Return some lines of the stored array's middle axis; None where it has one, and for a large packed file."""
    count, height, width = source.shape
    if isinstance(source, Unpacked) and 4 * count * height * width > _ASKED_BYTES:
        return None
    places = pair_places(height if axis == 0 else width)
    if not places:
        return None
    frames, rows, columns = (slice(0, min(side, ASKED_SLICES)) for side in (count, height, width))
    if axis == 0:
        parts = [source.read(frames, slice(at, at + 2), columns) for at in places]
        return np.concatenate(parts, axis=1).astype(np.float64)
    parts = [source.read(frames, rows, slice(at, at + 2)) for at in places]
    return np.moveaxis(np.concatenate(parts, axis=2), 0, 2).astype(np.float64)


def _unit(
    array: NamedArray, table: Shaped[np.ndarray, " L"] | None, asked: Unit | None, source: FrameSource
) -> tuple[Unit, tuple[str, ...]]:
    """Return the unit of a variable's numbers: the user's, the file's, or what type and values tell."""
    if asked is not None:
        return asked, ()
    if table is not None:
        return ("K" if float(np.nanmin(table)) > _KELVIN_TABLE else "°C"), ()
    declared: dict[str, Unit] = {"k": "K", "c": "°C"}
    if array.declared in declared:
        return declared[array.declared], ()
    if array.declared == "f":
        return "au", ("the numbers are °F by their name, and kept as they are",)
    if array.dtype.kind in "iu":
        return ("au" if array.dtype.itemsize == 1 else "counts"), ()
    return _guessed(source)


def _guessed(source: FrameSource) -> tuple[Unit, tuple[str, ...]]:
    if isinstance(source, Unpacked) and 4 * np.prod(source.shape, dtype=np.float64) > _ASKED_BYTES:
        return "au", ("the unit of the numbers is not known; give the unit (--unit)",)
    _, height, width = source.shape
    sample = source.read(slice(0, 1), slice(0, height), slice(0, width))
    low, high = _KELVIN_BETWEEN
    if ((sample > low) & (sample < high)).all() and (sample % 1 != 0).any():
        return "K", (
            f"unit guessed: K, because the first frame lies between {low:g} and {high:g}; give another unit (--unit)",
        )
    return "au", ("the unit of the numbers is not known; give the unit (--unit)",)


def _times(variables: Sequence[Variable], count: int) -> tuple[Float64[np.ndarray, " T"] | None, tuple[str, ...]]:
    """Return the times of the frames by a variable of times or a frame rate; None where neither is there, and why."""
    doubts: list[str] = []
    for variable in variables:
        array = variable.array
        if not (_TIMES.search(array.last) and "hertz" not in array.unit and _is_line(array)):
            continue
        if max(array.shape) != count:
            doubts.append(f"variable {array.name!r} has {max(array.shape)} numbers for {count} frames{NO_TIMES}")
            continue
        times = _numbers(variable)
        if rising(times):
            return times, ()
        doubts.append(f"variable {array.name!r} does not rise from frame to frame{NO_TIMES}")
    for variable in variables:
        if _RATE.search(variable.array.last) and np.prod(variable.array.shape) == 1:
            rate, name = float(_numbers(variable)[0]), variable.array.name
            if np.isfinite(rate) and rate > 0:
                return np.arange(count) / rate, (*doubts, f"frame rate of variable {name!r}: {rate:g} Hz")
            doubts.append(f"the frame rate of variable {name!r} is {rate:g} Hz{NO_TIMES}")
    return None, tuple(doubts)


def _heated(variables: Sequence[Variable]) -> tuple[float, float] | None:
    """Return when the heat came and went by two numbers, heat_start_s and heat_end_s (isotherm's simulator)."""
    stated = {
        variable.array.last: float(_numbers(variable)[0])
        for variable in variables
        if variable.array.last in (_HEAT_STARTS, _HEAT_ENDS) and np.prod(variable.array.shape) == 1
    }
    if len(stated) == 2 and stated[_HEAT_STARTS] <= stated[_HEAT_ENDS]:
        return stated[_HEAT_STARTS], stated[_HEAT_ENDS]
    return None


def _lamp(variables: Sequence[Variable], times: Float64[np.ndarray, " T"]) -> tuple[float, float] | None:
    """Return between which frames the file's record of the heat was on; None for no record, or several pulses.

    Some files tell whether the heat was on at the moment of a frame, others mark the frames that show it: so a frame on
    either side is counted in.
    """
    for variable in variables:
        array = variable.array
        if _HEAT.search(array.last) and _is_line(array) and max(array.shape) == times.size:
            power = _numbers(variable)
            on = np.flatnonzero(power > 0.5 * power.max()) if np.isfinite(power).all() else np.arange(0)
            if on.size and on.size < times.size and (np.diff(on) == 1).all():
                before = times[on[0] - 1] if on[0] else 2 * times[0] - times[1]
                return float(before), float(times[min(on[-1] + 1, times.size - 1)])
    return None


def _numbers(variable: Variable) -> Float64[np.ndarray, " n"]:
    try:
        return variable.load().ravel().astype(np.float64)
    except FormatError as error:
        raise FormatError(f"variable {variable.array.name!r}: {error.reason}", error.offset) from error
