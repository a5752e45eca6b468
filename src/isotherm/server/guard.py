"""What stands before every route: names, origins, sizes, speeds, numbers at a time; and what every answer carries.

Plain ASGI, one layer: it gives each request an id, measures and logs it, and answers itself what must go no further.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isotherm.core.errors import BusyError
from isotherm.jobs.logs import bound_contextvars
from isotherm.server.metrics import Metrics
from isotherm.server.problems import (
    PastTooLargeError,
    SlowError,
    kind_of,
    problem_of,
    problem_response,
    response_of,
)  # fmt: skip
from isotherm.server.security import check_source, safety_headers
from isotherm.server.settings import ServerSettings
from isotherm.server.tracing import RequestTrace, traced
from isotherm.store.ids import new_id

access = logging.getLogger("isotherm.access")
LARGE_BYTES = 64 * 1024
"""Bodies beyond this count as uploads, of which only so many are taken at a time."""
GRACE_S = 20.0
"""How long a body may take before its mean speed counts [s]."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UPLOADS = re.compile(r"/api/v1/sites/[^/]+/(images|predict|models/anomaly)")
_BLOB = re.compile(r"/api/v1/blobs/sha256/[^/]+")


def most_bytes(settings: ServerSettings, path: str, headers: Headers) -> int:
    """Return how long the body of a request may be [bytes]."""
    if _UPLOADS.fullmatch(path):
        return settings.most_request_bytes
    if _BLOB.fullmatch(path):
        return settings.most_file_bytes
    if path.startswith("/api/v1/"):
        return settings.most_small_bytes
    if path.startswith(("/api/", "/v2/")):
        return settings.most_json_bytes
    form = headers.get("content-type", "").startswith("multipart/form-data")
    return settings.most_request_bytes if form else settings.most_small_bytes


@dataclass
class _Exchange:
    """One request and its answer while they last."""

    scope: Scope
    headers: Headers
    request_id: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    received: int = 0
    sent: int = 0

    @property
    def path(self) -> str:
        return str(self.scope["path"])


class Guard:
    """The ASGI layer around an application."""

    def __init__(self, app: ASGIApp, *, settings: ServerSettings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._safety = safety_headers(settings)
        self._large = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request through, or answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = _Exchange(scope, headers, _request_id(headers))
        scope.setdefault("state", {})["request_id"] = exchange.request_id
        self.metrics.open.inc()
        with (
            traced(exchange.path, headers.get("traceparent", "")) as trace,
            bound_contextvars(request_id=exchange.request_id, **trace.fields()),
        ):
            try:
                await self._exchange(exchange, receive, self._sender(exchange, send))
            finally:
                self.metrics.open.dec()
                self._finished(exchange, trace)

    async def _exchange(self, exchange: _Exchange, receive: Receive, send: Send) -> None:
        reader = _Reader(exchange, receive, self.settings, self._admit)
        try:
            check_source(exchange.scope["method"], exchange.headers, self.settings)
            reader.check_length()
            await self.app(exchange.scope, reader.receive, send)
        except Exception as error:  # noqa: BLE001 (the last resort of a request: a problem, and a line in the log)
            await self._refuse(exchange, error, receive, send)
        finally:
            self._large -= reader.admitted

    async def _refuse(self, exchange: _Exchange, error: Exception, receive: Receive, send: Send) -> None:
        self.metrics.refused(kind_of(error).name)
        if exchange.status:
            logging.getLogger("isotherm.server").error("an answer broke off", exc_info=error)
            raise error
        request = Request(exchange.scope, receive)
        if "app" in exchange.scope:
            answer = response_of(error, request)
        else:
            answer = problem_response(problem_of(error, exchange.request_id))
        # What is left of the body is not read: the connection is of no further use.
        answer.headers["connection"] = "close"
        await answer(exchange.scope, receive, send)

    def _admit(self) -> None:
        """Count a large body; raises BusyError where there are too many."""
        if self._large >= self.settings.most_uploads + self.settings.most_waiting:
            raise BusyError("too many uploads at a time")
        self._large += 1

    def _sender(self, exchange: _Exchange, send: Send) -> Send:
        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._safety.items():
                    headers.setdefault(name, value)
                headers["x-request-id"] = exchange.request_id
            elif message["type"] == "http.response.body":
                exchange.sent += len(message.get("body", b""))
            await send(message)

        return sender

    def _finished(self, exchange: _Exchange, trace: RequestTrace) -> None:
        seconds = time.perf_counter() - exchange.started
        scope, method = exchange.scope, str(exchange.scope["method"])
        route = route_of(scope)
        status = exchange.status or 499
        self.metrics.answered(method, route, status, seconds)
        trace.answered(method[:16], route, status)
        actor = scope.get("state", {}).get("actor")
        fields: dict[str, Any] = {
            "request_id": exchange.request_id,
            "method": method[:16],
            "route": route,
            "path": exchange.path[:200],
            "status": status,
            "ms": round(1000 * seconds, 1),
            "received_bytes": exchange.received,
            "sent_bytes": exchange.sent,
            "actor": getattr(actor, "name", ""),
            "client": (scope.get("client") or ("",))[0],
        }
        access.info("request", extra={"fields": fields})


def route_of(scope: Scope) -> str:
    """Return the template of the route that a request has found, such as ``/api/v1/sites/{site_id}``; else empty."""
    return str(getattr(scope.get("route"), "path", "") or "")


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id()


class _Reader:
    """The body of one request, within its length, its speed, and the number of such bodies at a time."""

    def __init__(
        self, exchange: _Exchange, receive: Receive, settings: ServerSettings, admit: Callable[[], None]
    ) -> None:
        self._exchange, self._receive, self._settings, self._admit = exchange, receive, settings, admit
        self._most = most_bytes(settings, exchange.path, exchange.headers)
        self._ended = False
        self.admitted = 0

    def check_length(self) -> None:
        """Refuse a body that says itself that it is too long, and count a large one."""
        said = self._exchange.headers.get("content-length", "")
        length = int(said) if said.isdecimal() and len(said) < 20 else 0
        if length > self._most:
            raise PastTooLargeError(self._most)
        if length > LARGE_BYTES:
            self._count()

    def _count(self) -> None:
        if not self.admitted:
            self._admit()
            self.admitted = 1

    async def receive(self) -> Message:
        """Return the next piece of the body, or what else the client does."""
        if self._ended:
            # A client that waits for its answer may be silent as long as it likes.
            return await self._receive()
        message = await self._next()
        if message["type"] == "http.request":
            self._exchange.received += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            if self._exchange.received > self._most:
                raise PastTooLargeError(self._most)
            if self._exchange.received > LARGE_BYTES:
                self._count()
        return message

    async def _next(self) -> Message:
        spent = time.perf_counter() - self._exchange.started
        earned = GRACE_S + self._exchange.received / self._settings.least_bytes_per_s
        left = min(self._settings.idle_s, earned - spent)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.01, left)):
                return await self._receive()
        raise SlowError
