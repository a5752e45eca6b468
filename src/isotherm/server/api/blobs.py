"""Contents ahead of their images: the client names hashes, learns which are missing, and sends those in pieces."""

from __future__ import annotations

import hashlib
import time
from contextlib import suppress
from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from isotherm.core.errors import BusyError, ConflictError, DataError, TooLargeError, UsageError
from isotherm.server.api.answers import STORED, body_of, problems
from isotherm.server.api.routing import api_router
from isotherm.server.schemas import BlobState, Digests, Missing
from isotherm.server.security import CurrentActor
from isotherm.server.settings import MIB
from isotherm.server.uploads import in_lane
from isotherm.workflows.service import images
from isotherm.workflows.service.access import Actor, demand
from isotherm.workflows.service.service import Service

MOST_PARTIAL = 200
KEPT_S = 24 * 3600
PathDigest = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="The sha256 of the whole content.")]
Offset = Annotated[
    int,
    Header(alias="Upload-Offset", ge=0, le=1 << 40, description="How many bytes of the content come before this body."),
]


def router(service: Service) -> APIRouter:
    """Return the routes of contents."""
    routes = api_router("images")

    @routes.post(
        "/blobs/missing", response_model=Missing, responses=STORED, summary="Ask which contents must still be sent"
    )
    def missing(digests: Digests, actor: CurrentActor) -> Missing:
        return Missing(missing=images.missing_blobs(service, actor, digests.digests))

    @routes.get(
        "/blobs/sha256/{digest}",
        response_model=BlobState,
        responses=STORED,
        summary="Ask how much of a content has come",
    )
    def state(digest: PathDigest, actor: CurrentActor) -> BlobState:
        demand(actor, "write")
        complete = not images.missing_blobs(service, actor, [digest])
        partial = _Partial(service.folder, actor, digest)
        return BlobState(digest=digest, received_bytes=0 if complete else partial.size(), complete=complete)

    @routes.put(
        "/blobs/sha256/{digest}",
        response_model=BlobState,
        responses={**problems(409), **STORED},
        openapi_extra=body_of({"application/octet-stream": {"type": "string", "format": "binary"}}),
        summary="Send a content, whole or from where it broke off to its end",
    )
    async def put(digest: PathDigest, request: Request, actor: CurrentActor, offset: Offset = 0) -> BlobState:
        demand(actor, "write")
        partial = _Partial(service.folder, actor, digest)
        await run_in_threadpool(partial.begin, offset)
        await _stream(request, partial, offset, service.limits.file_bytes)
        await in_lane(request, _keep, service, actor, partial)
        return BlobState(digest=digest, received_bytes=0, complete=True)

    return routes


async def _stream(request: Request, partial: _Partial, offset: int, most_bytes: int) -> None:
    """Write the body to the partial file from an offset on; what has come before the line broke stays."""
    held, at = bytearray(), offset

    async def flush() -> None:
        nonlocal at
        await run_in_threadpool(partial.write, at, bytes(held))
        at += len(held)
        held.clear()

    try:
        async for chunk in request.stream():
            held += chunk
            if at + len(held) > most_bytes:
                raise TooLargeError(f"the content is longer than {most_bytes} bytes, the most that is taken")
            if len(held) >= MIB:
                await flush()
    except ClientDisconnect as error:
        await flush()
        raise UsageError("the line broke; ask how much has come and go on from there") from error
    await flush()


def _keep(service: Service, actor: Actor, partial: _Partial) -> None:
    with partial.path.open("rb") as stream:
        try:
            images.put_blob(service, actor, partial.digest, stream)
        except (DataError, TooLargeError):
            # Nothing can be added to it that would make it right.
            partial.remove()
            raise
    partial.remove()


class _Partial:
    """What has come of a content, for one caller; nobody can write into what another one sends."""

    def __init__(self, folder: File, actor: Actor, digest: str) -> None:
        owner = hashlib.sha256(f"{actor.token_id or actor.name}/{digest}".encode()).hexdigest()
        self.digest, self._folder = digest, folder / "scratch"
        self.path = self._folder / f"partial-{owner}"

    def size(self) -> int:
        """Return how many bytes have come."""
        return self.path.stat().st_size if self.path.exists() else 0

    def begin(self, offset: int) -> None:
        """Prepare to write from an offset on.

        Raises
        ------
        ConflictError, BusyError
            Bytes before it are missing; there are too many unfinished contents.
        """
        have = self.size()
        if offset > have:
            raise ConflictError(f"{have} bytes have come; send the rest from there (Upload-Offset: {have})")
        if not self.path.exists():
            self._make_room()
        if offset == 0:
            self.path.write_bytes(b"")

    def _make_room(self) -> None:
        unfinished = list(self._folder.glob("partial-*"))
        for path in unfinished:
            with suppress(FileNotFoundError):
                _remove_old(path)
        if len(unfinished) >= MOST_PARTIAL:
            raise BusyError("too many contents are unfinished", retry_after_s=60)

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes where they belong; twice the same changes nothing."""
        with self.path.open("r+b") as stream:
            stream.seek(offset)
            stream.write(data)

    def remove(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)


def _remove_old(path: File) -> None:
    if time.time() - path.stat().st_mtime > KEPT_S:
        path.unlink()
