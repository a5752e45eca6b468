"""Pictures as requests carry them: base64, a name, and a type that the content must agree with."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from isotherm.core.errors import FormatError, UsageError
from isotherm.core.registry import Registry
from isotherm.formats.reader import ImageReader
from isotherm.formats.reading import FORMATS

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator


def _starts(*magics: bytes) -> Callable[[bytes], bool]:
    return lambda data: data.startswith(magics)


def _is_webp(data: bytes) -> bool:
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def _is_matrix(data: bytes) -> bool:
    """Text has no magic: it must be what one of the two readers of temperature matrices recognises."""
    formats: Registry[ImageReader] = FORMATS
    return b"\0" not in data and any(formats.get(name).recognises(data) for name in ("text", "csv"))


_JPEG, _TIFF = _starts(b"\xff\xd8\xff"), _starts(b"II*\0", b"MM\0*")
IMAGE_TYPES: Mapping[str, Callable[[bytes], bool]] = {
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "png": _starts(b"\x89PNG\r\n\x1a\n"),
    "bmp": _starts(b"BM"),
    "gif": _starts(b"GIF87a", b"GIF89a"),
    "webp": _is_webp,
    "tif": _TIFF,
    "tiff": _TIFF,
    "csv": _is_matrix,
    "txt": _is_matrix,
}
"""Type -> whether bytes begin as this type does. csv and txt are temperature matrices in text."""


def image_type_of(text: str) -> str:
    """Return the type in lower case, without the dot that some clients send.

    Raises
    ------
    UsageError
        It is none of `IMAGE_TYPES`.
    """
    known = text.lower().removeprefix(".")
    if known not in IMAGE_TYPES:
        raise UsageError(f"image_type must be one of {', '.join(IMAGE_TYPES)}, not {text[:32]!r}")
    return known


def from_base64(text: str, called: str) -> bytes:
    """Return the bytes of a base64 text.

    Line breaks and blanks are ignored, as MIME writes them (RFC 2045); anything else that is not of the alphabet is an
    error (RFC 4648, section 3.3), whose message calls the text as `called` says.
    """
    # Most texts are as they should be. The quick decoder takes the other alphabet (section 5) and texts that are too
    # short as well, and nothing that is not of an alphabet; what it refuses may have blanks.
    if len(text) % 4 == 0 and "-" not in text and "_" not in text:
        with suppress(ValueError):
            found: bytes = _quick().validate_strings(text)  # type: ignore[arg-type]
            return found
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise FormatError(f"{called} is no base64 text (RFC 4648)") from error


@cache
def _quick() -> SchemaValidator:
    """Return a decoder that takes a fifth of the time of Python's own, in which no other thread runs."""
    from pydantic_core import SchemaValidator, core_schema

    return SchemaValidator(core_schema.bytes_schema(), core_schema.CoreConfig(val_json_bytes="base64"))


def decoded(text: str, image_type: str, *, most_bytes: int) -> bytes:
    """Return the bytes of a base64 text (`from_base64`), which must begin as the type says.

    Raises
    ------
    FormatError
        It is no base64, empty, too large, or of another type.
    """
    if len(text) > most_bytes * 2:
        raise FormatError(f"image holds {len(text)} characters; at most {most_bytes} bytes are taken")
    data = from_base64(text, "image")
    if not data:
        raise FormatError("image is empty")
    if len(data) > most_bytes:
        raise FormatError(f"image holds {len(data)} bytes; at most {most_bytes} are taken")
    if not IMAGE_TYPES[image_type](data):
        raise FormatError(f"image is not of the type {image_type} that image_type says")
    return data
