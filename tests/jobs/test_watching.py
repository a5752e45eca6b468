"""A job's end, and what happens to it from outside in the same moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from isotherm.jobs import queue
from isotherm.jobs.child import Child, Limits
from isotherm.jobs.queue import Lease, LeaseWatch
from isotherm.jobs.watching import Post, WatchedJob
from isotherm.store.database import Database

ENDLESS = Limits(fresh=False, most_s=1e9, most_mb=1 << 20, every_s=0)


@pytest.fixture(autouse=True)
def always_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotherm.jobs.watching.LOOK_S", 0.0)


class ScriptedChild(Child):
    """A process of which each look calls the next step of a script: its answer is None while the job runs."""

    def __init__(self, *steps: Callable[[], bool | None]) -> None:
        self._steps = iter(steps)
        self.asked = self.killed = False

    def ended(self, within_s: float) -> bool | None:
        return next(self._steps)()

    def memory_mb(self) -> float:
        return 0.0

    def ask_to_end(self) -> None:
        self.asked = True

    def kill(self) -> None:
        self.killed = True

    def end(self) -> None:
        pass

    def how_it_ended(self) -> str:
        return "it ended with status 0"


def runs() -> None:
    return None


def claimed(database: Database) -> Lease:
    with database.write() as session:
        queue.enqueue(session, "work", payload={})
    lease = queue.claim(database, "worker", ["work"], lease_s=60.0)
    assert lease is not None
    return lease


def watched(database: Database, lease: Lease, child: ScriptedChild) -> WatchedJob:
    post = Post(database, LeaseWatch(60.0), lease_s=60.0, terminate_s=60.0, stop=threading.Event())
    return WatchedJob(post, child, lease, ENDLESS)


def state_of(database: Database, lease: Lease) -> str:
    with database.read() as session:
        return queue.get(session, lease.job_id).state


def test_a_cancel_that_is_seen_as_the_job_ends_costs_no_process(database: Database) -> None:
    lease = claimed(database)

    def is_cancelled() -> None:
        with database.write() as session:
            queue.cancel(session, lease.job_id)

    def ends() -> bool:
        with database.write() as session:
            queue.finish(session, lease, "succeeded")
        return True

    child = ScriptedChild(runs, is_cancelled, ends)
    assert watched(database, lease, child).wait()
    assert child.asked
    assert not child.killed
    assert state_of(database, lease) == "succeeded"


def test_a_process_that_has_written_the_end_is_given_time_to_say_so(database: Database) -> None:
    lease = claimed(database)

    def writes_its_end() -> None:
        with database.write() as session:
            queue.finish(session, lease, "succeeded")

    child = ScriptedChild(runs, writes_its_end, runs, runs, lambda: True)
    assert watched(database, lease, child).wait()
    assert not child.asked
    assert not child.killed


def test_a_process_whose_job_another_worker_has_is_killed_at_once(database: Database) -> None:
    lease = claimed(database)

    def is_taken_over() -> None:
        with database.write() as session:
            queue.release(session, "worker")
        # The lease has ended, and a watch that has looked on for long enough believes it.
        watch = LeaseWatch(0.001)
        time.sleep(0.01)
        assert queue.claim(database, "other", ["work"], watch=watch) is not None

    child = ScriptedChild(runs, is_taken_over)
    assert not watched(database, lease, child).wait()
    assert child.killed
    assert state_of(database, lease) == "running"


@pytest.mark.parametrize(("stops", "attempts"), [(True, 0), (False, 1)])
def test_a_job_that_is_stopped_together_with_its_worker_loses_no_attempt(
    database: Database, *, stops: bool, attempts: int
) -> None:
    lease = claimed(database)
    stop = threading.Event()

    def both_are_told_to_end() -> bool:
        if stops:
            stop.set()
        return False

    child = ScriptedChild(both_are_told_to_end)
    post = Post(database, LeaseWatch(60.0), lease_s=60.0, terminate_s=60.0, stop=stop)
    assert not WatchedJob(post, child, lease, ENDLESS).wait()
    with database.read() as session:
        job = queue.get(session, lease.job_id)
    assert (job.state, job.attempts, bool(job.error)) == ("queued", attempts, not stops)


@contextmanager
def real_child(url: str) -> Iterator[Child]:
    child = Child("job_kinds:workplace", (url,))
    try:
        yield child
    finally:
        child.end()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_order_that_comes_after_the_end_does_not_reach_the_next_job(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    with database.write() as session:
        for kind in ("where", "count", "count"):
            queue.enqueue(session, kind, payload={"items": 3, "seconds": 0.01})
    kinds = ("where", "count")
    with real_child(database_url) as child:

        def begun() -> None:
            lease = queue.claim(database, "worker", kinds, lease_s=60.0)
            assert lease is not None
            child.begin(lease)

        begun()
        assert child.ended(60.0)
        child.ask_to_end()
        begun()
        assert child.ended(60.0)
        begun()
        child.ask_to_end()
        assert child.ended(60.0) is False
        assert child.alive()
