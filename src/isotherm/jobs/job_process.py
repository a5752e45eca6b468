"""The process in which jobs run: a worker starts it, names jobs to it one by one, and ends it.

It lives apart from the worker so that a job can be ended at any instant, may use up its memory or crash, and cannot
keep the worker from renewing the lease. It ends with the worker, however that comes about. Messages are JSON.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, cast

from isotherm.core.memory import loading_for_good
from isotherm.jobs.context import Workplace
from isotherm.jobs.logs import bound_contextvars, log_to_stream
from isotherm.jobs.queue import Lease
from isotherm.jobs.running import run_leased
from isotherm.jobs.traces import tracing

NICE = 10


def open_workplace(reference: str, arguments: tuple[str, ...]) -> AbstractContextManager[Workplace]:
    """Return what ``package.module:attribute`` gives for arguments: a context manager of a `Workplace`."""
    name, _, attribute = reference.partition(":")
    with loading_for_good():
        module = import_module(name)
    return cast("AbstractContextManager[Workplace]", getattr(module, attribute)(*arguments))


def serve(connection: Connection) -> None:
    """Run the jobs that the worker names until it closes the connection, or SIGTERM says to end.

    What the worker says while a job runs can only mean that this job is to end. It may come when the job has just
    ended by itself; then it means nothing, and the next job is waited for.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())  # noqa: ARG005 (the handler's form)
    # Ctrl-C reaches all processes of a terminal; the worker decides what it means for a job.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def to_end() -> bool:
        return stop.is_set() or connection.poll()

    set_up = _receive(connection)
    with tracing(), open_workplace(set_up["workplace"], tuple(set_up["arguments"])) as place:
        _send(connection, {name: _limits(kind) for name, kind in place.kinds.items()})
        with suppress(EOFError):
            while not stop.is_set():
                said = _receive(connection)
                if "run" in said:
                    lease = Lease(**said["run"])
                    with bound_contextvars(job_id=lease.job_id):
                        ended = run_leased(place.database, place.kinds, lease, to_end)
                    _send(connection, {"ended": ended})


def _limits(kind: Any) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in ("fresh", "most_s", "most_mb", "every_s")}


def _receive(connection: Connection) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(connection.recv_bytes()))


def _send(connection: Connection, message: dict[str, Any]) -> None:
    connection.send_bytes(json.dumps(message).encode())


def give_way() -> None:
    """Give way to pages and API: a low priority, and one core that is never used, whatever threads a library starts."""
    with suppress(OSError, AttributeError):
        os.nice(NICE)
    with suppress(OSError, AttributeError):
        _, *others = sorted(os.sched_getaffinity(0))
        if others:
            os.sched_setaffinity(0, others)


def main(arguments: Sequence[str]) -> int:
    """Run jobs; the argument is the descriptor of the connection. Returns the exit status."""
    give_way()
    log_to_stream(logging.WARNING)
    serve(Connection(int(arguments[0])))
    return 0
