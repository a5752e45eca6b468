"""``Idempotency-Key``: a creating request that is sent again gets the answer of the first time.

draft-ietf-httpapi-idempotency-key-header-07. The answer is written in the transaction of the work, so that a server
which is killed leaves both or neither, and of two servers that do the same at once the second takes everything back.
Requests with many files write one transaction a file (`isotherm.workflows.service.once`) and the whole answer last.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import ConfigError, ConflictError
from isotherm.server.security import actor_of_request
from isotherm.store import idempotency as kept
from isotherm.store.idempotency import Answer
from isotherm.workflows.service.once import OnceFile
from isotherm.workflows.service.taking import Upload

REPLAYED = "idempotency-replayed"
LOCAL_CLIENT = "local"
MOST_KEPT = 1024 * 1024
"""The longest answer that is kept [bytes]; to a request with a longer one, a repetition is a conflict."""
TOO_LONG = 409
_HEADERS = ("location", "etag", "content-type")


async def documented(
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of the client's; sent again with it, the request is answered as the first time.",
        ),
    ] = None,
) -> None:
    """Say in the API's description what `Once` reads."""


class Once:
    """A request under its key.

    Parameters
    ----------
    request
        Whose header is read.
    client
        Whose keys they are.
    fingerprint
        What tells the request from others [sha256, hexadecimal].
    """

    def __init__(self, request: Request, client: str, fingerprint: str) -> None:
        self.database = request.app.state.service.database
        self.client, self.fingerprint, self.key = client, fingerprint, _key(request)
        self.is_kept, self._files = False, list[OnceFile]()
        self._at_work: set[tuple[str, str]] = request.app.state.keys_at_work

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other requests of this process with the same key out; raises ConflictError where one is at work."""
        place = (self.client, self.key)
        if place in self._at_work:
            raise ConflictError("the first request with this Idempotency-Key is still being worked on")
        self._at_work.add(place)
        try:
            yield
        finally:
            self._at_work.discard(place)

    def known(self) -> Response | None:
        """Return the answer where the same request has been answered already.

        Raises
        ------
        ConflictError, ConfigError
            The answer was too long to be kept; the key was used for another request.
        """
        with self.database.read() as session:
            found = kept.known(session, self.client, self.key)
        if found is None:
            return None
        if found.request_sha256 != self.fingerprint:
            raise ConfigError("Idempotency-Key was used for another request; choose a new one")
        if found.status == TOO_LONG:
            raise ConflictError("the request has been done; its answer was too long to be kept")
        return Response(found.body.encode(), found.status, {**found.headers, REPLAYED: "true"})

    def keep(self, response: Response) -> None:
        """Write a good answer down, in place of those to the single files of the request."""
        if not 200 <= response.status_code < 300:
            return
        headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
        answer = Answer(self.fingerprint, response.status_code, headers, bytes(response.body).decode())
        if len(response.body) > MOST_KEPT:
            answer = Answer(self.fingerprint, TOO_LONG, {}, "")
        with self.database.write() as session:
            kept.keep(session, self.client, self.key, answer)
            kept.forget(session, self.client, [each.key for each in self._files])
        self.is_kept = True

    def file(self, place: int) -> OnceFile:
        """Return what does a file of the request once, by its number; the answer to the whole takes its place."""
        whole = hashlib.sha256(f"{self.fingerprint}{self.key}".encode())
        self._files.append(OnceFile(self.client, whole.hexdigest(), place))
        return self._files[-1]


def _key(request: Request) -> str:
    key = request.headers["idempotency-key"]
    if not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ConfigError("Idempotency-Key must be 1 to 255 visible ASCII characters")
    return key


_ONCE: ContextVar[Once | None] = ContextVar("once", default=None)


def with_its_answer(work: Callable[[], Response]) -> Response:
    """Do a request's work in the thread of the caller, and where it has a key, keep the answer with it or neither."""
    once = _ONCE.get()
    if once is None:
        return work()
    with once.database.together():
        response = work()
        once.keep(response)
    return response


def once_each(uploads: Sequence[Upload]) -> list[Upload]:
    """Return the files of a request, each of which is taken in once for its key, where there is one."""
    once = _ONCE.get()
    if once is None:
        return list(uploads)
    return [replace(upload, once=once.file(place)) for place, upload in enumerate(uploads)]


async def performed(
    request: Request, content: Callable[[], bytes], work: Callable[[], Coroutine[Any, Any, Response]]
) -> Response:
    """Do a request's work once for its key.

    Parameters
    ----------
    request
        With or without a key.
    content
        Gives what tells requests apart beside method, path and query: the body, or a digest of what is in it. Called
        in a thread, and only where there is a key.
    work
        Gives the answer; `with_its_answer` and `once_each` know the key in it.
    """
    if "idempotency-key" not in request.headers:
        return await work()
    actor = await actor_of_request(request)
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    fingerprint = hashlib.sha256(head + await run_in_threadpool(content)).hexdigest()
    once = Once(request, actor.token_id or LOCAL_CLIENT, fingerprint)
    with once.alone():
        found = await run_in_threadpool(once.known)
        if found is not None:
            return found
        token = _ONCE.set(once)
        try:
            response = await work()
        finally:
            _ONCE.reset(token)
        if not once.is_kept:
            await run_in_threadpool(once.keep, response)
    return response


class OnceRoute(APIRoute):
    """A route whose creating requests are done once for each key; for small bodies.

    A function that is a coroutine calls `with_its_answer` itself, else its answer is written after its work.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **settings: Any) -> None:
        creates = "POST" in (settings.get("methods") or ()) and not inspect.iscoroutinefunction(endpoint)
        super().__init__(path, _answering(endpoint, settings) if creates else endpoint, **settings)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler around the route's own."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if request.method != "POST" or "idempotency-key" not in request.headers:
                return await handle(request)
            body = await request.body()
            return await performed(request, lambda: body, lambda: handle(request))

        return handler


def _answering(endpoint: Callable[..., Any], settings: dict[str, Any]) -> Callable[..., Any]:
    """Return a route's function that gives the finished answer, written down with its work, where there is a key."""

    @wraps(endpoint)
    def answering(**values: Any) -> Any:
        if _ONCE.get() is None:
            return endpoint(**values)

        def work() -> Response:
            made = endpoint(**values)
            if isinstance(made, Response):
                return made
            adapter = TypeAdapter(settings["response_model"])
            body = adapter.dump_json(adapter.validate_python(made, from_attributes=True))
            response = Response(body, settings.get("status_code") or 200)
            response.headers["content-type"] = "application/json"
            for given in values.values():
                if isinstance(given, Response):
                    response.headers.update(given.headers)
            return response

        return with_its_answer(work)

    return answering
