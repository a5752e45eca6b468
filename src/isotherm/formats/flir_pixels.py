"""The raw pixels of a FLIR frame: plain samples, PNG with swapped bytes, or JPEG-LS."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt16
from PIL import PngImagePlugin  # noqa: F401 (the plug-in for the packed frames)

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.formats import fff, jpeg, jpeg_ls
from isotherm.formats.cursor import Cursor
from isotherm.formats.raster import guarded, open_picture
from isotherm.formats.reader import MAX_PIXELS

_PIXELS = 32
_PNG = b"\x89PNG"
_PNG_END, _JPEG_END = b"IEND", b"\xff\xd9"


def declared_size(record: Cursor) -> tuple[int, int]:
    """Return height and width as the raw record (0x01) declares them.

    Raises
    ------
    FormatError
        They hold nothing, or more than `MAX_PIXELS` (TooLargeError).
    """
    record = fff.marked(record.part(0, min(len(record), _PIXELS), record.what), 2)
    width, height = record.u16(2), record.u16(4)
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{width} x {height} pixels; at most {MAX_PIXELS} are decoded", record.place(2))
    if width * height == 0:
        raise record.error(f"{width} x {height} pixels hold nothing", 2)
    return height, width


def packed(record: Cursor) -> bool:
    """Say whether the pixels are a picture file of their own and no plain samples."""
    return len(record) > _PIXELS + 4 and record.take(_PIXELS, 3) in (_PNG[:3], jpeg.SIGNATURE)


def complete(record: Cursor) -> bool:
    """Say whether the pixels seem to be all there, without decoding them."""
    try:
        height, width = declared_size(record)
    except FormatError:
        return False
    if not packed(record):
        return len(record) >= _PIXELS + 2 * width * height
    tail = record.take(max(_PIXELS, len(record) - 16), min(16, len(record) - _PIXELS))
    return _PNG_END in tail or _JPEG_END in tail


def counts(record: Cursor) -> UInt16[np.ndarray, "H W"]:
    """Return the counts of a raw record, in native byte order; raises FormatError where they are damaged."""
    height, width = declared_size(record)
    record = fff.marked(record, 2)
    head = record.take(_PIXELS, min(4, len(record) - _PIXELS)) if len(record) > _PIXELS else b""
    if head == _PNG:
        return _from_png(record, height, width)
    if head.startswith(jpeg.SIGNATURE) and len(record) - _PIXELS < 2 * width * height:
        return _from_jpeg_ls(record, height, width)
    if len(record) < _PIXELS + 2 * width * height:
        held = len(record) - _PIXELS
        raise record.error(f"needs {2 * width * height} bytes of pixels, but the record has {held}", _PIXELS)
    # No copy where the samples are in this machine's byte order: the array looks into the record's bytes.
    raw = np.frombuffer(record.data, record.order + "u2", width * height, _PIXELS).reshape(height, width)
    return raw.astype(np.uint16, copy=False)


def _from_png(record: Cursor, height: int, width: int) -> UInt16[np.ndarray, "H W"]:
    """Return counts that are packed as PNG; the cameras write them in it with their bytes swapped."""
    data = record.take(_PIXELS, len(record) - _PIXELS)
    image = open_picture(data, "FLIR raw PNG", ("PNG",))
    if image.mode != "I;16":
        raise record.error(f"raw PNG of mode {image.mode}; 16-bit grey is needed", _PIXELS)
    if image.size != (width, height):
        raise record.error(f"raw PNG of {image.size[0]} x {image.size[1]} pixels; {width} x {height} declared", _PIXELS)
    with guarded("FLIR raw PNG"):
        image.load()
        swapped = image.tobytes("raw", "I;16B")
    return np.frombuffer(swapped, "<u2").reshape(height, width).astype(np.uint16, copy=False)


def _from_jpeg_ls(record: Cursor, height: int, width: int) -> UInt16[np.ndarray, "H W"]:
    block = record.part(_PIXELS, len(record) - _PIXELS, "FLIR raw JPEG-LS", order=">")
    found = jpeg_ls.declared_size(block)
    if found != (height, width):
        raise block.error(f"{found[1]} x {found[0]} pixels; {width} x {height} declared", 0)
    return jpeg_ls.decode(block)
