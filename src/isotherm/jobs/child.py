"""The worker's side of the process in which jobs run (`isotherm.jobs.job_process`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import Pipe
from pathlib import Path

from isotherm.core.errors import IsothermError
from isotherm.core.processes import cores
from isotherm.jobs.leashed import command
from isotherm.jobs.queue import Lease

START_S = 120.0
"""How long a process may take to say which kinds of jobs it knows [s]."""
TICK_S = 0.25
"""How often a worker looks about while it waits for a process [s]."""
LEAVE_S = 5.0
"""How long an idle process may take to close what it has open [s]."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ChildFailedError(IsothermError):
    """The process for jobs does not start."""


@dataclass(frozen=True)
class Limits:
    """What the worker must know of a kind of job; see `isotherm.jobs.context.Kind`."""

    fresh: bool
    most_s: float
    most_mb: int
    every_s: float


class Child:
    """A process that runs the jobs it is given; started when this is made.

    Parameters
    ----------
    workplace, arguments
        As in `isotherm.jobs.worker.WorkerSettings`.
    meanwhile
        Called again and again while the process starts: on a busy machine that lasts longer than a lease. It must not
        raise.

    Attributes
    ----------
    kinds
        The limits of each kind of job that it knows.
    jobs
        How many jobs it was given.
    used
        When it was last used, by the monotonic clock [s].
    """

    def __init__(
        self, workplace: str, arguments: tuple[str, ...], meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        self._connection, theirs = Pipe()
        self._process = subprocess.Popen(  # noqa: S603 (our own program)
            command(os.getpid(), "job_process", str(theirs.fileno())),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=_environment(),
        )
        theirs.close()
        self.jobs, self.used = 0, time.monotonic()
        # By the connection: a command line can be read by others, and a URL may hold a password.
        self._send({"workplace": workplace, "arguments": arguments})
        self.kinds: Mapping[str, Limits] = self._first_answer(meanwhile)

    def _first_answer(self, meanwhile: Callable[[], None]) -> Mapping[str, Limits]:
        deadline = time.monotonic() + START_S
        try:
            while not (answered := self._connection.poll(TICK_S)) and time.monotonic() < deadline:
                meanwhile()
            if answered:
                found = json.loads(self._connection.recv_bytes())
                return {name: Limits(**limits) for name, limits in found.items()}
        except (EOFError, OSError):
            pass
        self.end()
        raise ChildFailedError(f"the process for jobs did not start: {self.how_it_ended()}; its log says more")

    def begin(self, lease: Lease) -> None:
        """Let it run a job; if it has died meanwhile, `ended` tells."""
        self.jobs += 1
        self._send({"run": asdict(lease)})

    def ask_to_end(self) -> None:
        """Ask it to end its job; one that has ended by itself meanwhile is not harmed, nor is the next one."""
        self._send({"end": True})

    def _send(self, message: Mapping[str, object]) -> None:
        with suppress(OSError):
            self._connection.send_bytes(json.dumps(message).encode())

    def ended(self, within_s: float) -> bool | None:
        """Return whether the job wrote its end; None while it runs. Raises EOFError where the process died."""
        try:
            if not self._connection.poll(within_s):
                return None
            return bool(json.loads(self._connection.recv_bytes())["ended"])
        except OSError as error:
            raise EOFError from error

    def alive(self) -> bool:
        """Say whether the process runs."""
        return self._process.poll() is None

    def memory_mb(self) -> float:
        """Return how much memory it has in use [MB]; 0 where the system does not say."""
        with suppress(OSError, ValueError, IndexError):
            pages = Path(f"/proc/{self._process.pid}/statm").read_text(encoding="ascii").split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6
        return 0.0

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def end(self) -> None:
        """Let it close what it has open and leave; what does not is killed."""
        self._connection.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)
        self.kill()

    def how_it_ended(self) -> str:
        """Return in words how the process ended."""
        status = self._process.poll()
        if status is None:
            return "it does not answer"
        if status >= 0:
            return f"it ended with status {status}"
        name = signal.Signals(-status).name
        return f"it was ended by {name}" + (" (by hand, or for want of memory)" if name == "SIGKILL" else "")


def _environment() -> dict[str, str]:
    """Return this process's environment with limits to threads: a core stays free for pages and API."""
    threads = str(max(1, cores() - 1))
    return {**dict.fromkeys(_THREADS, threads), **os.environ}
