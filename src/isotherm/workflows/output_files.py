"""Files that a command writes where its user says: no original is written, and nothing of others unless asked for."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from isotherm.core.errors import OutputError, UsageError
from isotherm.core.files import write_whole

FILE_SUFFIXES = frozenset(
    {".html", ".htm", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".csv", ".json", ".npy", ".npz", ".pdf", ".svg"}
)
"""Who writes such a suffix means a file, not a folder."""
_MARK = b"isotherm"


def write_output(
    path: Path, data: bytes, *, digest: str, inputs: Collection[Path] = (), overwrite: bool = False
) -> None:
    """Write `data` to `path`, whole or not at all.

    Parameters
    ----------
    digest
        The sha256 of the picture that `data` was made from. A file that is there and names isotherm and this digest was
        made from the same picture, and is replaced; so is one that holds `data` already.
    inputs
        The resolved paths of the pictures that are read, which are never written.
    overwrite
        Replace also what is there and was made by others.

    Raises
    ------
    OutputError
        `path` is an input, is there and was not made from this picture, or cannot be written.
    """
    if path.resolve() in inputs:
        raise OutputError(f"{path} is an input and is not overwritten: originals are never written; choose another -o")
    if not overwrite and path.exists() and not _ours(path, data, digest):
        raise OutputError(
            f"{path} is there already and was not made from this picture by this command; choose another -o, or "
            "replace it with --overwrite"
        )
    write_whole(path, data)


def _ours(path: Path, data: bytes, digest: str) -> bool:
    try:
        found = path.read_bytes() if path.is_file() else b""
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return found == data or (digest != "" and _MARK in found and digest.encode("ascii") in found)


def check_folder(output: Path) -> None:
    """Raise UsageError where an output that must be a folder is called as a file would be."""
    if output.suffix.lower() in FILE_SUFFIXES and not output.is_dir():
        raise UsageError(f"-o is a folder here, and {output} is called like a file; leave out {output.suffix}")
