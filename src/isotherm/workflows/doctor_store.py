"""The data folder and the database of a server, looked at without changing anything."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from isotherm.core.errors import IsothermError, one_line


@dataclass(frozen=True)
class Finding:
    """Something of the data folder: its name, whether it is as it should be, and what it is."""

    name: str
    sound: bool
    says: str


def data_folder(folder: Path, database_url: str | None) -> list[Finding]:
    """Return what is there; an empty list where there is neither folder nor database to look at."""
    if not (database_url or os.environ.get("ISOTHERM_DATABASE") or folder.exists()):
        return []
    return [_database(folder, database_url), *_folder(folder)]


def _database(folder: Path, database_url: str | None) -> Finding:
    from isotherm.store.folder import sqlite_file
    from isotherm.workflows.service.service import url_of

    try:
        url = url_of(folder, database_url)
        file = sqlite_file(url)
        if file is not None and not file.exists():
            return Finding("database", True, f"{file}: not there yet; isotherm serve makes it")
        return _of_open(url)
    except IsothermError as error:
        return Finding("database", False, one_line(error))


def _of_open(url: str) -> Finding:
    from isotherm.jobs.queue import workers_alive
    from isotherm.store.database import Database
    from isotherm.store.migrate import check, newest

    with closing(Database.open(url)) as database:
        check(database)
        with database.read() as session:
            alive = len(workers_alive(database, session))
        said = f"{database.engine.url!r}: schema {newest()}, which is current; {alive} workers alive"
        return Finding("database", True, said)


def _folder(folder: Path) -> list[Finding]:
    if not folder.exists():
        return [Finding("folder", True, f"{folder}: not there yet; isotherm serve makes it")]
    from isotherm.store.filesystem import LEAST_FREE, LEAST_FREE_BYTES, has_room

    usage = shutil.disk_usage(folder)
    sound = has_room(usage.free, usage.total)
    room = f"{folder}: {usage.free / 1e9:.1f} GB free, {usage.free / max(1, usage.total):.0%}"
    least = f"the server is not ready below {LEAST_FREE:.0%} or {LEAST_FREE_BYTES / 1e9:.0f} GB, whichever is less"
    return [Finding("folder", sound, room if sound else f"{room}; {least}")]
