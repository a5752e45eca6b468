"""Pictures in a bucket: paths that begin with ``s3:``, listed there, and fetched one by one when they are read.

`Path` makes ``s3:/bucket/name`` of ``s3://bucket/name``, so that what is said on a command line can stay a path; here
it is told apart and turned back. What lies beside a picture is known from listings, never asked for name by name.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from pathlib import Path
from threading import Lock

from isotherm.core.errors import DataError, FormatError, UsageError
from isotherm.core.files import sha256
from isotherm.core.scratch import scratch_folder
from isotherm.store.filesystem import failed
from isotherm.store.objects import folder_of
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows.beside import Beside, Listing, Sidecars
from isotherm.workflows.photo_names import Pictures
from isotherm.workflows.sidecar import MAX_BYTES, is_sidecar

SCHEME = "s3:"
_IS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
MOST_BYTES = 4 << 30
"""Of one picture: a bound for what is none."""
AT_ONCE = 8
"""Frames of one recording that are fetched at once."""


def path_of(text: str) -> Path:
    """Return the path that a user means by a path, ``file:///folder`` or ``s3://bucket/prefix``.

    Raises
    ------
    UsageError
        It is an address of another kind.
    """
    scheme, marked, _ = text.partition("://")
    if not marked or not _IS_SCHEME.fullmatch(scheme) or f"{scheme}:" == SCHEME:
        return Path(text)
    if scheme == "file":
        return folder_of(text)
    raise UsageError(f"{text} cannot be opened; known: a path, file:///folder, s3://bucket/prefix")


def is_remote(path: Path) -> bool:
    """Say whether a path leads to a bucket."""
    return path.parts[:1] == (SCHEME,)


def settled(path: Path) -> Path:
    """Return a path that means the same in any folder of work, and on any machine that has the same disks."""
    return path if is_remote(path) else path.resolve()


def listed(path: Path) -> list[Path]:
    """Return the pictures of `listing`; raises as it does."""
    return listing(path).pictures


def listing(path: Path) -> Listing:
    """Return an object as it is, or what lies below a prefix and is not hidden, in the order of the bucket.

    Raises
    ------
    DataError
        There is nothing.
    UsageError, UnreachableError, ForbiddenError, MissingExtraError
        See `isotherm.store.objects.open_objects`.
    """
    bucket, name = _parts(path)
    objects, pictures, sidecars = _opened(bucket), list[Path](), dict[Path, str]()
    for entry in objects.entries(name):
        one = path.joinpath(entry.name[len(name) :].lstrip("/"))
        if is_sidecar(one):
            sidecars[one] = entry.version
        elif not _is_hidden(one.relative_to(path)):
            pictures.append(one)
    if pictures:
        return Listing(pictures, Sidecars(sidecars))
    if name and objects.exists(name):
        return Listing([path], sidecars_beside([path]))
    raise DataError(f"{address_of(path)}: there is no file")


def files_in(folder: Path) -> dict[Path, str]:
    """Return the files right in a folder of a bucket, each with a word that changes with its content."""
    bucket, name = _parts(folder)
    return {Path(SCHEME, bucket, entry.name): entry.version for entry in _opened(bucket).files(name)}


def pictures_beside(path: Path) -> Pictures | None:
    """Return the pictures in the folder of one in a bucket; None for one on a disk."""
    return Pictures.among(files_in(path.parent)) if is_remote(path) else None


def sidecars_beside(pictures: Iterable[Path]) -> Sidecars:
    """Return the sidecars in the folders of pictures, those of buckets alone: a disk is looked at when one is read."""
    folders = {picture.parent for picture in pictures if is_remote(picture)}
    return sidecars_among(dict(chain.from_iterable(files_in(folder).items() for folder in sorted(folders))))


def sidecars_among(files: Mapping[Path, str]) -> Sidecars:
    """Return those of `files_in` that are sidecars."""
    return Sidecars({path: version for path, version in files.items() if is_sidecar(path)})


def address_of(path: Path) -> str:
    """Return a path as people write it: that of a bucket as an address."""
    return f"{SCHEME}//{'/'.join(path.parts[1:])}" if is_remote(path) else str(path)


def versions_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a word for each of some paths in buckets that changes with the content; by listing, without reading."""
    folders = defaultdict[str, list[Path]](list)
    for path in paths:
        folders[_parts(path)[0]].append(path.parent)
    found = {path: version for each in folders.values() for path, version in _versions_below(each)}
    return found | {path: _version_of_folder(path, found) for path in paths if path not in found}


def _version_of_folder(path: Path, found: Mapping[Path, str]) -> str:
    below = (f"{one} {version}" for one, version in sorted(found.items()) if one.is_relative_to(path))
    return sha256("\n".join(below).encode("utf-8", "surrogateescape"))


