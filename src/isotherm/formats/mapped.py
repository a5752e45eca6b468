"""A file's bytes without reading it: mapped into memory, and given back to the system again."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from isotherm.core.errors import DataError, FormatError

# The system maps up to 16 pages round one that is touched; past this much the mapping's pages are let go.
_TOUCHED_AROUND = 64 * 1024
_HELD_AT_MOST = 16 * 1024 * 1024


class MappedFile:
    """The bytes of a file, or of memory, by offset; what was looked at does not stay in this process's memory.

    Parameters
    ----------
    source
        A path, or the bytes of a whole file.

    Raises
    ------
    DataError
        The file cannot be opened.
    FormatError
        It is empty.
    """

    def __init__(self, source: str | Path | bytes) -> None:
        self._map: mmap.mmap | None = None
        self._bytes = source if isinstance(source, bytes) else b""
        self._descriptor, self._touched = -1, 0
        if not isinstance(source, bytes):
            self._open(Path(source))
        self._length = len(self._map if self._map is not None else self._bytes)
        if self._length == 0:
            raise FormatError("the file is empty (0 bytes)")

    def _open(self, path: Path) -> None:
        try:
            self._descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            if os.fstat(self._descriptor).st_size:
                self._map = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            self.close()
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise DataError(f"{path}: cannot be read: {reason}") from error

    def __len__(self) -> int:
        return self._length

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes at `offset`; raises FormatError where they are not all in the file."""
        if offset < 0 or length < 0 or offset + length > self._length:
            raise FormatError(f"cut short: needs {length} bytes here, but the file has {self._length}", offset)
        if self._descriptor < 0:
            return self._bytes[offset : offset + length]
        return self._read_mapped(offset, length)

    def _read_mapped(self, offset: int, length: int) -> bytes:
        # A mapping of a file that someone cut short meanwhile would kill the process with SIGBUS.
        if self._map is None or os.fstat(self._descriptor).st_size < offset + length:
            raise FormatError("the file was closed or became shorter while it was read", offset)
        found = self._map[offset : offset + length]
        self._touched += length + _TOUCHED_AROUND
        if self._touched > _HELD_AT_MOST and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)
            self._touched = 0
        return found

    def close(self) -> None:
        """Close the file; may be called twice."""
        if self._map is not None:
            self._map.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._map, self._descriptor, self._bytes, self._length = None, -1, b"", 0


class MappedFrames:
    """What sequences of frames in one file share: the file, and that it is closed at the end of a ``with``."""

    def __init__(self, source: str | Path | bytes) -> None:
        self._file = MappedFile(source)

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._file.close()

    def __enter__(self: Frames) -> Frames:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


Frames = TypeVar("Frames", bound=MappedFrames)
