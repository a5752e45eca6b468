"""DJI temperatures from the program dji-thermal-cli (AGPL-3.0), started as a program and never imported.

It is found by the variable ISOTHERM_DJI_READER, on the PATH, or beside the Python that runs isotherm. Its two
subcommands are used as documented (version 1.4): ``list`` for what a file says, ``process`` for the temperatures.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.formats import tiff_numbers
from isotherm.formats.dji_backend import (
    Answer,
    Conditions,
    Description,
    Measured,
    Unreadable,
    kelvin_of,
    run,
    small_file,
    workplace,
)
from isotherm.formats.reader import MAX_PIXELS, ReadHints

VARIABLE, PROGRAM, OFF = "ISOTHERM_DJI_READER", "dji-thermal-cli", "none"
_SKIPPED = re.compile(r"\[skip, (.{1,300}?)\] ")
_NAMES = {
    "distance_m": "distance",
    "humidity_percent": "humidity",
    "emissivity": "emissivity",
    "reflected_c": "reflection",
    "ambient_c": "ambient_temp",
}
_FLAGS = {
    "distance_m": "--distance",
    "humidity_percent": "--humidity",
    "emissivity": "--emissivity",
    "reflected_c": "--reflected-temp",
    "ambient_c": "--ambient-temp",
}
_HEAD_BYTES = 1024 * 1024


def find() -> Path | None:
    """Return the program; None where there is none, or where it is turned off (``ISOTHERM_DJI_READER=none``)."""
    named = os.environ.get(VARIABLE, "")
    if named == OFF:
        return None
    found = shutil.which(named or PROGRAM)
    if not (found or named):
        found = shutil.which(PROGRAM, path=str(Path(sys.executable).parent))
    # It is started in another folder.
    return Path(found).absolute() if found else None


@dataclass(frozen=True)
class ProgramBackend:
    """The program at ``path``."""

    path: Path

    @property
    def name(self) -> str:
        """The program's name."""
        return self.path.name

    def describe(self, data: bytes) -> Description | Unreadable:
        """Return what the file says of its parameters and their limits."""
        with workplace(data) as (folder, picture):
            answer = run(
                [self.path, "list", "--input-dir", picture, "--format", "json", "--no-stats", "--jobs", "1"], folder
            )
        listed = _json(answer)
        if not listed:
            reason = _reason(answer) or "no DJI thermal data found"
            if "damaged" in reason or "cut short" in reason or "broken" in reason:
                raise FormatError(f"DJI reader: {reason}")
            return Unreadable(reason)
        try:
            return _description(listed[0]["thermal"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(f"DJI reader: its description of the file is not as expected ({error})") from error

    def measure(self, data: bytes, conditions: Conditions) -> Measured:
        """Compute the temperatures under these conditions."""
        flags = [text for name, value in conditions.values().items() for text in (_FLAGS[name], f"{value:.9g}")]
        with workplace(data) as (folder, picture):
            out = folder / "out"
            answer = run(
                [self.path, "process", "--input-dir", picture, "--output-dir", out, "--output", "temp_c:tiff,raw:tiff",
                 "--compression", "none", "--jobs", "1", *flags],
                folder,
            )  # fmt: skip
            if not (out / "picture_temp_c.tiff").is_file():
                raise FormatError(f"DJI reader: {_reason(answer) or _last_line(answer)}")
            celsius = _plane(out / "picture_temp_c.tiff", "temperatures", np.dtype(np.float32))
            counts = _plane(out / "picture_raw.tiff", "counts", np.dtype(np.uint16))
        if counts.shape != celsius.shape:
            raise FormatError(f"DJI reader: counts of {counts.shape} for temperatures of {celsius.shape}")
        return Measured(counts, kelvin_of(celsius))


def _json(answer: Answer) -> list[Any]:
    try:
        found = json.loads(answer.printed)
    except ValueError as error:
        raise FormatError(f"DJI reader: {_reason(answer) or _last_line(answer)}") from error
    return found if isinstance(found, list) else []


def _description(thermal: Mapping[str, Any]) -> Description:
    """Return the description from the program's words; a parameter without a range is one that the camera lacks."""
    given, ranges = thermal["measurement_params"], thermal["measurement_params_range"]
    values, limits = {}, {}
    for ours, theirs in _NAMES.items():
        if given[theirs] is None or ranges[theirs] is None:
            continue
        low, high = (float(end) for end in ranges[theirs])
        values[ours], limits[ours] = float(given[theirs]), (low, high)
    return Description(Conditions(**values), limits, str(thermal["plugin"]), int(thermal["rjpeg_version"]["rjpeg"]))


def _plane(path: Path, what: str, kind: np.dtype[Any]) -> np.ndarray:
    """Return the numbers of a TIFF that the program wrote; raises FormatError where they are not of this kind."""
    data = small_file(path, MAX_PIXELS * kind.itemsize + _HEAD_BYTES, f"DJI {what}")
    page = tiff_numbers.page_at(data, ReadHints())
    if page.dtype is None or page.dtype.newbyteorder("=") != kind:
        raise FormatError(f"DJI {what}: {page.dtype} in the reader's TIFF; {kind} was expected")
    return tiff_numbers.decode(page, page.dtype)


def _reason(answer: Answer) -> str:
    """Return the program's own reason for a file that it left out."""
    found = _SKIPPED.search(answer.complaints + answer.printed)
    return found[1] if found else ""


def _last_line(answer: Answer) -> str:
    lines = [line for line in (answer.complaints or answer.printed).splitlines() if line.strip()]
    return f"ended with {answer.code}: {' '.join(lines[-1].split())[:300] if lines else 'it said nothing'}"
