"""A worker as a process of its own, started by `isotherm.jobs.supervisor`; settings come as JSON by standard input."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence

from isotherm.core.errors import IsothermError, one_line
from isotherm.jobs.logs import bound_contextvars, log_to_stream
from isotherm.jobs.worker import WorkerSettings, run_worker

_LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str]) -> int:  # noqa: ARG001 (the form of `isotherm.jobs.leashed`)
    """Work until SIGTERM or SIGINT; returns the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log_to_stream()
    settings = json.load(sys.stdin)
    try:
        with bound_contextvars(worker=settings["name"]):
            run_worker(WorkerSettings(**{**settings, "arguments": tuple(settings["arguments"])}), stop)
    except IsothermError as error:
        _LOG.error("the worker %s ends: %s", settings["name"], one_line(error))
        return 1
    return 0
