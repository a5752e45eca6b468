"""The store of a data folder: its database and its files, opened together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from isotherm.core.errors import DataError
from isotherm.store.blobs import Blobs
from isotherm.store.database import Database
from isotherm.store.migrate import check

BLOBS = "blobs"
DATABASE = "isotherm.db"


@dataclass(frozen=True)
class Store:
    """An open database and the files that its rows refer to."""

    database: Database
    blobs: Blobs


@contextmanager
def opened(folder: Path, url: str) -> Iterator[Store]:
    """Open the store of a data folder that is there.

    Parameters
    ----------
    folder
        Holds ``blobs``, once a file has been stored.
    url
        Of the database; a file of SQLite must be there.

    Raises
    ------
    DataError
        There is none, or its schema is not the one that this isotherm works with.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no data folder of isotherm; name that of isotherm serve with --data")
    with opened_database(url) as database:
        check(database)
        yield Store(database, Blobs(folder / BLOBS))


@contextmanager
def opened_database(url: str) -> Iterator[Database]:
    """Open a database that is there; raises DataError where a file of SQLite is not."""
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        raise DataError(f"there is no database {file}")
    database = Database.open(url)
    try:
        yield database
    finally:
        database.close()


def sqlite_file(url: str) -> Path | None:
    """Return the file of a URL of SQLite, None for other URLs."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
