"""The queue of jobs: rows of the database, in the caller's transaction where a caller has one.

A worker holds a job by a **lease**: its name and a number (the fence) that grows with each claim. The rules:

- A claim is one UPDATE. Among what may start, the highest priority goes first; within a priority sites take turns, so
  that a site with a thousand jobs does not keep one with a single job waiting. A job whose ``exclusive`` key is held
  by a running job waits; an index of the schema forbids two such jobs to run, whoever errs.
- Each write of a worker is fenced: it changes the row only while that worker still holds the lease. Results of an item
  and the item's own row commit together (`isotherm.jobs.context`).
- A lease ends by the database's clock and is renewed each third of its time. When it has ended, the next claim by
  anybody puts the job back, or declares it dead after its attempts are used up.
- What may be tried again waits longer each time. Attempts are counted from the last item that was finished, so a long
  batch survives any number of stops as long as it gets ahead.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from isotherm.core.errors import ConflictError, NotFoundError
from isotherm.store.database import Database
from isotherm.store.tables import Job, JobItem, JobLog, JobPause, Worker, now

LEASE_S = 15.0
"""How long a lease lasts without being renewed [s]."""
MOST_ATTEMPTS = 3
LOST_WORTH = 5
"""A job dies in a process apart from its worker's. Where the worker itself vanished, that was hardly the job's doing
(the machine stopped, a server was killed), so this many times more such attempts are made."""
LONGEST_WAIT_S = 60.0
"""The longest pause before another attempt [s]."""
LONGEST_ERROR = 2000
ACTIVE = ("queued", "running")
FINISHED = ("succeeded", "failed", "cancelled", "dead")
_SILENT = "the worker that ran it stopped without a word"


@dataclass(frozen=True)
class Lease:
    """The right to write a job's row: nobody has claimed it since."""

    job_id: str
    owner: str
    fence: int


class LeaseLostError(Exception):
    """Another worker has claimed the job, or it was ended from outside: what this one does is of no use any more."""


class LeaseWatch:
    """Says whether what the database's clock tells of other workers' leases can be believed.

    When that clock jumps, all leases seem to have ended at once (forwards) or to last for ages (backwards), while
    their owners are alive and will renew them soon. So after a jump, seen by comparison with the monotonic clock, no
    lease is taken over for the time that a lease lasts. A lease that ends later than any lease can is one from before
    a jump; it counts as ended once this watch has run for a lease's time without another jump.

    Parameters
    ----------
    lease_s
        How long a lease lasts [s].
    monotonic
        A clock that never jumps [s].
    """

    def __init__(self, lease_s: float = LEASE_S, monotonic: Any = time.monotonic) -> None:
        self._lease_s, self._monotonic = lease_s, monotonic
        self._believe_past = self._last = monotonic()
        self._believe_far = self._last + lease_s
        self._last_ms: int | None = None

    def look(self, now_ms: int) -> None:
        """Compare the clocks; to be called more often than a lease lasts."""
        here = self._monotonic()
        if self._last_ms is not None:
            jump_s = (now_ms - self._last_ms) / 1000 - (here - self._last)
            if abs(jump_s) > self._lease_s / 3:
                self._believe_past = self._believe_far = here + self._lease_s
        self._last, self._last_ms = here, now_ms

    def ended(self, now_ms: int) -> ColumnElement[bool]:
        """Return the condition that a running job's lease has ended."""
        here = self._monotonic()
        past = Job.lease_until_ms <= (now_ms if here >= self._believe_past else 0)
        far_ms = now_ms + int(self._lease_s * 2000)
        return or_(past, Job.lease_until_ms > far_ms) if here >= self._believe_far else past


# --- What everybody may do ------------------------------------------------------------------------------------------


def enqueue(  # noqa: PLR0913 (one row of the table; all but two are by name)
    session: Session,
    kind: str,
    *,
    payload: Mapping[str, Any],
    site_id: str | None = None,
    exclusive: str | None = None,
    priority: int = 0,
    most_attempts: int = MOST_ATTEMPTS,
    created_by: str = "",
) -> Job:
    """Add a job; it exists when the caller's transaction commits, together with all else that this writes."""
    job = Job(
        kind=kind,
        payload=dict(payload),
        site_id=site_id,
        exclusive=exclusive,
        priority=priority,
        most_attempts=most_attempts,
        created_by=created_by,
        turn=_next_turn(session, site_id, priority),
    )
    session.add(job)
    session.flush()
    return job


