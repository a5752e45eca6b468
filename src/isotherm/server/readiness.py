"""What a server needs to work, and whether it has it; each check is cheap, for it is asked every few seconds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from isotherm.core.errors import IsothermError
from isotherm.jobs.queue import LEASE_S, workers_alive
from isotherm.store.database import Database
from isotherm.store.filesystem import has_room
from isotherm.store.migrate import check
from isotherm.workflows.service.service import Service

T = TypeVar("T")

HEARD_WITHIN_S = LEASE_S
"""A worker says so each third of a lease that it is alive, also while a process for jobs starts."""


@dataclass(frozen=True)
class Condition:
    """What was found, asked once for all who want to know.

    Parameters
    ----------
    checks
        What a server needs, and whether it has it. ``database``: it answers, its schema is current, and it takes
        changes; ``folder``: the stored files can be written, and their bucket has answered lately; ``disk``: there is
        room on it; ``workers``: one at least has been heard of lately.
    workers
        How many are alive; None where the database does not tell.
    disk_free_bytes, disk_size_bytes
        Of the disk of the data folder.
    """

    checks: dict[str, bool]
    workers: int | None
    disk_free_bytes: int
    disk_size_bytes: int


def condition_of(service: Service) -> Condition:
    """Look at a server."""
    database, workers = service.database, _answer(lambda: _workers(service.database))
    disk = shutil.disk_usage(service.folder)
    checks = {
        "database": bool(_answer(lambda: _current(database) and _takes_changes(database))),
        "folder": service.blobs.writable(),
        "disk": has_room(disk.free, disk.total),
        "workers": bool(workers),
    }
    return Condition(checks, workers, disk.free, disk.total)


def readiness(service: Service) -> dict[str, bool]:
    """Return the checks of `Condition`."""
    return condition_of(service).checks


def _answer(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except (IsothermError, OSError, SQLAlchemyError):
        # SQLAlchemy's: tables are missing, for somebody has taken the file away and an empty one came in its place.
        return None


def _current(database: Database) -> bool:
    check(database)
    return True


def _takes_changes(database: Database) -> bool:
    """Say whether the database may be written, without a lock: a file of SQLite, or the first of several servers."""
    if database.dialect == "sqlite":
        return os.access(database.engine.url.database or "", os.W_OK)
    with database.read() as session:
        return not session.scalar(select(func.pg_is_in_recovery()))


def _workers(database: Database) -> int:
    with database.read() as session:
        return len(workers_alive(database, session, within_s=HEARD_WITHIN_S))
