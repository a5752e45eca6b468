"""Kills servers, workers and job processes under load; afterwards no acknowledged job is lost and nothing done twice.

python benchmarks/chaos_queue.py [--kills 60] [--url sqlite:///FILE | postgresql://...] [--seed 0]

The server here is a program that adds jobs when it is told to, answers with their names once they are kept, and has
workers of its own. This program tells it to, keeps what was acknowledged, kills (SIGKILL), starts the server anew, and
in the end compares the database with what was acknowledged. `chaos.py` does the same to `isotherm serve`.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from chaos_processes import descendants, is_alive, kill, survivors, victim
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from isotherm.jobs import queue
from isotherm.jobs.context import JobContext, Kind, Workplace
from isotherm.jobs.supervisor import Supervisor
from isotherm.jobs.worker import WorkerSettings
from isotherm.store.database import Database
from isotherm.store.migrate import set_up
from isotherm.store.tables import Job, JobItem

LEASE_S = 2.0
WORKERS = 2
WAITING = 12
"""As many jobs are kept waiting."""
DRAIN_S = 180.0
SITES = 5


# --- The work -------------------------------------------------------------------------------------------------------


def tally(context: JobContext) -> Mapping[str, Any]:
    """Do items one by one; each leaves one row in a table that would take it twice."""
    done = context.finished_items()
    for number in range(context.payload["items"]):
        context.check()
        if str(number) not in done:
            time.sleep(context.payload["item_s"])
            context.commit_item(str(number), lambda session, number=number: _leave(session, context.job_id, number))
            context.progress(number + 1, context.payload["items"], "items")
    return {}


def whole(context: JobContext) -> Mapping[str, Any]:
    """Work without parts, as a training does: all or nothing at its end."""
    if "outcome" not in context.finished_items():
        for step in range(10):
            context.check()
            context.progress(step, 10, "steps")
            time.sleep(context.payload["item_s"] * 3)
        context.commit_item("outcome", lambda session: _leave(session, context.job_id, 0))
    return context.item_result("outcome")


def _leave(session: Session, job_id: str, number: int) -> Mapping[str, Any]:
    session.execute(text("INSERT INTO chaos (job_id, item) VALUES (:job, :item)"), {"job": job_id, "item": number})
    return {"left": number}


@contextmanager
def workplace(url: str) -> Iterator[Workplace]:
    database = Database.open(url)
    try:
        yield Workplace(database, {"tally": Kind(tally), "whole": Kind(whole, fresh=True)})
    finally:
        database.close()


# --- The server -----------------------------------------------------------------------------------------------------


def serve(url: str) -> None:
    """Add a job for each line of standard input and say its name; jobs run in workers meanwhile."""
    database = Database.open(url)
    settings = WorkerSettings(url, "chaos_queue:workplace", (url,), lease_s=LEASE_S, poll_s=0.05, terminate_s=1.0)
    with Supervisor(settings, WORKERS):
        for line in sys.stdin:
            asked = json.loads(line)
            with database.write() as session:
                if asked["do"] == "cancel":
                    with suppress(queue.ConflictError):
                        queue.cancel(session, asked["job"])
                    answer = asked["job"]
                else:
                    answer = _add(session, asked).id
            print(answer, flush=True)
    database.close()


def _add(session: Session, asked: dict[str, Any]) -> Job:
    alone = f"train:{asked['site']}" if asked["kind"] == "whole" else None
    # Jobs without parts start anew after each kill, and here they are killed by the dozen for no fault of theirs.
    return queue.enqueue(session, asked["kind"], payload=asked, exclusive=alone, most_attempts=10_000)


class Server:
    """The server as a process that is killed and started again."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        here = str(Path(__file__).parent)
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", "--url", self._url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": here},
        )

    def ask(self, **asked: object) -> str | None:
        """Return what is acknowledged; None where no answer came, so that nobody knows."""
        process = self.process
        try:
            process.stdin.write(json.dumps(asked) + "\n")
            process.stdin.flush()
            return process.stdout.readline().strip() or None
        except OSError:
            return None

    def restart(self) -> None:
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                pipe.close()
        self.start()

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


# --- The driver -----------------------------------------------------------------------------------------------------