def enqueue_when_due(session: Session, kind: str, every_s: float) -> None:
    """Add a job of the house-keeping where none waits or runs and the last one is older than `every_s` [s].

    It gives way to all others, and its older rows are removed: they would hide what people have asked for.
    """
    recent = or_(Job.state.in_(ACTIVE), Job.created_at > now() - timedelta(seconds=every_s))
    if session.scalar(select(Job.id).where(Job.kind == kind, recent).limit(1)) is not None:
        return
    _remove(session, list(session.scalars(select(Job.id).where(Job.kind == kind).order_by(Job.id.desc()).offset(1))))
    enqueue(session, kind, payload={}, exclusive=kind, priority=-1)


def _next_turn(session: Session, site_id: str | None, priority: int) -> int:
    """Return one more than the site's last job has that waits or runs; a site with none lines up with whoever is next.

    Running ones count, because they may be put back, and then come before what was added later.
    """
    alike = Job.priority == priority
    own = session.scalar(select(func.max(Job.turn)).where(alike, Job.state.in_(ACTIVE), Job.site_id == site_id))
    if own is not None:
        return own + 1
    return session.scalar(select(func.min(Job.turn)).where(alike, Job.state == "queued")) or 0


def storable(text: str) -> str:
    """Return a text without what PostgreSQL cannot hold: NUL, and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def get(session: Session, job_id: str) -> Job:
    """Return a job; raises `NotFoundError`."""
    job = session.get(Job, job_id, populate_existing=True)
    if job is None:
        raise NotFoundError("job", job_id)
    return job


def holder(session: Session, exclusive: str) -> Job | None:
    """Return the job that waits or runs under an exclusive key, the oldest; None where there is none."""
    found = select(Job).where(Job.exclusive == exclusive, Job.state.in_(ACTIVE)).order_by(Job.id).limit(1)
    return session.scalar(found)


def cancel(session: Session, job_id: str) -> Job:
    """End a waiting job; ask the worker of a running one to end it. Raises `ConflictError` where it has ended."""
    _change(session, job_id, Job.state == "queued", state="cancelled", finished_at=now(), cancel_requested=True)
    _change(session, job_id, Job.state == "running", cancel_requested=True)
    job = get(session, job_id)
    if job.state not in ("running", "cancelled"):
        raise ConflictError(f"the job has already ended ({job.state})")
    return job


def retry(session: Session, job_id: str) -> Job:
    """Let an ended job wait again, behind its site's others, with all its attempts; finished items stay finished."""
    job = get(session, job_id)
    turn = _next_turn(session, job.site_id, job.priority)
    ended = Job.state.in_(("failed", "cancelled", "dead"))
    fresh = {"state": "queued", "attempts": 0, "run_after_ms": 0, "cancel_requested": False, "error": ""}
    if not _change(session, job_id, ended, finished_at=None, turn=turn, **fresh):
        job = get(session, job_id)
        raise ConflictError(f"only a failed, cancelled or dead job can be tried again; this one is {job.state}")
    return get(session, job_id)


def _change(session: Session, job_id: str, condition: ColumnElement[bool], **values: Any) -> bool:
    changed = _update(Job.id == job_id, condition, **values).returning(Job.id)
    return session.execute(changed).first() is not None


def _update(*conditions: ColumnElement[bool], **values: Any) -> Any:
    counted = {"row_version": Job.row_version + 1, **values}
    return update(Job).where(*conditions).values(**counted).execution_options(synchronize_session=False)


def pause(session: Session, kind: str) -> None:
    """Start no job of a kind until `resume`; running ones go on."""
    if session.get(JobPause, kind) is None:
        session.add(JobPause(kind=kind))


def resume(session: Session, kind: str) -> None:
    """Start jobs of a kind again."""
    session.execute(delete(JobPause).where(JobPause.kind == kind))


def paused(session: Session) -> set[str]:
    """Return the kinds that are paused."""
    return set(session.scalars(select(JobPause.kind)))


def active_counts(session: Session) -> dict[tuple[str, str], int]:
    """Return how many jobs wait or run, by (kind, state)."""
    active = select(Job.kind, Job.state, func.count()).where(Job.state.in_(ACTIVE))
    rows = session.execute(active.group_by(Job.kind, Job.state))
    return {(kind, state): number for kind, state, number in rows}


def log_lines(session: Session, job_id: str, after: int = 0, most: int = 1000) -> list[JobLog]:
    """Return the lines of a job's log with a number above `after`, the first ones first."""
    wanted = select(JobLog).where(JobLog.job_id == job_id, JobLog.number > after)
    return list(session.scalars(wanted.order_by(JobLog.number).limit(most)))


