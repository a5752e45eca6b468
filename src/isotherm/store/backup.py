"""Backups: a folder with a snapshot of the database, the files that it refers to, and a manifest.

The database first, then the files: a row is written after its file, and a file is removed a day after its last row, so
everything that was acknowledged before the backup began is in it, while the server goes on. The snapshot is a file of
SQLite whatever the database is, so that a backup also moves a server from SQLite to PostgreSQL or back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from sqlalchemy import select

from isotherm import __version__
from isotherm.core.errors import DataError, NotFoundError, OutputError
from isotherm.core.files import make_folder, sha256_of, write_whole
from isotherm.core.progress import Progress, silent
from isotherm.store import audit
from isotherm.store.blob_rows import referred
from isotherm.store.blobs import Blobs, Flaw
from isotherm.store.copying import settle, snapshot
from isotherm.store.database import Database
from isotherm.store.filesystem import failed
from isotherm.store.folder import BLOBS, DATABASE, MANIFEST, Store, opened_database
from isotherm.store.migrate import newest
from isotherm.store.tables import Blob, now

ANY_SIZE = 1 << 62
_KIND = "isotherm backup 1"


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    ``schema`` is the version of the database's tables, ``audit_rows`` and ``audit_digest`` the newest row of the audit
    trail, ``files`` and ``bytes`` the number and the size of the stored files that are in it.
    """

    isotherm: str
    schema: str
    made_at: str
    database_sha256: str
    audit_rows: int
    audit_digest: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Contents:
    """What a database says there is: sizes of stored files by digest [bytes], the newest row of the audit trail."""

    sizes: Mapping[str, int]
    audit_rows: int
    audit_digest: str


@dataclass(frozen=True)
class Outcome:
    """A backup, or a folder that was restored from it; `flaws` are stored files that are missing or damaged."""

    manifest: Manifest
    flaws: tuple[Flaw, ...]


def back_up(store: Store, folder: Path, progress: Progress = silent) -> Outcome:
    """Write a backup to a new or empty folder.

    Files are linked where the disk is the same (they are never changed, only removed), else copied and checked. The
    manifest comes last: a folder without it is no backup.

    Raises
    ------
    OutputError
        The folder is not empty, or cannot be written.
    """
    demand_empty(make_folder(folder))
    target = folder / DATABASE
    try:
        snapshot(store.database, target, progress)
        with opened_database(f"sqlite:///{target}") as copy:
            contents = contents_of(copy)
        settle(target)
        flaws = copy_files(store.blobs, Blobs(folder / BLOBS), contents.sizes, progress, link=True)
        manifest = _manifest(contents, target, flaws)
        # All links, folders and copies at once, before the manifest says that they are there.
        os.sync()
        _write_manifest(folder, manifest)
        os.sync()
    except OSError as error:
        raise failed(f"the backup {folder} cannot be written", error) from error
    return Outcome(manifest, tuple(flaws))


def demand_empty(folder: Path) -> None:
    """Raise OutputError where a folder holds anything."""
    try:
        found = any(folder.iterdir())
    except OSError as error:
        raise failed(f"the folder {folder} cannot be read", error) from error
    if found:
        raise OutputError(f"{folder} is not empty; name a new folder, so that nothing is overwritten")


def contents_of(database: Database) -> Contents:
    """Return what a database says that there is; files that are marked for removal and not used are left out."""
    with database.read() as session:
        used = referred(session)
        rows = session.execute(select(Blob.digest, Blob.size, Blob.deleted_at)).all()
        sizes = {row.digest: row.size for row in rows if row.deleted_at is None or row.digest in used}
        return Contents(sizes, *audit.head(session))


def copy_files(source: Blobs, target: Blobs, sizes: Mapping[str, int], progress: Progress, *, link: bool) -> list[Flaw]:
    """Copy stored files, or link them; returns those that are missing or damaged, and goes on with the others."""
    flaws = []
    for done, digest in enumerate(sorted(sizes), 1):
        try:
            if not link or not target.link(digest, source):
                with source.open(digest) as stream:
                    target.put(stream, most_bytes=ANY_SIZE, digest=digest)
        except NotFoundError:
            flaws.append(Flaw(f"file {digest}", "is missing"))
        except DataError:
            flaws.append(Flaw(f"file {digest}", "is damaged"))
        progress(done, len(sizes), "files copied")
    return flaws


def _manifest(contents: Contents, database: Path, flaws: list[Flaw]) -> Manifest:
    flawed = {flaw.subject.removeprefix("file ") for flaw in flaws}
    kept = [size for digest, size in contents.sizes.items() if digest not in flawed]
    return Manifest(
        isotherm=__version__,
        schema=newest(),
        made_at=now().isoformat(timespec="seconds"),
        database_sha256=sha256_of(database),
        audit_rows=contents.audit_rows,
        audit_digest=contents.audit_digest,
        files=len(kept),
        bytes=sum(kept),
    )


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    text = json.dumps({"kind": _KIND, **asdict(manifest)}, indent=1)
    write_whole(folder / MANIFEST, text.encode("ascii"))


def read_manifest(folder: Path) -> Manifest:
    """Return what a backup says of itself; raises DataError where it is none, or not whole."""
    path = folder / MANIFEST
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{folder} is no backup, or one that was not finished: it has no {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict) or found.pop("kind", None) != _KIND:
        raise DataError(f"{path} is not the manifest of a backup that this isotherm knows ({_KIND!r})")
    kinds = {field.name: {"str": str, "int": int}[str(field.type)] for field in fields(Manifest)}
    if found.keys() != kinds.keys() or not all(type(found[name]) is kind for name, kind in kinds.items()):
        raise DataError(f"{path} is damaged: it should have {', '.join(kinds)}")
    return Manifest(**found)
