"""Kinds of jobs for tests; run in the processes that workers start."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from isotherm.core.errors import DataError
from isotherm.jobs.context import JobContext, Kind, Workplace
from isotherm.store.database import Database
from isotherm.store.tables import Blob


def count(context: JobContext) -> Mapping[str, Any]:
    """Commit ``items`` rows one by one, ``seconds`` each."""
    done = context.finished_items()
    total = context.payload["items"]
    for number in range(total):
        if str(number) in done:
            continue
        context.check()
        time.sleep(context.payload.get("seconds", 0))

        def write(session: Session, number: int = number) -> Mapping[str, Any]:
            session.add(Blob(digest=f"{context.job_id}-{number:05d}"[-64:], size=number))
            return {"square": number * number}

        context.commit_item(str(number), write)
        context.progress(number + 1, total, f"item {number}")
    return {"counted": total}


def sleep(context: JobContext) -> Mapping[str, Any]:
    """Sleep without ever looking whether to end."""
    until = time.monotonic() + context.payload["seconds"]
    while time.monotonic() < until:
        time.sleep(0.05)
    return {}


def fail(context: JobContext) -> Mapping[str, Any]:
    if context.payload.get("how") == "data":
        raise DataError("one category only; two are needed")
    raise RuntimeError("a fault")


def die(context: JobContext) -> Mapping[str, Any]:
    """End this process by a signal, in the first attempts."""
    if context.attempt <= context.payload["times"]:
        os.kill(os.getpid(), context.payload.get("signal", signal.SIGKILL))
    return {"attempt": context.attempt}


def grow(context: JobContext) -> Mapping[str, Any]:
    """Use more and more memory."""
    held = []
    for _ in range(1000):
        held.append(b"x" * 10_000_000)
        time.sleep(0.05)
    return {"blocks": len(held)}


def cores() -> int:
    return len(os.sched_getaffinity(0))


def where(context: JobContext) -> Mapping[str, Any]:
    return {"pid": os.getpid(), "nice": os.nice(0), "threads": os.environ.get("OMP_NUM_THREADS", ""), "cores": cores()}


def where_sleep(context: JobContext) -> Mapping[str, Any]:
    context.progress(0, 1, str(os.getpid()))
    return sleep(context)


KINDS = {
    "count": Kind(count),
    "sleep": Kind(sleep),
    "short": Kind(sleep, most_s=0.5),
    "fail": Kind(fail),
    "die": Kind(die),
    "grow": Kind(grow, most_mb=200),
    "where": Kind(where),
    "fresh": Kind(where, fresh=True),
    "where_sleep": Kind(where_sleep),
}


@contextmanager
def workplace(url: str) -> Iterator[Workplace]:
    database = Database.open(url)
    try:
        yield Workplace(database, KINDS)
    finally:
        database.close()


@contextmanager
def workplace_slow_but_once(url: str, mark: str) -> Iterator[Workplace]:
    """Open at once the first time, and after six seconds each time after it."""
    if Path(mark).exists():
        time.sleep(6)
    Path(mark).touch()
    with workplace(url) as place:
        yield place