def purge(session: Session, before: datetime, most: int = 500) -> int:
    """Remove up to `most` jobs that ended before a time, with their items and logs; returns how many."""
    old = select(Job.id).where(Job.finished_at < before).order_by(Job.finished_at).limit(most)
    ids = list(session.scalars(old))
    _remove(session, ids)
    return len(ids)


def _remove(session: Session, ids: Sequence[str]) -> None:
    for table in (JobItem, JobLog):
        session.execute(delete(table).where(table.job_id.in_(ids)))
    session.execute(delete(Job).where(Job.id.in_(ids)))


def forget_workers(session: Session, now_ms: int) -> None:
    """Remove the rows of workers that have not been heard of for a day."""
    session.execute(delete(Worker).where(Worker.seen_ms < now_ms - 86_400_000))


# --- What workers do ------------------------------------------------------------------------------------------------


def waiting(session: Session, kinds: Collection[str], now_ms: int, watch: LeaseWatch) -> bool:
    """Say whether a claim would find or mend anything; a look that takes no lock."""
    stale = and_(Job.state == "running", watch.ended(now_ms))
    may = and_(*_may_start(kinds, now_ms))
    return bool(session.scalar(select(or_(exists().where(stale), exists().where(may)))))


def claim(
    database: Database,
    worker: str,
    kinds: Collection[str],
    *,
    lease_s: float = LEASE_S,
    watch: LeaseWatch | None = None,
) -> Lease | None:
    """Take the next job for a worker; None where there is none. Jobs with an ended lease are put back first."""
    watch = watch or LeaseWatch(lease_s)
    try:
        with database.write() as session:
            now_ms = database.now_ms(session)
            watch.look(now_ms)
            put_back_ended(session, now_ms, watch)
            lease = _take(session, worker, kinds, now_ms, now_ms + int(lease_s * 1000))
            if lease is not None:
                _heard(session, worker, now_ms)
            return lease
    except ConflictError:
        # Two workers took jobs with one exclusive key in the same instant; the other was first.
        return None


