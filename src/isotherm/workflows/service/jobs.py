"""Jobs as their people see them: lists, progress, log; cancelled and tried again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from isotherm.core.errors import ConfigError
from isotherm.jobs import queue
from isotherm.store.tables import Job, JobLog
from isotherm.workflows.service.access import Actor, Scope, at_sites, demand_everywhere, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.paging import USUAL, Page, read_page
from isotherm.workflows.service.service import Service

STATES = (*queue.ACTIVE, *queue.FINISHED)
_SCOPES: dict[str, Scope] = {"train": "train", "evaluate": "train"}


def list_jobs(
    service: Service,
    actor: Actor,
    *,
    site_id: str | None = None,
    kind: str = "",
    state: str = "",
    after: Sequence[object] | None = None,
    limit: int = USUAL,
) -> Page[Job]:
    """Return jobs, newest first, without their payloads: one may name ten thousand images.

    Raises
    ------
    ConfigError
        There is no such state.
    """
    query = select(Job).options(defer(Job.payload, raiseload=True)).where(at_sites(actor, Job.site_id, site_id))
    if state:
        if state not in STATES:
            raise ConfigError(f"state must be one of {', '.join(STATES)}, not {state!r}")
        query = query.where(Job.state == state)
    if kind:
        query = query.where(Job.kind == kind)
    with service.database.read() as session:
        return read_page(session, query, [Job.id], after=after, limit=limit)


def get_job(service: Service, actor: Actor, job_id: str) -> Job:
    """Return a job; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, Job, job_id)


def job_log(service: Service, actor: Actor, job_id: str, *, after: int = 0, limit: int = 1000) -> Sequence[JobLog]:
    """Return the lines of a job's log with a number above `after`."""
    with service.database.read() as session:
        fetch(session, actor, Job, job_id)
        return queue.log_lines(session, job_id, after, limit)


def cancel_job(service: Service, actor: Actor, job_id: str) -> Job:
    """End a job, or ask its worker to; needs the scope that starting it needs.

    Raises
    ------
    ConflictError
        It has ended already.
    """
    return _change(service, actor, job_id, "job.cancelled", queue.cancel)


def retry_job(service: Service, actor: Actor, job_id: str) -> Job:
    """Let a failed, cancelled or dead job wait again; what it has finished stays finished."""
    return _change(service, actor, job_id, "job.retried", queue.retry)


def _change(service: Service, actor: Actor, job_id: str, action: str, change: Callable[[Session, str], Job]) -> Job:
    with service.database.write() as session:
        known = fetch(session, actor, Job, job_id)
        fetch(session, actor, Job, job_id, _SCOPES.get(known.kind, "write"))
        job = change(session, job_id)
        session.flush()
        record(session, actor, action, job.id, {"kind": job.kind, "state": job.state})
    return job


def pause_jobs(service: Service, actor: Actor, kind: str) -> None:
    """Start no job of a kind until `resume_jobs`; needs the scope admin for all sites."""
    demand_everywhere(actor, "admin")
    with service.database.write() as session:
        queue.pause(session, kind)
        record(session, actor, "jobs.paused", kind)


def resume_jobs(service: Service, actor: Actor, kind: str) -> None:
    """Start jobs of a kind again; needs the scope admin for all sites."""
    demand_everywhere(actor, "admin")
    with service.database.write() as session:
        queue.resume(session, kind)
        record(session, actor, "jobs.resumed", kind)
