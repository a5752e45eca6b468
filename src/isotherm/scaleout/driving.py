"""The driver: gives chunks to an executor, commits what comes back, and deals with work that kills its worker."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from isotherm.core.errors import IsothermError
from isotherm.core.progress import Progress, silent
from isotherm.scaleout.executor import AHEAD, Executor
from isotherm.scaleout.plan import Plan
from isotherm.scaleout.work import Finished, Work

if TYPE_CHECKING:
    from isotherm.scaleout.ledger import Held

ATTEMPTS = 2
"""How often a chunk, and an item alone, may lose its worker before it is thought to be the reason."""
MOST_LOST = 20
"""How many items may do that in one go: with more, something is wrong that is no matter of items."""
LOOK_S = 1.0


class WorkersDieError(IsothermError):
    """Workers die whatever they are given."""


@dataclass(frozen=True)
class Task:
    """What is done with the items of a run.

    Parameters
    ----------
    function, setup
        See `Work`.
    items
        The items, each one a line of text.
    failed
        Returns the row of an item that ended its worker each time: ``failed(item, why)``.
    message
        Names the work where its progress is shown.
    """

    function: str
    setup: str
    items: Sequence[str]
    failed: Callable[[str, str], str]
    message: str


def drive(held: Held, executor: Executor, task: Task, progress: Progress = silent) -> None:
    """Work through all chunks that are not committed yet; the caller keeps the lease (`renewing`).

    A chunk that loses its worker is tried again, then in halves, until single items are left that take their worker
    with them each time; those get a row that says so.

    Raises
    ------
    LeaseLostError
        Another process has taken the run over.
    WorkersDieError
        More than `MOST_LOST` items end their worker.
    IsothermError, WorkerError
        What the function raised. Committed chunks stay.
    """
    plan, done = held.plan, held.done()
    missing = (_whole(plan, task, number) for number in range(plan.chunks) if number not in done)
    rows_done = sum(done.values())
    progress(rows_done, plan.items, task.message)
    for number, rows in _worked_through(executor, _Open(plan, task.failed), missing):
        held.commit(number, rows)
        rows_done += len(rows)
        progress(rows_done, plan.items, task.message)


def _worked_through(executor: Executor, chunks: _Open, coming: Iterator[Work]) -> Iterator[tuple[int, list[str]]]:
    """Yield chunks with their rows as they are complete."""
    again, under_way = deque[Work](), 0
    while True:
        while under_way < AHEAD * executor.workers and (work := again.popleft() if again else next(coming, None)):
            executor.submit(work)
            under_way += 1
        if not under_way:
            return
        for finished in executor.wait(LOOK_S):
            under_way -= 1
            if finished.lost:
                again.extend(chunks.again(finished))
            else:
                chunks.add(finished)
        yield from chunks.complete()


def _whole(plan: Plan, task: Task, number: int) -> Work:
    places = plan.places(number)
    return Work(number, 0, task.function, task.setup, tuple(task.items[places.start : places.stop]))


@dataclass
class _Open:
    """Chunks that are under way: the rows that have come back, by their place, and what was lost how often."""

    plan: Plan
    failed: Callable[[str, str], str]
    rows: dict[int, dict[int, str]] = field(default_factory=dict)
    lost: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    given_up: int = 0

    def add(self, finished: Finished) -> None:
        work = finished.work
        found = self.rows.setdefault(work.chunk, {})
        found |= {work.first + place: row for place, row in enumerate(finished.rows)}

    def again(self, finished: Finished) -> list[Work]:
        """Return what to do in place of lost work; nothing where one item's row says that it is to blame."""
        work, size = finished.work, len(finished.work.items)
        part = (work.chunk, work.first, size)
        self.lost[part] += 1
        # Between a whole chunk and one item the search goes on at once.
        if self.lost[part] < ATTEMPTS and size in (1, len(self.plan.places(work.chunk))):
            return [work]
        if size > 1:
            return _halves(work)
        self._give_up(finished)
        return []

    def _give_up(self, finished: Finished) -> None:
        self.given_up += 1
        if self.given_up > MOST_LOST:
            raise WorkersDieError(f"workers die whatever they are given; the last time: {finished.lost}")
        row = self.failed(finished.work.items[0], finished.lost)
        self.add(Finished(finished.work, (row,)))

    def complete(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the chunks of which all rows have come, and forget them."""
        for number in list(self.rows):
            if len(self.rows[number]) == len(self.plan.places(number)):
                rows = self.rows.pop(number)
                yield number, [rows[place] for place in sorted(rows)]


def _halves(work: Work) -> list[Work]:
    middle = len(work.items) // 2
    return [
        Work(work.chunk, work.first + start, work.function, work.setup, work.items[start:end])
        for start, end in ((0, middle), (middle, len(work.items)))
    ]


@contextmanager
def renewing(held: Held) -> Iterator[None]:
    """Renew the lease while the block runs; where it is lost, the next change of the run says so."""
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(held.lease_s / 3):
            # A database that is busy now may answer the next time, and before the lease has ended.
            with suppress(IsothermError):
                held.renew()

    thread = threading.Thread(target=renew, daemon=True, name="isotherm-lease")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