def _versions_below(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Give what lies below the folder that some folders of one bucket have in common."""
    bucket, folder = _parts(Path(os.path.commonpath(folders)))
    for entry in _opened(bucket).entries(folder):
        yield Path(SCHEME, bucket, entry.name), f"{entry.size} {entry.version}"


def is_folder(path: Path) -> bool:
    """Say whether a path leads to a folder, or to a prefix with objects below it; raises as `listed` does."""
    return listed(path) != [path] if is_remote(path) else path.is_dir()


def children(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders and the files right below a prefix; raises as `listed` does."""
    steps = [one.relative_to(path).parts for one in listed(path)]
    folders = dict.fromkeys(parts[0] for parts in steps if len(parts) > 1)
    return [path / name for name in folders], [path / parts[0] for parts in steps if len(parts) == 1]


class Folders:
    """What lies beside pictures: each folder of a bucket is listed once, when it is first asked for."""

    def __init__(self) -> None:
        self._lock, self._found = Lock(), dict[Path, tuple[Sidecars, Pictures | None]]()

    def sidecars(self, picture: Path) -> Beside:
        """Return the sidecars of a picture in a bucket."""
        return self._of(picture)[0].of(picture)

    def pictures(self, picture: Path) -> Pictures | None:
        """Return what `pictures_beside` does."""
        return self._of(picture)[1]

    def _of(self, picture: Path) -> tuple[Sidecars, Pictures | None]:
        if not is_remote(picture):
            return Sidecars(), None
        # Held meanwhile, so that the other threads wait for the same listing.
        with self._lock:
            if picture.parent not in self._found:
                files = files_in(picture.parent)
                self._found[picture.parent] = sidecars_among(files), Pictures.among(files)
            return self._found[picture.parent]


@contextmanager
def recording_here(path: Path) -> Iterator[Path]:
    """Give a recording on this machine: a file, or a folder of frames; a copy goes when the block ends.

    Raises
    ------
    OutputError
        There is no room for the copy.
    DataError, FormatError
        What the block raises, with the address in place of the copy's path.
    IsothermError
        As `here` does.
    """
    if not is_remote(path):
        yield path
        return
    with scratch_folder() as folder:
        copy = folder / path.name
        try:
            if is_folder(path):
                copy.mkdir()
                with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="isotherm-fetch") as pool:
                    list(pool.map(_fetch, frames := children(path)[1], [copy / frame.name for frame in frames]))
            else:
                _fetch(path, copy)
        except OSError as error:
            raise failed(f"{address_of(path)} cannot be kept while it is read", error) from error
        with _called(copy, address_of(path)):
            yield copy


def _fetch(path: Path, copy: Path) -> None:
    bucket, name = _parts(path)
    with copy.open("wb") as stream:
        _opened(bucket).read_into(name, stream)


@contextmanager
def _called(copy: Path, address: str) -> Iterator[None]:
    try:
        yield
    except FormatError as error:
        raise type(error)(error.reason.replace(str(copy), address), error.offset) from error
    except DataError as error:
        raise DataError(str(error).replace(str(copy), address)) from error


@contextmanager
def here(path: Path, beside: Beside = (), *, most_bytes: int = MOST_BYTES) -> Iterator[Path]:
    """Give a file of this machine with what a path leads to; a copy of an object goes when the block ends.

    Parameters
    ----------
    beside
        What is to lie beside the copy as it does beside the object.
    most_bytes
        Of a larger object nothing is fetched.

    Raises
    ------
    NotFoundError, TooLargeError
        There is no such object, or it is no picture by its size.
    UnreachableError, ForbiddenError
        The store as a whole cannot be used.
    """
    if not is_remote(path):
        yield path
        return
    bucket, name = _parts(path)
    data = _opened(bucket).read(name, most_bytes)
    with scratch_folder() as folder:
        copy = folder / path.name
        try:
            copy.write_bytes(data)
            for other, version in beside:
                copy.with_name(other).write_bytes(_sidecar(path.with_name(other), version))
        except OSError as error:
            raise failed(f"{address_of(path)} cannot be kept while it is read", error) from error
        with _called(copy.parent, address_of(path.parent)):
            yield copy


@lru_cache(maxsize=16)
def _sidecar(path: Path, version: str) -> bytes:  # noqa: ARG001 (what was kept of another version is not this one)
    """Return a sidecar; that of a folder is asked for once, not with each picture."""
    bucket, name = _parts(path)
    return _opened(bucket).read(name, MAX_BYTES)


def _is_hidden(path: Path) -> bool:
    return any(step.startswith(".") for step in path.parts)


def _parts(path: Path) -> tuple[str, str]:
    return (path.parts[1] if len(path.parts) > 1 else ""), "/".join(path.parts[2:])


@lru_cache(maxsize=4)
def _opened(bucket: str) -> BucketObjects:
    """Open a bucket once a process: each opening asks it whether it is there."""
    return BucketObjects.open(f"{SCHEME}//{bucket}")
