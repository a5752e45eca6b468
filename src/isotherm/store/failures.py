"""What a database says went wrong, in the errors of isotherm."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection

from isotherm.core.errors import BusyError, ConflictError, IsothermError, OutputError, StorageFullError

# https://www.sqlite.org/rescode.html; a full disk may show as a failed write of the log or of its shared memory.
_SQLITE_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"})
_SQLITE_BUSY = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED"})
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_FULL = frozenset({"53100"})
_POSTGRESQL_BUSY = frozenset({"40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03"})


@contextmanager
def translated() -> Iterator[None]:
    """Raise the error of isotherm for one of the database."""
    try:
        yield
    except DBAPIError as error:
        found = _translation(error)
        if found is None:
            raise
        raise found from error
    except NoConnection as error:
        raise BusyError("all connections to the database are in use") from error


def _translation(error: DBAPIError) -> IsothermError | None:
    code = _code(error)
    if code in _SQLITE_FULL | _POSTGRESQL_FULL:
        return StorageFullError(f"the database cannot grow ({error.orig}); free some room, nothing stored is hurt")
    if code.startswith(tuple(_SQLITE_BUSY)) or code in _POSTGRESQL_BUSY:
        return BusyError("the database is busy")
    if isinstance(error, IntegrityError):
        return ConflictError(f"that contradicts what is stored ({_first_line(error)})")
    if error.connection_invalidated or code == "unreachable":
        return BusyError("the database does not answer", 5)
    if code.startswith(("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_READONLY", "SQLITE_CANTOPEN", "58")):
        return OutputError(f"the database fails ({_first_line(error)}); look at the disk, and run isotherm verify")
    return None


def _code(error: DBAPIError) -> str:
    """Return the name (SQLite) or the SQLSTATE (PostgreSQL) of what went wrong."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorname", "")
    state = getattr(cause, "sqlstate", None)
    if state is None:
        # The driver of PostgreSQL has no state where it could not talk to the server.
        return "unreachable" if type(cause).__name__ == "OperationalError" else ""
    return str(state)


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().partition("\n")[0]
