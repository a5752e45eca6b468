"""Pictures at an address of another machine: listed there, and fetched to this one for as long as they are worked on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from isotherm.core.errors import DataError, NotFoundError, TooLargeError
from isotherm.core.files import make_folder
from isotherm.store.filesystem import failed
from isotherm.store.objects import Entry, Objects, open_objects
from isotherm.workflows.reading import natural_key
from isotherm.workflows.sidecar import is_sidecar

MOST_BYTES = 4 << 30
"""Of one file; the same as nothing for pictures, and a bound for what is no picture."""
AT_ONCE = 8
"""How many files are read beside each other: an answer of a store takes tens of milliseconds, whatever its length."""


def listed(url: str) -> list[Entry]:
    """Return what lies below an address, in natural order, without what is hidden; sidecars are not looked at.

    Raises
    ------
    DataError
        There is nothing.
    UsageError, UnreachableError, ForbiddenError, MissingExtraError
        See `isotherm.store.objects.open_objects`.
    """
    found = [entry for entry in open_objects(url).entries() if _is_input(entry)]
    if not found:
        raise DataError(f"{url}: there is no file")
    return sorted(found, key=lambda entry: natural_key(entry.name))


@contextmanager
def fetched(url: str, names: Sequence[str]) -> Iterator[Path]:
    """Give a temporary folder with some of the files below an address, under their names; it goes in the end.

    A file that cannot be read is not there: reading it says so, and the others are not held up. Nothing is given where
    the store itself fails.

    Raises
    ------
    UsageError, UnreachableError, ForbiddenError, MissingExtraError
        See `isotherm.store.objects.open_objects`.
    """
    objects = open_objects(url)
    with TemporaryDirectory(prefix="isotherm-") as temporary, ThreadPoolExecutor(AT_ONCE) as pool:
        folder = Path(temporary)
        list(pool.map(lambda name: _fetch(objects, name, folder), names))
        yield folder


def _fetch(objects: Objects, name: str, folder: Path) -> None:
    path = folder / name
    try:
        data = objects.read(name, MOST_BYTES)
    except (NotFoundError, TooLargeError):
        return
    try:
        make_folder(path.parent)
        path.write_bytes(data)
    except OSError as error:
        raise failed(f"{objects.url}/{name} cannot be kept while it is worked on", error) from error


def _is_input(entry: Entry) -> bool:
    return not any(step.startswith(".") for step in entry.name.split("/")) and not is_sidecar(Path(entry.name))
