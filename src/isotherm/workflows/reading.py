"""Many files to thermograms: in order, decoded ahead, and a bad file stops nothing."""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from isotherm.core.errors import DataError, ForbiddenError, IsothermError, UnreachableError, one_line
from isotherm.core.scene import SceneEdit
from isotherm.core.thermogram import Thermogram
from isotherm.formats.reader import ReadHints
from isotherm.formats.reading import read_file
from isotherm.workflows.beside import Beside, Listing, Sidecars
from isotherm.workflows.remote_inputs import here, is_remote, listing, sidecars_beside, versions_of
from isotherm.workflows.sidecar import SITE, Sidecar, is_sidecar, read_sidecar, sidecar_path, with_sidecars


@dataclass(frozen=True)
class Outcome:
    """One file, read or not.

    ``name`` is the path relative to the folder that was asked for, with ``/`` between; ``error`` is empty where the
    file was read, else the reason in one line and ``thermogram`` is None.
    ``sidecar`` is the picture's own, which has changed the thermogram already.
    """

    path: Path
    name: str
    thermogram: Thermogram | None
    error: str = ""
    sidecar: Sidecar | None = None


def list_images(path: Path) -> list[Path]:
    """Return a file as it is, or every regular file below a folder that is not hidden and no sidecar, in natural order.

    A path that begins with ``s3:`` leads to a bucket (`isotherm.workflows.remote_inputs`).

    Raises
    ------
    DataError
        Nothing is there, the folder or one below it cannot be listed, or it holds no file.
    """
    return find_images(path).pictures


def find_images(path: Path) -> Listing:
    """Return what `list_images` does, and the sidecars that the same listing has found."""
    path = Path(path)
    if is_remote(path):
        found = listing(path)
        return Listing(in_order(found.pictures, path), found.sidecars)
    if path.is_file():
        beside = (path.with_name(SITE), sidecar_path(path))
        return Listing([path], Sidecars({place: "" for place in beside if place.is_file()}))
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    pictures, sidecars = list[Path](), dict[Path, str]()
    for file in _files_below(path):
        if is_sidecar(file):
            sidecars[file] = ""
        else:
            pictures.append(file)
    if not pictures:
        raise DataError(f"{path}: the folder holds no file")
    return Listing(in_order(pictures, path), Sidecars(sidecars))


def in_order(paths: Iterable[Path], root: Path) -> list[Path]:
    """Return paths below a folder in natural order, the same in whatever order they were listed."""
    return sorted(sorted(paths, key=str), key=lambda path: natural_key(_name(path, root)))


