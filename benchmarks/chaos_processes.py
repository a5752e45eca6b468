"""For the chaos programs: whom to kill, and whether anything survives that should not."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path


def children_of(process: int) -> list[int]:
    """Return the process numbers of the direct children of a process (Linux)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(entry.name))
        if fields and int(fields[1]) == process and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def descendants(process: int) -> list[int]:
    """Return all processes that a process has started, and theirs."""
    direct = children_of(process)
    return direct + [deeper for child in direct for deeper in descendants(child)]


def command_of(process: int) -> str:
    """Return the command line of a process; empty where it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def is_alive(process: int) -> bool:
    """Say whether a process runs and is no zombie."""
    fields = _stat(process)
    return bool(fields) and fields[0] != "Z"


def _stat(process: int) -> list[str]:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def kill(process: int) -> bool:
    """Kill a process as `kill -9` does; returns whether it was there."""
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def survivors(processes: list[int], within_s: float = 10.0) -> list[str]:
    """Return the commands of those processes that still run after a while."""
    deadline = time.monotonic() + within_s
    while (left := [one for one in processes if is_alive(one)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return [f"{one} {command_of(one)[:120]}" for one in left]


def victim(server: int, rng: random.Random) -> tuple[str, int]:
    """Choose the server (one in ten), a worker or one of the processes in which jobs run, as far as they are there."""
    workers = [one for one in children_of(server) if "worker_process" in command_of(one)]
    running = [job for one in workers for job in children_of(one) if "job_process" in command_of(job)]
    kinds = [("server", [server], 1), ("worker", workers, 4), ("job process", running, 5)]
    there = [(name, processes, weight) for name, processes, weight in kinds if processes]
    name, processes, _ = rng.choices(there, [weight for *_, weight in there])[0]
    return name, rng.choice(processes)
