"""Ray Core tasks: the only place where Ray is imported.

Not Ray Data: its actors hang without a word where they take all CPUs (https://github.com/ray-project/ray/issues/44687),
and what is done is our ledger's matter. Ray tries a task again whose worker or node died; after that the driver does.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from isotherm import __version__
from isotherm.core.errors import (
    ConfigError,
    MissingExtraError,
    UnreachableError,
    UsageError,
    one_line,
)
from isotherm.core.memory import keep_freed_memory
from isotherm.core.processes import cores
from isotherm.core.progress import Progress, silent
from isotherm.scaleout import ray_leash
from isotherm.scaleout.work import Finished, Work, WorkerError, answer, rows_of, told

RETRIES = 3
ANSWER_S = 5.0
"""How long the server at an address may take to let one connect, and how long to answer [s]."""
_ASK = (
    "is the cluster's client server there (port 10001, unless `ray start --ray-client-server-port` said otherwise), "
    "and may this machine reach it?"
)
ASKED = 5
"""How often a cluster is asked that could not start its process for a client.

Under load that process ends in gRPC's fork handlers before its first line (6 of 70 on a busy machine, none of 30 where
the head was started with ``GRPC_ENABLE_FORK_SUPPORT=0``); Ray says so after half a minute.
"""
STORE_BYTES = 128 << 20
"""Memory of a local Ray for what tasks give and get; ours are texts [bytes]."""
COUNT_AGAIN_S = 5.0
KEEPALIVE_MS = 20_000
"""After how long without an answer a node is asked whether it is there [ms]; Ray's own default is 300,000."""
LEAVE_S = 5.0
"""How long the end of what a local Ray has left may take [s]."""


class RayTasks:
    """Work as Ray tasks of one CPU each.

    Parameters
    ----------
    address
        ``ray-local`` to start Ray on this machine, ``ray://auto`` to join the cluster that this machine is a node of,
        or ``ray://HOST:PORT`` for a cluster's client server (port 10001 by default).
    workers
        CPUs of a local Ray.
    progress
        Told each time that a cluster is asked again.

    Raises
    ------
    MissingExtraError
        Ray is not installed, or not with its client.
    UnreachableError
        No Ray answers there.
    """

    def __init__(self, address: str, workers: int | None = None, progress: Progress = silent) -> None:
        self._ray = _ray()
        self._progress = progress
        self._local: _Leash | None = None
        self._under_way: dict[Any, Work] = {}
        if address == "ray-local":
            self._local = _Leash()
            options = {"_temp_dir": self._local.folder, "object_store_memory": STORE_BYTES}
            self._start(address="local", num_cpus=workers or cores(), **options)
        elif address == "ray://auto":
            self._start(address="auto")
        else:
            _check_answers(address)
            self._start(address=address)
        self._remote = self._ray.remote(max_retries=RETRIES, num_cpus=1)(_task)
        self._counted, self._workers = -COUNT_AGAIN_S, 0

    def _start(self, *, address: str, **options: Any) -> None:
        if not address.startswith("ray://"):
            options |= {"logging_level": "error", "log_to_driver": False}
        if address == "local":
            options["include_dashboard"] = False
        try:
            self._join(address, options)
        except (OSError, RuntimeError) as error:
            self.close()
            raise UnreachableError(
                f"no Ray lets this process in at {address}: {one_line(error)} (is it of the same version, and does it "
                "ask for a token: RAY_AUTH_TOKEN, RAY_AUTH_MODE?)"
            ) from error

    def _join(self, address: str, options: Mapping[str, Any]) -> None:
        for asked in range(1, ASKED + 1):
            try:
                self._ray.init(address=address, **options)
                return
            except ConnectionAbortedError:
                if asked == ASKED:
                    raise
                self._ray.shutdown()
                self._progress(asked + 1, ASKED, "asking Ray to let us in")

    @property
    def workers(self) -> int:
        """How many CPUs there are; nodes come and go."""
        if time.monotonic() > self._counted + COUNT_AGAIN_S:
            self._workers = int(self._ray.cluster_resources().get("CPU", 0))
            self._counted = time.monotonic()
        # While no node is left, one task waits for the next.
        return max(1, self._workers)

    def submit(self, work: Work) -> None:
        """Hand a task to Ray."""
        self._under_way[self._remote.remote(__version__, work.function, work.setup, work.items)] = work

    def wait(self, within_s: float) -> Sequence[Finished]:
        """Return what has ended."""
        waiting = list(self._under_way)
        if not waiting:
            return []
        ready, others = self._ray.wait(waiting, num_returns=1, timeout=within_s)
        if others and ready:
            ready += self._ray.wait(others, num_returns=len(others), timeout=0)[0]
        return [self._finished(reference) for reference in ready]

    def _finished(self, reference: Any) -> Finished:
        work = self._under_way.pop(reference)
        try:
            return Finished(work, rows_of(self._ray.get(reference)))
        except self._ray.exceptions.RayTaskError as error:
            raise WorkerError(str(error)) from error
        except self._ray.exceptions.RayError as error:
            return Finished(work, lost=f"Ray lost its worker: {one_line(error)}"[:500])

    def close(self) -> None:
        """Cancel what is under way, and leave the cluster or end the local Ray."""
        for reference in self._under_way:
            self._ray.cancel(reference, force=True)
        self._under_way.clear()
        self._ray.shutdown()
        if self._local is not None:
            self._local.end()


