"""Taking things out of the database together with all that hangs on them; contents of files go a day later."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from isotherm.core.errors import ConflictError
from isotherm.store.tables import (
    Activation,
    Asset,
    Blob,
    Category,
    DriftCheck,
    Feedback,
    Finding,
    Image,
    Inspection,
    Job,
    JobItem,
    JobLog,
    ModelVersion,
    Site,
    now,
)

_OWNED = (Feedback, Finding, Inspection, Image, Asset, Category, Activation, DriftCheck)


def remove_site(session: Session, site: Site) -> None:
    """Delete a site and its rows; raises ConflictError while one of its jobs is queued or running.

    Which contents nothing refers to any more, `isotherm.store.blob_rows.collect` finds: to ask for each of very many
    would keep all other writers waiting.
    """
    jobs = select(Job.id).where(Job.site_id == site.id)
    if session.scalar(jobs.where(Job.state.in_(("queued", "running"))).limit(1)) is not None:
        raise ConflictError(f"a job of the site {site.name!r} is not finished; cancel it first")
    site.active_model = site.active_anomaly_model = None
    for table in _OWNED:
        session.execute(delete(table).where(table.site_id == site.id))
    session.execute(delete(ModelVersion).where(ModelVersion.site_id == site.id))
    for part in (JobItem, JobLog):
        session.execute(delete(part).where(part.job_id.in_(jobs)))
    session.execute(delete(Job).where(Job.site_id == site.id))
    session.delete(site)
    session.flush()


def remove_image(session: Session, image: Image) -> None:
    """Delete an image with its inspections, findings and feedback, and count the site's down."""
    findings = session.execute(delete(Finding).where(Finding.image_id == image.id)).rowcount  # type: ignore[attr-defined]
    for table in (Feedback, Inspection):
        session.execute(delete(table).where(table.image_id == image.id))
    session.delete(image)
    session.flush()
    if image.site_id is not None:
        session.execute(
            update(Site)
            .where(Site.id == image.site_id)
            .values(images=Site.images - 1, findings=Site.findings - findings, bytes=Site.bytes - image.size)
        )
        _hand_on(session, image)
    release(session, {image.digest, image.thumbnail or image.digest})


def _hand_on(session: Session, image: Image) -> None:
    """Make the oldest duplicate of a deleted image the first of them."""
    # The digest says nothing new, but there is an index that begins with it.
    twins = (Image.site_id == image.site_id, Image.digest == image.digest, Image.duplicate_of == image.id)
    heir = session.scalar(select(Image.id).where(*twins).order_by(Image.id).limit(1))
    if heir is not None:
        session.execute(update(Image).where(*twins).values(duplicate_of=heir))
        session.execute(update(Image).where(Image.id == heir).values(duplicate_of=None))


def release(session: Session, digests: Iterable[str]) -> None:
    """Mark contents that no image shows any more for removal."""
    for digest in sorted(digests):
        used = select(Image.id).where((Image.digest == digest) | (Image.thumbnail == digest)).limit(1)
        if session.scalar(used) is None:
            session.execute(update(Blob).where(Blob.digest == digest).values(deleted_at=now()))
