"""`read`: a path or bytes to a thermogram, by content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from isotherm.core.errors import DataError, FormatError, TooLargeError
from isotherm.core.files import sha256
from isotherm.core.registry import Registry, Row
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import MAX_FILE_BYTES, ImageReader, ReadHints

FORMATS: Registry[ImageReader] = Registry(
    "format",
    # Asked in this order: the more particular content first, the plain picture last.
)


def read(path: str | Path, hints: ReadHints | None = None) -> Thermogram:
    """Read one file of any known format.

    Parameters
    ----------
    path
        The file; its name and suffix do not matter.
    hints
        Unit and scale, where the file cannot say them.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        It is of no known format, or damaged; the message says where.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise TooLargeError(f"{path}: {path.stat().st_size} bytes; at most {MAX_FILE_BYTES} are read")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return read_bytes(data, hints)


def read_bytes(data: bytes, hints: ReadHints | None = None) -> Thermogram:
    """Read one file's bytes; see `read`."""
    if not data:
        raise FormatError("the file is empty (0 bytes)")
    for reader in FORMATS:
        if reader.recognises(data):
            return replace(reader.decode(data, hints or ReadHints()), digest=sha256(data))
    raise FormatError(f"of no known format; known: {', '.join(FORMATS.names())}", 0)
