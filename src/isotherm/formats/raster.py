"""Pillow behind a guard: size first, and nothing but FormatError comes out."""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import cast

import numpy as np
from jaxtyping import UInt8
from PIL import Image, UnidentifiedImageError

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.formats.reader import MAX_PIXELS

# What Pillow's decoders raise on damaged bytes (its documentation promises OSError only), and what its warnings become
# where they are errors.
_DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError, Warning,
    ZeroDivisionError, AssertionError, NotImplementedError, RuntimeError, struct.error, zlib.error,
)  # fmt: skip
# Changing the warning filters is not safe from two threads at once, so that only headers are read behind it.
_FILTERS = threading.Lock()
MOST_DEFLATE_RATIO = 1040
"""Deflate packs no better (258 bytes in 2 bits, and a little for its head): a file that needs more is not whole."""
_START_OF_SCAN = b"\xff\xda"
_MOST_SCANNED = 20 * MAX_PIXELS


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Turn whatever a damaged picture makes Pillow raise into FormatError."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise TooLargeError(f"{what}: too many pixels; at most {MAX_PIXELS} are decoded") from error
    except UnidentifiedImageError as error:
        # Pillow's own words name an object in memory.
        raise FormatError(f"{what}: the header is damaged or not supported") from error
    except MemoryError as error:
        raise TooLargeError(f"{what}: to decode it takes more memory than there is") from error
    except _DAMAGE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise FormatError(f"{what}: damaged or not supported ({reason})") from error


@contextmanager
def headers(what: str) -> Iterator[None]:
    """Guard the reading of headers and tags: as `guarded`, and without Pillow's warnings about damaged ones."""
    with guarded(what), _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def open_picture(data: bytes, what: str, formats: tuple[str, ...], *, frame: int = 0) -> Image.Image:
    """Open a picture's header and check its size; no pixel is decoded yet.

    `formats` are Pillow's names of what may be opened; the caller imports their plug-ins, because Pillow would import
    all of its own to find one. `frame` is which page is opened.

    Raises
    ------
    FormatError
        It is no picture of these formats, or its header is damaged.
    TooLargeError
        It declares more than `MAX_PIXELS` pixels.
    """
    with headers(what):
        image = Image.open(BytesIO(data), formats=formats)
        if frame:
            image.seek(frame)
    # Piece by piece, threads that decode would wait for the interpreter at each piece.
    image.decodermaxblock = max(len(data), image.decodermaxblock)
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise TooLargeError(f"{what}: {width} x {height} pixels; at most {MAX_PIXELS} are decoded")
    if width <= 0 or height <= 0:
        raise FormatError(f"{what}: a picture of {width} x {height} pixels holds nothing")
    if image.format == "PNG" and _png_bytes(data, width, height) > MOST_DEFLATE_RATIO * len(data):
        raise FormatError(f"{what}: {width} x {height} pixels cannot lie in a file of {len(data)} bytes")
    if image.format in ("JPEG", "MPO") and data.count(_START_OF_SCAN) * width * height > _MOST_SCANNED:
        # Each scan of a progressive JPEG goes over all pixels, and may be a few bytes long.
        raise TooLargeError(f"{what}: {data.count(_START_OF_SCAN)} scans of {width} x {height} pixels")
    return image


def _png_bytes(data: bytes, width: int, height: int) -> int:
    """Return how many bytes the unpacked rows of a PNG have (one more each for the filter), by its header."""
    depth, channels = data[24], {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(data[25], 1)
    return height * ((width * depth * channels + 7) // 8 + 1)


def pixels(image: Image.Image, what: str) -> np.ndarray:
    """Decode the pixels as an array of the picture's own mode."""
    with guarded(what):
        image.load()
        return np.array(image)


@dataclass(frozen=True)
class Picture:
    """A plain picture: luma (H W) and, where it is coloured, RGB (H W 3), both uint8."""

    luma: UInt8[np.ndarray, "H W"]
    colour: UInt8[np.ndarray, "H W 3"] | None
    notes: tuple[str, ...] = ()


def plain_picture(image: Image.Image, what: str) -> Picture:
    """Decode a picture of any mode to 8-bit luma and RGB.

    Transparency is dropped (the stored colours are used), palettes are looked up, CMYK is converted without a colour
    profile, more than 8 bits are reduced, and of several frames the first is taken; notes say so. The EXIF orientation
    is *not* applied: coordinates are those of the file's own pixel grid.
    """
    notes = list(_frame_note(image))
    with guarded(what):
        image.load()
        notes += _mode_notes(image)
        if image.mode in ("1", "L", "LA", "La"):
            return Picture(np.array(image.convert("L")), None, tuple(notes))
        # Pillow refuses RGBX -> L and the like directly, so that everything goes through RGB.
        rgb = image if image.mode == "RGB" else _opaque(image).convert("RGB")
        return Picture(np.array(rgb.convert("L")), np.array(rgb), tuple(notes))


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode == "P":
        # Without this Pillow warns that a palette's transparency given as bytes is lost, which is what is meant here.
        image.info.pop("transparency", None)
    return image


def _frame_note(image: Image.Image) -> tuple[str, ...]:
    frames = frame_count(image)
    return (f"{frames} frames: the first is read",) if frames > 1 and image.format != "MPO" else ()


def frame_count(image: Image.Image) -> int:
    """Return the number of frames or pages; 1 where they cannot be counted."""
    try:
        with headers("frames"):
            return cast(int, getattr(image, "n_frames", 1))
    except FormatError:
        return 1


def _mode_notes(image: Image.Image) -> list[str]:
    notes = []
    if image.mode in ("RGBA", "LA", "PA") and _has_transparency(image):
        notes.append("transparency is dropped")
    if image.mode == "CMYK":
        notes.append("CMYK converted to RGB without its colour profile")
    return notes


def _has_transparency(image: Image.Image) -> bool:
    low, _ = cast(tuple[int, int], image.getchannel("A").getextrema())
    return low < 255
