"""Who holds a run: a process, named so that another one on the same machine can tell whether it still lives."""

from __future__ import annotations

import os
import secrets
from functools import cache
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def this_process() -> str:
    """Return a name of this process: machine, space of process numbers, number and start; a random one elsewhere.

    The start is told in ticks since the machine's own (proc_pid_stat(5), column 22), which makes a number that is
    used again another name.
    """
    started = _started(os.getpid())
    return f"{_machine()}/{os.getpid()}/{started}" if started and _machine() else secrets.token_hex(16)


def has_died(owner: str) -> bool:
    """Say whether a process is known to be dead; False for those of other machines, of which nothing is known here."""
    machine, process, started = (*owner.rsplit("/", 2), "", "")[:3]
    if not process.isdecimal() or machine != _machine():
        return False
    return _started(int(process)) != started


@cache
def _machine() -> str:
    """Return what names this boot of this machine, and the name space of its processes (a container has its own)."""
    try:
        return f"{_BOOT.read_text('ascii').strip()}/{Path('/proc/self/ns/pid').readlink().name}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """Return when a process was started; empty where there is none, it has ended, or the system does not tell."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:
        return ""
    # The name in column 2 stands in parentheses and may hold anything.
    state, *columns = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else columns[18]
