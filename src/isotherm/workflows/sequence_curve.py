"""Curves of places of a recording over time."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64

from isotherm.core.errors import ConfigError
from isotherm.reports.figures_sequences import curves_figure
from isotherm.workflows.sequence_opening import PrepareSettings, open_recording, prepared


@dataclass(frozen=True, eq=False)
class Curves:
    """The mean of a small square at each place, over time [s] (frame numbers where the times are not known)."""

    name: str
    times_s: Float64[np.ndarray, " T"]
    timed: bool
    unit: str
    values: dict[str, Float32[np.ndarray, " T"]]
    notes: tuple[str, ...]


def place(text: str) -> tuple[int, int]:
    """Read a place written as ``X,Y`` [px]; raises ConfigError for anything else."""
    x, _, y = text.partition(",")
    try:
        return int(x), int(y)
    except ValueError:
        raise ConfigError(f"a place is X,Y in whole pixels, such as 120,80; not {text!r}") from None


def read_curves(
    path: Path,
    places: Sequence[tuple[int, int]],
    *,
    settings: PrepareSettings | None = None,
    size_px: int = 3,
    cooling: bool = False,
) -> Curves:
    """Return the curves of places (x, y) of a recording.

    Raises
    ------
    DataError
        A place is outside the picture, or the recording cannot be used.
    ConfigError
        The side of the square is no odd number.
    """
    if size_px < 1 or size_px % 2 == 0:
        raise ConfigError(f"the side of the square must be an odd number of pixels, such as 1, 3, 5; not {size_px}")
    settings = settings or PrepareSettings()
    sequence = prepared(open_recording(path, settings), "cooling" if cooling else "whole", settings)
    values = {f"{x}, {y}": sequence.curve(x, y, size_px=size_px) for x, y in dict.fromkeys(places)}
    return Curves(sequence.name, sequence.times_s, sequence.timed, sequence.unit, values, sequence.notes)


def curves_picture(curves: Curves, *, log: bool = False) -> bytes:
    """Return the curves as a PNG."""
    return curves_figure(curves.name, curves.times_s, curves.values, unit=curves.unit, timed=curves.timed, log=log)


def curves_csv(curves: Curves) -> bytes:
    """Return a table: a row for each frame, time first, then a column for each place."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(
        ["time_s" if curves.timed else "frame", *(f"at {label} [{curves.unit}]" for label in curves.values)]
    )
    for row in zip(curves.times_s.tolist(), *(values.tolist() for values in curves.values.values()), strict=True):
        writer.writerow([f"{number:.9g}" for number in row])
    return stream.getvalue().encode("utf-8")
