"""Files that appear whole or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from isotherm.core.errors import OutputError


def sha256(data: bytes) -> str:
    """Return the sha256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


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
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".isotherm-", suffix=".part")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _umask() -> int:
    # The only portable way to learn the umask is to set it; mkstemp itself makes files that only the owner can read.
    mask = os.umask(0)
    os.umask(mask)
    return mask
