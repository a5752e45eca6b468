"""Named contents below one address: a folder of this machine, or a bucket of an object store (S3 and its kin).

A name is a path with ``/`` below that address. Contents are written whole or not at all, so that a reader never sees
half of one, whoever dies meanwhile. `open_objects` tells the two kinds apart by the address.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable
from urllib.parse import unquote, urlsplit

from isotherm.core.errors import ConflictError, DataError, NotFoundError, OutputError, TooLargeError, UsageError
from isotherm.store.filesystem import failed, flush_folder

LONGEST_NAME = 1024
"""Of a name in UTF-8 [bytes]; the limit of S3 (Amazon S3 User Guide, "Naming Amazon S3 objects")."""
_PART = (".isotherm-", ".part")


@dataclass(frozen=True)
class Entry:
    """One content in a listing.

    Parameters
    ----------
    name
        Its path below the address, with ``/``.
    size
        How long it is [bytes].
    version
        A word that changes when the content does: the ETag of an object store, size and time of the last change of
        a local file. It says nothing about equal contents elsewhere.
    modified_s
        When it was last written, by the clock of where it lies [s since 1970].
    """

    name: str
    size: int
    version: str
    modified_s: float


@runtime_checkable
class Objects(Protocol):
    """Named contents below one address; safe to use from many threads and processes at once."""

    @property
    def url(self) -> str:
        """Return the address, as messages shall show it and `open_objects` takes it."""
        ...

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Give what lies below `folder`, at any depth, in the order of the names' bytes; nothing where there is none.

        Raises
        ------
        DataError
            It holds a name that cannot be used.
        """
        ...

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return a content.

        Raises
        ------
        NotFoundError
            There is none of this name.
        TooLargeError
            It is longer than `most_bytes`; nothing was read then.
        """
        ...

    def write(self, name: str, data: bytes, *, new: bool = False) -> None:
        """Keep a content under a name, and return when it will survive a loss of power.

        Parameters
        ----------
        name, data
            Where, and what.
        new
            Refuse where the name is taken; of several who try at once one succeeds (on servers of S3 that know
            ``If-None-Match``).

        Raises
        ------
        ConflictError
            `new` was asked for, and the name is taken.
        OutputError, ForbiddenError
            It cannot be written, or must not; what was there before is unchanged.
        """
        ...

    def exists(self, name: str) -> bool:
        """Say whether there is a content of this name."""
        ...

    def remove(self, name: str) -> None:
        """Remove a content; nothing happens where there is none."""
        ...


def open_objects(url: str | Path, *, create: bool = False) -> Objects:
    """Open an address.

    Parameters
    ----------
    url
        A folder, ``file:///folder``, or ``s3://bucket/prefix`` (extra ``s3``; endpoint, region and credentials from the
        environment variables ``AWS_...``).
    create
        Make the folder where it is missing; a bucket is never made.

    Raises
    ------
    UsageError
        The address cannot be used: its kind is unknown, there is no such folder or bucket, no credentials are set.
    UnreachableError
        The object store does not answer within 15 s.
    MissingExtraError
        The extra ``s3`` is not installed.
    """
    address = str(url)
    scheme, marked, _ = address.partition("://")
    if not marked:
        return LocalObjects.open(Path(address), create=create)
    if scheme == "file":
        return LocalObjects.open(folder_of(address), create=create)
    if scheme == "s3":
        from isotherm.store.objects_s3 import BucketObjects

        return BucketObjects.open(address)
    raise UsageError(f"{address} cannot be opened; known: a folder, file:///folder, s3://bucket/prefix")


def is_remote(url: str | Path) -> bool:
    """Say whether an address is one of another machine, so that it cannot be used as a folder."""
    scheme, marked, _ = str(url).partition("://")
    return bool(marked) and scheme != "file"


def folder_of(address: str) -> Path:
    """Return the folder of ``file:///folder``; raises UsageError where it names none of this machine."""
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise UsageError(f"{address} must name a folder of this machine: file:///folder")
    return Path(unquote(parts.path))


