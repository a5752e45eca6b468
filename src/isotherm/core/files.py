"""Files that appear whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np

from isotherm.core.errors import OutputError

_UNFINISHED = ".isotherm-{}.part"


def sha256(data: bytes) -> str:
    """Return the sha256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal; it is not in memory as a whole. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def npz_of(arrays: Mapping[str, np.ndarray], *, deflated: bool = True) -> bytes:
    """Return arrays as a NumPy archive by name; one that is not deflated can be mapped where it lies."""
    stream = io.BytesIO()
    save = np.savez_compressed if deflated else np.savez
    save(stream, **arrays)  # type: ignore[arg-type]  # NumPy's own flag shares the names' place
    return stream.getvalue()


def csv_of(names: Sequence[str], rows: Iterable[Mapping[str, object]], *, line_end: str = "\r\n") -> bytes:
    """Return a table with these columns; a value that a row does not have is empty."""
    return b"".join(csv_lines(names, rows, line_end=line_end))


def csv_lines(names: Sequence[str], rows: Iterable[Mapping[str, object]], *, line_end: str = "\r\n") -> Iterator[bytes]:
    """Yield the lines of a table one by one, that of the columns first; see `csv_of`."""
    line = csv_encoder(names, line_end=line_end)
    yield line(dict(zip(names, names, strict=True)))
    yield from map(line, rows)


def csv_encoder(names: Sequence[str], *, line_end: str = "\r\n") -> Callable[[Mapping[str, object]], bytes]:
    """Return what makes a line of a row; a value that a row does not have is empty."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, names, lineterminator=line_end)

    def line(row: Mapping[str, object]) -> bytes:
        stream.seek(0)
        stream.truncate()
        writer.writerow(row)
        return stream.getvalue().encode("utf-8", "backslashreplace")

    return line


def make_folder(folder: Path) -> Path:
    """Create `folder` and its parents; raises OutputError where that is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create the folder {folder}: {error.strerror}") from error
    return folder


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path` by a temporary neighbour and a rename, so that no half-written file bears the final name.

    Raises
    ------
    OutputError
        The folder is not writable, the disk is full ...
    """
    with whole_file(path) as stream:
        stream.write(data)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that becomes `path` when the block ends well; see `write_whole`."""
    # Opened by its name, not by `tempfile`: the system then applies the umask, which no thread could read safely.
    temporary = path.parent / _UNFINISHED.format(os.urandom(12).hex())
    try:
        with temporary.open("xb") as stream:
            yield stream
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        raise


def remove_unfinished(*folders: Path) -> None:
    """Remove the temporary files of `whole_file` that killed processes have left in these folders.

    Raises
    ------
    OutputError
        One cannot be removed.
    """
    for folder in folders:
        for path in folder.glob(_UNFINISHED.format("*")):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise OutputError(f"cannot remove {path}: {error.strerror}") from error
