"""The system's clock jumps by a day while real workers and a real server work: no lease is stolen, nothing is doubled.

The clock is that of SQLite, of Python and of the files alike. What the queue decides is in ``tests/jobs``.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from sqlalchemy import select

from isotherm.jobs import queue
from isotherm.jobs.leashed import command
from isotherm.jobs.worker import WorkerSettings
from isotherm.store.database import Database
from isotherm.store.tables import Blob, Job

DAY_S = 86_400
ITEMS, ITEM_S, LEASE_S = 60, 0.1, 10.0
JOBS = Path(__file__).parents[1] / "jobs"


class Clock:
    """A clock of the day for processes that are started with `environment`."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.set(0)
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "JUMPING_CLOCK": str(file)}

    def set(self, offset_s: int) -> None:
        """Let the clock be ahead of the true one [s]; at once, in all processes."""
        with self._file.open("r+b" if self._file.exists() else "wb") as stream:
            stream.write(struct.pack("@l", offset_s))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the clock; skips where that is not possible."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a compiler of C")
    target = tmp_path_factory.mktemp("clock") / "clock.so"
    source = Path(__file__).with_name("jumping_clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return target


@pytest.fixture
def clock(library: Path, tmp_path: Path) -> Clock:
    return Clock(library, tmp_path / "offset")


def told(clock: Clock) -> list[float]:
    """Return the time that a process is told by Python, by SQLite and by a new file, less the true one [s]."""
    program = (
        "import sqlite3, tempfile, os, time;"
        "d = sqlite3.connect(':memory:').execute(\"SELECT (julianday('now') - 2440587.5) * 86400\").fetchone()[0];"
        "print(time.time(), d, time.monotonic())"
    )
    said = subprocess.run([sys.executable, "-c", program], env=clock.environment, capture_output=True, check=True)
    wall, database, monotonic = map(float, said.stdout.split())
    return [wall - time.time(), database - time.time(), monotonic - time.monotonic()]


@pytest.mark.parametrize("offset_s", [0, DAY_S, -DAY_S])
def test_the_clock_jumps_for_python_and_for_sqlite_but_not_the_monotonic_one(clock: Clock, offset_s: int) -> None:
    clock.set(offset_s)
    wall, database, monotonic = told(clock)
    assert wall == pytest.approx(offset_s, abs=30)
    assert database == pytest.approx(offset_s, abs=30)
    assert monotonic == pytest.approx(0, abs=30)


@contextmanager
def workers(url: str, clock: Clock, count: int) -> Iterator[None]:
    environment = {**clock.environment, "PYTHONPATH": str(JOBS)}
    processes = []
    try:
        for _ in range(count):
            settings = WorkerSettings(url, "job_kinds:workplace", (url,), poll_s=0.05, lease_s=LEASE_S)
            program = command(os.getpid(), "worker_process")
            process = subprocess.Popen(program, stdin=subprocess.PIPE, env=environment)
            assert process.stdin is not None
            process.stdin.write(json.dumps(asdict(settings)).encode())
            process.stdin.close()
            processes.append(process)
        yield
        assert [process.poll() for process in processes] == [None] * count
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


@pytest.mark.slow
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_workers_keep_their_jobs_while_the_clock_jumps(database: Database, database_url: str, clock: Clock) -> None:
    with database.write() as session:
        payload = {"items": ITEMS, "seconds": ITEM_S}
        jobs = [queue.enqueue(session, "count", payload=payload).id for _ in range(2)]
    jumps = [DAY_S, 0, -DAY_S, DAY_S, 0]
    with workers(database_url, clock, 3):
        deadline = time.monotonic() + 120
        while (states := states_of(database, jobs)) != ["succeeded"] * 2:
            assert time.monotonic() < deadline, states
            if jumps and min(items_done(database, jobs)) > ITEMS * (5 - len(jumps)) / 6:
                clock.set(jumps.pop(0))
            time.sleep(0.05)
    assert jumps == []
    with database.read() as session:
        # Had a lease been stolen, the thief would have begun another attempt.
        assert [(job.attempts, job.fence) for job in session.scalars(select(Job).order_by(Job.id))] == [(1, 1)] * 2
        counted = session.scalars(select(Blob.digest)).all()
    assert len(counted) == len(set(counted)) == 2 * ITEMS


def states_of(database: Database, jobs: list[str]) -> list[str]:
    with database.read() as session:
        return [queue.get(session, job).state for job in jobs]


def items_done(database: Database, jobs: list[str]) -> list[int]:
    with database.read() as session:
        found = session.scalars(select(Blob.digest)).all()
    return [sum(job[-20:] in digest for digest in found) for job in jobs]
