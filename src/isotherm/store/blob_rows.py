"""What the database knows of the stored files: which there are, who refers to them, and which may go.

The order that never loses a file: first `isotherm.store.blobs.Blobs.put`, then `remember` in the transaction of the
row that refers to it. `collect` removes what nothing refers to, a day later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from isotherm.store.blobs import KEEP_S, Blobs, Stored
from isotherm.store.database import Database
from isotherm.store.pieces import in_pieces
from isotherm.store.tables import Blob, Image, ModelVersion, Offer, now

_KEEP = {
    name: insert(Blob.__table__).on_conflict_do_update(  # type: ignore[arg-type]
        index_elements=["digest"], set_={"deleted_at": None}
    )
    for name, insert in (("sqlite", sqlite.insert), ("postgresql", postgresql.insert))
}


@dataclass(frozen=True)
class Collected:
    """What `collect` did: rows marked for removal, files removed, files without a row removed, unfinished removed."""

    marked: int
    removed: int
    orphans: int
    unfinished: int


def remember(session: Session, *contents: Stored) -> None:
    """Note that files are kept; one that was marked for removal stays.

    Their rows are written in one order everywhere, so that two transactions never wait for each other.
    """
    rows = [
        {"digest": digest, "size": size, "created_at": now(), "deleted_at": None}
        for digest, size in sorted({(stored.digest, stored.size) for stored in contents})
    ]
    session.execute(_KEEP[session.get_bind().dialect.name], rows)


def known(session: Session, digests: Iterable[str]) -> set[str]:
    """Return those of `digests` that are kept."""
    wanted = sorted(set(digests))
    found: set[str] = set()
    for part in in_pieces(wanted):
        found |= set(session.scalars(select(Blob.digest).where(Blob.digest.in_(part))))
    return found


def referred(session: Session) -> set[str]:
    """Return the digests that images, models and offers refer to."""
    found = set(session.scalars(select(Image.digest).distinct())) | set(session.scalars(select(Offer.digest)))
    found |= {str(one) for one in session.scalars(select(Image.thumbnail).where(Image.thumbnail.is_not(None)))}
    for files in session.scalars(select(ModelVersion.files)):
        found |= {str(digest) for digest in files.values()}
    return found


def collect(database: Database, blobs: Blobs, *, keep_s: float = KEEP_S) -> Collected:
    """Mark files that nothing refers to, and remove those that have been marked for longer than `keep_s` [s].

    It may run beside uploads and be killed at any point. A file goes inside the transaction that holds its row, so
    that whoever stores the same content meanwhile either keeps it or sees that it has gone; and never while it is
    younger than `keep_s`, so that it may be referred to later than it was stored. Offers as old are taken back.
    """
    with database.write() as session:
        session.execute(delete(Offer).where(Offer.created_at < now() - timedelta(seconds=keep_s)))
    with database.read() as session:
        unused = set(session.scalars(select(Blob.digest))) - referred(session)
    marked = removed = 0
    for part in in_pieces(sorted(unused)):
        with database.write() as session:
            marked += _mark(session, part)
            removed += _remove(session, blobs, part, keep_s)
    orphans = sum(_remove_orphans(database, blobs, part, keep_s) for part in in_pieces(list(blobs.digests())))
    blobs.reconcile(partial(_known, database), keep_s)
    return Collected(marked, removed, orphans, blobs.sweep(older_than_s=keep_s))


def _known(database: Database, digests: set[str]) -> set[str]:
    with database.read() as session:
        return known(session, digests)


def _mark(session: Session, digests: Sequence[str]) -> int:
    still = sorted(set(digests) - _used(session, digests))
    rows = update(Blob).where(Blob.digest.in_(still), Blob.deleted_at.is_(None)).values(deleted_at=now())
    return int(session.execute(rows).rowcount)  # type: ignore[attr-defined]


def _remove(session: Session, blobs: Blobs, digests: Sequence[str], keep_s: float) -> int:
    """Remove marked files and their rows; a file that is too young keeps its row."""
    old = select(Blob.digest).where(Blob.digest.in_(digests), Blob.deleted_at < now() - timedelta(seconds=keep_s))
    locked = set(session.scalars(old.with_for_update()))
    gone = [digest for digest in sorted(locked - _used(session, digests)) if blobs.discard(digest, keep_s)]
    session.execute(delete(Blob).where(Blob.digest.in_(gone)))
    return len(gone)


def _used(session: Session, digests: Sequence[str]) -> set[str]:
    """Return those of a few digests that are referred to now."""
    used = set(session.scalars(select(Image.digest).where(Image.digest.in_(digests))))
    used |= set(session.scalars(select(Offer.digest).where(Offer.digest.in_(digests))))
    used |= {str(one) for one in session.scalars(select(Image.thumbnail).where(Image.thumbnail.in_(digests)))}
    for files in session.scalars(select(ModelVersion.files)):
        used |= set(files.values()) & set(digests)
    return used


def _remove_orphans(database: Database, blobs: Blobs, digests: Sequence[str], keep_s: float) -> int:
    """Remove files that no row tells of, left by those who were killed between file and row."""
    with database.read() as session:
        orphans = set(digests) - known(session, digests)
    if not orphans:
        return 0
    with database.write() as session:
        orphans -= known(session, orphans)
        return sum(blobs.discard(digest, keep_s) for digest in sorted(orphans))
