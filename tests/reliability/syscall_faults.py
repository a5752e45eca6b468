"""Faults in the calls of the system, put in by strace: https://man7.org/linux/man-pages/man1/strace.1.html, ``inject``.

The database's calls are made by a library in C, so nothing of Python can stand between it and the system.
"""

from __future__ import annotations

import errno
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from faulty_operations import EMPTY, LONGEST, WHEN

PROGRAM = Path(__file__).with_name("faulty_operations.py")
KILL = "KILL"


@dataclass(frozen=True)
class Outcome:
    """What came of an operation: its value, or the name of an error and its message; was the fault met at all?"""

    value: Any
    error: str
    met: bool


class FaultServer:
    """Does operations, each in a fresh process in which one call of the system goes wrong."""

    def __init__(self, line: socket.socket, code: int) -> None:
        self._line, self._code = line, code

    def attempt(self, operation: str, folder: Path, *, call: str, number: int) -> Outcome:
        """Let call number `number` (1: the first) of a kind go wrong during an operation on a folder."""
        wish = {"operation": operation, "folder": str(folder), "call": call, "number": number, "code": self._code}
        self._line.send(json.dumps(wish).encode())
        outcome = Outcome(**json.loads(self._line.recv(LONGEST)))
        # What it has left is looked at when it is gone: while it lives, it holds its run.
        assert self._line.recv(LONGEST) == b"gone"
        return outcome


@contextmanager
def fault_server(fault: str) -> Iterator[FaultServer]:
    """Give a server of faults: ``ENOSPC``, ``EIO`` ..., or ``KILL``; skips the test where strace may not do that."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    program = [sys.executable, "-B", str(PROGRAM), str(theirs.fileno())]
    with ours, subprocess.Popen(program, pass_fds=[theirs.fileno()]) as server:
        theirs.close()
        try:
            tracer = _attached(int(ours.recv(LONGEST)), fault)
            try:
                yield FaultServer(ours, 0 if fault == KILL else getattr(errno, fault))
            finally:
                ours.close()
                server.wait(20)
                tracer.wait(20)
        finally:
            server.kill()


def _attached(process: int, fault: str) -> subprocess.Popen[bytes]:
    """Let strace watch a process and its children, and wait until it does."""
    what = f"signal={KILL}" if fault == KILL else f"error={fault}"
    calls = ",".join(EMPTY)
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-p", str(process)]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:{what}:when={WHEN}"]
    tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while "TracerPid:\t0\n" in Path(f"/proc/{process}/status").read_text("ascii"):
        if tracer.poll() is not None or time.monotonic() > deadline:
            pytest.skip("strace may not watch a process here")
        time.sleep(0.01)
    return tracer
