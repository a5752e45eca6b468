"""Every error as a problem of RFC 9457 (``application/problem+json``); the one table from errors to statuses.

Types are stable names, ``urn:isotherm:problem:<name>``; clients may rely on them and on ``status``, texts may change.
What a client sent is never repeated beyond a short, cleaned piece of text.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from isotherm.core import errors
from isotherm.core.messages import LONGEST, clean

MEDIA_TYPE = "application/problem+json"
URN = "urn:isotherm:problem:"
MOST_ERRORS = 50
LONGEST_PATH = 200
"""Letters of a path that is nowhere that are shown."""
log = logging.getLogger("isotherm.server")


@dataclass(frozen=True)
class Kind:
    """One type of problem."""

    name: str
    status: int
    title: str


class NotLoggedInError(errors.IsothermError):
    """The request carries no token, or none that is good."""


class WrongOriginError(errors.ForbiddenError):
    """A page of another server has sent the request."""


class WrongHostError(errors.IsothermError):
    """The request is addressed to a name that is not this server's."""


class UnconditionalError(errors.IsothermError):
    """A change without ``If-Match``."""


class PastTooLargeError(HTTPException):
    """The body of a request is larger than is taken; an HTTPException, because the framework lets those through."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__(413, f"the body of this request may have at most {most_bytes} bytes")


class SlowError(HTTPException):
    """The body of a request comes too slowly."""

    def __init__(self) -> None:
        super().__init__(408, "the body of the request did not come in time", {"Connection": "close"})


class RefusedFilesError(errors.IsothermError):
    """None of the files of a request was taken.

    Parameters
    ----------
    reasons
        Why, for each file, in their order.
    kinds
        What each of them is, as an error.
    """

    def __init__(self, reasons: Sequence[str], kinds: Sequence[Exception]) -> None:
        super().__init__(f"none of {len(reasons)} files was taken; the first one: {reasons[0]}")
        self.places = [
            {"in": "body", "pointer": f"#/files/{number}", "detail": clean(reason)}
            for number, reason in enumerate(reasons[:MOST_ERRORS])
        ]
        found = {kind_of(error) for error in kinds}
        self.kind = found.pop() if len(found) == 1 else kind_of(errors.FormatError(""))


KINDS: tuple[tuple[type[Exception], Kind], ...] = (
    (errors.ConfigError, Kind("invalid-value", 422, "A value is not right")),
    (errors.UnknownNameError, Kind("unknown-name", 422, "There is nothing of this name")),
    (errors.UsageError, Kind("bad-request", 400, "The request is wrong")),
    (errors.TooLargeError, Kind("image-too-large", 413, "The image is larger than is taken")),
    (errors.FormatError, Kind("unreadable-image", 422, "The file is no image that can be read")),
    (errors.DataError, Kind("unusable-data", 422, "The data cannot be used for this")),
    (errors.ModelError, Kind("unusable-model", 409, "The model is damaged")),
    (errors.MissingExtraError, Kind("not-installed", 409, "The server lacks an optional part")),
    (errors.StorageFullError, Kind("storage-full", 507, "There is no room left")),
    (errors.OutputError, Kind("cannot-write", 500, "A result cannot be written")),
    (errors.NotFoundError, Kind("not-found", 404, "There is no such thing")),
    (WrongOriginError, Kind("wrong-origin", 403, "Another site has sent this")),
    (errors.ForbiddenError, Kind("forbidden", 403, "This is not allowed")),
    (errors.ChangedError, Kind("changed", 412, "It has been changed since it was read")),
    (errors.ConflictError, Kind("conflict", 409, "It contradicts what is stored")),
    (errors.BusyError, Kind("busy", 429, "There is too much to do now")),
    (errors.UnreachableError, Kind("unreachable", 503, "Another service does not answer")),
    (NotLoggedInError, Kind("not-logged-in", 401, "A token is needed")),
    (WrongHostError, Kind("wrong-host", 421, "This server has another name")),
    (UnconditionalError, Kind("condition-required", 428, "If-Match is needed")),
    (errors.IsothermError, Kind("failed", 422, "It could not be done")),
)
"""Error -> problem, the narrower before the wider."""
BY_STATUS = {
    400: Kind("bad-request", 400, "The request is wrong"),
    404: Kind("not-found", 404, "There is no such thing"),
    405: Kind("method-not-allowed", 405, "This cannot be done here"),
    406: Kind("not-acceptable", 406, "There is no such form of it"),
    408: Kind("slow-request", 408, "The request came too slowly"),
    413: Kind("request-too-large", 413, "The request is larger than is taken"),
    415: Kind("wrong-media-type", 415, "The body has another form than is taken"),
    422: Kind("invalid-request", 422, "The request is not right"),
    429: Kind("busy", 429, "There is too much to do now"),
}
"""Errors of the framework -> problem."""
INTERNAL = Kind("internal", 500, "The server has failed")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def every_kind() -> list[Kind]:
    """Return all types of problems, each once."""
    kinds = [*(kind for _, kind in KINDS), *BY_STATUS.values(), INTERNAL]
    return sorted(dict.fromkeys(kinds), key=lambda kind: (kind.status, kind.name))


def kind_of(error: Exception) -> Kind:
    """Return the type of problem that an error is."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return kind_of(errors.StorageFullError())
    if isinstance(error, RefusedFilesError):
        return error.kind
    if isinstance(error, RequestValidationError):
        return BY_STATUS[422]
    if isinstance(error, HTTPException):
        return BY_STATUS.get(error.status_code) or _of_framework(error.status_code)
    return next((kind for raised, kind in KINDS if isinstance(error, raised)), INTERNAL)


