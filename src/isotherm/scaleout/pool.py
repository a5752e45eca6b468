"""A pool of processes of this machine, each with a pipe of its own: who dies takes its own work with it, and no other.

(The pool of the standard library is broken as a whole when one of its processes is killed.)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait as wait_for

from isotherm.scaleout.work import Finished, Work, rows_of

_ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
LEAVE_S = 2.0
"""How long an idle process may take to leave [s]."""


class _Worker:
    """One process; it ends when this end of its pipe is closed, however that comes about."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        watched, self._alive = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                [sys.executable, "-m", "isotherm.scaleout.pool_process", str(theirs.fileno()), str(watched)],
                pass_fds=[theirs.fileno(), watched],
                stdin=subprocess.DEVNULL,
                # The processes share the cores already.
                env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
            )
        finally:
            theirs.close()
            os.close(watched)
        self.work: Work | None = None

    def give(self, work: Work) -> None:
        """Let it do some work; if it has died meanwhile, `answer` tells."""
        self.work = work
        message = json.dumps({"function": work.function, "setup": work.setup, "items": work.items})
        with suppress(OSError):
            self.connection.send_bytes(message.encode())

    def answer(self) -> str | None:
        """Return what it says; None where it has died."""
        with suppress(EOFError, OSError):
            return self.connection.recv_bytes().decode()
        return None

    def end(self, *, now: bool = True) -> str:
        """End it, and say how it ended."""
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2 if now else LEAVE_S)
        self._process.kill()
        status = self._process.wait()
        os.close(self._alive)
        if status >= 0:
            return f"the process that worked on it ended with status {status}"
        name = signal.Signals(-status).name
        return f"the process that worked on it was ended by {name}" + (
            " (by hand, or for want of memory)" if name == "SIGKILL" else ""
        )


class Pool:
    """Some processes, started with the first work and kept until the end.

    Parameters
    ----------
    workers
        How many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._waiting: deque[Work] = deque()
        self._processes: list[_Worker] = []

    def submit(self, work: Work) -> None:
        """Give work to a process that has none, or let it wait."""
        self._waiting.append(work)
        self._deal()

    def _deal(self) -> None:
        while self._waiting:
            idle = next((process for process in self._processes if process.work is None), None)
            if idle is None:
                if len(self._processes) == self.workers:
                    return
                idle = _Worker()
                self._processes.append(idle)
            idle.give(self._waiting.popleft())

    def wait(self, within_s: float) -> Sequence[Finished]:
        """Return what has ended; a process that died is replaced when there is work for another."""
        busy = {process.connection: process for process in self._processes if process.work is not None}
        found = [self._finished(busy[ready]) for ready in wait_for(list(busy), within_s)]  # type: ignore[index]
        self._deal()
        return found

    def _finished(self, process: _Worker) -> Finished:
        work, text = process.work, process.answer()
        assert work is not None
        if text is None:
            self._processes.remove(process)
            return Finished(work, lost=process.end())
        process.work = None
        return Finished(work, rows_of(text))

    def close(self) -> None:
        """End all processes; those that have work are killed."""
        self._waiting.clear()
        for process in self._processes:
            process.connection.close()
        for process in self._processes:
            process.end(now=process.work is not None)
        self._processes.clear()
