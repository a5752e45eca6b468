"""A worker as a process of its own, started by `isotherm.jobs.supervisor`; settings come as JSON by standard input."""

from __future__ import annotations

import json
import logging
import signal
import sys
import threading

from isotherm.core.errors import IsothermError, one_line
from isotherm.jobs.limited_walls import die_with
from isotherm.jobs.worker import WorkerSettings, run_worker


def main() -> int:
    """Run as ``python -m isotherm.jobs.worker_process PARENT``; returns the exit status."""
    die_with(int(sys.argv[1]))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = json.load(sys.stdin)
    try:
        run_worker(WorkerSettings(**{**settings, "arguments": tuple(settings["arguments"])}), stop)
    except IsothermError as error:
        print(f"isotherm: worker {settings['name']}: {one_line(error)}", file=sys.stderr)  # noqa: T201 (a program)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
