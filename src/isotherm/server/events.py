"""Server-sent events of a job: its state whenever it changes, until it has ended.

The id of an event is the job's ``row_version``, so a browser that has lost its line goes on where it was, on any
process of the server (https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import BusyError
from isotherm.jobs.queue import FINISHED
from isotherm.server.schemas import JobOut, Progress
from isotherm.store.tables import Job

MOST_STREAMS = 100
STREAMS_A_STEP = 10
"""With more streams than this, each looks for news the more seldom."""
PING_S = 15.0
LONGEST_WAIT_S = 60.0


def job_out(job: Job) -> JobOut:
    """Return a job as the API shows it."""
    plain = {name: getattr(job, name) for name in JobOut.model_fields if name != "progress"}
    return JobOut(progress=Progress(done=job.done, total=job.total, message=job.message), **plain)


async def finished(read: Callable[[], Job], wait_s: float, poll_s: float) -> Job:
    """Return a job when it has ended, or as it is after some time."""
    deadline = time.monotonic() + min(wait_s, LONGEST_WAIT_S)
    while True:
        job = await run_in_threadpool(read)
        if job.state in FINISHED or time.monotonic() >= deadline:
            return job
        await asyncio.sleep(min(poll_s, max(0.01, deadline - time.monotonic())))


class Streams:
    """How many streams an application has."""

    def __init__(self) -> None:
        self.open = 0


def streams_of(app: FastAPI) -> Streams:
    """Return the application's streams."""
    found: Streams = app.state.streams
    return found


def check_room(streams: Streams) -> None:
    """Raise BusyError where there are too many streams."""
    if streams.open >= MOST_STREAMS:
        raise BusyError(f"{MOST_STREAMS} event streams are open", retry_after_s=10)


async def events(request: Request, read: Callable[[], Job], seen: int) -> AsyncIterator[bytes]:
    """Give the events of a job that is newer than version `seen`."""
    streams, poll_s = streams_of(request.app), request.app.state.settings.event_poll_s
    streams.open += 1
    try:
        spoke = time.monotonic()
        while not request.app.state.stopping():
            job = await run_in_threadpool(read)
            if job.row_version > seen:
                seen, spoke = job.row_version, time.monotonic()
                yield _event(job)
            if job.state in FINISHED:
                return
            if time.monotonic() - spoke > PING_S:
                spoke = time.monotonic()
                yield b": alive\n\n"
            await asyncio.sleep(poll_s * max(1, streams.open // STREAMS_A_STEP))
    finally:
        streams.open -= 1


def _event(job: Job) -> bytes:
    # JSON has no line breaks of its own, which would end the field.
    data = json.dumps(job_out(job).model_dump(mode="json"), separators=(",", ":"))
    return f"id: {job.row_version}\nevent: job\ndata: {data}\n\n".encode()


def version_in(request: Request) -> int:
    """Return the version that a client has seen, by its ``Last-Event-ID``; -1 for none."""
    text = request.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else -1
