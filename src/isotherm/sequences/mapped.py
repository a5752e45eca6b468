"""Files that are mapped into memory, for readers that take a `Cursor`."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import cast

import numpy as np

from isotherm.core.errors import DataError, FormatError
from isotherm.formats.cursor import Cursor, Order


class MappedCursor(Cursor):
    """A cursor over a whole file that is mapped and not read.

    Parameters
    ----------
    path
        The file.
    order
        Byte order of its numbers.
    what
        The format's name for messages.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        It is empty.
    """

    def __init__(self, path: Path, order: Order, what: str) -> None:
        super().__init__(b"", order, what)
        # A mapping is sliced and measured as bytes are; that is all that a cursor does with them.
        self.data = cast(bytes, _mapping(path))

    def array(self, dtype: np.dtype, shape: tuple[int, ...], start: int) -> np.ndarray:
        """Return numbers (in C order) as they lie in the file; raises FormatError where they are not all there."""
        count = int(np.prod(shape, dtype=object))
        needed = count * dtype.itemsize
        if start < 0 or start + needed > len(self):
            left = max(0, len(self) - start)
            raise self.error(f"cut short: numbers of shape {shape} need {needed} bytes, {left} are there", start)
        return np.frombuffer(self.data, dtype, count, start).reshape(shape)


def _mapping(path: Path) -> mmap.mmap:
    try:
        with path.open("rb") as stream:
            if not path.stat().st_size:
                raise FormatError("the file is empty (0 bytes)")
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
