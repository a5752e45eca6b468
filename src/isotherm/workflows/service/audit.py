"""Who did what, when: one line in the chained audit trail for each change, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import event, select
from sqlalchemy.orm import Session

from isotherm.store.audit import append, verify
from isotherm.store.tables import Audit
from isotherm.workflows.service.access import Actor, demand_everywhere
from isotherm.workflows.service.service import Service

_PENDING = "isotherm.audit"
_Line = tuple[str, str, str, dict[str, Any]]


def record(session: Session, actor: Actor, action: str, subject: str, details: Mapping[str, Any] | None = None) -> None:
    """Have one line written when the transaction is committed, and in it.

    The chain makes others wait for the end of the transaction; were it taken hold of earlier, two transactions could
    wait for each other.

    Parameters
    ----------
    session
        The transaction of the change.
    actor
        Who made it.
    action
        ``image.added``, ``model.activated`` ...
    subject
        The id of what was changed.
    details
        Plain values; no secrets, no contents of files.
    """
    lines: list[_Line] = session.info.setdefault(_PENDING, [])
    if not lines:
        event.listen(session, "before_commit", _write, once=True)
    lines.append((actor.name, action, subject, dict(details or {})))


def _write(session: Session) -> None:
    for actor, action, subject, details in session.info.pop(_PENDING, []):
        append(session, actor, action, subject, details)


def list_audit(
    service: Service, actor: Actor, *, action: str = "", after: int | None = None, limit: int = 50
) -> Sequence[Audit]:
    """Return lines of the trail, newest first, those before number `after`; for administrators of all sites."""
    demand_everywhere(actor, "admin")
    query = select(Audit).order_by(Audit.number.desc()).limit(max(1, min(limit, 200)))
    if action:
        query = query.where(Audit.action == action)
    if after is not None:
        query = query.where(Audit.number < after)
    with service.database.read() as session:
        return session.scalars(query).all()


def verify_audit(service: Service, actor: Actor) -> list[str]:
    """Return what is wrong with the chain, one sentence each; empty where nothing was changed or removed."""
    demand_everywhere(actor, "admin")
    with service.database.read() as session:
        return list(verify(session))
