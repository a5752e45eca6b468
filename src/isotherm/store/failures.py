"""What a database says went wrong, in the errors of isotherm."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from isotherm.core.errors import BusyError, ConflictError, IsothermError, OutputError, StorageFullError

# https://www.sqlite.org/rescode.html (a full disk may show as a failed write of the log or of its shared memory) and
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE", "53100"})
_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03")
_CONTRADICTION = ("SQLITE_CONSTRAINT", "23")
_BROKEN = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_CANTOPEN", "58")
_UNREACHABLE = "unreachable"


@contextmanager
def translated() -> Iterator[None]:
    """Raise the error of isotherm for one of the database, or of SQLite's driver alone."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        found = _meaning(error)
        if found is None:
            raise
        raise found from error
    except NoConnection as error:
        raise BusyError("all connections to the database are in use") from error


def is_full(error: DBAPIError) -> bool:
    """Say whether a database lacks room."""
    return _code(error.orig) in _FULL


def _meaning(error: DBAPIError | sqlite3.Error) -> IsothermError | None:
    """Return what an error means; None for what is a mistake of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = _code(cause)
    said = str(cause).strip().partition("\n")[0]
    if code in _FULL:
        return StorageFullError(f"the database cannot grow ({said}); free some room, nothing stored is hurt")
    if code.startswith(_BUSY):
        return BusyError("the database is busy")
    if code.startswith(_CONTRADICTION):
        return ConflictError(f"that contradicts what is stored ({said})")
    if code == _UNREACHABLE or (isinstance(error, DBAPIError) and error.connection_invalidated):
        return BusyError("the database does not answer", 5)
    if code.startswith(_BROKEN):
        return OutputError(f"the database fails ({said}); look at the disk, and run isotherm verify")
    return None


def _code(cause: BaseException | None) -> str:
    """Return the name (SQLite) or the SQLSTATE (PostgreSQL) of what went wrong."""
    if isinstance(cause, sqlite3.Error):
        return str(getattr(cause, "sqlite_errorname", ""))
    state = getattr(cause, "sqlstate", None)
    if state is None:
        # The driver of PostgreSQL has no state where it could not talk to the server.
        return _UNREACHABLE if type(cause).__name__ == "OperationalError" else ""
    return str(state)
