"""Cursors: where the next page of a list begins, signed, so that nobody can send places that we have not given."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response

from isotherm.core.errors import ConfigError

MOST = 200
_KEY_FILE, _KEY_BYTES, _SIGN_BYTES = "server.key", 32, 16
Limit = Annotated[int, Query(ge=1, le=MOST, description="The most rows of a page.")]
Cursor = Annotated[
    str | None, Query(max_length=500, description="`next` of the page before; with the same filters as for that page.")
]


def key_of(folder: Path) -> bytes:
    """Return the key of a data folder, made when it is first needed; all processes of the server share it."""
    path = folder / _KEY_FILE
    temporary = folder / f"{_KEY_FILE}.{os.getpid()}-{os.urandom(4).hex()}"
    if not path.exists():
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(os.urandom(_KEY_BYTES))
        # A link, unlike a rename, never replaces the key that another process has just made.
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path.read_bytes()


def _sign(request: Request, payload: bytes) -> bytes:
    """Sign a place together with the list that it is in: its path and filters."""
    filters = sorted(
        (name, value) for name, value in request.query_params.multi_items() if name not in ("cursor", "limit")
    )
    text = json.dumps([request.url.path, filters]).encode() + payload
    return hmac.digest(request.app.state.key, text, hashlib.sha256)[:_SIGN_BYTES]


def place_of(request: Request, cursor: str | None) -> list[Any] | None:
    """Return the place that a cursor stands for; None where there is none.

    Raises
    ------
    ConfigError
        It is not one that this server has given for this list.
    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except (ValueError, binascii.Error, UnicodeEncodeError):
        raw = b""
    payload, signature = raw[:-_SIGN_BYTES], raw[-_SIGN_BYTES:]
    if not payload or not hmac.compare_digest(signature, _sign(request, payload)):
        raise ConfigError("cursor is not one of this list; ask for its first page without one")
    place: list[Any] = json.loads(payload)
    return place


def paged(request: Request, response: Response, place: Sequence[Any] | None) -> str | None:
    """Return the cursor of the next page, and link to that page in the answer's header; None at the end."""
    if place is None:
        return None
    payload = json.dumps(list(place), separators=(",", ":")).encode()
    cursor = base64.urlsafe_b64encode(payload + _sign(request, payload)).rstrip(b"=").decode()
    url = request.url.include_query_params(cursor=cursor)
    response.headers["link"] = f'<{url.path}?{url.query}>; rel="next"'
    return cursor


class Paging:
    """Which page of a list a request asks for, and how it is answered; a parameter of a route.

    Parameters
    ----------
    request, response
        Whose query is read; whose header links to the next page.
    cursor, limit
        Where the page begins; the most rows of it.
    """

    def __init__(self, request: Request, response: Response, cursor: str | None, limit: int) -> None:
        self._request, self._response = request, response
        self._cursor, self.limit = cursor, limit

    @property
    def after(self) -> list[Any] | None:
        """The place after which the page begins, None for the first page."""
        return place_of(self._request, self._cursor)

    def answer(self, items: Sequence[Any], following: Sequence[Any] | None) -> dict[str, Any]:
        """Return the page with the cursor of the one that follows."""
        return {"items": items, "next": paged(self._request, self._response, following)}


async def _page_asked(request: Request, response: Response, cursor: Cursor = None, limit: Limit = 50) -> Paging:
    return Paging(request, response, cursor, limit)


PageAsked = Annotated[Paging, Depends(_page_asked)]
