"""FLIR SEQ and CSQ files: FFF or AFF frames, one behind the other (layout as in Exiftool's FLIR.pm).

Where a frame ends is known from its own directory. Frames are never searched for: pixels may hold any bytes, the magic
among them.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.files import sha256
from isotherm.core.thermogram import Thermogram
from isotherm.formats import fff, flir_camera, flir_frame, flir_pixels
from isotherm.formats.cursor import Cursor
from isotherm.formats.frames import position_of
from isotherm.formats.mapped import MappedFrames
from isotherm.formats.reader import MAX_FILE_BYTES, ReadHints

_MOST_FRAMES = 1_000_000
_PADDING = 64


class FlirSequence(MappedFrames):
    """The frames of one file; the file is mapped, and walked only as far as the frames that were asked for.

    Parameters
    ----------
    source
        A path, or the bytes of a whole file.
    hints
        The formula to use.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        No frame begins at its first byte.
    """

    def __init__(self, source: str | Path | bytes, hints: ReadHints) -> None:
        super().__init__(source)
        self._hints = hints
        # Frame i lies between the edges i and i + 1.
        self._edges = array("Q", [0])
        self._walked_out = False
        try:
            self._edges.append(fff.frame_layout(self._file, 0).length)
        except FormatError:
            self.close()
            raise

    def _walk(self, frames: int) -> None:
        """Find the edges of the first `frames` frames, or of all where there are fewer."""
        while not self._walked_out and len(self._edges) <= frames:
            layout = self._next_layout()
            self._walked_out = layout is None
            if layout is not None:
                self._edges.append(layout.offset + layout.length)

    def _next_layout(self) -> fff.FrameLayout | None:
        """Return the frame behind the last known one; None where no whole frame follows."""
        place = self._edges[-1]
        if place >= len(self._file):
            return None
        if len(self._edges) > _MOST_FRAMES:
            raise TooLargeError(f"more than {_MOST_FRAMES} frames", place)
        try:
            layout = fff.frame_layout(self._file, place)
            raw = layout.record(self._file, fff.RAW) if place + layout.length >= len(self._file) else None
        except FormatError:
            return None
        # The last frame may have been cut short when the recording stopped.
        whole = raw is None or (flir_pixels.complete(raw) and self._decodes(place))
        return layout if fff.RAW in layout.places and whole else None

    def _decodes(self, place: int) -> bool:
        """Say whether the last frame, which begins at `place`, has all that is needed of it."""
        frame = Cursor(self._file.read(place, len(self._file) - place), ">", "FLIR frame")
        if not fff.cut_short(frame):
            return True
        try:
            flir_frame.decode_frame(frame, b"", self._hints)
        except FormatError:
            return False
        return True

    def __len__(self) -> int:
        """Return the number of whole frames; the first call walks through the file."""
        self._walk(_MOST_FRAMES + 1)
        return len(self._edges) - 1

    def left_out(self) -> tuple[str, ...]:
        """Return a note where what follows the last whole frame is no padding but a frame that is cut or damaged."""
        whole, place = len(self), self._edges[-1]
        begin = self._file.read(place, min(_PADDING, len(self._file) - place))
        if not any(begin):
            return ()
        rest = len(self._file) - place
        return (
            f"frame {whole} is cut short or damaged: left out, with the file's last {rest} bytes from byte {place}",
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the first frame [px]; raises FormatError where it has no pixels."""
        record = fff.frame_layout(self._file, 0).record(self._file, fff.RAW)
        if record is None:
            raise FormatError("FLIR frame without raw pixels (record 0x01)", 0)
        return flir_pixels.declared_size(record)

    @property
    def times_s(self) -> Float64[np.ndarray, " T"] | None:
        """Seconds of each frame since the first one; None where a frame has no time."""
        moments = [self._taken_at(offset) for offset in self._edges[: len(self)]]
        known = [moment for moment in moments if moment is not None]
        if len(known) < len(moments):
            return None
        return np.array([(moment - known[0]).total_seconds() for moment in known], np.float64)

    def _taken_at(self, offset: int) -> datetime | None:
        record = fff.frame_layout(self._file, offset).record(self._file, fff.CAMERA)
        return flir_camera.taken_at(fff.marked(record, 2)) if record is not None else None

    def frame(self, index: int) -> Thermogram:
        """Return one frame; raises FormatError where there is none of this number, or it is damaged."""
        self._walk(index + 1 if index >= 0 else _MOST_FRAMES + 1)
        index = position_of(index, len(self._edges) - 1)
        start, end = self._edges[index], self._edges[index + 1]
        if end - start > MAX_FILE_BYTES:
            raise TooLargeError(f"a frame of {end - start} bytes; at most {MAX_FILE_BYTES} are read", start)
        data = self._file.read(start, end - start)
        cursor = Cursor(data, ">", "FLIR frame", origins=((0, start),))
        return replace(flir_frame.decode_frame(cursor, b"", self._hints), digest=sha256(data))


class FlirSequenceReader:
    """SEQ and CSQ, and single FFF and AFF files as sequences of one frame."""

    name = flir_frame.NAME
    card = flir_frame.CARD

    def recognises(self, head: bytes) -> bool:
        """Say whether a file begins like an FFF or AFF frame."""
        return head.startswith(fff.MAGICS)

    def open(self, source: str | Path | bytes, hints: ReadHints) -> FlirSequence:
        """Open a file; see `FlirSequence`."""
        return FlirSequence(source, hints)


READER = FlirSequenceReader()
