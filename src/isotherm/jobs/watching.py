"""A job while a child process runs it: its lease is renewed, and it is ended when it must end."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass
from enum import Enum

from isotherm.core.errors import IsothermError
from isotherm.jobs import queue
from isotherm.jobs.child import TICK_S, Child, Limits
from isotherm.jobs.queue import Lease, LeaseLostError, LeaseWatch
from isotherm.store.database import Database

_LOG = logging.getLogger(__name__)
LOOK_S = 1.0
"""How often the job's row is looked at [s]."""


@dataclass(frozen=True)
class Post:
    """What a worker has at hand while a job runs.

    Parameters
    ----------
    database, watch
        The queue's, and the comparison of its clock with ours.
    lease_s
        How long a lease lasts [s].
    terminate_s
        How long a job may take to end when it is asked to, before it is killed [s].
    stop
        Set when the worker is to end.
    """

    database: Database
    watch: LeaseWatch
    lease_s: float
    terminate_s: float
    stop: threading.Event


class _End(Enum):
    """Why a job was ended from outside."""

    CANCELLED = "cancelled"
    STOPPED = "the worker stops"
    LIMIT = "over a limit"
    LOST = "another worker has it"
    CRASHED = "its process died"


class WatchedJob:
    """One job that a child process has begun."""

    def __init__(self, post: Post, child: Child, lease: Lease, limits: Limits) -> None:
        self._post, self._child, self._lease, self._limits = post, child, lease, limits
        self._renewed = self._looked = self._began = time.monotonic()
        self._kill_at = math.inf
        self._end: _End | None = None
        self._why = ""

    def wait(self) -> bool:
        """Stay with the job until it has ended; returns whether the child can take another one."""
        ended = self._wait_for_end()
        if ended:
            return True
        if self._must_be_killed():
            self._child.kill()
        else:
            self._child.end()
        if self._end is None and self._post.stop.is_set():
            # Who stops a whole group of processes tells the job's before this one has come to it: no fault of the job.
            self._end = _End.STOPPED
        elif self._end is None:
            self._end, self._why = _End.CRASHED, f"its process died: {self._child.how_it_ended()}"
        self._settle()
        return False

    def _wait_for_end(self) -> bool:
        """Return whether the job itself has written how it ended."""
        try:
            while not self._must_be_killed():
                ended = self._child.ended(TICK_S)
                if ended is not None:
                    return ended
                self._look()
        except EOFError:
            pass
        return False

    def _must_be_killed(self) -> bool:
        return time.monotonic() >= self._kill_at

    def _look(self) -> None:
        cancelled = self._asked_to_cancel()
        if self._end is not None:
            return
        if cancelled:
            self._ask_to_end(_End.CANCELLED)
        elif self._post.stop.is_set():
            self._ask_to_end(_End.STOPPED)
        elif time.monotonic() - self._began > self._limits.most_s:
            self._ask_to_end(_End.LIMIT)
            self._why = f"it took longer than the {self._limits.most_s:g} s that this kind of job may take"
        elif (used_mb := self._child.memory_mb()) > self._limits.most_mb:
            self._end, self._kill_at = _End.LIMIT, 0
            self._why = f"it used {used_mb:.0f} MB of memory; this kind of job may use {self._limits.most_mb} MB"

    def _ask_to_end(self, end: _End) -> None:
        self._end = end
        self._child.ask_to_end()
        self._kill_at = time.monotonic() + self._post.terminate_s

    def _asked_to_cancel(self) -> bool:
        """Renew the lease, or only look at the row, when it is time to."""
        now = time.monotonic()
        try:
            if now - self._renewed >= self._post.lease_s / 3:
                cancelled = queue.renew(
                    self._post.database, self._lease, lease_s=self._post.lease_s, watch=self._post.watch
                )
                self._renewed = self._looked = now
                return cancelled
            if now - self._looked >= LOOK_S:
                self._looked = now
                return queue.is_cancelled(self._post.database, self._lease)
        except LeaseLostError:
            self._lose()
        except IsothermError as error:
            _LOG.warning("job %s: the database does not take the renewal: %s", self._lease.job_id, error)
            if now - self._renewed >= self._post.lease_s:
                self._end, self._kill_at = _End.LOST, 0
        return False

    def _lose(self) -> None:
        """Another worker has the job; or nobody has, for its process has just written its end and will say so."""
        self._end = _End.LOST
        try:
            claimed = queue.claimed_since(self._post.database, self._lease)
        except IsothermError:
            claimed = True
        self._kill_at = 0 if claimed else min(self._kill_at, time.monotonic() + self._post.terminate_s)

    def _settle(self) -> None:
        """Write what became of a job that could not say so itself; what fails here is mended when the lease ends."""
        if self._end is _End.LOST:
            return
        try:
            with self._post.database.write() as session:
                if self._end is _End.CANCELLED:
                    queue.finish(session, self._lease, "cancelled")
                elif self._end is _End.STOPPED:
                    queue.hand_back(session, self._lease)
                elif self._end is _End.LIMIT:
                    queue.finish(session, self._lease, "failed", error=self._why)
                else:
                    queue.try_again(session, self._lease, self._why, self._post.database.now_ms(session))
        except LeaseLostError:
            pass
        except IsothermError as error:
            _LOG.warning("job %s: its end cannot be written now: %s", self._lease.job_id, error)
