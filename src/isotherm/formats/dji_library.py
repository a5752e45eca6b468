"""DJI temperatures from DJI's own Thermal SDK that the user has: libdirp loaded by ctypes in a process of its own.

isotherm does not carry the SDK. Its functions and structures are those of its public header ``dirp_api.h`` (five
measurement parameters: versions 1.5 to 1.8). This module is both sides: `LibraryBackend` starts it as a process, and
`main` is what runs there, so that a crash of the library on damaged bytes takes only that process along.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.errors import FormatError
from isotherm.formats.dji_backend import (
    Conditions,
    Description,
    Measured,
    Unreadable,
    kelvin_of,
    run,
    small_file,
    workplace,
)
from isotherm.formats.reader import MAX_PIXELS

VARIABLE = "ISOTHERM_DJI_SDK"
# In the order of the header's structures.
_FIELDS = ("distance_m", "humidity_percent", "emissivity", "reflected_c", "ambient_c")
_NOT_RADIOMETRIC = (-7, -18)
"""Codes of dirp_create_from_rjpeg for a picture that is no R-JPEG, or of a camera that the SDK does not know."""
_ANSWER_BYTES = 100_000


def find() -> Path | None:
    """Return the library that the user named; None where there is none."""
    named = os.environ.get(VARIABLE, "")
    return Path(named).absolute() if named and Path(named).is_file() else None


@dataclass(frozen=True)
class LibraryBackend:
    """The library at ``path``."""

    path: Path

    @property
    def name(self) -> str:
        """The library's file name."""
        return self.path.name

    def describe(self, data: bytes) -> Description | Unreadable:
        """Return what the file says of its parameters and their limits."""
        with workplace(data) as (folder, picture):
            answer = self._ask(folder, picture, {})
        if "unreadable" in answer:
            return Unreadable(str(answer["unreadable"]))
        try:
            return _description(answer, data)
        except (LookupError, TypeError, ValueError) as error:
            raise FormatError(f"DJI library: its description of the file is not as expected ({error})") from error

    def measure(self, data: bytes, conditions: Conditions) -> Measured:
        """Compute the temperatures under these conditions."""
        with workplace(data) as (folder, picture):
            answer = self._ask(folder, picture, conditions.values())
            if "unreadable" in answer:
                raise FormatError(f"DJI library: {answer['unreadable']}")
            size = (int(answer["height"]), int(answer["width"]))
            celsius = _plane(folder / "celsius", size, np.dtype("<f4"))
            counts = _plane(folder / "counts", size, np.dtype("<u2"))
        return Measured(counts.astype(np.uint16), kelvin_of(celsius.astype(np.float32)))

    def _ask(self, folder: Path, picture: Path, conditions: Mapping[str, float]) -> dict[str, Any]:
        """Run `main` on a picture; with conditions it also writes the planes."""
        ended = run(
            [sys.executable, "-m", "isotherm.formats.dji_library", self.path, picture, folder, json.dumps(conditions)],
            folder,
        )
        if ended.code != 0:
            raise FormatError(f"DJI library: its process ended with {ended.code}: {ended.complaints.strip()[-300:]}")
        answer = json.loads(small_file(folder / "answer.json", _ANSWER_BYTES, "DJI description"))
        if "failed" in answer:
            raise FormatError(f"DJI library: {answer['failed']}")
        return dict(answer)


def _description(answer: Mapping[str, Any], data: bytes) -> Description:
    limits = {name: (float(low), float(high)) for name, (low, high) in answer["limits"].items()}
    # A range without width stands for a parameter that the camera does not have.
    limits = {name: ends for name, ends in limits.items() if ends[0] < ends[1]}
    values = {name: float(answer["values"][name]) for name in _FIELDS if name in limits or name != "ambient_c"}
    return Description(Conditions(**values), limits, _layout(data, answer), int(answer["version"]))


def _layout(data: bytes, answer: Mapping[str, Any]) -> str:
    """Return the family of cameras: written in the file by newer ones, else told by the parameters it has."""
    head = data.find(b"\xff\xd2\xd1\xff")
    if head >= 0 and data[head + 4 : head + 8] in (b"dirp", b"iirp", b"girp", b"hirp"):
        return data[head + 4 : head + 8].decode()
    low, high = answer["limits"]["ambient_c"]
    return "iirp" if low < high else "dirp"


