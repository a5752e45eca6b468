"""Pictures in a bucket: paths that begin with ``s3:``, listed there, and fetched one by one when they are read.

`Path` makes ``s3:/bucket/name`` of ``s3://bucket/name``, so that what is said on a command line can stay a path; here
it is told apart and turned back. What lies beside a picture is known from listings, never asked for name by name.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

from isotherm.core.errors import (
    DataError,
    ForbiddenError,
    FormatError,
    NotFoundError,
    UnreachableError,
    UsageError,
)
from isotherm.core.files import sha256
from isotherm.core.scratch import scratch_folder
from isotherm.store.filesystem import failed
from isotherm.store.objects import Entry, folder_of
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows.beside import Beside, Listing, Sidecars, places_beside
from isotherm.workflows.photo_names import Pictures
from isotherm.workflows.sidecar import MAX_BYTES, is_sidecar

SCHEME = "s3:"
_IS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
MOST_BYTES = 4 << 30
"""Of one picture: a bound for what is none. A recording may have what there is room for."""
AT_ONCE = 8
"""Frames of one recording that are fetched at once; of up to as many objects each is asked for, of more a listing."""
Content = TypeVar("Content")
_PERHAPS_OF_ALL = (UnreachableError, ForbiddenError, NotFoundError, UsageError)
_LONGEST_NAME = 255
"""Of a file, in bytes: the limit of the usual file systems."""


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
    pictures, versions = _below(path)
    if not pictures and name and _opened(bucket).exists(name):
        return Listing([path], sidecars_beside([path]))
    if pictures and name and _may_be(_opened(bucket), name) is True:
        raise DataError(
            f"{address_of(path)} is an object, and others lie below it as in a folder: name one of those, or rename it"
        )
    if pictures:
        return Listing(pictures, Sidecars(versions))
    raise DataError(f"{address_of(path)}: there is no file")


def _below(path: Path) -> tuple[list[Path], dict[Path, str]]:
    """Return the pictures below a prefix, and the versions of these and of sidecars."""
    bucket, name = _parts(path)
    objects, pictures, versions = _opened(bucket), list[Path](), dict[Path, str]()
    for entry in _without_markers(objects, objects.entries(name)):
        one = path.joinpath(entry.name[len(name) :].lstrip("/"))
        if is_sidecar(one):
            versions[one] = entry.version
        elif not _is_hidden(one.relative_to(path)):
            pictures.append(one)
            versions[one] = entry.version
    return pictures, versions


def _without_markers(objects: BucketObjects, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Leave out empty objects that only show a folder: a name that ends in a slash, which listings give without it."""
    return (entry for entry in entries if entry.size or _may_be(objects, entry.name) is not False)


def _may_be(objects: BucketObjects, name: str) -> bool | None:
    """Say whether there is such an object; None where we may not know."""
    try:
        return objects.exists(name)
    except ForbiddenError:
        return None


def files_in(folder: Path) -> dict[Path, str]:
    """Return the files right in a folder of a bucket, each with a word that changes with its content."""
    bucket, name = _parts(folder)
    objects = _opened(bucket)
    found = _without_markers(objects, objects.files(name))
    return {Path(SCHEME, bucket, entry.name): entry.version for entry in found}


def pictures_beside(path: Path) -> Pictures | None:
    """Return the pictures in the folder of one in a bucket; None for one on a disk."""
    return Pictures.among(files_in(path.parent)) if is_remote(path) else None


def sidecars_beside(pictures: Iterable[Path]) -> Sidecars:
    """Return pictures of buckets and their sidecars with their versions; a disk is looked at when one is read."""
    folders = defaultdict[Path, list[Path]](list)
    for picture in pictures:
        if is_remote(picture):
            folders[picture.parent].append(picture)
    versions = dict[Path, str]()
    for folder, some in sorted(folders.items()):
        wanted = {place for picture in some for place in places_beside(picture)}
        found = _asked(sorted(wanted), folder) if len(some) == 1 else files_in(folder)
        versions |= {place: version for place, version in found.items() if place in wanted}
    return Sidecars(versions)


