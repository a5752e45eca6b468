"""Whether a store is whole: the database, the rows, the files, and that they belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Executable, func, select, text
from sqlalchemy.orm import Session

from isotherm.core.errors import OutputError
from isotherm.core.progress import Progress, silent
from isotherm.store import audit
from isotherm.store.blob_rows import referred
from isotherm.store.blobs import Blobs, Flaw
from isotherm.store.database import Database
from isotherm.store.folder import Store
from isotherm.store.tables import Blob, Finding, Image, Inspection, ModelVersion, Site

_MOST_SENTENCES = 100


@dataclass(frozen=True)
class Verification:
    """What was found.

    ``flaws`` should not be. ``orphans`` are files without a row, left by uploads that were killed; they are removed a
    day later. ``audit_rows`` and ``audit_digest`` are the newest row of the audit trail: who notes them elsewhere can
    tell whether its end was cut off.
    """

    flaws: tuple[Flaw, ...]
    orphans: tuple[str, ...]
    files: int
    audit_rows: int
    audit_digest: str


def verify(store: Store, progress: Progress = silent) -> Verification:
    """Check everything; files are read whole. The server may go on meanwhile."""
    # Listed before the rows are read: of a file that comes meanwhile the row is not missing.
    everything = set(store.blobs.digests())
    flaws = _database_flaws(store.database)
    head, rows = (0, ""), set[str]()
    # Rows of a database that is damaged tell nothing, and may not even be read.
    if not flaws:
        with store.database.read() as session:
            flaws += [flaw for check in _CHECKS for flaw in check(session)]
            flaws += _file_flaws(session, store.blobs)
            head = audit.head(session)
            rows = set(session.scalars(select(Blob.digest)))
    flaws += store.blobs.verify(progress)
    return Verification(tuple(flaws), tuple(sorted(everything - rows)), len(everything), *head)


def _database_flaws(database: Database) -> list[Flaw]:
    """Ask SQLite whether its file and the keys are whole; PostgreSQL does not let keys break."""
    flaws: list[Flaw] = []
    if database.dialect != "sqlite":
        return flaws
    try:
        with database.read() as session:
            sentences = session.scalars(text(f"PRAGMA integrity_check({_MOST_SENTENCES})"))
            flaws += [Flaw("database", str(sentence)) for sentence in sentences if sentence != "ok"]
            broken = session.execute(text("PRAGMA foreign_key_check")).fetchmany(_MOST_SENTENCES)
            flaws += [
                Flaw(f"{row[0]} row {row[1]}", f"refers to a row of {row[2]} that is not there") for row in broken
            ]
    except OutputError as error:
        # It may be too damaged even to be checked.
        flaws.append(Flaw("database", str(error)))
    return flaws


def _audit_flaws(session: Session) -> Iterator[Flaw]:
    return (Flaw("audit trail", sentence) for sentence in audit.verify(session))


def _counter_flaws(session: Session) -> Iterator[Flaw]:
    """Compare the counters of the sites with what they count."""
    counted: dict[str, Executable] = {
        "images": select(Image.site_id, func.count()).group_by(Image.site_id),
        "bytes": select(Image.site_id, func.sum(Image.size)).group_by(Image.site_id),
        "findings": select(Finding.site_id, func.count()).group_by(Finding.site_id),
    }
    for name, query in counted.items():
        found = {site: int(number) for site, number in session.execute(query)}
        for site in session.scalars(select(Site).order_by(Site.id)):
            if getattr(site, name) != found.get(site.id, 0):
                yield Flaw(f"site {site.id}", f"counts {getattr(site, name)} {name} and has {found.get(site.id, 0)}")


def _pointer_flaws(session: Session) -> Iterator[Flaw]:
    """Find pointers that no foreign key watches and that lead nowhere."""
    for pointer, kind in ((Site.active_model, "classifier"), (Site.active_anomaly_model, "anomaly")):
        models = select(ModelVersion.id).where(
            ModelVersion.id == pointer, ModelVersion.site_id == Site.id, ModelVersion.kind == kind
        )
        for site, model in session.execute(select(Site.id, pointer).where(pointer.is_not(None), ~models.exists())):
            yield Flaw(f"site {site}", f"judges with the {kind} model {model}, which it does not have")
    latest = select(Image.id).where(Image.latest_inspection.is_not(None))
    found = select(Inspection.id).where(Inspection.id == Image.latest_inspection, Inspection.image_id == Image.id)
    for image in session.scalars(latest.where(~found.exists())):
        yield Flaw(f"image {image}", "has a latest inspection that is not there")


_CHECKS = (_audit_flaws, _counter_flaws, _pointer_flaws)


def _file_flaws(session: Session, blobs: Blobs) -> Iterator[Flaw]:
    """Find rows whose file is missing or has another size."""
    used, sizes = referred(session), dict[str, int]()
    for row in session.execute(select(Blob.digest, Blob.size, Blob.deleted_at)):
        if row.deleted_at is None or row.digest in used:
            sizes[row.digest] = row.size
    yield from (Flaw(f"file {digest}", "is used, and no row tells of it") for digest in sorted(used - sizes.keys()))
    for digest, size in sizes.items():
        if (found := blobs.size(digest)) is None:
            yield Flaw(f"file {digest}", "is missing")
        elif found != size:
            yield Flaw(f"file {digest}", f"has {found} bytes, not {size}")
