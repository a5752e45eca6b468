"""What a job's function gets: its task, and the only ways to write while it runs.

A function may be stopped at any instant and called again, in another process. What it has done by then is what it
committed as items; so it asks `JobContext.finished_items` first, and commits the results of each item with
`JobContext.commit_item`. Work without parts commits its outcome as one item of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, func, select
from sqlalchemy.orm import Session

from isotherm.core.errors import BusyError, StorageFullError
from isotherm.jobs import queue
from isotherm.jobs.queue import Lease
from isotherm.store.database import Database
from isotherm.store.tables import Job, JobItem, JobLog, now

LEAST_PAUSE_S = 0.2
"""Progress and log lines are written at most five times a second."""
LOOK_S = 1.0
"""How often `JobContext.check` looks into the database [s]."""
LONGEST_MESSAGE = 500
LONGEST_LINE, MOST_LINES = 2000, 2000
LONGEST_ITEM = 128


class JobStopped(BaseException):
    """The job is cancelled, its worker stops, or another worker has it: end, and write nothing more.

    No `Exception`, just as KeyboardInterrupt is none: it must not be taken for the failure of one item.
    """


@dataclass(frozen=True)
class Kind:
    """What a name of the queue means.

    Parameters
    ----------
    function
        Does the work and returns the result, a mapping that JSON can hold.
    fresh
        Whether it runs in a process of its own, that ends with it (training); otherwise a warm process is kept.
    most_s
        How long one attempt may take [s]; longer ones are ended, and the job has failed.
    most_mb
        How much memory it may use [MB]; with more it is ended, and the job has failed.
    every_s
        Workers with nothing to do add such a job, with no payload, when the last one is so old [s]; 0: they do not.
    """

    function: Callable[[JobContext], Mapping[str, Any]]
    fresh: bool = False
    most_s: float = 12 * 3600.0
    most_mb: int = 4096
    every_s: float = 0.0


@dataclass(frozen=True)
class Workplace:
    """Where jobs run: the database, and what can be done there."""

    database: Database
    kinds: Mapping[str, Kind]


class JobContext:
    """A job as its function sees it; may be used by several threads.

    Attributes
    ----------
    job_id, site_id, payload, created_by
        As they were given to `isotherm.jobs.queue.enqueue`.
    attempt
        From 1; counted from the last item that was finished.
    """

    def __init__(self, database: Database, lease: Lease, stopping: Callable[[], bool] = lambda: False) -> None:
        self._database, self._lease, self._stopping = database, lease, stopping
        with database.read() as session:
            job = queue.get(session, lease.job_id)
            self._number = session.scalar(select(func.max(JobLog.number)).where(JobLog.job_id == job.id)) or 0
        self.job_id, self.site_id, self.created_by = job.id, job.site_id, job.created_by
        self.kind, self.attempt = job.kind, job.attempts
        self.payload: Mapping[str, Any] = job.payload
        self._lock = threading.RLock()
        self._pending: dict[str, Any] = {}
        self._lines: list[JobLog] = []
        self._flushed = self._looked = -LOOK_S
        self._stopped = False
        self._writer = 0

    def finished_items(self) -> set[str]:
        """Return the items that are done, by this attempt or an earlier one."""
        with self._database.read() as session:
            return set(session.scalars(select(JobItem.item).where(JobItem.job_id == self.job_id)))

    def item_result(self, item: str) -> Mapping[str, Any]:
        """Return what was kept of a finished item; empty where it is not finished."""
        with self._database.read() as session:
            found = session.get(JobItem, (self.job_id, item))
            return {} if found is None else found.result

    def commit_item(
        self, item: str, write: Callable[[Session], Mapping[str, Any] | None] | None = None, error: str = ""
    ) -> bool:
        """Finish an item: what `write` does and the fact that it is done are kept together, or neither.

        Parameters
        ----------
        item
            Its name within the job, at most 128 characters.
        write
            Writes the results with the session that it gets, and returns what to remember of the item.
        error
            Why the item has failed, if so; a failed item is finished too.

        Returns
        -------
        bool
            False where it was finished before; nothing is written then.
        """
        if not 0 < len(item) <= LONGEST_ITEM:
            raise ValueError(f"an item's name has 1 to {LONGEST_ITEM} characters, this one {len(item)}: {item[:40]!r}")
        with self.transaction() as session:
            if session.get(JobItem, (self.job_id, item)) is not None:
                return False
            queue.fenced(session, self._lease, attempts=1, **self._one_more_done())
            result = write(session) if write is not None else None
            kept = dict(result or {})
            session.add(JobItem(job_id=self.job_id, item=item, error=queue.storable(error), result=kept))
        self.attempt = 1
        return True

    def _one_more_done(self) -> dict[str, Any]:
        """Return the columns of a progress that is one item further than what was last told."""
        with self._lock:
            told, self._pending = self._pending, {}
        if not told:
            return {"done": case((and_(Job.total > 0, Job.done >= Job.total), Job.done), else_=Job.done + 1)}
        complete = 0 < told["total"] <= told["done"]
        return {**told, "done": told["done"] + (not complete)}

    @contextmanager
    def transaction(self, **values: Any) -> Iterator[Session]:
        """Give a session that writes as the holder of this job; raises `JobStopped` where it is no longer that.

        The names are columns of the job's row.
        """
        try:
            with self._database.write() as session:
                queue.fenced(session, self._lease, **values)
                self._writer = threading.get_ident()
                yield session
        except queue.LeaseLostError as error:
            self._stopped = True
            raise JobStopped(str(error)) from error
        finally:
            self._writer = 0

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Say how far the job is; written now and then."""
        with self._lock:
            self._pending = {"done": done, "total": total, "message": queue.storable(message)[:LONGEST_MESSAGE]}
        self._flush_when_due()

    def log(self, text: str) -> None:
        """Add to the job's log; what is too long or too much is cut."""
        with self._lock:
            for line in queue.storable(text).splitlines():
                self._add_line(line)
        self._flush_when_due()

    def _add_line(self, line: str) -> None:
        if self._number >= MOST_LINES:
            return
        self._number += 1
        if self._number == MOST_LINES:
            line = f"more than {MOST_LINES - 1} lines: the rest is left out"
        self._lines.append(JobLog(job_id=self.job_id, number=self._number, at=now(), text=line[:LONGEST_LINE]))

    def check(self) -> None:
        """Raise `JobStopped` where the job is to end; cheap enough for each step of a loop."""
        self._flush_when_due()
        if not self._stopped and time.monotonic() - self._looked >= LOOK_S:
            self._stopped = self._ended_outside()
            self._looked = time.monotonic()
        if self._stopped or self._stopping():
            raise JobStopped("the job is to end")

    def _ended_outside(self) -> bool:
        try:
            return queue.is_cancelled(self._database, self._lease)
        except queue.LeaseLostError:
            return True

    def _flush_when_due(self) -> None:
        # Within a transaction of this thread it waits: a second one would wait for the first.
        if self._writer == threading.get_ident() or time.monotonic() - self._flushed < LEAST_PAUSE_S:
            return
        try:
            self.flush()
        except (BusyError, StorageFullError):
            # How far a job is, is no reason to end it; results that cannot be written are.
            self._flushed = time.monotonic()

    def flush(self) -> None:
        """Write progress and log lines that have not been written yet."""
        with self._lock:
            if not self._pending and not self._lines:
                return
            with self.transaction(**self._pending) as session:
                session.add_all(self._lines)
            self._pending, self._lines = {}, []
            self._flushed = time.monotonic()