class _Leash:
    """A folder for a local Ray, and a process that ends all of it when this process is gone: see `ray_leash`.

    (Ray's own place, ``/tmp/ray``, fills with the logs of ended runs.)
    """

    def __init__(self) -> None:
        # Resolved, as the system tells it where it lists open files.
        root = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()).resolve()
        self.folder = tempfile.mkdtemp(prefix="isotherm-ray-", dir=root)
        watched, self._alive = os.pipe()
        command = [sys.executable, "-I", "-S", ray_leash.__file__, str(watched), str(os.getpid()), self.folder]
        try:
            # In a session of its own: who kills the driver's whole group does not mean this.
            self._process = subprocess.Popen(  # noqa: S603 (our own program)
                command, pass_fds=[watched], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
        finally:
            os.close(watched)

    def end(self) -> None:
        """End what is left, and remove the folder."""
        os.close(self._alive)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_S)


def _task(expected: str, function: str, setup: str, items: tuple[str, ...]) -> str:
    """Do work on a node, which must have this very version of isotherm."""
    if expected != __version__:
        return told(
            ConfigError(f"a node has isotherm {__version__}, the driver {expected}; install the same on all nodes")
        )
    keep_freed_memory()
    return answer(function, setup, items)


def _ray() -> Any:
    # Nothing is told to anybody, and what will change in later versions of Ray is our matter, not the user's.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Who waits for a node behind a cable that was cut would wait for seven minutes (gRPC asks after five of them).
    os.environ.setdefault("RAY_grpc_client_keepalive_time_ms", str(KEEPALIVE_MS))
    os.environ.setdefault("RAY_grpc_client_keepalive_timeout_ms", str(KEEPALIVE_MS // 2))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError as error:
        raise MissingExtraError("--executor ray-local and ray://", "ray") from error
    # What it does step by step is no news for who runs a command.
    logging.getLogger("ray").setLevel(logging.ERROR)
    return ray


def _check_answers(address: str) -> None:
    """Raise UnreachableError soon, where Ray itself would try again for half a minute or more."""
    try:
        grpc: Any = import_module("grpc")
    except ImportError as error:
        raise MissingExtraError("ray://HOST:PORT (Ray's client)", "ray") from error
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"an address of Ray is ray://HOST:PORT, such as ray://head:10001; not {address!r}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise UnreachableError(f"no Ray answers at {address} ({error}); {_ASK}") from error
    channel = grpc.insecure_channel(f"{host}:{port}")
    try:
        grpc.channel_ready_future(channel).result(timeout=ANSWER_S)
    except grpc.FutureTimeoutError as error:
        raise UnreachableError(f"what listens at {address} does not answer as Ray does; {_ASK}") from error
    finally:
        channel.close()
