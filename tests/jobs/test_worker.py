"""Workers with real child processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from job_kinds import cores
from sqlalchemy import func, select

from isotherm.jobs import queue
from isotherm.jobs.child import ChildFailedError
from isotherm.jobs.worker import WorkerSettings, run_worker
from isotherm.store.database import Database
from isotherm.store.tables import Blob, Job

PATIENCE_S = 60
# What a worker does with its processes does not depend on the database; one file of it is enough.
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def job_kinds_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def settings(url: str, **changes: object) -> WorkerSettings:
    quick = WorkerSettings(url, "job_kinds:workplace", (url,), poll_s=0.05, terminate_s=0.5, lease_s=3.0)
    return replace(quick, **changes)


@contextmanager
def working(configured: WorkerSettings) -> Iterator[threading.Event]:
    stop = threading.Event()
    thread = threading.Thread(target=run_worker, args=(configured, stop))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join()


def add(database: Database, kind: str, **payload: object) -> str:
    with database.write() as session:
        return queue.enqueue(session, kind, payload=payload).id


def job_of(database: Database, job_id: str) -> Job:
    with database.read() as session:
        return queue.get(session, job_id)


def wait_until(database: Database, job_id: str, ready: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + PATIENCE_S
    while not ready(job := job_of(database, job_id)):
        assert time.monotonic() < deadline, f"{job.kind} {job.state} {job.error}"
        time.sleep(0.02)
    return job


def ended(job: Job) -> bool:
    return job.state in queue.FINISHED


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@on_sqlite
def test_jobs_run_in_a_warm_process_that_gives_way_and_fresh_ones_in_their_own(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [add(database, kind) for kind in ("where", "where", "fresh", "where")]
    # On a busy machine a job takes seconds. Its worker must not lose the lease, nor look at a job that has just written
    # its end and not told so yet: either ends the process with the job.
    monkeypatch.setattr("isotherm.jobs.watching.LOOK_S", 60.0)
    with working(settings(database_url, lease_s=60.0)):
        jobs = [wait_until(database, job_id, ended) for job_id in ids]
    assert [job.state for job in jobs] == ["succeeded"] * 4
    pids = [job.result["pid"] for job in jobs]
    assert pids[0] == pids[1] != os.getpid()
    assert len(set(pids)) == 3
    assert {job.result["nice"] for job in jobs} == {min(19, 10 + os.nice(0))}
    assert int(jobs[0].result["threads"]) >= 1
    assert jobs[0].result["cores"] == max(1, cores() - 1)
    assert not any(is_running(pid) for pid in pids)


def test_cancelling_ends_a_job_that_looks_and_one_that_never_does(database: Database, database_url: str) -> None:
    looks, deaf = add(database, "count", items=1000, seconds=0.1), add(database, "sleep", seconds=100)
    with working(settings(database_url)):
        for job_id in (looks, deaf):
            wait_until(database, job_id, lambda job: job.state == "running")
            with database.write() as session:
                queue.cancel(session, job_id)
            assert wait_until(database, job_id, ended).state == "cancelled"
    with database.read() as session:
        written = session.scalar(select(func.count()).select_from(Blob))
    assert written == job_of(database, looks).done < 1000


@on_sqlite
def test_a_child_that_dies_is_replaced_and_its_job_tried_again(database: Database, database_url: str) -> None:
    once, always = add(database, "die", times=1), add(database, "die", times=99, signal=int(signal.SIGSEGV))
    with working(settings(database_url)):
        assert wait_until(database, once, ended).state == "succeeded"
        dead = wait_until(database, always, lambda job: job.attempts == 2 and job.state == "queued")
    assert job_of(database, once).result == {"attempt": 2}
    assert dead.error == "its process died: it was ended by SIGSEGV"


@on_sqlite
def test_what_is_too_long_or_too_large_has_failed_with_the_reason(database: Database, database_url: str) -> None:
    long, large = add(database, "short", seconds=100), add(database, "grow")
    with working(settings(database_url)):
        jobs = [wait_until(database, job_id, ended) for job_id in (long, large)]
    assert [job.state for job in jobs] == ["failed", "failed"]
    assert jobs[0].error == "it took longer than the 0.5 s that this kind of job may take"
    assert "MB of memory; this kind of job may use 200 MB" in jobs[1].error


def test_a_worker_that_is_stopped_hands_its_job_back(database: Database, database_url: str) -> None:
    job_id = add(database, "count", items=40, seconds=0.05)
    with working(settings(database_url)):
        wait_until(database, job_id, lambda job: job.done > 2)
    handed_back = job_of(database, job_id)
    assert (handed_back.state, handed_back.attempts, handed_back.owner) == ("queued", 0, None)
    with database.read() as session:
        assert queue.workers_alive(database, session) == []
    with working(settings(database_url)):
        assert wait_until(database, job_id, ended).state == "succeeded"
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Blob)) == 40


@on_sqlite
def test_a_worker_that_lost_its_lease_ends_the_job_and_writes_nothing(database: Database, database_url: str) -> None:
    job_id = add(database, "where_sleep", seconds=100)
    with working(settings(database_url, lease_s=120.0)):
        pid = wait_until(database, job_id, lambda job: job.message != "").message
        with database.write() as session:
            queue.get(session, job_id).lease_until_ms = 1
        other = queue.claim(database, "other", ["where_sleep"], lease_s=120.0)
        assert other is not None
        deadline = time.monotonic() + PATIENCE_S
        while is_running(int(pid)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        job = job_of(database, job_id)
        assert (job.state, job.owner, job.fence) == ("running", "other", 2)


@on_sqlite
def test_a_workplace_that_does_not_open_is_an_error_of_the_worker(database_url: str) -> None:
    with pytest.raises(ChildFailedError, match="it ended with status 1"):
        run_worker(settings(database_url, workplace="job_kinds:nothing"), threading.Event())


@on_sqlite
def test_a_worker_is_heard_of_and_keeps_its_job_while_a_process_starts_slowly(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    arguments = (database_url, str(tmp_path / "opened"))
    slow = settings(
        database_url, workplace="job_kinds:workplace_slow_but_once", arguments=arguments, lease_s=4.0, name="slow"
    )
    warm, fresh = add(database, "where"), add(database, "fresh")
    with working(slow):
        wait_until(database, warm, ended)
        while not ended(job := job_of(database, fresh)):
            with database.read() as session:
                assert [one.name for one in queue.workers_alive(database, session, within_s=4.0)] == ["slow"]
                assert job.state == "queued" or job.lease_until_ms > database.now_ms(session)
            time.sleep(0.1)
    assert (job.state, job.fence) == ("succeeded", 1)
