"""FLIR radiometric files: R-JPEG, single FFF/AFF frames, and the FLIR core in DJI's XT2 and XTR."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt16
from PIL import PngImagePlugin  # noqa: F401 (the plug-in for the packed frames)

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.core.thermogram import Position, Thermogram
from isotherm.formats import fff, flir_camera, jpeg
from isotherm.formats.cursor import Cursor
from isotherm.formats.exif import read_exif
from isotherm.formats.raster import open_picture, pixels
from isotherm.formats.reader import ALL_PARAMETERS, MAX_PIXELS, FormatCard, ReadHints

_PIXELS = 32
_PNG, _JPEG_LS = b"\x89PNG", b"\xff\xd8"


class FlirReader:
    """Raw counts with Planck constants; the preview picture is never touched, so it may be damaged."""

    name = "flir"
    card = FormatCard(
        makers="FLIR; DJI Zenmuse XT, XT2, XTR",
        suffixes=".jpg .fff",
        numbers="counts with Planck constants",
        evidence="proven",
        changeable=ALL_PARAMETERS,
        extras=("position",),
        source="Exiftool's FLIR.pm; FLIR's user manuals",
    )

    def recognises(self, data: bytes) -> bool:
        """Say whether this is an FFF file or a JPEG with FLIR segments."""
        return fff.block(data) is not None

    def decode(self, data: bytes, hints: ReadHints) -> Thermogram:
        """Decode one frame; of a sequence the first."""
        cursor = fff.block(data)
        if cursor is None:
            raise FormatError("no FLIR data in this file", 0)
        container = fff.read_container(cursor)
        record = fff.marked(container.record(fff.CAMERA, "camera data"), 2)
        scene, notes = flir_camera.scene(record)
        calibration = flir_camera.calibration(record, hints.formula)
        counts = _counts(container.record(fff.RAW, "raw pixels"))
        block = jpeg.exif_block(data)
        exif = read_exif(block)
        return Thermogram(
            counts=counts,
            calibration=calibration,
            scene=scene,
            format=self.name,
            camera=flir_camera.camera(record, exif.camera),
            position=_position(container) or exif.position,
            display_span=flir_camera.display_span(record),
            notes=(
                *notes,
                *_sequence_note(cursor, container),
                *_range_note(counts, calibration.raw_min, calibration.raw_max),
            ),
            exif=block,
        )


def _counts(record: Cursor) -> UInt16[np.ndarray, "H W"]:
    record = fff.marked(record, 2)
    width, height = record.u16(2), record.u16(4)
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{width} x {height} pixels; at most {MAX_PIXELS} are decoded", record.place(2))
    if width * height == 0:
        raise record.error(f"{width} x {height} pixels hold nothing", 2)
    head = record.take(_PIXELS, min(4, len(record) - _PIXELS)) if len(record) > _PIXELS else b""
    if head == _PNG:
        return _packed(record, height, width)
    if head.startswith(_JPEG_LS) and len(record) - _PIXELS < 2 * width * height:
        raise record.error("pixels are packed as JPEG-LS (CSQ sequence), which isotherm does not read yet", _PIXELS)
    raw = record.take(_PIXELS, 2 * width * height)
    return np.frombuffer(raw, record.order + "u2").reshape(height, width).astype(np.uint16)


def _packed(record: Cursor, height: int, width: int) -> UInt16[np.ndarray, "H W"]:
    """Return counts that are packed as PNG; the cameras write them in it with their bytes swapped."""
    data = record.take(_PIXELS, len(record) - _PIXELS)
    image = open_picture(data, "FLIR raw PNG", ("PNG",))
    if image.mode not in ("I;16", "I;16B"):
        raise record.error(f"raw PNG of mode {image.mode}; 16-bit grey is needed", _PIXELS)
    if image.size != (width, height):
        raise record.error(f"raw PNG of {image.size[0]} x {image.size[1]} pixels; {width} x {height} declared", _PIXELS)
    return pixels(image, "FLIR raw PNG").astype(np.uint16).byteswap()


def _position(container: fff.Container) -> Position | None:
    record = container.records.get(fff.GPS)
    try:
        return flir_camera.position(record) if record else None
    except FormatError:
        # A damaged position decides no temperature.
        return None


def _sequence_note(cursor: Cursor, container: fff.Container) -> tuple[str, ...]:
    rest = cursor.data[container.length : container.length + 4]
    return ("a sequence: the first frame is read",) if rest in fff.MAGICS else ()


def _range_note(counts: UInt16[np.ndarray, "H W"], low: int | None, high: int | None) -> tuple[str, ...]:
    if low is None or high is None:
        return ()
    outside = int(np.count_nonzero((counts < low) | (counts > high)))
    return (f"{outside} px outside the camera's calibrated range (counts {low} to {high})",) if outside else ()


READER = FlirReader()
