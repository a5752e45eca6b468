"""Telops HCC sequences: frames of two header lines and 16-bit pixels (headers through fasthcc, MIT).

A frame is as long as its first one says. The pixels of a calibrated recording (mode 2) are kelvin:
``count * 2**DataExp + DataOffset`` of the frame's own header.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import FormatError, MissingExtraError
from isotherm.core.files import sha256
from isotherm.core.scene import assumed_scene
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats import experimental
from isotherm.formats.cursor import Cursor
from isotherm.formats.frames import position_of
from isotherm.formats.mapped import MappedFrames
from isotherm.formats.reader import FormatCard, ReadHints
from isotherm.radiometry.linear import LinearCalibration

_SIGNATURE, _HEADER = b"TC", 48
_VERSIONS = range(5, 20)
_MODES = {0: "raw counts", 1: "counts after non-uniformity correction", 3: "in-band radiance"}
_KELVIN_MODE = 2


class TelopsSequence(MappedFrames):
    """The frames of one file, which is mapped into memory.

    Parameters
    ----------
    source
        A path, or the bytes of a whole file.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        It holds no whole frame, or fasthcc is not installed.
    """

    def __init__(self, source: str | Path | bytes) -> None:
        super().__init__(source)
        try:
            header = self._header(0)
            self._width, self._height = int(header["Width"]), int(header["Height"])
            self._stride = _stride(self._width, self._height)
            if self._width < _HEADER // 4 or self._height == 0 or len(self._file) < self._stride:
                raise FormatError(f"no whole frame of {self._width} x {self._height} pixels", 32)
        except FormatError:
            self.close()
            raise

    def _header(self, place: int) -> Mapping[str, Any]:
        length = min(512, len(self._file) - place)
        return _parsed(self._file.read(place, length), place)

    def __len__(self) -> int:
        """Return the number of whole frames."""
        return len(self._file) // self._stride

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every frame [px]."""
        return self._height, self._width

    @property
    def times_s(self) -> Float64[np.ndarray, " T"] | None:
        """Seconds since the first frame, from the frame rate and the frames' own numbers; None without a rate."""
        rate = float(self._header(0)["AcquisitionFrameRate"])
        if not (math.isfinite(rate) and rate > 0):
            return None
        numbers = [int(self._header(index * self._stride)["FrameID"]) for index in range(len(self))]
        return (np.array(numbers, np.float64) - numbers[0]) / rate

    def frame(self, index: int) -> Thermogram:
        """Return one frame; raises FormatError where there is none of this number, or it is damaged."""
        start = position_of(index, len(self)) * self._stride
        data = self._file.read(start, self._stride)
        header = _parsed(data, start)
        cursor = Cursor(data, "<", "Telops frame", origins=((0, start),))
        if (header["Height"], header["Width"]) != self.size:
            raise cursor.error("a frame of another size than the first one", 32)
        counts = experimental.plane(cursor, self._stride - 2 * self._width * self._height, self.size, "<u2")
        calibration, note = _calibration(header, cursor)
        return Thermogram(
            counts=counts,
            calibration=calibration,
            scene=assumed_scene(),
            format=TelopsReader.name,
            camera=Camera(maker="Telops"),
            notes=(experimental.NOTE, *note),
            digest=sha256(data),
        )


def _calibration(header: Mapping[str, Any], cursor: Cursor) -> tuple[LinearCalibration | None, tuple[str, ...]]:
    mode = int(header["CalibrationMode"])
    if mode != _KELVIN_MODE:
        return None, (f"recorded as {_MODES.get(mode, f'mode {mode}')}: it holds no temperatures",)
    offset = float(header["DataOffset"])
    if not math.isfinite(offset):
        raise cursor.error(f"the offset of its temperatures is {offset:g}", 12)
    return LinearCalibration(2.0 ** int(header["DataExp"]), offset, kind="vendor"), ()


def _parsed(data: bytes, place: int) -> Mapping[str, Any]:
    """Return a frame's header by fasthcc's names; raises FormatError where it is damaged."""
    try:
        from fasthcc.header import parse_header
    except ModuleNotFoundError as error:
        raise FormatError(str(MissingExtraError("reading Telops HCC files", "formats"))) from error
    try:
        header: Mapping[str, Any] = parse_header(data)
    except (ValueError, ArithmeticError, LookupError) as error:
        raise FormatError(f"Telops frame: {' '.join(str(error).split())}", place) from error
    return header


def _stride(width: int, height: int) -> int:
    """Return the bytes of a frame: two lines of header, then the lines of pixels."""
    return 2 * width * (2 + height)


class TelopsReader:
    """Telops HCC recordings; temperatures where the camera computed them."""

    name = "telops"
    card = FormatCard(
        makers="Telops FAST series",
        suffixes=".hcc",
        numbers="K, or counts without temperatures",
        evidence="experimental",
        frames=True,
        needs="extra formats (fasthcc)",
        source="fasthcc (MIT)",
    )

    def recognises(self, head: bytes) -> bool:
        """Say whether a file begins like an HCC frame."""
        if len(head) < _HEADER or not head.startswith(_SIGNATURE):
            return False
        cursor = Cursor(head, "<", "Telops frame")
        return head[3] in _VERSIONS and cursor.u16(4) >= _HEADER and cursor.u16(32) > 0 and cursor.u16(34) > 0

    def open(self, source: str | Path | bytes, hints: ReadHints) -> TelopsSequence:  # noqa: ARG002 (the seam's form)
        """Open a file; see `TelopsSequence`."""
        return TelopsSequence(source)


READER = TelopsReader()
