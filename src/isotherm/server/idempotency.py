"""``Idempotency-Key``: a creating request that is sent again gets the answer of the first time.

draft-ietf-httpapi-idempotency-key-header-07. The key is taken before the work begins and the answer is written down
after it, so two at once are never both done. Where the server is killed between work and answer, the key is free again
after some minutes; what the work has made by then is found by its name or content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import ConfigError, ConflictError
from isotherm.server.security import actor_of_request
from isotherm.store import idempotency as kept
from isotherm.store.idempotency import Answer

REPLAYED = "idempotency-replayed"
LOCAL_CLIENT = "local"
MOST_KEPT = 1024 * 1024
"""The longest answer that is kept [bytes]; to a request with a longer one, a repetition is a conflict."""
_HEADERS = ("location", "etag", "content-type")


def documented(
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
    """

    def __init__(self, request: Request, client: str) -> None:
        self._database = request.app.state.service.database
        self._client = client
        self._key = request.headers["idempotency-key"]
        if not (0 < len(self._key) <= 255 and self._key.isascii() and self._key.isprintable()):
            raise ConfigError("Idempotency-Key must be 1 to 255 visible ASCII characters")

    async def claim(self, fingerprint: str) -> Response | None:
        """Take the key; returns the answer where the same request has been answered already.

        Raises
        ------
        ConflictError, ConfigError
            The first one is still being worked on; the key was used for another request.
        """
        found = await run_in_threadpool(self._claim, fingerprint)
        if found is None:
            return None
        if found.request_sha256 != fingerprint:
            raise ConfigError("Idempotency-Key was used for another request; choose a new one")
        if found.status == 0:
            raise ConflictError("the first request with this Idempotency-Key is still being worked on")
        return Response(found.body.encode(), found.status, {**found.headers, REPLAYED: "true"})

    def _claim(self, fingerprint: str) -> Answer | None:
        with self._database.write() as session:
            return kept.claim(session, self._client, self._key, fingerprint)

    async def keep(self, fingerprint: str, response: Response) -> Response:
        """Write an answer down, if it is a good one; returns it."""
        if 200 <= response.status_code < 300 and len(response.body) <= MOST_KEPT:
            headers = {name: response.headers[name] for name in _HEADERS if name in response.headers}
            answer = Answer(fingerprint, response.status_code, headers, bytes(response.body).decode())
            await run_in_threadpool(self._keep, answer)
        return response

    def _keep(self, answer: Answer) -> None:
        with self._database.write() as session:
            kept.keep(session, self._client, self._key, answer)

    async def release(self) -> None:
        """Give the key free after a failure."""
        await run_in_threadpool(self._release)

    def _release(self) -> None:
        with self._database.write() as session:
            kept.release(session, self._client, self._key)


async def once_of(request: Request) -> Once:
    """Return the key of a request, for its caller."""
    actor = await actor_of_request(request)
    return Once(request, actor.token_id or LOCAL_CLIENT)


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
        Gives the answer.
    """
    if "idempotency-key" not in request.headers:
        return await work()
    once = await once_of(request)
    head = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    fingerprint = hashlib.sha256(head + await run_in_threadpool(content)).hexdigest()
    known = await once.claim(fingerprint)
    if known is not None:
        return known
    try:
        response = await work()
    except BaseException:
        await once.release()
        raise
    if response.status_code >= 300:
        await once.release()
    return await once.keep(fingerprint, response)


class OnceRoute(APIRoute):
    """A route whose creating requests are done once for each key; for small bodies."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler around the route's own."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            if request.method != "POST" or "idempotency-key" not in request.headers:
                return await handle(request)
            body = await request.body()
            return await performed(request, lambda: body, lambda: handle(request))

        return handler