def checked_name(name: str) -> str:
    """Return `name`, or raise UsageError where it is no path that stays below its address."""
    steps = name.split("/")
    if any(step in ("", ".", "..") for step in steps):
        raise UsageError(f"{name!r} is no name of a content: steps between single slashes, none of them . or ..")
    if any(unicodedata.category(letter) == "Cc" for letter in name):
        raise UsageError(f"{name!r} is no name of a content: it has control letters")
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise UsageError(f"{name[:50]!r}... is longer than {LONGEST_NAME} bytes, the most that a name may have")
    return name


class LocalObjects:
    """The files below one folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def open(cls, root: Path, *, create: bool) -> LocalObjects:
        """Open a folder; raises UsageError where it is none."""
        if create:
            try:
                root.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"cannot create the folder {root}: {error.strerror}") from error
        if not root.is_dir():
            raise UsageError(f"there is no folder {root}")
        return cls(root)

    @property
    def url(self) -> str:
        """Return the folder as it was given."""
        return str(self.root)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Give the files below a folder; links to other folders are not followed."""
        start = self.root / checked_name(folder) if folder else self.root
        yield from _files(start, f"{folder}/" if folder else "")

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return the content of a file."""
        path = self._path(name)
        try:
            with path.open("rb") as stream:
                check_size(str(path), os.fstat(stream.fileno()).st_size, most_bytes)
                return stream.read()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError("file", str(path)) from error
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from error

    def write(self, name: str, data: bytes, *, new: bool = False) -> None:
        """Write a neighbour, flush it, and give it the name; then flush the names."""
        path = self._path(name)
        temporary = path.parent / f"{_PART[0]}{os.urandom(12).hex()}{_PART[1]}"
        try:
            made = not path.parent.is_dir()
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_flushed(temporary, data)
            _give_name(temporary, path, new=new)
            for folder in (path.parent, *(path.parent.parents if made else ())):
                flush_folder(folder)
                if folder == self.root:
                    break
        except FileExistsError as error:
            raise ConflictError(f"{path} is there already") from error
        except OSError as error:
            raise failed(f"cannot write {path}", error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()

    def exists(self, name: str) -> bool:
        """Say whether there is such a file."""
        return self._path(name).is_file()

    def remove(self, name: str) -> None:
        """Remove a file."""
        path = self._path(name)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise failed(f"cannot remove {path}", error) from error

    def _path(self, name: str) -> Path:
        return self.root / checked_name(name)


def _write_flushed(path: Path, data: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _give_name(temporary: Path, path: Path, *, new: bool) -> None:
    if not new:
        temporary.replace(path)
        return
    # link(2) fails where the name is taken, rename(2) would replace what is there.
    os.link(temporary, path)


def _files(folder: Path, prefix: str) -> Iterator[Entry]:
    """Give the files below `folder`; sorting folders as if they ended in a slash gives the order of the whole names."""
    try:
        with os.scandir(folder) as found:
            items = [(f"{item.name}/" if item.is_dir(follow_symlinks=False) else item.name, item) for item in found]
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise DataError(f"the folder {folder} cannot be read: {error.strerror}") from error
    for name, item in sorted(items, key=lambda one: os.fsencode(one[0])):
        if name.endswith("/"):
            yield from _files(folder / item.name, prefix + name)
        elif item.is_file() and not (name.startswith(_PART[0]) and name.endswith(_PART[1])):
            with suppress(FileNotFoundError):
                state = item.stat()
                yield Entry(prefix + name, state.st_size, f"{state.st_size:x}-{state.st_mtime_ns:x}", state.st_mtime)


def check_size(what: str, size: int, most_bytes: int) -> None:
    """Raise TooLargeError for a content that is longer than is read."""
    if size > most_bytes:
        raise TooLargeError(f"{what} has {size} bytes, the most that is read is {most_bytes}")