def _take(session: Session, worker: str, kinds: Collection[str], now_ms: int, until_ms: int) -> Lease | None:
    first = (
        select(Job.id)
        .where(*_may_start(kinds, now_ms))
        .order_by(Job.priority.desc(), Job.turn, Job.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    taken = _update(
        Job.id == first,
        Job.state == "queued",
        state="running",
        owner=worker,
        fence=Job.fence + 1,
        attempts=Job.attempts + 1,
        lease_until_ms=until_ms,
        started_at=func.coalesce(Job.started_at, now()),
        finished_at=None,
    ).returning(Job.id, Job.fence)
    row = session.execute(taken).first()
    return None if row is None else Lease(row.id, worker, row.fence)


def _may_start(kinds: Collection[str], now_ms: int) -> tuple[ColumnElement[bool], ...]:
    other = aliased(Job)
    held = exists().where(other.state == "running", other.exclusive == Job.exclusive)
    # A pause longer than any is one from before the clock jumped back.
    due = or_(Job.run_after_ms <= now_ms, Job.run_after_ms > now_ms + int(LONGEST_WAIT_S * 2000))
    return (
        Job.state == "queued",
        Job.kind.in_(list(kinds)),
        Job.kind.not_in(select(JobPause.kind)),
        due,
        or_(Job.exclusive.is_(None), ~held),
    )


def put_back_ended(session: Session, now_ms: int, watch: LeaseWatch) -> None:
    """Let jobs wait again whose lease has ended; those without attempts left are dead, those to be cancelled end."""
    spent = Job.attempts >= LOST_WORTH * Job.most_attempts
    outcome = case((Job.cancel_requested, "cancelled"), (spent, "dead"), else_="queued")
    session.execute(
        _update(
            Job.state == "running",
            watch.ended(now_ms),
            state=outcome,
            owner=None,
            run_after_ms=0,
            error=case((Job.cancel_requested, ""), else_=_SILENT),
            finished_at=case((or_(Job.cancel_requested, spent), now()), else_=None),
        )
    )


def fenced(session: Session, lease: Lease, **values: Any) -> bool:
    """Change the job's row as its holder, and hold it until the transaction ends; returns whether to cancel.

    Raises `LeaseLostError` where the lease is another's.
    """
    mine = (Job.id == lease.job_id, Job.owner == lease.owner, Job.fence == lease.fence, Job.state == "running")
    row = session.execute(_update(*mine, **values).returning(Job.cancel_requested)).first()
    if row is None:
        raise LeaseLostError(f"job {lease.job_id} is not held by {lease.owner} any more")
    return bool(row.cancel_requested)


def renew(database: Database, lease: Lease, *, lease_s: float = LEASE_S, watch: LeaseWatch | None = None) -> bool:
    """Let the lease last for its whole time from now; returns whether to cancel. Raises `LeaseLostError`."""
    with database.write() as session:
        now_ms = database.now_ms(session)
        if watch is not None:
            watch.look(now_ms)
        # No new row_version: nothing that anybody looks at has changed.
        cancel = fenced(session, lease, lease_until_ms=now_ms + int(lease_s * 1000), row_version=Job.row_version)
        _heard(session, lease.owner, now_ms)
        return cancel


def _heard(session: Session, worker: str, now_ms: int) -> None:
    """Who takes or has a job is alive, and has no time to say so otherwise; after the job's row, as in `release`."""
    session.execute(update(Worker).where(Worker.name == worker).values(seen_ms=now_ms))


def finish(
    session: Session, lease: Lease, state: str, *, result: Mapping[str, Any] | None = None, error: str = ""
) -> None:
    """End a job as its holder: ``succeeded``, ``failed`` or ``cancelled``."""
    values = {} if result is None else {"result": dict(result)}
    ended = {"state": state, "owner": None, "finished_at": now(), "error": storable(error)[:LONGEST_ERROR]}
    fenced(session, lease, **values, **ended)


def try_again(session: Session, lease: Lease, reason: str, now_ms: int) -> None:
    """Put a job back as its holder, to wait longer each time; without attempts left it is dead."""
    cancelled = fenced(session, lease)
    job = get(session, lease.job_id)
    spent = job.attempts >= job.most_attempts
    fenced(
        session,
        lease,
        state="cancelled" if cancelled else "dead" if spent else "queued",
        owner=None,
        error=storable(reason)[:LONGEST_ERROR],
        run_after_ms=now_ms + int(1000 * wait_s(job.attempts)),
        finished_at=now() if cancelled or spent else None,
    )


def wait_s(attempts: int) -> float:
    """Return how long a job waits after so many attempts [s]: 0.5, 2, 8 ... up to a minute."""
    return float(min(LONGEST_WAIT_S, 0.5 * 4.0 ** max(0, min(attempts, 10) - 1)))


def hand_back(session: Session, lease: Lease) -> None:
    """Put a job back as its holder because the worker stops, not because of the job: no attempt is counted."""
    if fenced(session, lease):
        finish(session, lease, "cancelled")
    else:
        fenced(session, lease, state="queued", owner=None, run_after_ms=0, attempts=Job.attempts - 1)


def is_cancelled(database: Database, lease: Lease) -> bool:
    """Say whether the job is to be cancelled, without a lock; raises `LeaseLostError`."""
    with database.read() as session:
        job = get(session, lease.job_id)
    if (job.owner, job.fence, job.state) != (lease.owner, lease.fence, "running"):
        raise LeaseLostError(f"job {lease.job_id} is not held by {lease.owner} any more")
    return job.cancel_requested


def claimed_since(database: Database, lease: Lease) -> bool:
    """Say whether somebody has claimed a job after this lease, which is lost; False where it was only ended."""
    with database.read() as session:
        return get(session, lease.job_id).fence != lease.fence


def release(session: Session, worker: str) -> None:
    """End the leases of a worker that is known to be dead, so that nobody has to wait for them."""
    session.execute(_update(Job.owner == worker, Job.state == "running", lease_until_ms=0))
    session.execute(delete(Worker).where(Worker.name == worker))


def beat(database: Database, worker: str, watch: LeaseWatch | None = None) -> None:
    """Say that a worker is alive."""
    with database.write() as session:
        now_ms = database.now_ms(session)
        if watch is not None:
            watch.look(now_ms)
        known = session.get(Worker, worker)
        if known is None:
            session.add(Worker(name=worker, seen_ms=now_ms))
        else:
            known.seen_ms = now_ms


def workers_alive(database: Database, session: Session, *, within_s: float = LEASE_S) -> list[Worker]:
    """Return the workers that have been heard of lately."""
    since_ms = database.now_ms(session) - int(within_s * 1000)
    return list(session.scalars(select(Worker).where(Worker.seen_ms >= since_ms).order_by(Worker.name)))
