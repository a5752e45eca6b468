"""What people say that a verdict should have been; the next training of the site learns from it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from isotherm.core.errors import ConflictError
from isotherm.store.tables import Feedback, Image, Inspection, ModelVersion, Site
from isotherm.workflows.service.access import LOCK, Actor, at_sites, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.categories import named_category, usable_category
from isotherm.workflows.service.models import ANOMALY
from isotherm.workflows.service.paging import USUAL, Page, read_page
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import check_note


def give_feedback(
    service: Service,
    actor: Actor,
    inspection_id: str,
    category: str,
    *,
    note: str = "",
    create: bool = True,
) -> Feedback:
    """Say what the verdict of an inspection should have been (or that it was right); needs the scope write.

    One person says one thing of one inspection: what they say again replaces it.

    Parameters
    ----------
    inspection_id, category
        Which verdict; the name of a category of the site or of the common ones.
    note
        A remark.
    create
        Make a category of the site where there is none of that name; else it is a NotFoundError.
    """
    note = check_note(note)
    with service.database.write() as session:
        inspection = fetch(session, actor, Inspection, inspection_id, "write")
        # Whoever answers for the same image at the same time waits here, so that one row is made.
        session.get(Image, inspection.image_id, with_for_update=LOCK)
        if create:
            found = named_category(service, session, actor, inspection.site_id, category)
        else:
            found = usable_category(session, inspection.site_id, category)
        said = _row(session, actor, inspection)
        said.category_id, said.note, said.used_in = found.id, note, None
        session.flush()
        record(session, actor, "feedback.given", said.id, {"inspection": inspection.id, "category": found.name})
    return said


def _row(session: Session, actor: Actor, inspection: Inspection) -> Feedback:
    mine = select(Feedback).where(Feedback.inspection_id == inspection.id, Feedback.created_by == actor.name)
    found = session.scalar(mine)
    if found is None:
        found = Feedback(
            site_id=inspection.site_id,
            image_id=inspection.image_id,
            inspection_id=inspection.id,
            said=inspection.label or "",
            created_by=actor.name,
        )
        session.add(found)
    return found


def withdraw_feedback(service: Service, actor: Actor, feedback_id: str) -> None:
    """Take feedback back; raises ConflictError where a model has learnt from it."""
    with service.database.write() as session:
        said = fetch(session, actor, Feedback, feedback_id, "write", lock=True)
        if said.used_in is not None:
            raise ConflictError("a model has learnt from this feedback; correct it by giving another answer")
        session.delete(said)
        session.flush()
        record(session, actor, "feedback.withdrawn", said.id, {"inspection": said.inspection_id})


def is_waiting() -> ColumnElement[bool]:
    """Return the condition of corrections that no model has learnt from, or not the classifier where there is one."""
    scorers = select(ModelVersion.id).join(Site, Site.id == ModelVersion.site_id)
    beside = scorers.where(ModelVersion.kind == ANOMALY, Site.active_model.is_not(None))
    return or_(Feedback.used_in.is_(None), Feedback.used_in.in_(beside))


def list_feedback(
    service: Service,
    actor: Actor,
    *,
    site_id: str | None = None,
    unused: bool = False,
    after: Sequence[object] | None = None,
    limit: int = USUAL,
) -> Page[Feedback]:
    """Return feedback, newest first; `unused`: only what is offered for the next training."""
    query = select(Feedback).where(at_sites(actor, Feedback.site_id, site_id))
    if unused:
        query = query.where(is_waiting())
    with service.database.read() as session:
        return read_page(session, query, [Feedback.id], after=after, limit=limit)
