"""What tells the thing that a picture shows: codes (by zxing-cpp) and print (by OCR) in it, and texts in its file."""

from __future__ import annotations

from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import UInt8

from isotherm.core.errors import FormatError, MissingExtraError
from isotherm.core.thermogram import Thermogram
from isotherm.formats.lettering import LARGE_PX, can_read_print, read_twice
from isotherm.formats.photos import photo_pixels

MOST_TAGS, LONGEST_TAG = 32, 256
LEAST_LETTERS = 4
"""Print has at least so many characters to be kept: shorter ones are found anywhere."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def tags_of(thermogram: Thermogram, *, codes: bool = True) -> tuple[str, ...]:
    """Return the texts that may be the tag of an asset; none twice.

    Parameters
    ----------
    thermogram
        A thermal picture seldom shows a code; the photo of the same view does. What the camera's program writes into
        every file is no tag.
    codes
        Whether QR and bar codes are looked for, beside the texts in the file.

    Raises
    ------
    MissingExtraError
        zxing-cpp is not installed.
    """
    found = [text for plane in _planes(thermogram) for text in _codes(plane)] if codes else []
    found += [annotation.text for annotation in thermogram.annotations if not annotation.automatic]
    cleaned = (_clean(text) for text in found)
    return tuple(dict.fromkeys(text for text in cleaned if text))[:MOST_TAGS]


def letters_of(thermogram: Thermogram) -> dict[str, float]:
    """Return what is printed on labels in the photo (of a plain picture in it), each with how sure the reader is.

    Only what may be a tag by its form: at least `LEAST_LETTERS` characters, a digit among them. So the names on
    people's clothes and the words on signs are not kept.

    Raises
    ------
    MissingExtraError
        No OCR engine is installed.
    """
    photo = _photo(thermogram)
    found = {} if photo is None else read_twice(photo)
    cleaned = ((_clean(text), score) for text, score in found.items())
    return {text: round(score, 3) for text, score in cleaned if _may_be_tag(text)}


def _may_be_tag(text: str) -> bool:
    return len(text) >= LEAST_LETTERS and any(map(str.isdigit, text))


def _photo(thermogram: Thermogram) -> UInt8[np.ndarray, "H W 3"] | None:
    """Return the photo of the view, or the picture itself where it is one; None where there is none."""
    if thermogram.visual is None:
        return thermogram.colour if not thermogram.radiometric else None
    with suppress(FormatError):
        return photo_pixels(thermogram.visual, least_px=LARGE_PX)
    return None


def need_print_reader() -> None:
    """Raise MissingExtraError unless the reader of print is installed."""
    if not can_read_print():
        raise MissingExtraError("reading the letters on labels", "ocr")


def can_read_codes() -> bool:
    """Say whether the reader of codes is installed."""
    return find_spec("zxingcpp") is not None


def need_code_reader() -> None:
    """Raise MissingExtraError unless the reader of codes is installed."""
    if not can_read_codes():
        raise MissingExtraError("reading QR and bar codes", "tags")


def _reader() -> Any:
    need_code_reader()
    import zxingcpp

    return zxingcpp


def _planes(thermogram: Thermogram) -> list[UInt8[np.ndarray, "_ _"]]:
    """Return the grey planes in which codes may be."""
    planes = []
    if thermogram.visual is not None:
        # A damaged photo has no codes; the temperatures are sound without it.
        with suppress(FormatError):
            planes.append((photo_pixels(thermogram.visual) @ _LUMA).astype(np.uint8))
    values = thermogram.values()
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    if high > low:
        scaled = np.nan_to_num((values - low) * (255 / (high - low)), posinf=255, neginf=0)
        planes.append(np.clip(scaled, 0, 255).astype(np.uint8))
    return planes


def _codes(plane: UInt8[np.ndarray, "_ _"]) -> list[str]:
    return [str(code.text) for code in _reader().read_barcodes(np.ascontiguousarray(plane))]


def _clean(text: str) -> str:
    """Return a text of a stranger's file without what no database or page can hold, cut between two words."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    # Half a word could be the tag of another asset.
    return plain if len(plain) <= LONGEST_TAG else plain[: LONGEST_TAG + 1].rpartition(" ")[0]
