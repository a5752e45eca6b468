"""A worker: takes jobs from the queue and has each run in a child process that it watches and can end.

It holds no model and no image, so it stays small and answers at once.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from isotherm.core.errors import IsothermError
from isotherm.jobs import queue
from isotherm.jobs.child import Child, ChildFailedError, Limits
from isotherm.jobs.queue import Lease, LeaseWatch
from isotherm.jobs.watching import Post, WatchedJob
from isotherm.store.database import Database
from isotherm.store.tables import now

_LOG = logging.getLogger(__name__)
IDLE_S = 120.0
"""How long a child process is kept warm for the next job [s]."""
REUSES = 100
"""After so many jobs a child process is replaced, whatever it may have left lying about."""
BUSY_PAUSE_S = 2.0
KEPT = timedelta(days=90)
"""How long jobs are kept after their end, with their logs."""
TIDY_S = 600.0


def worker_name(process: int | None = None) -> str:
    """Return a name that no other worker has, ever; it tells machine and process number."""
    return f"{socket.gethostname()[:64]}:{process or os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True)
class WorkerSettings:
    """How a worker works.

    Parameters
    ----------
    url
        The database.
    workplace
        ``package.module:attribute``: called with `arguments` in the child process, it gives a context manager of the
        `isotherm.jobs.context.Workplace`.
    arguments
        Of that.
    name
        Of the worker, the owner of its leases.
    lease_s, poll_s, terminate_s
        How long a lease lasts; how often an idle worker looks for jobs; how long a job may take to end when it is
        asked to [s].
    """

    url: str
    workplace: str
    arguments: tuple[str, ...] = ()
    name: str = field(default_factory=worker_name)
    lease_s: float = queue.LEASE_S
    poll_s: float = 0.5
    terminate_s: float = 10.0


def run_worker(settings: WorkerSettings, stop: threading.Event) -> None:
    """Work until `stop` is set; a job that runs then is handed back.

    Raises
    ------
    ChildFailedError
        No process for jobs can be started.
    """
    database = Database.open(settings.url)
    try:
        _Worker(database, settings, stop).run()
    finally:
        database.close()


class _Worker:
    def __init__(self, database: Database, settings: WorkerSettings, stop: threading.Event) -> None:
        self._database, self._settings, self._stop = database, settings, stop
        self._watch = LeaseWatch(settings.lease_s)
        self._child: Child | None = None
        self._kinds: Mapping[str, Limits] = {}
        self._next_beat = self._next_tidying = -float("inf")

    def run(self) -> None:
        try:
            # The first child also tells what kinds of jobs there are.
            self._ready_child()
            while not self._stop.is_set():
                self._turn_safely()
        finally:
            self._let_go()
            with suppress(IsothermError), self._database.write() as session:
                queue.release(session, self._settings.name)

    def _turn_safely(self) -> None:
        """Work on through what passes: a full disk, a database that is busy or being restarted."""
        try:
            self._turn()
        except ChildFailedError:
            raise
        except IsothermError as error:
            _LOG.warning("worker %s: %s", self._settings.name, error)
            self._stop.wait(BUSY_PAUSE_S)

    def _turn(self) -> None:
        self._beat()
        if not self._may_claim():
            self._let_go_when_idle()
            self._tidy()
            self._stop.wait(self._settings.poll_s)
            return
        child = self._ready_child()
        name, lease_s = self._settings.name, self._settings.lease_s
        lease = queue.claim(self._database, name, self._kinds, lease_s=lease_s, watch=self._watch)
        if lease is not None:
            self._run(child, lease)

    def _beat(self) -> None:
        if time.monotonic() >= self._next_beat:
            queue.beat(self._database, self._settings.name, self._watch)
            self._has_beaten()

    def _has_beaten(self) -> None:
        self._next_beat = time.monotonic() + self._settings.lease_s / 3

    def _keep(self, lease: Lease | None) -> None:
        """Say that this worker is alive, and renew the lease that it holds, while it waits for a process to start.

        Not before the first one has started: a worker that cannot work is not ready.
        """
        if not self._kinds or time.monotonic() < self._next_beat:
            return
        self._has_beaten()
        try:
            if lease is None:
                queue.beat(self._database, self._settings.name, self._watch)
            else:
                queue.renew(self._database, lease, lease_s=self._settings.lease_s, watch=self._watch)
        except queue.LeaseLostError:
            pass  # Seen again, and acted upon, as soon as the process runs.
        except IsothermError as error:
            _LOG.warning("worker %s: %s", self._settings.name, error)

    def _tidy(self) -> None:
        """Remove what ended long ago and add what is due, while there is nothing better to do."""
        if time.monotonic() >= self._next_tidying:
            with self._database.write() as session:
                more = queue.purge(session, now() - KEPT)
                queue.forget_workers(session, self._database.now_ms(session))
                for kind, limits in self._kinds.items():
                    if limits.every_s:
                        queue.enqueue_when_due(session, kind, limits.every_s)
            self._next_tidying = time.monotonic() + (0 if more else TIDY_S)

    def _may_claim(self) -> bool:
        with self._database.read() as session:
            now_ms = self._database.now_ms(session)
            self._watch.look(now_ms)
            return queue.waiting(session, self._kinds, now_ms, self._watch)

    def _ready_child(self, lease: Lease | None = None) -> Child:
        if self._child is None or not self._child.alive() or self._child.jobs >= REUSES:
            self._let_go()
            self._child = Child(self._settings.workplace, self._settings.arguments, lambda: self._keep(lease))
            self._kinds = self._child.kinds
        return self._child

    def _let_go_when_idle(self) -> None:
        if self._child is not None and time.monotonic() - self._child.used > IDLE_S:
            self._let_go()

    def _let_go(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _run(self, child: Child, lease: Lease) -> None:
        with self._database.read() as session:
            limits = self._kinds[queue.get(session, lease.job_id).kind]
        if limits.fresh and child.jobs:
            self._let_go()
            child = self._ready_child(lease)
        post = Post(self._database, self._watch, self._settings.lease_s, self._settings.terminate_s, self._stop)
        child.begin(lease)
        reusable = WatchedJob(post, child, lease, limits).wait()
        if limits.fresh or not reusable:
            self._let_go()
        child.used = time.monotonic()