def _asked(places: Iterable[Path], folder: Path) -> dict[Path, str]:
    """Return those places where there is an object, with its version; each is asked for by its name."""
    try:
        entries = {place: _opened(_parts(place)[0]).entry(_parts(place)[1]) for place in places}
    except ForbiddenError:
        # Some may list alone.
        return files_in(folder)
    return {place: entry.version for place, entry in entries.items() if entry is not None}


def sidecars_among(files: Mapping[Path, str]) -> Sidecars:
    """Return those of `files_in` that are sidecars."""
    return Sidecars({path: version for path, version in files.items() if is_sidecar(path)})


def address_of(path: Path) -> str:
    """Return a path as people write it: that of a bucket as an address."""
    return f"{SCHEME}//{'/'.join(path.parts[1:])}" if is_remote(path) else str(path)


def versions_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Return a word for each of some paths in buckets that changes with the content; by listing, without reading."""
    if len(paths) <= AT_ONCE:
        # For so few nothing else is listed that lies in their folders, unless that is all we may.
        with suppress(ForbiddenError):
            return {path: _version_of(path) for path in paths}
    folders = defaultdict[str, list[Path]](list)
    for path in paths:
        folders[_parts(path)[0]].append(path.parent)
    found = {path: version for each in folders.values() for path, version in _versions_below(each)}
    return found | {path: _version_of_folder(path, found) for path in paths if path not in found}


def _version_of(path: Path) -> str:
    bucket, name = _parts(path)
    entry = _opened(bucket).entry(name) if name else None
    return _word(entry) if entry else _version_of_folder(path, dict(_versions_below([path])))


def _word(entry: Entry) -> str:
    return f"{entry.size} {entry.version}"


def _version_of_folder(path: Path, found: Mapping[Path, str]) -> str:
    below = (f"{one} {version}" for one, version in sorted(found.items()) if one.is_relative_to(path))
    return sha256("\n".join(below).encode("utf-8", "surrogateescape"))


def _versions_below(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Give what lies below the folder that some folders of one bucket have in common."""
    bucket, folder = _parts(Path(os.path.commonpath(folders)))
    for entry in _opened(bucket).entries(folder):
        yield Path(SCHEME, bucket, entry.name), _word(entry)


def is_folder(path: Path) -> bool:
    """Say whether a path leads to a folder, or to a prefix with objects below it; raises as `listed` does."""
    return listed(path) != [path] if is_remote(path) else path.is_dir()


def children(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders and the files right below a prefix, none where it is none; raises what a bucket says."""
    steps = [one.relative_to(path).parts for one in _below(path)[0]]
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
        The copy cannot be written.
    DataError, FormatError
        There is no room for the copy, or it is replaced meanwhile; and what the block raises, with the address in place
        of the copy's path.
    IsothermError
        As `here` does.
    """
    if not is_remote(path):
        yield path
        return
    with scratch_folder() as folder:
        copy = _copy_in(folder, path)
        try:
            if _of_one(_parts(path)[0], lambda _: is_folder(path)):
                copy.mkdir()
                _fetch_frames(path, copy)
            else:
                _fetch(path, copy)
        except OSError as error:
            raise failed(f"{address_of(path)} cannot be kept while it is read", error) from error
        with _called(copy, address_of(path)):
            yield copy


def _copy_in(folder: Path, path: Path) -> Path:
    """Return where the copy of an object shall lie; raises DataError where no file can have its name."""
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise DataError(
            f"{address_of(path)}: the last step of its name has {len(os.fsencode(path.name))} bytes, and a file's may "
            f"have {_LONGEST_NAME}; rename it"
        )
    return folder / path.name


def _fetch_frames(path: Path, copy: Path) -> None:
    """Fetch the files right below a prefix, as they are listed now."""
    bucket, name = _parts(path)
    objects = _opened(bucket)
    found = _without_markers(objects, objects.files(name))
    listed_now = ((Path(SCHEME, bucket, entry.name), entry) for entry in found)
    frames = {place: entry for place, entry in listed_now if not (place.name.startswith(".") or is_sidecar(place))}
    _check_room(copy, address_of(path), sum(entry.size for entry in frames.values()))
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="isotherm-fetch") as pool:
        fetched = [pool.submit(_fetch, place, _copy_in(copy, place), entry.version) for place, entry in frames.items()]
        for one in fetched:
            one.result()


