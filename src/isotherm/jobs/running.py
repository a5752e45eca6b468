"""One job in this process: its function is called, and what became of it is written."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress

from isotherm.core.errors import BusyError, IsothermError, StorageFullError, one_line
from isotherm.core.spans import span
from isotherm.jobs import queue
from isotherm.jobs.context import JobContext, JobStopped, Kind
from isotherm.jobs.queue import Lease
from isotherm.store.database import Database

_LOG = logging.getLogger(__name__)


def run_leased(
    database: Database, kinds: Mapping[str, Kind], lease: Lease, stopping: Callable[[], bool] = lambda: False
) -> bool:
    """Run a job that has been claimed; returns whether its end was written, False where it was stopped."""
    context = JobContext(database, lease, stopping)
    try:
        with span("job", kind=context.kind, job_id=context.job_id, attempt=context.attempt):
            outcome = _outcome(kinds[context.kind], context)
        _end(database, context, lease, outcome)
    except (JobStopped, queue.LeaseLostError):
        return False
    return True


def work_off(database: Database, kinds: Mapping[str, Kind], worker: str = "here", most: int = 1000) -> int:
    """Run what waits, one job after the other, in this process; returns how many were run. For tests and commands."""
    for number in range(most):
        lease = queue.claim(database, worker, kinds.keys())
        if lease is None:
            return number
        if not run_leased(database, kinds, lease):
            with suppress(queue.LeaseLostError), database.write() as session:
                queue.hand_back(session, lease)
    return most


def _outcome(kind: Kind, context: JobContext) -> Mapping[str, object] | Exception:
    """Return the result of the function, or the error that it raised."""
    try:
        result = dict(kind.function(context))
        context.flush()
    except (BusyError, StorageFullError) as error:
        return error
    except IsothermError as error:
        context.log(f"failed: {one_line(error)}")
        return error
    except Exception as error:  # noqa: BLE001 (the worker: whatever a job does wrong is that job's failure)
        _LOG.exception("job %s (%s), attempt %d", context.job_id, context.kind, context.attempt)
        context.log(traceback.format_exc())
        return error
    return result


def _end(database: Database, context: JobContext, lease: Lease, outcome: Mapping[str, object] | Exception) -> None:
    """Write how it ended. What a user can mend has failed; what may go better next time is tried again."""
    if isinstance(outcome, Exception):
        with suppress(IsothermError):
            context.flush()
    with database.write() as session:
        if not isinstance(outcome, Exception):
            queue.finish(session, lease, "succeeded", result=outcome)
        elif isinstance(outcome, IsothermError) and not isinstance(outcome, (BusyError, StorageFullError)):
            queue.finish(session, lease, "failed", error=one_line(outcome))
        else:
            reason = one_line(outcome) if isinstance(outcome, IsothermError) else _reason(outcome)
            queue.try_again(session, lease, reason, database.now_ms(session))


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"
