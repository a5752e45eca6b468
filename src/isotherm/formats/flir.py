"""FLIR radiometric files: R-JPEG, FFF and AFF frames, and the FLIR core in DJI's XT2 and XTR."""

from __future__ import annotations

from dataclasses import replace

from isotherm.core.errors import FormatError
from isotherm.core.thermogram import Thermogram
from isotherm.formats import fff, flir_frame, flir_sequence, jpeg
from isotherm.formats.frames import chosen_frame
from isotherm.formats.reader import ReadHints
from isotherm.formats.sequences import one_frame


class FlirReader:
    """Raw counts with Planck constants; the preview picture is never touched, so it may be damaged."""

    name = flir_frame.NAME
    card = flir_frame.CARD

    def recognises(self, data: bytes) -> bool:
        """Say whether this is an FFF file or a JPEG with FLIR segments."""
        return fff.holds(data)

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one frame; of a sequence the one that the hints ask for."""
        if data.startswith(fff.MAGICS):
            return one_frame(flir_sequence.READER, data, hints)
        cursor = fff.block(data)
        if cursor is None:
            raise FormatError("no FLIR data in this file", 0)
        found = flir_frame.decode_frame(cursor, jpeg.exif_block(data), hints)
        cut = (f"the file is cut short at byte {len(data)}; its temperatures are whole",) if jpeg.torn(data) else ()
        return replace(found, notes=(*found.notes, *cut, *chosen_frame(hints, 1)[1]))


READER = FlirReader()