def _of_framework(status: int) -> Kind:
    title = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Error"
    return Kind(title.lower().replace(" ", "-").replace("'", ""), status, title)


def problem_of(error: Exception, request_id: str = "") -> dict[str, Any]:
    """Return the members of the problem that an error is."""
    kind = kind_of(error)
    found: dict[str, Any] = {"type": URN + kind.name, "title": kind.title, "status": kind.status}
    if kind is INTERNAL:
        found["detail"] = "the log of the server says more under this request's id"
    elif isinstance(error, RequestValidationError):
        found["detail"] = "the request is not as the API describes it; errors says where"
        found["errors"] = _places(error.errors())
    elif isinstance(error, HTTPException):
        found["detail"] = clean(str(error.detail))
    elif kind.name == "storage-full":
        found["detail"] = "the disk of the server is full; what was stored before is whole"
    else:
        found["detail"] = clean(str(error))
    if isinstance(error, RefusedFilesError):
        found["errors"] = error.places
    if request_id:
        found["request_id"] = request_id
    return found


def _places(found: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return where a request is wrong: what part, a JSON pointer (RFC 6901) or name in it, and why; never the value."""
    return [_place(item) for item in found[:MOST_ERRORS]]


def _place(item: Mapping[str, Any]) -> dict[str, str]:
    part, *path = item.get("loc") or ("body",)
    if item.get("type") == "json_invalid":
        path = []
    steps = [clean(str(step)).replace("~", "~0").replace("/", "~1") for step in path]
    pointer = "#" + "".join(f"/{step}" for step in steps) if part == "body" else ".".join(steps)
    return {"in": str(part), "pointer": pointer[:LONGEST], "detail": clean(str(item.get("msg", "wrong")))}


def response_of(error: Exception, request: Request) -> Response:
    """Return the answer to a request that an error has ended."""
    found = problem_of(error, getattr(request.state, "request_id", ""))
    if isinstance(error, HTTPException) and error.detail == HTTPStatus.NOT_FOUND.phrase:
        found["detail"] = f"there is nothing at {clean(request.url.path[:LONGEST_PATH])}"
    if found["status"] >= 500:
        log.error("request failed", exc_info=error, extra={"fields": {"request_id": found.get("request_id", "")}})
    headers = _headers(error)
    page = _page(request, found)
    if page is not None:
        page.headers.update(headers)
        return page
    return problem_response(found, headers)


def problem_response(found: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem as an answer."""
    body = json.dumps(found, ensure_ascii=False).encode("utf-8", "backslashreplace")
    return Response(body, int(found["status"]), dict(headers or {}), MEDIA_TYPE)


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, errors.BusyError):
        return {"Retry-After": str(max(1, round(error.retry_after_s)))}
    if isinstance(error, NotLoggedInError):
        return {"WWW-Authenticate": 'Bearer realm="isotherm"'}
    if isinstance(error, HTTPException):
        return dict(error.headers or {})
    return {}


def _page(request: Request, found: Mapping[str, Any]) -> Response | None:
    """Return the problem as a page where a person looks at one; None where a program asks."""
    draw = getattr(request.app.state, "error_page", None)
    path = request.url.path
    wants = "text/html" in request.headers.get("accept", "")
    if draw is None or not wants or path.startswith(("/api/", "/v2")):
        return None
    answer = draw(request, found["status"], found["title"], found.get("detail", ""))
    return answer if isinstance(answer, Response) else None


async def _answer(request: Request, error: Exception) -> Response:
    return response_of(error, request)


def install(app: FastAPI) -> None:
    """Have every error of an application answered with its problem."""
    for raised in (errors.IsothermError, HTTPException, RequestValidationError, OSError, Exception):
        app.add_exception_handler(raised, _answer)
