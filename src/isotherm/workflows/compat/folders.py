"""Files below a root, by names that strangers chose: every step goes through the handle of the folder before it.

No name is ever joined to a path: each folder is opened below the one before it without following links
(``openat`` with ``O_NOFOLLOW``), so neither ``..`` nor a link that somebody placed there leads out of the root.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from isotherm.core.errors import OutputError, StorageFullError

LONGEST_NAME_BYTES = 255
"""Of one folder or file, as UTF-8 (the limit of ext4, XFS, Btrfs, APFS and NTFS)."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_CANNOT_LINK = (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EACCES)


def link_below(root: Path, names: Sequence[str], source: Path) -> Path:
    """Let the file ``root/names...`` hold what `source` holds; folders are made, an older file is replaced at once.

    It is a hard link where both lie on one file system, else a copy.

    Returns
    -------
    The path of the file, which lies below the root also after links have been followed.

    Raises
    ------
    OutputError
        It cannot be written (StorageFullError where there is no room), or a link is in the way.
    """
    return _placed(root, names, lambda name, folder: _link_or_copy(source, name, folder))


def write_below(root: Path, names: Sequence[str], data: bytes) -> Path:
    """Write `data` to ``root/names...``, whole or not at all, as `link_below` does."""
    return _placed(root, names, lambda name, folder: _write(data, name, folder))


def _placed(root: Path, names: Sequence[str], fill: Callable[[str, int], None]) -> Path:
    """Fill a temporary file beside the place and rename it."""
    *folders, name = names
    with _told(root, names), _opened(root, folders) as folder:
        temporary = f".{secrets.token_hex(8)}.part"
        try:
            fill(temporary, folder)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with suppress(OSError):
                # Also after a rename: two names of one file are left as they are by rename(2).
                os.unlink(temporary, dir_fd=folder)
        os.fsync(folder)
        return _inside(root, names)


def remove_below(root: Path, names: Sequence[str]) -> None:
    """Remove the file ``root/names...``; one that is not there is no mistake."""
    *folders, name = names
    with _told(root, names), suppress(FileNotFoundError), _opened(root, folders, make=False) as folder:
        os.unlink(name, dir_fd=folder)


def children(root: Path, names: Sequence[str] = ()) -> list[str]:
    """Return the names in the folder ``root/names...``, sorted; none where it is not there or is a link."""
    try:
        with _opened(root, names, make=False) as folder:
            # By the handle: pathlib knows only paths.
            return sorted(name for name in os.listdir(folder) if not name.startswith("."))  # noqa: PTH208
    except OSError:
        return []


def read_below(root: Path, names: Sequence[str], *, most_bytes: int) -> bytes | None:
    """Return what a plain file holds; None where it is no plain file, or holds more than `most_bytes`."""
    *folders, name = names
    try:
        with _opened(root, folders, make=False) as folder:
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            with os.fdopen(handle, "rb") as stream:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    return None
                data = stream.read(most_bytes + 1)
    except OSError:
        return None
    return data if len(data) <= most_bytes else None


@contextmanager
def _opened(root: Path, names: Sequence[str], *, make: bool = True) -> Iterator[int]:
    """Give the handle of the folder ``root/names...``."""
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=handle)
            inner = os.open(name, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = inner
        yield handle
    finally:
        os.close(handle)


def _link_or_copy(source: Path, name: str, folder: int) -> None:
    try:
        os.link(source, name, dst_dir_fd=folder)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        with source.open("rb") as old, os.fdopen(_created(name, folder), "wb") as new:
            shutil.copyfileobj(old, new)
            new.flush()
            os.fsync(new.fileno())


def _write(data: bytes, name: str, folder: int) -> None:
    with os.fdopen(_created(name, folder), "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _created(name: str, folder: int) -> int:
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)


def _inside(root: Path, names: Sequence[str]) -> Path:
    """Return the path; the walk cannot leave the root, this is the second wall."""
    real, top = Path(os.path.realpath(root.joinpath(*names))), Path(os.path.realpath(root))
    if not real.is_relative_to(top) or len(real.relative_to(top).parts) != len(names):
        raise OutputError("the name leads out of its folder")
    return real


@contextmanager
def _told(root: Path, names: Sequence[str]) -> Iterator[None]:
    """Turn the system's errors into ours; names that were checked are shown, paths of the server are not."""
    if any(name in ("", ".", "..") or "/" in name or "\0" in name for name in names):
        # Who calls has checked the names by `check_name`; this wall stands where somebody forgets to.
        raise OutputError("a name leads out of its folder")
    try:
        yield
    except OSError as error:
        where = "/".join((root.name, *names))
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"cannot write {where!r}: there is no room left") from error
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise OutputError(f"cannot write {where!r}: a link or a file is where a folder should be") from error
        raise OutputError(f"cannot write {where!r}: {error.strerror}") from error
