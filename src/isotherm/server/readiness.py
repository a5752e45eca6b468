"""What a server needs to work, and whether it has it; each check is cheap, for it is asked every few seconds."""

from __future__ import annotations

import os
from collections.abc import Callable

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from isotherm.core.errors import IsothermError
from isotherm.jobs.queue import workers_alive
from isotherm.store.database import Database
from isotherm.store.filesystem import has_room
from isotherm.store.migrate import check
from isotherm.workflows.service.service import Service


def readiness(service: Service) -> dict[str, bool]:
    """Return what a server needs, and whether it has it.

    ``database``: it answers, its schema is current, and it takes changes; ``folder``: the stored files can be
    written, and their bucket has answered lately; ``disk``: there is room on it; ``workers``: one at least has been
    heard of lately.
    """
    return {
        "database": _holds(lambda: _current(service.database) and _takes_changes(service.database)),
        "folder": service.blobs.writable(),
        "disk": has_room(service.folder),
        "workers": _holds(lambda: _worked_on(service.database)),
    }


def _holds(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except (IsothermError, OSError, SQLAlchemyError):
        # SQLAlchemy's: tables are missing, for somebody has taken the file away and an empty one came in its place.
        return False


def _current(database: Database) -> bool:
    check(database)
    return True


def _takes_changes(database: Database) -> bool:
    """Say whether the database may be written, without a lock: a file of SQLite, or the first of several servers."""
    if database.dialect == "sqlite":
        return os.access(database.engine.url.database or "", os.W_OK)
    with database.read() as session:
        return not session.scalar(select(func.pg_is_in_recovery()))


def _worked_on(database: Database) -> bool:
    with database.read() as session:
        return bool(workers_alive(database, session))
