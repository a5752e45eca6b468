"""The queue against a model of it: any order of claims, ends of leases, results, cancels and late writes."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from queue_clock import ClockedDatabase
from sqlalchemy import delete, select

from databases import PostgreSQL
from isotherm.jobs import queue
from isotherm.jobs.context import JobContext, JobStopped
from isotherm.jobs.queue import Lease, LeaseLostError
from isotherm.store.tables import Job, JobItem

LEASE_MS = int(queue.LEASE_S * 1000)
MOST_ATTEMPTS = 2


@dataclass
class ModelJob:
    """What a job must look like."""

    exclusive: str | None
    priority: int
    order: int
    state: str = "queued"
    fence: int = 0
    attempts: int = 0
    until: int = 0
    after: int = 0
    cancel: bool = False
    items: set[str] = field(default_factory=set)

    def ends(self, state: str) -> None:
        self.state = state

    def fails(self, *, wait_until: int, most: int = MOST_ATTEMPTS) -> None:
        spent = self.attempts >= most
        self.state = "cancelled" if self.cancel else "dead" if spent else "queued"
        self.after = wait_until


class QueueMachine(RuleBasedStateMachine):
    """All jobs belong to no site, so the order within a priority is that in which they were added, or tried again."""

    database: ClockedDatabase
    jobs = Bundle("jobs")
    leases = Bundle("leases")

    def __init__(self) -> None:
        super().__init__()
        with self.database.write() as session:
            session.execute(delete(JobItem))
            session.execute(delete(Job))
        self.model: dict[str, ModelJob] = {}
        self.database.now = 1_000_000

    @property
    def now(self) -> int:
        assert self.database.now is not None
        return self.database.now

    @rule(target=jobs, exclusive=st.sampled_from([None, "a", "b"]), priority=st.integers(0, 1))
    def enqueue(self, exclusive: str | None, priority: int) -> str:
        with self.database.write() as session:
            job = queue.enqueue(
                session, "kind", payload={}, exclusive=exclusive, priority=priority, most_attempts=MOST_ATTEMPTS
            )
        self.model[job.id] = ModelJob(exclusive, priority, self._last())
        return job.id

    def _last(self) -> int:
        return max((job.order for job in self.model.values()), default=0) + 1

    @rule(seconds=st.sampled_from([0.4, 2, 6, 15.1, 61]))
    def time_passes(self, seconds: float) -> None:
        self.database.now = self.now + int(1000 * seconds)

    @rule(target=leases, worker=st.sampled_from("xyz"))
    def claim(self, worker: str) -> object:
        self._model_puts_back()
        expected = self._model_next()
        lease = queue.claim(self.database, worker, ["kind"])
        if expected is None:
            assert lease is None
            return multiple()
        assert lease is not None
        job = self.model[expected]
        job.state, job.fence, job.attempts, job.until = "running", job.fence + 1, job.attempts + 1, self.now + LEASE_MS
        assert lease == Lease(expected, worker, job.fence)
        return lease

    def _model_puts_back(self) -> None:
        for job in self.model.values():
            if job.state == "running" and job.until <= self.now:
                job.fails(wait_until=0, most=MOST_ATTEMPTS * queue.LOST_WORTH)

    def _model_next(self) -> str | None:
        held = {job.exclusive for job in self.model.values() if job.state == "running"} - {None}
        may = [
            (-job.priority, job.order, name)
            for name, job in self.model.items()
            if job.state == "queued" and job.after <= self.now and job.exclusive not in held
        ]
        return min(may)[2] if may else None

    def _holds(self, lease: Lease) -> bool:
        job = self.model[lease.job_id]
        return job.state == "running" and job.fence == lease.fence

    @rule(lease=leases)
    def renew(self, lease: Lease) -> None:
        job = self.model[lease.job_id]
        if self._holds(lease):
            assert queue.renew(self.database, lease) == job.cancel
            job.until = self.now + LEASE_MS
        else:
            with pytest.raises(LeaseLostError):
                queue.renew(self.database, lease)

    @rule(lease=leases, item=st.sampled_from("123"))
    def commit_item(self, lease: Lease, item: str) -> None:
        job = self.model[lease.job_id]
        context = JobContext(self.database, lease)
        if self._holds(lease):
            assert context.commit_item(item) == (item not in job.items)
            job.attempts = job.attempts if item in job.items else 1
            job.items.add(item)
        else:
            with pytest.raises(JobStopped):
                context.commit_item(item)

    @rule(lease=consumes(leases), outcome=st.sampled_from(["succeeded", "failed", "again", "back"]))
    def end(self, lease: Lease, outcome: str) -> None:
        holds = self._holds(lease)
        with suppress(LeaseLostError), self.database.write() as session:
            if outcome == "again":
                queue.try_again(session, lease, "why", self.now)
            elif outcome == "back":
                queue.hand_back(session, lease)
            else:
                queue.finish(session, lease, outcome)
            assert holds
        if holds:
            self._model_ends(self.model[lease.job_id], outcome)

    def _model_ends(self, job: ModelJob, outcome: str) -> None:
        if outcome == "again":
            job.fails(wait_until=self.now + int(1000 * queue.wait_s(job.attempts)))
        elif outcome == "back" and not job.cancel:
            job.state, job.after, job.attempts = "queued", 0, job.attempts - 1
        else:
            job.ends("cancelled" if outcome == "back" else outcome)

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        job = self.model[job_id]
        with suppress(queue.ConflictError), self.database.write() as session:
            queue.cancel(session, job_id)
            assert job.state in ("queued", "running", "cancelled")
        if job.state == "queued":
            job.state, job.cancel = "cancelled", True
        elif job.state == "running":
            job.cancel = True

    @rule(job_id=jobs)
    def retry(self, job_id: str) -> None:
        job = self.model[job_id]
        with suppress(queue.ConflictError), self.database.write() as session:
            queue.retry(session, job_id)
            assert job.state in ("failed", "cancelled", "dead")
        if job.state in ("failed", "cancelled", "dead"):
            job.state, job.attempts, job.after, job.cancel = "queued", 0, 0, False
            job.order = self._last()

    @invariant()
    def agrees(self) -> None:
        with self.database.read() as session:
            rows = {job.id: job for job in session.scalars(select(Job))}
            items: dict[str, set[str]] = {name: set() for name in self.model}
            for item in session.scalars(select(JobItem)):
                items[item.job_id].add(item.item)
        found = {n: (j.state, j.fence, j.attempts, j.cancel_requested, j.done) for n, j in rows.items()}
        assert found == {n: (j.state, j.fence, j.attempts, j.cancel, len(j.items)) for n, j in self.model.items()}
        assert items == {name: job.items for name, job in self.model.items()}
        held = [job.exclusive for job in rows.values() if job.state == "running" and job.exclusive]
        assert len(held) == len(set(held))


def check(url: str, *, examples: int, steps: int) -> None:
    database = ClockedDatabase.open(url)
    machine = type("Machine", (QueueMachine,), {"database": database})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        database.close()


def test_the_queue_behaves_as_its_model_on_sqlite(sqlite_template: Path) -> None:
    # In memory where the system has such a folder: thousands of small transactions, none worth the flushing.
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        path = Path(folder) / "isotherm.db"
        shutil.copyfile(sqlite_template, path)
        check(f"sqlite:///{path}", examples=40, steps=40)


def test_the_queue_behaves_as_its_model_on_postgresql(postgresql: PostgreSQL) -> None:
    with postgresql.database() as url:
        check(url, examples=10, steps=30)
