"""Copies of a database: a snapshot in one file of SQLite, made while others write, and back into any database."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import func, insert, select, text
from sqlalchemy.orm import Session

from isotherm.core.errors import DataError
from isotherm.core.files import sha256_of
from isotherm.core.progress import Progress
from isotherm.store.database import Database
from isotherm.store.failures import translated
from isotherm.store.filesystem import flush_folder
from isotherm.store.migrate import upgrade
from isotherm.store.tables import Table

_HEADER_BYTES = 100
_PAGES_AT_ONCE = 2048
_ROWS_AT_ONCE = 1000


def snapshot(database: Database, target: Path, progress: Progress) -> None:
    """Write the state of a database at this moment to a new file of SQLite, whatever the database is."""
    with translated():
        copy = _pages if database.dialect == "sqlite" else _rows
        copy(database, target, progress)


def settle(path: Path) -> None:
    """Make a file of SQLite that nobody uses whole in itself, and flush it: any medium will do to read it from.

    Raises
    ------
    DataError
        It is not whole.
    """
    with translated(), closing(sqlite3.connect(path, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DataError(f"the copy of the database is not whole ({verdict}); run isotherm verify")
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
    flush_folder(path.parent)


def take_back_opening(path: Path, sha256: str) -> bool:
    """Make a file of SQLite again what it was before it was opened; say whether it has this sha256 then.

    Who opens a file and only reads it changes the header alone: the versions of the format (2 means that there is a log
    beside it) and the counter of changes, which stands there twice (https://www.sqlite.org/fileformat2.html, 1.3).
    """
    with path.open("r+b") as stream:
        header = bytearray(stream.read(_HEADER_BYTES))
        counter = int.from_bytes(header[24:28], "big")
        if len(header) < _HEADER_BYTES or header[18:20] != b"\2\2" or header[24:28] != header[92:96] or counter == 0:
            return False
        before = (counter - 1).to_bytes(4, "big")
        header[18:20], header[24:28], header[92:96] = b"\1\1", before, before
        stream.seek(0)
        stream.write(header)
    return sha256_of(path) == sha256


def _pages(database: Database, target: Path, progress: Progress) -> None:
    """Copy page by page: https://www.sqlite.org/backup.html; a reading transaction holds the state still."""

    def tell(status: int, remaining: int, total: int) -> None:  # noqa: ARG001 (the form of the driver)
        progress(total - remaining, total, "pages of the database copied")

    with database.read() as session, closing(sqlite3.connect(target)) as copy:
        session.execute(text("SELECT count(*) FROM sqlite_schema"))
        source = session.connection().connection.driver_connection
        if not isinstance(source, sqlite3.Connection):
            raise TypeError(f"not a connection of SQLite: {source}")
        source.backup(copy, pages=_PAGES_AT_ONCE, progress=tell)


def _rows(database: Database, target: Path, progress: Progress) -> None:
    copy = Database.open(f"sqlite:///{target}")
    try:
        upgrade(copy)
        with database.read() as source, copy.write() as session:
            copy_rows(source, session, progress)
    finally:
        copy.close()


def copy_rows(source: Session, target: Session, progress: Progress) -> None:
    """Copy all rows of all tables into empty ones, those that others refer to first."""
    tables = Table.metadata.sorted_tables
    total = sum(source.scalar(select(func.count()).select_from(table)) or 0 for table in tables)
    done = 0
    for table in tables:
        rows = source.execute(select(table).execution_options(yield_per=_ROWS_AT_ONCE))
        for part in rows.mappings().partitions():
            target.execute(insert(table), [dict(row) for row in part])
            done += len(part)
            progress(done, total, "rows of the database copied")
