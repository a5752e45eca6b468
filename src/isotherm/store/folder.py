"""The store of a data folder: its database and its files, opened together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from isotherm.core.errors import DataError, UsageError
from isotherm.core.files import make_folder, write_whole
from isotherm.store.blobs import Blobs
from isotherm.store.database import Database
from isotherm.store.migrate import check

BLOBS, ADDRESS = "blobs", "address"
DATABASE, MANIFEST = "isotherm.db", "manifest.json"


@dataclass(frozen=True)
class Store:
    """An open database and the files that its rows refer to."""

    database: Database
    blobs: Blobs


def blobs_of(folder: Path, address: str = "") -> Blobs:
    """Return the files of a data folder: in the folder itself, or in the bucket that it was given to.

    Parameters
    ----------
    folder
        The data folder.
    address
        ``s3://bucket/prefix``; a new folder is given to it, and names it in ``blobs/address`` from then on.

    Raises
    ------
    UsageError
        It is no bucket, or the folder has files already or another address.
    """
    known = _address(folder)
    if address and address != known:
        _give(folder, address, known)
        known = address
    if not known:
        return Blobs(folder / BLOBS)
    from isotherm.store.blobs_bucket import BucketBlobs
    from isotherm.store.objects_s3 import BucketObjects

    return BucketBlobs(folder / BLOBS, BucketObjects.open(known))


def _address(folder: Path) -> str:
    try:
        return (folder / BLOBS / ADDRESS).read_text("utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{folder / BLOBS / ADDRESS} cannot be read: {error}") from error


def _give(folder: Path, address: str, known: str) -> None:
    """Note that the files of a folder lie in a bucket, which must be there."""
    if not address.startswith("s3://"):
        raise UsageError(f"--blobs must be s3://bucket/prefix, not {address}; without it files are kept in {folder}")
    if known or next(Blobs(folder / BLOBS).digests(), None) is not None:
        where = known or f"{folder / BLOBS}"
        raise UsageError(
            f"{folder} keeps its files in {where}, not in {address}; move them by isotherm backup and isotherm restore "
            "to a new folder with --blobs"
        )
    from isotherm.store.objects_s3 import BucketObjects

    BucketObjects.open(address)
    write_whole(make_folder(folder / BLOBS) / ADDRESS, f"{address}\n".encode())


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
        yield Store(database, blobs_of(folder))


@contextmanager
def opened_database(url: str) -> Iterator[Database]:
    """Open a database that is there; raises DataError where a file of SQLite is not."""
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        raise DataError(f"there is no database {file}; one of PostgreSQL is named with --database or ISOTHERM_DATABASE")
    database = Database.open(url)
    try:
        yield database
    finally:
        database.close()


def is_backup(folder: Path) -> bool:
    """Say whether a folder holds a backup. Whoever opens its database changes it: it is then not what was backed up."""
    return (folder / MANIFEST).is_file() and (folder / DATABASE).is_file()


def sqlite_file(url: str) -> Path | None:
    """Return the file of a URL of SQLite, None for other URLs."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