def printable(path: Path) -> str:
    """Return a path as text with ``/`` between; what is no UTF-8 in it is replaced, because it could not be printed."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


@dataclass(frozen=True)
class Input:
    """A file to read, and its name in results: relative to the folder that was asked for.

    ``error`` says why there is nothing to read: one mistyped path among several stops nothing. ``beside`` are the
    sidecars that its listing has found; on a disk they are looked for again when the picture is read.
    """

    path: Path
    name: str
    error: str = ""
    beside: Beside = ()


def list_inputs(paths: Sequence[Path]) -> list[Input]:
    """Return the files of several files and folders, in the order given.

    Raises
    ------
    DataError
        As `list_images` does, for a path that stands alone; one among several becomes an input with its ``error``.
    """
    found = list[Input]()
    for path in map(Path, paths):
        root = path if is_remote(path) or path.is_dir() else None
        try:
            found += inputs_of(find_images(path), root)
        except DataError as error:
            if len(paths) == 1:
                raise
            found.append(Input(path, _name(path, None), str(error)))
    return found


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, onerror=_unlistable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        places = (Path(folder, name) for name in names if not name.startswith("."))
        yield from (place for place in places if place.is_file())


def _unlistable(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be listed: {error.strerror}") from error


def natural_key(name: str) -> str:
    """Return a key that sorts ``IR_9`` before ``IR_10``, and folders before what follows them.

    A text of the name's size, because an archive has a million of them: each number stands behind the count of its
    digits, before all letters, and what differs in leading zeros alone has the most zeros first.
    """
    return _NUMBER.sub(_counted, name.casefold())


_NUMBER = re.compile("[0-9]+")


def _counted(match: re.Match[str]) -> str:
    digits = match[0].lstrip("0")
    zeros = len(match[0]) - len(digits)
    return f"\0{chr(len(digits))}{digits}{chr(max(0, 255 - zeros))}"


def _name(path: Path, root: Path | None) -> str:
    relative = path.relative_to(root) if root is not None and path.is_relative_to(root) else Path(path.name)
    if relative == Path():
        relative = Path(path.name)
    return printable(relative)


def read_many(
    paths: Sequence[Path],
    *,
    root: Path | None = None,
    edit: SceneEdit | None = None,
    hints: ReadHints | None = None,
    jobs: int = 2,
) -> Iterator[Outcome]:
    """Read files in input order; up to `jobs` threads decode ahead, and at most two files a thread are held.

    Parameters
    ----------
    paths
        The files.
    root
        The folder that names are relative to; None for the bare file names.
    edit
        Scene parameters to use in place of the files'.
    hints
        Unit and scale, where files cannot say them.
    jobs
        Threads that decode; 1 reads each file when it is asked for.
    """
    paths = [Path(path) for path in paths]
    found = Listing(paths, sidecars_beside(paths))
    return read_inputs(inputs_of(found, root), edit=edit, hints=hints, jobs=jobs)


def inputs_of(found: Listing, root: Path | None) -> Iterator[Input]:
    """Yield what a listing has found as inputs, with names relative to `root`; None for the bare file names."""
    return (Input(path, _name(path, root), beside=found.sidecars.of(path)) for path in found.pictures)


def read_inputs(
    inputs: Iterable[Input], *, edit: SceneEdit | None = None, hints: ReadHints | None = None, jobs: int = 2
) -> Iterator[Outcome]:
    """Read listed inputs; see `read_many`."""
    one = partial(_read_one, edit=edit or SceneEdit(), hints=hints or ReadHints())
    if jobs <= 1:
        yield from map(one, inputs)
        return
    remaining = iter(inputs)
    with ThreadPoolExecutor(jobs, thread_name_prefix="isotherm-read") as pool:
        ahead: deque[Future[Outcome]] = deque(pool.submit(one, item) for item in islice(remaining, 2 * jobs))
        try:
            while ahead:
                outcome = ahead.popleft().result()
                ahead.extend(pool.submit(one, item) for item in islice(remaining, 1))
                yield outcome
        finally:
            for future in ahead:
                future.cancel()


def _read_one(item: Input, *, edit: SceneEdit, hints: ReadHints) -> Outcome:
    """Read one file and its sidecar; whatever is wrong with them is the outcome's ``error``."""
    if item.error:
        return Outcome(item.path, item.name, None, " ".join(item.error.split()))
    try:
        with here(item.path, item.beside) as file:
            thermogram = with_sidecars(read_file(file, hints), file, edit)
            sidecar = read_sidecar(sidecar_path(file))
        return Outcome(item.path, item.name, replace(thermogram, site=site_of(item.name)), sidecar=sidecar)
    except (UnreachableError, ForbiddenError):
        # A bucket that fails is no fault of this file: nothing is told of it.
        raise
    except IsothermError as error:
        return Outcome(item.path, item.name, None, one_line(error))


def fingerprint(files: Iterable[tuple[str, Path]]) -> str:
    """Return a digest of names, sizes and times of files: whether they are the same ones, without reading them."""
    digest, known = hashlib.sha256(), list(files)
    versions = versions_of([path for _, path in known if is_remote(path)])
    for name, path in known:
        if is_remote(path):
            digest.update(f"{os.fsencode(name)!r} {versions.get(path)}\n".encode())
            continue
        try:
            found = path.stat()
        except OSError:
            # It has just gone: reading it will say so.
            continue
        digest.update(f"{os.fsencode(name)!r} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def site_of(name: str) -> str:
    """Return the site that a picture belongs to by its name: the first folder; empty where there is none."""
    return name.split("/", 1)[0] if "/" in name else ""


def exit_status(failures: int, total: int) -> int:
    """Return a batch's exit status: 0 where all went well, 3 where some failed, 1 where all did."""
    if failures == 0:
        return 0
    return 1 if failures == total else 3
