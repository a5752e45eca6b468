"""What plain numbers mean: by the user's hints, by the file's declaration, or by a guess that is said aloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from isotherm.core.errors import FormatError
from isotherm.formats.reader import ReadHints
from isotherm.formats.unused_hints import not_used
from isotherm.radiometry.linear import TO_KELVIN, LinearCalibration, Unit, linear, stored_temperatures
from isotherm.radiometry.table import TableCalibration

Numbers = Num[np.ndarray, "H W"]

CENTIKELVIN = (0.01,)
CAMERA_STEPS = (0.01, 0.04, 0.40)
"""Kelvin steps that cameras write: most (FLIR Duo, isotherm) 0.01, FLIR Duo Pro and Tau 0.04 (high gain) or 0.40 (low).

No count is plausible by two of them."""
PLAUSIBLE_K = {0.01: (200.0, 655.36), 0.04: (200.0, 600.0), 0.40: (200.0, 900.0)}
"""Step -> the temperatures between which all counts must lie; the low gain is there for fire."""
KELVIN_ABOVE = 150.0
_CHANGE = "change it with --unit"
NAMED = {"c": "°C", "f": "°F", "k": "kelvin"}


GIVE_SCALE = "give --step, --offset, --unit"


@dataclass(frozen=True)
class Meaning:
    """How numbers become kelvin (None: they are no temperatures), and what to tell the user about it."""

    calibration: LinearCalibration | TableCalibration | None
    notes: tuple[str, ...] = ()


def hinted(hints: ReadHints, *, nodata: float | None = None) -> Meaning:
    """Return the meaning that the user gave by ``step`` (and ``offset``, ``unit``)."""
    assert hints.step is not None
    notes = () if hints.unit else ("unit of --step taken as °C",)
    return Meaning(linear(hints.step, hints.offset or 0.0, hints.unit or "c", nodata=nodata), notes)


def over_declared(declared: Meaning, hints: ReadHints, *, nodata: float | None = None) -> Meaning:
    """Return the meaning of counts whose scale the file declares: the user's step wins, and a note says so."""
    known = declared.calibration is not None
    if hints.step is None:
        return Meaning(declared.calibration, (*declared.notes, *(unit_alone(hints) if known else ())))
    meaning = hinted(hints, nodata=nodata)
    said = ("--step is used in place of the file's own scale",) if known else ()
    return Meaning(meaning.calibration, (*said, *meaning.notes))


def of_temperatures(
    numbers: Numbers,
    hints: ReadHints,
    what: str,
    *,
    declared: Unit | None = None,
    usual: Unit | None = None,
    nodata: float | None = None,
) -> Meaning:
    """Return the meaning of numbers that are temperatures: in the hinted unit, the declared or the usual one, or °C.

    Where nobody says the unit it is guessed: kelvin where every number is above 150, else °C; a note says so. Another
    note says where the user's word is used in place of the file's.
    """
    against = _against(hints, declared)
    if hints.step is not None:
        meaning = hinted(hints, nodata=nodata)
        return Meaning(meaning.calibration, (*against, *meaning.notes))
    unit = hints.unit or declared or usual
    if unit is not None:
        return Meaning(stored_temperatures(unit, nodata=nodata), against)
    low, high = _ends(numbers, nodata)
    if low > KELVIN_ABOVE:
        note = f"unit of this {what} guessed: kelvin, because every number is above {KELVIN_ABOVE:g}"
        return Meaning(stored_temperatures("k", nodata=nodata), (f"{note} ({_CHANGE})",))
    why = ", though every number lies between 0 and 1: perhaps no temperatures" if low >= 0 and high <= 1 else ""
    return Meaning(stored_temperatures("c", nodata=nodata), (f"unit of this {what} guessed: °C{why} ({_CHANGE})",))


def _against(hints: ReadHints, declared: Unit | None) -> tuple[str, ...]:
    """Say that the user's word is used although the file names a unit, where they differ."""
    if declared is None or (hints.step is None and hints.unit in (None, declared)):
        return ()
    flag = f"--unit {hints.unit}" if hints.step is None else "--step"
    return (f"{flag} is used, though the file says that its numbers are {NAMED[declared]}",)


def _ends(numbers: Numbers, nodata: float | None) -> tuple[float, float]:
    """Return the lowest and the highest number, gaps left out; NaN where there is none."""
    with np.errstate(invalid="ignore"):
        valid = numbers[np.isfinite(numbers) & (numbers != nodata)]
    return (float(valid.min()), float(valid.max())) if valid.size else (np.nan, np.nan)


def of_counts(
    counts: Numbers, hints: ReadHints, what: str, *, steps: tuple[float, ...], nodata: float | None = None
) -> Meaning:
    """Return the meaning of whole-number counts: by the hinted step, or by the first plausible one of `steps`.

    A step [K] is plausible where it puts every count into `PLAUSIBLE_K`; counts of 0 and of the type's maximum may be
    dead pixels and are not asked. Where none is, the numbers are grey levels.
    """
    if hints.step is not None:
        return hinted(hints, nodata=nodata)
    for step in steps:
        if _plausible(counts, step, nodata):
            note = f"scale of this {what} guessed: {step:.2f} K a count (change it with --step, --offset, --unit)"
            return Meaning(linear(step, 0.0, "k", nodata=nodata), (note, *unit_alone(hints)))
    return Meaning(None, (f"the scale of this {what} is not known: read as grey levels ({GIVE_SCALE})",))


def unit_alone(hints: ReadHints) -> tuple[str, ...]:
    """Say that a unit without a step means nothing for counts whose scale is known."""
    return not_used(("unit",) if hints.unit else (), "counts have a unit only together with --step")


def _plausible(counts: Numbers, step: float, nodata: float | None) -> bool:
    asked = counts[(counts != 0) & (counts != np.iinfo(counts.dtype).max) & (counts != nodata)]
    if asked.size == 0:
        return False
    low, high = PLAUSIBLE_K[step]
    return bool(asked.min() * step >= low and asked.max() * step <= high)


def of_array(numbers: Numbers, hints: ReadHints, what: str, *, declared: Unit | None = None) -> Meaning:
    """Return the meaning of an array of any type: floats are temperatures, whole numbers counts, bytes grey levels.

    Raises
    ------
    FormatError
        Whole numbers of more than 16 bits or with a sign, and neither their unit nor their step is known.
    """
    stated = declared is not None or (hints.unit is not None and numbers.dtype == np.uint8)
    if numbers.dtype.kind == "f" or stated:
        return of_temperatures(numbers, hints, what, declared=declared)
    if numbers.dtype == np.uint8 and hints.step is None:
        return Meaning(None)
    meaning = of_counts(numbers, hints, what, steps=CAMERA_STEPS)
    if meaning.calibration is None and numbers.dtype != np.uint16:
        raise FormatError(f"{what}: whole numbers of type {numbers.dtype} need a scale ({GIVE_SCALE})")
    return meaning


def of_table(table: Float[np.ndarray, " N"], hints: ReadHints, what: str) -> Meaning:
    """Return the meaning of counts that the file's own table turns into temperatures."""
    unit: Unit = hints.unit or ("k" if _ends(table[None], None)[0] > KELVIN_ABOVE else "c")
    slope, zero = TO_KELVIN[unit]
    note = () if hints.unit else (f"unit of the table in this {what} guessed: {NAMED[unit]} ({_CHANGE})",)
    return Meaning(TableCalibration(table.astype(np.float64) * slope + zero), note)
