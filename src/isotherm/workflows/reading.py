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
from isotherm.workflows.remote_inputs import here, is_remote, listed, versions_of
from isotherm.workflows.sidecar import is_sidecar, with_sidecars


@dataclass(frozen=True)
class Outcome:
    """One file, read or not.

    ``name`` is the path relative to the folder that was asked for, with ``/`` between; ``error`` is empty where the
    file was read, else the reason in one line and ``thermogram`` is None.
    """

    path: Path
    name: str
    thermogram: Thermogram | None
    error: str = ""


def list_images(path: Path) -> list[Path]:
    """Return a file as it is, or every regular file below a folder that is not hidden and no sidecar, in natural order.

    A path that begins with ``s3:`` leads to a bucket (`isotherm.workflows.remote_inputs`).

    Raises
    ------
    DataError
        Nothing is there, the folder or one below it cannot be listed, or it holds no file.
    """
    path = Path(path)
    if is_remote(path):
        return in_order(listed(path), path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: no such file or folder")
    found = in_order(_files_below(path), path)
    if not found:
        raise DataError(f"{path}: the folder holds no file")
    return found


def in_order(paths: Iterable[Path], root: Path) -> list[Path]:
    """Return paths below a folder in natural order, the same in whatever order they were listed."""
    return sorted(sorted(paths, key=str), key=lambda path: natural_key(_name(path, root)))


def printable(path: Path) -> str:
    """Return a path as text with ``/`` between; what is no UTF-8 in it is replaced, because it could not be printed."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


@dataclass(frozen=True)
class Input:
    """A file to read, and its name in results: relative to the folder that was asked for.

    ``error`` says why there is nothing to read: one mistyped path among several stops nothing.
    """

    path: Path
    name: str
    error: str = ""


def list_inputs(paths: Sequence[Path]) -> list[Input]:
    """Return the files of several files and folders, in the order given.

    Raises
    ------
    DataError
        As `list_images` does, for a path that stands alone; one among several becomes an input with its ``error``.
    """
    found = []
    for path in map(Path, paths):
        root = path if is_remote(path) or path.is_dir() else None
        try:
            found += [Input(file, _name(file, root)) for file in list_images(path)]
        except DataError as error:
            if len(paths) == 1:
                raise
            found.append(Input(path, _name(path, None), str(error)))
    return found


def _files_below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root, onerror=_unlistable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        places = (Path(folder, name) for name in names if not name.startswith("."))
        yield from (place for place in places if not is_sidecar(place) and place.is_file())


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
    inputs = [Input(Path(path), _name(Path(path), root)) for path in paths]
    return read_inputs(inputs, edit=edit, hints=hints, jobs=jobs)


def read_inputs(
    inputs: Sequence[Input], *, edit: SceneEdit | None = None, hints: ReadHints | None = None, jobs: int = 2
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
        with here(item.path) as file:
            thermogram = with_sidecars(read_file(file, hints), file, edit)
        return Outcome(item.path, item.name, replace(thermogram, site=site_of(item.name)))
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
