"""One child process of `isotherm.jobs.limited`: started, asked, and ended, whatever becomes of it."""

from __future__ import annotations

import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from isotherm.core.errors import FormatError, IsothermError, TooLargeError
from isotherm.jobs.limited_wire import NO_MEMORY, Answer, encoded, raised, receive, send, too_much_memory

_log = logging.getLogger(__name__)
START_S = 60.0
"""How long a child may take until it is ready, on a machine that is busy with other things [s]."""
_BUFFER_BYTES = 1 << 20
# One thread each: the children share the processors. Freed memory is kept for the next picture. Each arena of glibc
# takes 64 MiB of the address space, used or not.
_ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PATH": os.defpath,
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
}


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Parameters
    ----------
    memory_bytes
        Address space beyond that of a child at rest.
    timeout_s
        Seconds on the wall clock, and of processor time, for one call that names none.
    input_bytes, output_bytes
        Largest data of a call, and largest answer.
    open_files
        Most files that are open at once.
    file_bytes
        Largest file that it may write, below a folder of its own, which is emptied; it may then also start programs,
        which have the same limits. 0: neither.
    tasks
        After so many calls a child is replaced, so that nothing adds up.
    nice
        By how much the children give way to others.
    readable
        What they may read beside programs and libraries, where the system can forbid the rest.
    """

    memory_bytes: int = 1 << 30
    timeout_s: float = 20.0
    input_bytes: int = 256 << 20
    output_bytes: int = 512 << 20
    open_files: int = 64
    file_bytes: int = 0
    tasks: int = 1000
    nice: int = 0
    readable: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Plan:
    """How children are started."""

    function: str
    warm_up: str
    limits: Limits
    environment: Mapping[str, str]


class DiedError(FormatError):
    """The process that decoded a file died of it."""


class Child:
    """One process. All but `kill` is for the thread that made it.

    Linux ends the process when that thread ends.
    """

    def __init__(self, plan: Plan) -> None:
        self._limits = plan.limits
        self.calls, self.confined, self.stillborn, self._killed = 0, tuple[str, ...](), False, False
        try:
            # Who may not write needs no folder: a full disk then stops nobody, and kill -9 leaves nothing behind.
            own = plan.limits.file_bytes > 0
            self._folder = Path(tempfile.mkdtemp(prefix="isotherm-limited-") if own else "/")
            self._stream, theirs = socket.socketpair()
            with theirs:
                self._process = _started(plan, theirs, self._folder)
        except OSError as error:
            raise IsothermError(f"the process that decodes files cannot be started: {error}") from error
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self.pid = self._process.pid

    def announced(self) -> bool:
        """Say whether it has said that it is ready, or is gone, without waiting."""
        return bool(select.select([self._stream], [], [], 0)[0])

    def get_ready(self) -> bool:
        """Wait until it is ready; False where it cannot be started, and then it is ended."""
        if self.confined or self.stillborn:
            return not self.stillborn
        try:
            header, _ = receive(self._stream, 1 << 20, time.monotonic() + START_S)
            failure = header.get("failed")
        except (EOFError, OSError, ValueError, TooLargeError) as error:
            header, failure = {}, f"{type(error).__name__}: {error}"
        if failure:
            self.stillborn = True
            _log.error("a child with limits could not be started: %s", failure)
            self.kill()
            return False
        # Never empty, also where a system has no limits.
        self.confined = ("process", *map(str, header.get("confined", ())))
        return True

    def ended(self) -> bool:
        """Say whether the process is gone, or has been told to go."""
        return self._killed or self._process.poll() is not None

    def call(self, data: bytes, options: Mapping[str, Any], timeout_s: float) -> Answer:
        """Have the function called; see `isotherm.jobs.limited.LimitedPool.submit` for what is raised."""
        if not self.get_ready():
            raise IsothermError("the process that decodes files cannot be started; the log of the server says why")
        self.calls += 1
        header, parts = self._exchanged(data, options, timeout_s)
        try:
            return _answer(header, parts)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.kill()
            raise FormatError(_IMPROPER) from error

    def _exchanged(
        self, data: bytes, options: Mapping[str, Any], timeout_s: float
    ) -> tuple[dict[str, Any], list[bytes]]:
        head = encoded({"options": dict(options), "cpu_s": timeout_s}, [data])
        deadline = time.monotonic() + timeout_s
        self._stream.settimeout(timeout_s)
        try:
            send(self._stream, head, [data])
            return receive(self._stream, self._limits.output_bytes, deadline)
        except TimeoutError:
            self.kill()
            raise TooLargeError(f"to decode this takes longer than {timeout_s:g} s; it was stopped") from None
        except (EOFError, ConnectionError):
            raise self._death(timeout_s) from None
        except TooLargeError as error:
            self.kill()
            raise TooLargeError(f"what was found in this is too large: {error}") from error
        except (ValueError, RecursionError) as error:
            # What it says cannot be trusted any more.
            self.kill()
            raise FormatError(_IMPROPER) from error

    def _death(self, timeout_s: float) -> FormatError:
        """Return the error that says why the process died."""
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
            return FormatError(_IMPROPER)
        if code == -getattr(signal, "SIGXCPU", 0):
            return TooLargeError(f"to decode this takes more than {timeout_s:g} s of processor time; it was stopped")
        if code == -signal.SIGKILL:
            return TooLargeError("to decode this takes more memory than the system has; it was stopped")
        if code == NO_MEMORY:
            return too_much_memory(self._limits.memory_bytes)
        name = signal.Signals(-code).name if code < 0 else f"status {code}"
        return DiedError(f"the file is damaged: the process that decoded it ended with {name}")

    def kill(self) -> None:
        """End the process at once; from any thread."""
        self._killed = True
        with suppress(OSError):
            self._process.kill()

    def end(self) -> None:
        """End the process and remove what it left behind."""
        self._stream.close()
        self.kill()
        self._process.wait()
        if self._limits.file_bytes:
            shutil.rmtree(self._folder, ignore_errors=True)


_IMPROPER = "the process that decoded this file gave no proper answer"


def _started(plan: Plan, theirs: socket.socket, folder: Path) -> subprocess.Popen[bytes]:
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return subprocess.Popen(  # noqa: S603 (our own program)
        [sys.executable, "-P", "-s", "-m", "isotherm.jobs.limited_child", _order(plan, theirs.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=_environment(plan, folder),
        pass_fds=(theirs.fileno(),),
    )


def _order(plan: Plan, handle: int) -> str:
    limits = asdict(plan.limits)
    order = {"handle": handle, "parent": os.getpid(), "function": plan.function, "warm_up": plan.warm_up}
    return json.dumps({**order, **limits})


def _environment(plan: Plan, folder: Path) -> dict[str, str]:
    """Return what a child is told: where its packages are, and nothing of what this process knows."""
    places = os.pathsep.join(place for place in sys.path if Path(place).is_absolute())
    return {**_ENVIRONMENT, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": places, **plan.environment}


def _answer(header: Mapping[str, Any], parts: list[bytes]) -> Answer:
    if "error" in header:
        raise raised(header["error"])
    if "foreign" in header:
        _log.error("while a file was decoded: %s", header.get("trace"))
        raise FormatError(f"the file is damaged or not supported ({header['foreign']})")
    return Answer(header["values"], dict(zip(header["names"], parts, strict=True)))