def _plane(path: Path, size: tuple[int, int], kind: np.dtype[Any]) -> np.ndarray:
    height, width = size
    data = small_file(path, MAX_PIXELS * kind.itemsize, "DJI plane")
    if height <= 0 or width <= 0 or len(data) != height * width * kind.itemsize:
        raise FormatError(f"DJI library: {len(data)} bytes for {width} x {height} pixels")
    return np.frombuffer(data, kind).reshape(height, width)


# What follows runs in the child process.


class _CallError(Exception):
    """A function of the library returned another code than 0."""

    def __init__(self, function: str, code: int) -> None:
        super().__init__(f"{function} returned {code}")
        self.code = code


class _Size(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("width", ctypes.c_int32), ("height", ctypes.c_int32))


class _Version(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rjpeg", ctypes.c_uint32), ("header", ctypes.c_uint32), ("curve", ctypes.c_uint32))


_Params = ctypes.c_float * len(_FIELDS)
_Ranges = (ctypes.c_float * 2) * len(_FIELDS)


class _Library:
    """The few functions of libdirp that are needed."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function; raises _CallError where it does not return 0."""
        found = getattr(self._library, function)
        found.restype = ctypes.c_int32
        code = found(*arguments)
        if code != 0:
            raise _CallError(function, code)

    @contextmanager
    def opened(self, data: bytes) -> Iterator[ctypes.c_void_p]:
        """Yield the handle of a picture."""
        handle = ctypes.c_void_p()
        self.call("dirp_create_from_rjpeg", data, ctypes.c_int32(len(data)), ctypes.byref(handle))
        try:
            yield handle
        finally:
            self.call("dirp_destroy", handle)


def _answer(library: _Library, data: bytes, folder: Path, wanted: Mapping[str, float]) -> dict[str, Any]:
    """Return size, values and limits of a picture; with `wanted` values also write its planes into `folder`."""
    size, version, params, ranges = _Size(), _Version(), _Params(), _Ranges()
    with library.opened(data) as handle:
        library.call("dirp_get_rjpeg_resolution", handle, ctypes.byref(size))
        library.call("dirp_get_rjpeg_version", handle, ctypes.byref(version))
        library.call("dirp_get_measurement_params", handle, ctypes.byref(params))
        library.call("dirp_get_measurement_params_range", handle, ctypes.byref(ranges))
        if wanted:
            for index, name in enumerate(_FIELDS):
                params[index] = wanted.get(name, params[index])
            library.call("dirp_set_measurement_params", handle, ctypes.byref(params))
            _write(library, handle, (size.height, size.width), folder)
    return {
        "width": size.width,
        "height": size.height,
        "version": version.rjpeg,
        "values": dict(zip(_FIELDS, map(_shortest, params), strict=True)),
        "limits": {name: [_shortest(end) for end in ends] for name, ends in zip(_FIELDS, ranges, strict=True)},
    }


def _write(library: _Library, handle: ctypes.c_void_p, size: tuple[int, int], folder: Path) -> None:
    height, width = size
    if not 0 < height * width <= MAX_PIXELS:
        raise _CallError("dirp_get_rjpeg_resolution", 0)
    for function, name, kind in (("dirp_measure_ex", "celsius", "<f4"), ("dirp_get_original_raw", "counts", "<u2")):
        plane = np.zeros((height, width), kind)
        library.call(function, handle, plane.ctypes.data_as(ctypes.c_void_p), ctypes.c_int32(plane.nbytes))
        (folder / name).write_bytes(plane.tobytes())


def _shortest(value: float) -> float:
    """Return the decimal that a 32-bit float stands for."""
    return float(f"{value:.7g}")


def main(arguments: Sequence[str]) -> int:
    """Answer for one picture: library, picture, folder, and the conditions as JSON (empty: description only)."""
    library, picture, folder, wanted = arguments
    try:
        answer = _answer(_Library(library), Path(picture).read_bytes(), Path(folder), json.loads(wanted))
    except _CallError as error:
        unreadable = "dirp_create_from_rjpeg" in str(error) and error.code in _NOT_RADIOMETRIC
        answer = {"unreadable" if unreadable else "failed": str(error)}
    except (OSError, AttributeError) as error:
        answer = {"failed": f"{library}: {error}"}
    Path(folder, "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
