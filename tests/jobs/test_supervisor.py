from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from isotherm.jobs import queue
from isotherm.jobs.supervisor import Supervisor
from isotherm.jobs.worker import WorkerSettings
from isotherm.store.database import Database
from isotherm.store.tables import Job

PATIENCE_S = 60
PROGRAM = """
import sys, time
from isotherm.jobs.supervisor import Supervisor
from isotherm.jobs.worker import WorkerSettings
url = sys.argv[1]
with Supervisor(WorkerSettings(url, "job_kinds:workplace", (url,), lease_s=1.0, poll_s=0.05), 1) as supervisor:
    while not supervisor.processes():
        time.sleep(0.02)
    print(*supervisor.processes(), flush=True)
    time.sleep(600)
"""
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def job_kinds_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def wait_for(database: Database, job_id: str, ready: Callable[[Job], bool]) -> Job:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with database.read() as session:
            job = queue.get(session, job_id)
        if ready(job):
            return job
        assert time.monotonic() < deadline, f"{job.state} {job.done} {job.error}"
        time.sleep(0.02)


def add(database: Database, items: int) -> str:
    with database.write() as session:
        return queue.enqueue(session, "count", payload={"items": items, "seconds": 0.05}).id


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@on_sqlite
def test_a_worker_that_is_killed_is_replaced_and_its_job_goes_on_at_once(database: Database, database_url: str) -> None:
    job_id = add(database, 60)
    settings = WorkerSettings(
        database_url, "job_kinds:workplace", (database_url,), poll_s=0.05, terminate_s=1.0, lease_s=PATIENCE_S
    )
    with Supervisor(settings, 1) as supervisor:
        wait_for(database, job_id, lambda job: job.done > 0)
        (first,) = supervisor.processes()
        os.kill(first, signal.SIGKILL)
        # The lease would last longer than this test's patience.
        job = wait_for(database, job_id, lambda job: job.state == "succeeded")
        (second,) = supervisor.processes()
    assert (job.done, job.fence) == (60, 2)
    assert first != second
    assert not is_running(second)


@on_sqlite
def test_nothing_survives_a_supervisor_that_is_killed_and_the_next_one_goes_on(
    database: Database, database_url: str
) -> None:
    job_id = add(database, 60)
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, database_url], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        worker = int(server.stdout.readline())
        wait_for(database, job_id, lambda job: job.done > 0)
        (job_process,) = map(int, Path(f"/proc/{worker}/task/{worker}/children").read_text().split())
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    deadline = time.monotonic() + PATIENCE_S
    while is_running(worker) or is_running(job_process):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    settings = WorkerSettings(database_url, "job_kinds:workplace", (database_url,), lease_s=1.0, poll_s=0.05)
    with Supervisor(settings, 1):
        wait_for(database, job_id, lambda job: job.state == "succeeded")


@on_sqlite
def test_workers_that_cannot_start_are_started_less_and_less_often(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    def failures() -> list[float]:
        return [record.created for record in caplog.records if "ended with status 1" in record.message]

    deadline = time.monotonic() + PATIENCE_S
    with Supervisor(WorkerSettings(database_url, "job_kinds:nothing"), 1):
        while len(failures()) < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
    first, *_, last = failures()
    # Half a second, then one second, and what starting takes.
    assert last - first > 1.4
