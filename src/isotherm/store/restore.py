"""A backup back into a data folder that does not exist yet, and into a file of SQLite or PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isotherm.core.errors import DataError
from isotherm.core.files import make_folder, sha256_of
from isotherm.core.progress import Progress, silent
from isotherm.core.scratch import scratch_folder
from isotherm.store.backup import (
    Contents,
    Manifest,
    Outcome,
    contents_of,
    copy_files,
    demand_empty,
    read_manifest,
)
from isotherm.store.blobs import Blobs
from isotherm.store.copying import copy_rows, settle, take_back_opening
from isotherm.store.filesystem import failed, flush_folder
from isotherm.store.folder import BLOBS, DATABASE, MANIFEST, Store, blobs_of, opened_database, sqlite_file
from isotherm.store.migrate import upgrade, version_of


def restore(backup: Path, folder: Path, url: str, progress: Progress = silent, *, blobs: str = "") -> Outcome:
    """Restore a backup to a new or empty data folder, and bring its database to the newest schema.

    The database gets its name last: what was not finished is no data folder.

    Parameters
    ----------
    backup
        Made by `isotherm.store.backup.back_up`.
    folder
        The data folder.
    url
        Where the database shall be: a file of SQLite that is not there, or an empty database of PostgreSQL.
    progress
        Is told of rows and files.
    blobs
        ``s3://bucket/prefix`` where the files shall be; empty for the data folder.

    Raises
    ------
    DataError
        It is no backup, its database is damaged, or it is of a newer isotherm.
    OutputError
        The folder is not empty, or cannot be written.
    """
    manifest = read_manifest(backup)
    demand_empty(make_folder(folder))
    _demand_absent(url)
    target = sqlite_file(url)
    working = (target or folder / DATABASE).with_suffix(".part")
    try:
        contents = _take_database(backup / DATABASE, working, manifest)
        flaws = copy_files(Blobs(backup / BLOBS), blobs_of(folder, blobs), contents.sizes, progress, link=False)
        # There also where nothing is stored yet.
        make_folder(folder / BLOBS)
        if target is None:
            _into(url, working, progress)
        else:
            working.replace(target)
            flush_folder(target.parent)
    except OSError as error:
        raise failed(f"the backup cannot be restored to {folder}", error) from error
    finally:
        for name in (working.name, f"{working.name}-wal", f"{working.name}-shm"):
            # What cannot be removed lies about and is in nobody's way; the error that is told is the first one.
            with suppress(OSError):
                working.with_name(name).unlink()
    return Outcome(manifest, tuple(flaws))


@contextmanager
def opened_backup(backup: Path) -> Iterator[Store]:
    """Open a backup to look at it, without changing it: its files, and a copy of its database in the newest schema.

    Raises
    ------
    DataError
        It is no backup, its database is damaged, or it is of a newer isotherm.
    OutputError
        There is no room for the copy among the temporary files.
    """
    manifest = read_manifest(backup)
    try:
        with scratch_folder() as folder:
            _take_database(backup / DATABASE, folder / DATABASE, manifest)
            with opened_database(f"sqlite:///{folder / DATABASE}") as database:
                yield Store(database, Blobs(backup / BLOBS))
    except OSError as error:
        raise failed(f"the backup {backup} cannot be looked at", error) from error


def _demand_absent(url: str) -> None:
    """Raise DataError where there is a database already."""
    file = sqlite_file(url)
    if file is not None:
        if file.exists():
            raise DataError(f"{file} is there already; name a new file, so that nothing is overwritten")
        return
    with opened_database(url) as database:
        if version_of(database):
            raise DataError("the database holds tables of isotherm already; give an empty one")


def _take_database(source: Path, working: Path, manifest: Manifest) -> Contents:
    """Copy the database of a backup, check it and bring it to the newest schema; returns what it says there is."""
    if not source.is_file():
        raise DataError(f"the backup is damaged: {source} is missing")
    shutil.copyfile(source, working)
    wanted = manifest.database_sha256
    # Earlier versions of `isotherm verify` opened the file itself; its sha256 proves what was backed up then, too.
    if sha256_of(working) != wanted and not take_back_opening(working, wanted):
        raise DataError(
            f"the backup is damaged: {source} is not the database that was backed up (sha256 {wanted[:12]}...): it was "
            "damaged, or something has written into it; take another copy of this backup, or see what is in this one: "
            f"copy the folder, remove {MANIFEST} from the copy, and run isotherm verify --data COPY"
        )
    with opened_database(f"sqlite:///{working}") as database:
        upgrade(database)
        contents = contents_of(database)
    if (contents.audit_rows, contents.audit_digest) != (manifest.audit_rows, manifest.audit_digest):
        raise DataError("the backup is damaged: its audit trail does not end as its manifest says")
    settle(working)
    return contents


def _into(url: str, working: Path, progress: Progress) -> None:
    """Copy all rows into an empty database of PostgreSQL, in one transaction."""
    with opened_database(url) as target, opened_database(f"sqlite:///{working}") as source:
        upgrade(target)
        with source.read() as rows, target.write() as session:
            copy_rows(rows, session, progress)
