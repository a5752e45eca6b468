"""``isotherm worker``: processes that run the jobs of a server, apart from it."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
from collections.abc import Sequence

from isotherm.cli.serve import MOST_WORKERS, add_blobs, add_data
from isotherm.core.errors import MissingExtraError, UsageError


def add_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:  # noqa: ARG001 (every command's form)
    """Add the arguments of ``isotherm worker``."""
    add_data(parser)
    add_blobs(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="how many jobs run at a time (default 1)")


def run(arguments: argparse.Namespace) -> int:
    """Run jobs until Ctrl-C or SIGTERM; returns 0."""
    if not 1 <= arguments.workers <= MOST_WORKERS:
        raise UsageError(f"--workers must be from 1 to {MOST_WORKERS}, not {arguments.workers}")
    try:
        from isotherm.jobs.logs import log_to_stream
        from isotherm.jobs.traces import tracing
        from isotherm.store.folder import blobs_of
        from isotherm.workflows.service.service import Service
        from isotherm.workflows.service.working import workers
    except ImportError as error:
        raise MissingExtraError("isotherm worker", "serve") from error
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    # A folder that cannot be used is said so here, once.
    blobs_of(arguments.data, arguments.blobs)
    Service.open(arguments.data, arguments.database).close()
    log_to_stream(logging.WARNING)
    with tracing(), workers(arguments.data, arguments.database, arguments.workers):
        print(f"isotherm: {arguments.workers} at work on the jobs of {arguments.data}; Ctrl-C stops it", flush=True)
        stop.wait()
    return 0