def _fetch(path: Path, copy: Path, version: str = "", most_bytes: int | None = None) -> None:
    bucket, name = _parts(path)
    ready = partial(_check_room, copy.parent, address_of(path))

    def fetched(objects: BucketObjects) -> None:
        with copy.open("wb") as stream:
            objects.read_into(name, stream, most_bytes, version=version, ready=ready)

    _of_one(bucket, fetched)


def _of_one(bucket: str, read: Callable[[BucketObjects], Content]) -> Content:
    """Return what is read of one object.

    Where that fails as it does when the bucket as a whole cannot be used, this is asked for; if it can be used, the
    object is tried once more, and what is wrong then is a matter of this object alone.

    Raises
    ------
    UnreachableError, ForbiddenError
        The bucket cannot be used, or is no longer there.
    DataError, NotFoundError
        The object cannot be read.
    """
    try:
        objects = _opened(bucket)
        try:
            return read(objects)
        except _PERHAPS_OF_ALL:
            objects.check()
    except UsageError as error:
        raise UnreachableError(str(error)) from error
    try:
        return read(objects)
    except (UnreachableError, ForbiddenError, UsageError) as error:
        raise DataError(f"{error} (of other names the bucket answers)") from error


def _check_room(folder: Path, address: str, size: int) -> None:
    """Raise DataError where a copy does not fit into a folder."""
    if size > (free := shutil.disk_usage(folder).free):
        raise DataError(
            f"{address} has {size} bytes and is kept in {folder.parent} while it is read, where {free} are free; free "
            "some, or set TMPDIR to a folder with more room"
        )


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
        What is to lie beside the copy as it does beside the object, and the version that the object itself must have.
    most_bytes
        Of a larger object nothing is fetched.

    Raises
    ------
    NotFoundError, TooLargeError
        There is no such object, or it is no picture by its size.
    DataError
        It has changed since it was listed, or there is no room for a copy.
    UnreachableError, ForbiddenError
        The store as a whole cannot be used.
    """
    if not is_remote(path):
        yield path
        return
    with scratch_folder() as folder:
        copy = _copy_in(folder, path)
        try:
            _fetch(path, copy, dict(beside).get(path.name, ""), most_bytes)
            for other, version in beside:
                if other != path.name:
                    copy.with_name(other).write_bytes(_sidecar(path.with_name(other), version))
        except OSError as error:
            raise failed(f"{address_of(path)} cannot be kept while it is read", error) from error
        with _called(copy.parent, address_of(path.parent)):
            yield copy


@lru_cache(maxsize=16)
def _sidecar(path: Path, version: str) -> bytes:
    """Return a sidecar; that of a folder is asked for once, not with each picture."""
    bucket, name = _parts(path)
    return _of_one(bucket, lambda objects: objects.read(name, MAX_BYTES, version=version))


def _is_hidden(path: Path) -> bool:
    return any(step.startswith(".") for step in path.parts)


def _parts(path: Path) -> tuple[str, str]:
    return (path.parts[1] if len(path.parts) > 1 else ""), "/".join(path.parts[2:])


@lru_cache(maxsize=4)
def _opened(bucket: str) -> BucketObjects:
    """Open a bucket once a process: each opening asks it whether it is there."""
    return BucketObjects.open(f"{SCHEME}//{bucket}")