class Driver:
    """Load, kills and the journal of what was acknowledged."""

    def __init__(self, url: str, arguments: argparse.Namespace) -> None:
        self.kills, self.patience_s = arguments.kills, arguments.patience
        self.rng = random.Random(arguments.seed)
        self.database = Database.open(url)
        self.server = Server(url)
        self.added: dict[str, dict[str, Any]] = {}
        self.cancelled: set[str] = set()
        self.killed: Counter[str] = Counter()
        self.faults: list[str] = []
        self.resumed_s: list[float] = []

    def run(self) -> None:
        for number in range(self.kills):
            self.wait_for_work()
            time.sleep(self.rng.uniform(0, 0.15))
            self.load()
            self.cancel_one()
            name, process = victim(self.server.process.pid, self.rng)
            below = descendants(process)
            if kill(process):
                self.killed[name] += 1
                self.faults += [f"survived the kill of its {name}: {one}" for one in survivors(below)]
            if name == "server":
                self.server.restart()
            if number % 50 == 49:
                print(
                    f"{number + 1} kills, {len(self.added)} jobs, {self.effects()} items", file=sys.stderr, flush=True
                )
        self.drain()

    def load(self) -> None:
        """Keep some jobs waiting."""
        with self.database.read() as session:
            waiting = sum(queue.active_counts(session).values())
        for _ in range(max(0, WAITING - waiting)):
            kind = self.rng.choice(["tally", "tally", "whole"])
            asked = {"kind": kind, "site": self.rng.randrange(SITES), "items": self.rng.randint(3, 20)}
            asked["item_s"] = self.rng.choice([0.0, 0.01, 0.05])
            job = self.server.ask(do="add", **asked)
            if job is not None:
                self.added[job] = asked

    def cancel_one(self) -> None:
        if self.added and self.rng.random() < 0.3:
            job = self.rng.choice(list(self.added))
            if self.server.ask(do="cancel", job=job) is not None:
                self.cancelled.add(job)

    def effects(self) -> int:
        with self.database.read() as session:
            return session.scalar(text("SELECT count(*) FROM chaos"))

    def wait_for_work(self) -> None:
        """Wait until something was done since the last kill, so that each kill hits work."""
        before, began = self.effects(), time.monotonic()
        while time.monotonic() - began < self.patience_s and not (
            self.effects() > before and len(descendants(self.server.process.pid)) > WORKERS
        ):
            if not is_alive(self.server.process.pid):
                self.faults.append("the server ended by itself")
                self.server.restart()
            self.load()
            time.sleep(0.05)
        self.resumed_s.append(time.monotonic() - began)

    def drain(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            with self.database.read() as session:
                if not queue.active_counts(session):
                    break
            time.sleep(0.2)
        else:
            self.faults.append(f"jobs are not done {DRAIN_S:.0f} s after the last kill")
        left = descendants(self.server.process.pid)
        self.server.stop()
        self.faults += [f"survived the end of the server: {one}" for one in survivors(left)]

    def verify(self) -> None:
        """Compare the database with the journal."""
        with self.database.read() as session:
            jobs = {job.id: job for job in session.scalars(select(Job))}
            items = Counter(
                (row.job_id, int(row.item.replace("outcome", "0"))) for row in session.scalars(select(JobItem))
            )
            effects = Counter((row.job_id, row.item) for row in session.execute(text("SELECT job_id, item FROM chaos")))
            if self.database.dialect == "sqlite":
                found = session.execute(text("PRAGMA integrity_check")).scalars().all()
                self.faults += [] if found == ["ok"] else [f"integrity: {found}"]
        self.faults += [f"lost: job {job}" for job in self.added if job not in jobs]
        self.faults += [f"doubled: {key} {count} times" for key, count in effects.items() if count != 1]
        if effects.keys() != items.keys():
            self.faults.append(f"items without effects or the reverse: {effects.keys() ^ items.keys()}")
        for job in jobs.values():
            self.verify_job(job, sum(key[0] == job.id for key in items))

    def verify_job(self, job: Job, items: int) -> None:
        wanted = job.payload["items"] if job.kind == "tally" else 1
        if job.state == "succeeded" and items != wanted:
            self.faults.append(f"lost: job {job.id} succeeded with {items} of {wanted} items")
        if job.state not in ("succeeded", "cancelled"):
            self.faults.append(f"job {job.id} is {job.state}: {job.error}")
        if job.state == "cancelled" and not job.cancel_requested:
            self.faults.append(f"job {job.id} was cancelled by nobody")


def main() -> int:
    """Run the driver; returns 1 where anything was lost, doubled or left behind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--url", default="")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--patience", type=float, default=10.0, metavar="S", help="longest wait for some work to be done between kills"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.url)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return _chaos(arguments.url or f"sqlite:///{folder}/isotherm.db", arguments)


def _chaos(url: str, arguments: argparse.Namespace) -> int:
    database = Database.open(url)
    set_up(database)
    with database.write() as session:
        session.execute(text("CREATE TABLE chaos (job_id TEXT NOT NULL, item INTEGER NOT NULL)"))
    database.close()
    began = time.monotonic()
    driver = Driver(url, arguments)
    try:
        driver.run()
        driver.verify()
        total = driver.effects()
    finally:
        driver.server.process.kill()
        driver.database.close()
    print(
        f"{url.partition(':')[0]}: {sum(driver.killed.values())} kills ({dict(driver.killed)}) in "
        f"{time.monotonic() - began:.0f} s; {len(driver.added)} jobs acknowledged, {len(driver.cancelled)} cancels, "
        f"{total} items; longest pause {max(driver.resumed_s):.1f} s (lease {LEASE_S:g} s); {len(driver.faults)} faults"
    )
    print("\n".join(driver.faults[:50]))
    return 1 if driver.faults else 0


if __name__ == "__main__":
    sys.exit(main())
