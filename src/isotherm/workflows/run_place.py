"""Where the files of a run go: a folder of this machine, or a bucket.

A name is a path with ``/`` below the place. Whoever reads a name finds a whole file or none. What grows line by line
(the journal) or is locked (the ledger) lies on a disk of this machine always: in the folder itself, or for a bucket
among the user's files of state, where it waits for the run to end.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol, runtime_checkable

from isotherm.core.errors import ConflictError, NotFoundError, OutputError, UsageError
from isotherm.core.files import make_folder, remove_unfinished, whole_file
from isotherm.core.scratch import scratch_folder
from isotherm.store.filesystem import failed
from isotherm.store.objects import check_size, checked_name
from isotherm.store.objects_s3 import BucketObjects, endpoint
from isotherm.workflows.remote_inputs import MOST_BYTES, address_of, is_remote

_TRIAL = ".isotherm-trial"
AT_ONCE = 16
"""Requests under way when many objects are removed; the servers take one name a request (decision 0015)."""


@runtime_checkable
class RunPlace(Protocol):
    """The place of one run's files; ``str()`` of it is how people write it."""

    @property
    def path(self) -> Path:
        """Return what `open_place` was given."""
        ...

    @property
    def known_as(self) -> str | None:
        """Return what a ledger elsewhere shall call the run; None for the path of `local`."""
        ...

    def local(self, name: str) -> Path:
        """Return where a file lies while the run goes on that must be on a disk of this machine."""
        ...

    @property
    def claims(self) -> bool:
        """Return whether `claim` does anything."""
        ...

    def claim(self, name: str, data: bytes) -> None:
        """Show others, before any work, that the place is taken; raises OutputError where it was taken meanwhile."""
        ...

    def claimed(self, name: str, data: bytes) -> bool:
        """Say whether what `claim` has left, or a file that begins so, is there; always, where it leaves nothing."""
        ...

    def deliver(self, name: str) -> None:
        """Bring the file of `local` to the place."""
        ...

    def fetch(self, name: str) -> str:
        """Bring to `local` what the place holds, unless that is what `claim` has left of what lies there.

        Returns where it lies, as people write it.
        """
        ...

    def prepare(self, folders: Iterable[str] = ()) -> None:
        """Make the place and folders in it, where they are to be made; raises OutputError."""
        ...

    def try_writing(self) -> None:
        """Find out before any work whether a bucket may be written; raises what it says."""
        ...

    def opened(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Give a file to write that is there when the block ends well; raises OutputError and what a bucket says."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file; raises as `opened`."""
        ...

    def reading(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Give a file to read; raises OutputError where it is not there, and what a bucket says."""
        ...

    def read(self, name: str, most_bytes: int = MOST_BYTES) -> bytes:
        """Return a file; raises as `reading`, and TooLargeError where it is longer."""
        ...

    def has(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        ...

    def taken(self, name: str) -> bool:
        """Say whether there is anything of this name, a file or what lies below a folder."""
        ...

    def names(self, folder: str) -> Iterator[str]:
        """Give the files of a folder, by their names below the place."""
        ...

    def holding(self, folders: Iterable[str]) -> Callable[[str], bool]:
        """Return what says of each of many names, all in these folders, whether there is such a file."""
        ...

    def keeps(self, name: str) -> bool:
        """Say whether a name, which others may have written, leads to something below the place."""
        ...

    def remove_unfinished(self, folders: Iterable[str]) -> None:
        """Remove what killed processes have left half written in the place and in folders of it."""
        ...

    def remove(self, names: Iterable[str], folders: Mapping[str, str]) -> None:
        """Remove from each folder the files that end in its suffix, then the files of these names, in this order."""
        ...


def open_place(out: Path) -> RunPlace:
    """Open the place that a path leads to; nothing is made yet.

    Raises
    ------
    UsageError, UnreachableError, ForbiddenError, MissingExtraError
        A bucket cannot be used; see `isotherm.store.objects.open_objects`.
    """
    if not is_remote(out):
        return FolderPlace(out)
    return BucketPlace(out, BucketObjects.open(address_of(out)))


class FolderPlace:
    """A folder of this machine."""

    known_as, claims = None, False

    def __init__(self, path: Path) -> None:
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def local(self, name: str) -> Path:
        """Return the file in the folder."""
        return self.path / name

    def claim(self, name: str, data: bytes) -> None:
        """Do nothing: what lies in `local` shows it."""

    def claimed(self, name: str, data: bytes) -> bool:  # noqa: ARG002 (the seam's)
        """Return True."""
        return True

    def deliver(self, name: str) -> None:
        """Do nothing: it is there."""

    def fetch(self, name: str) -> str:
        """Do nothing: it is there."""
        return str(self.path / name)

    def prepare(self, folders: Iterable[str] = ()) -> None:
        """Make the folder and folders in it."""
        make_folder(self.path)
        for name in folders:
            make_folder(self.path / name)

    def try_writing(self) -> None:
        """Do nothing: making the folder shows it."""

    def opened(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """Give a file to write; it is not flushed to the disk."""
        return whole_file(self.path / name)

    def write(self, name: str, data: bytes) -> None:
        """Write a file; it is not flushed to the disk."""
        with self.opened(name) as stream:
            stream.write(data)

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file to read."""
        path = self.path / name
        try:
            stream = path.open("rb")
        except OSError as error:
            raise OutputError(f"cannot read {path}: {error.strerror}") from error
        with stream:
            yield stream

    def read(self, name: str, most_bytes: int = MOST_BYTES) -> bytes:
        """Return a file."""
        with self.reading(name) as stream:
            check_size(f"{self}/{name}", os.fstat(stream.fileno()).st_size, most_bytes)
            return stream.read()

    def has(self, name: str) -> bool:
        """Say whether there is a file of this name."""
        return (self.path / name).is_file()

    def taken(self, name: str) -> bool:
        """Say whether there is a file or a folder of this name."""
        if not self.path.is_dir() and self.path.exists():
            raise OutputError(f"{self.path} is not a folder")
        return (self.path / name).exists()

    def names(self, folder: str) -> Iterator[str]:
        """Give the files of a folder."""
        with suppress(FileNotFoundError), os.scandir(self.path / folder) as found:
            yield from (f"{folder}/{item.name}" for item in found if item.is_file())

    def holding(self, folders: Iterable[str]) -> Callable[[str], bool]:  # noqa: ARG002 (the seam's)
        """Return what looks for each name by itself."""
        return self.has

    def keeps(self, name: str) -> bool:
        """Say whether a name leads to something below the folder, by links too."""
        try:
            return (self.path / name).resolve().is_relative_to(self.path.resolve())
        except ValueError:
            # It has a zero byte.
            return False

    def remove_unfinished(self, folders: Iterable[str]) -> None:
        """Remove what killed processes have left half written."""
        remove_unfinished(self.path, *(self.path / name for name in folders))

    def remove(self, names: Iterable[str], folders: Mapping[str, str]) -> None:
        """Remove files, and folders that are empty then."""
        try:
            for name, suffix in folders.items():
                _remove_pictures(self.path / name, suffix)
            for name in names:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot clear {self.path}: {error.strerror}") from error


def _remove_pictures(folder: Path, suffix: str) -> None:
    for path in folder.glob(f"*{suffix}"):
        path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


class BucketPlace:
    """What lies below a prefix of a bucket; objects appear whole, so nothing is renamed and nothing is left half done.

    While a run goes on, `claim` has put the beginning of its journal there: it shows that the bucket may be written
    before any work is done, and tells others on other machines that the place is taken.
    """

    claims = True

    def __init__(self, path: Path, objects: BucketObjects) -> None:
        self.path, self.objects = path, objects

    def __str__(self) -> str:
        return self.objects.url

    @property
    def known_as(self) -> str:
        """Return the server and the address: the same bucket may be somebody else's on another server."""
        return f"{self.objects.url} at {endpoint() or 'Amazon'}"

    def local(self, name: str) -> Path:
        """Return a file among the user's files of state."""
        digest = hashlib.sha256(self.known_as.encode("utf-8", "surrogateescape")).hexdigest()
        try:
            folder = make_folder(state_folder())
        except (OutputError, RuntimeError) as error:
            raise OutputError(
                f"{error}; what a run into {self} needs while it goes on is kept there: set XDG_STATE_HOME to a folder "
                "of this machine that you may write to"
            ) from error
        return folder / f"{digest[:16]}-{name}"

    def claim(self, name: str, data: bytes) -> None:
        """Put a first object, where there is none of this name."""
        try:
            self.objects.write(name, data, new=True)
        except ConflictError as error:
            raise OutputError(f"{self} was taken by another run at this moment; name another place") from error
        with suppress(FileNotFoundError):
            self.local(name).unlink()

    def claimed(self, name: str, data: bytes) -> bool:
        """Say whether the object begins so: who has emptied or taken the place has ended the run, too."""
        return self.objects.begins_with(name, data)

    def deliver(self, name: str) -> None:
        """Put the file of `local` there and remove it here."""
        path = self.local(name)
        self.objects.write_file(name, path)
        path.unlink()

    def fetch(self, name: str) -> str:
        """Copy the object to `local`, unless it is no more than the first line of the file that lies there already."""
        path = self.local(name)
        first = _first_line(path) if path.is_file() else b""
        entry = self.objects.entry(name) if first.endswith(b"\n") else None
        if entry is not None and entry.size == len(first) and self.objects.begins_with(name, first):
            return str(path)
        with self.reading(name) as there, whole_file(path) as here:
            shutil.copyfileobj(there, here)
        return f"{self}/{name}"

    def prepare(self, folders: Iterable[str] = ()) -> None:
        """Do nothing: a bucket has no folders."""

    def try_writing(self) -> None:
        """Put an object and remove it."""
        self.objects.write(_TRIAL, b"")
        self.objects.remove(_TRIAL)

    @contextmanager
    def opened(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file of this machine that becomes the object."""
        try:
            # With a name, so that it is read again; what a killed process leaves is swept.
            with scratch_folder() as folder, (folder / "content").open("w+b") as stream:
                yield stream
                stream.flush()
                self.objects.write_file(name, folder / "content")
        except OSError as error:
            raise failed(f"cannot keep here what becomes {self}/{name}", error) from error

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        self.objects.write(name, data)

    @contextmanager
    def reading(self, name: str) -> Iterator[IO[bytes]]:
        """Fetch an object into a file without a name."""
        with TemporaryFile(prefix="isotherm-") as stream:
            try:
                self.objects.read_into(name, stream)
                stream.seek(0)
            except NotFoundError as error:
                raise OutputError(f"cannot read {self}/{name}: it is not there") from error
            except OSError as error:
                raise failed(f"{self}/{name} cannot be kept while it is read", error) from error
            yield stream

    def read(self, name: str, most_bytes: int = MOST_BYTES) -> bytes:
        """Return an object."""
        try:
            return self.objects.read(name, most_bytes)
        except NotFoundError as error:
            raise OutputError(f"cannot read {self}/{name}: it is not there") from error

    def has(self, name: str) -> bool:
        """Say whether there is such an object."""
        return self.objects.exists(name)

    def taken(self, name: str) -> bool:
        """Say whether there is an object of this name, or one below it."""
        return self.objects.exists(name) or any(True for _ in islice(self.objects.entries(name), 1))

    def names(self, folder: str) -> Iterator[str]:
        """Give the objects below a folder."""
        yield from (entry.name for entry in self.objects.entries(folder))

    def holding(self, folders: Iterable[str]) -> Callable[[str], bool]:
        """Return what looks in one listing of each folder, rather than ask for name after name."""
        return frozenset(chain.from_iterable(map(self.names, folders))).__contains__

    def keeps(self, name: str) -> bool:
        """Say whether it is a name at all."""
        try:
            checked_name(name)
        except UsageError:
            return False
        return True

    def remove_unfinished(self, folders: Iterable[str]) -> None:
        """Do nothing: there is nothing half written in a bucket."""

    def remove(self, names: Iterable[str], folders: Mapping[str, str]) -> None:
        """Remove objects, those of folders many at a time."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="isotherm-remove") as pool:
            for folder, suffix in folders.items():
                found = (name for name in self.names(folder) if name.endswith(suffix) and name.count("/") == 1)
                while batch := list(islice(found, 1000)):
                    list(pool.map(self.objects.remove, batch))
        for name in names:
            self.objects.remove(name)


def _first_line(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.readline()


def state_folder() -> Path:
    """Return the folder for what belongs to runs that go on: ``$XDG_STATE_HOME/isotherm/runs``, or in ``~/.local``."""
    shared = os.environ.get("XDG_STATE_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "state") / "isotherm" / "runs"
