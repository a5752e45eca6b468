"""Keeps a number of worker processes alive: starts them, replaces those that die, and takes them along when it ends."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import asdict, replace
from types import TracebackType

from isotherm.core.errors import IsothermError
from isotherm.jobs import queue
from isotherm.jobs.leashed import command
from isotherm.jobs.worker import WorkerSettings, worker_name
from isotherm.store.database import Database

_LOG = logging.getLogger(__name__)
LOOK_S = 0.2
LONGEST_WAIT_S = 30.0
STEADY_S = 60.0
"""A worker that has lived so long was no failure at its start [s]."""
SPARE_S = 5.0
"""What workers get beyond the time that a job may take to end, before they are killed [s]."""


class Supervisor:
    """Workers for as long as this is open; nothing of them outlives this process, not even when it is killed.

    Parameters
    ----------
    settings
        Of each worker; every one gets a name of its own.
    count
        How many there are to be.
    """

    def __init__(self, settings: WorkerSettings, count: int) -> None:
        self._settings = settings
        self._slots = [_Slot(settings) for _ in range(count)]
        self._stop = threading.Event()
        # One thread for all: the system ends the workers when the thread that started them ends.
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the workers; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the workers; jobs that run are handed back. Returns when all have ended."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def processes(self) -> list[int]:
        """Return the process numbers of the workers that run."""
        return [slot.process.pid for slot in self._slots if slot.process is not None and slot.process.poll() is None]

    def __enter__(self) -> Supervisor:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            while not self._stop.wait(LOOK_S):
                for slot in self._slots:
                    slot.look()
        finally:
            deadline = time.monotonic() + self._settings.terminate_s + SPARE_S
            for slot in self._slots:
                slot.terminate()
            for slot in self._slots:
                slot.end(deadline)


class _Slot:
    """One worker after the other."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self._started = self._start_at = -float("inf")
        self._failures = 0

    def look(self) -> None:
        """Start a worker where none runs and it is time to."""
        if self.process is not None and self.process.poll() is not None:
            self._bury(self.process.returncode)
        if self.process is None and time.monotonic() >= self._start_at:
            self._start()

    def _start(self) -> None:
        program = command(os.getpid(), "worker_process")
        try:
            self.process = subprocess.Popen(program, stdin=subprocess.PIPE)  # noqa: S603 (our own program)
        except OSError as error:
            _LOG.warning("a worker cannot be started: %s", error)
            self._wait_longer()
            return
        self._started = time.monotonic()
        # Not by the command line, which others can read: a URL may hold a password.
        self._settings = replace(self._settings, name=worker_name(self.process.pid))
        settings = json.dumps(asdict(self._settings)).encode()
        assert self.process.stdin is not None
        with suppress(OSError), self.process.stdin as pipe:
            pipe.write(settings)

    def _bury(self, status: int) -> None:
        self.process = None
        self._wait_longer()
        _LOG.warning("worker %s ended with status %d; another is started", self._settings.name, status)
        # Its leases need not be waited for: what it ran has ended with it.
        try:
            database = Database.open(self._settings.url)
            try:
                with database.write() as session:
                    queue.release(session, self._settings.name)
            finally:
                database.close()
        except IsothermError as error:
            _LOG.warning("the jobs of worker %s wait for its leases to end: %s", self._settings.name, error)

    def _wait_longer(self) -> None:
        now = time.monotonic()
        self._failures = 0 if now - self._started > STEADY_S else self._failures + 1
        self._start_at = now + min(LONGEST_WAIT_S, 0.25 * 2.0 ** min(self._failures, 10))

    def terminate(self) -> None:
        """Ask the worker to end."""
        if self.process is not None:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        """Wait for the worker's end until a moment of the monotonic clock, then kill it."""
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        self.process.kill()
        self.process.wait()
