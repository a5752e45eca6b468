"""Temporary folders that do not stay behind for long: what a killed process has left, the next one removes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

PREFIX = "isotherm-scratch-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a new folder among the temporary files; it is removed when the block ends.

    While the block runs its folder is locked (flock(2)), and the system takes the lock away with the process, however
    that ends. A folder that can be locked has therefore no owner any more, and is removed at the first call in each
    process. (The number of a process could not tell: it is used again, and a container has its own numbers.)

    Raises
    ------
    OSError
        There is no temporary folder, or no room in it.
    """
    if os.name != "posix":
        with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    sweep(Path(tempfile.gettempdir()))
    folder, lock = _new_and_locked()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _new_and_locked() -> tuple[Path, int]:
    """Return a new folder and the descriptor that holds its lock."""
    import fcntl

    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        # Another process may sweep the folder in the instant before it is locked; then another one is made.
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            # Where the file system knows no locks, nobody else can lock it either, and it is never swept.
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


@lru_cache(maxsize=4)
def sweep(place: Path) -> None:
    """Remove the folders of dead processes of this user, once in each process; what cannot be removed stays."""
    for folder in place.glob(PREFIX + "*"):
        # It is in use, it is somebody else's, or another process has just removed it.
        with suppress(OSError):
            _remove_if_left(folder)


def _remove_if_left(folder: Path) -> None:
    import fcntl

    # Not through a link: anybody may put one into a place that is everybody's.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
    finally:
        os.close(descriptor)
