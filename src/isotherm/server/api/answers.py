"""What routes can answer beside what was asked for, for the API's description."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Path

from isotherm.server.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]
_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_WORDS = {
    400: "The request is wrong.",
    401: "A token is needed, or it is not good.",
    403: "The token is not good for this, or a page of another server has sent the request.",
    404: "There is no such thing, or none that the caller may know of.",
    406: "There is no such form of it.",
    408: "The request came too slowly.",
    409: "It contradicts what is stored.",
    412: "It has been changed since it was read (`If-Match`).",
    413: "The request or the image is larger than is taken.",
    415: "The body has another form than is taken.",
    421: "The request is addressed to another server.",
    422: "The request is not right; `errors` says where.",
    428: "`If-Match` is needed.",
    429: "There is too much to do now; `Retry-After` says when to come again.",
    503: "The bucket of the stored files does not answer.",
    507: "The disk of the server is full.",
}
_RETRY = {"Retry-After": {"description": "When to come again [s].", "schema": {"type": "integer"}}}


def problems(*statuses: int) -> Responses:
    """Describe problems that a route may answer with."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {
        "description": _WORDS.get(status, HTTPStatus(status).phrase),
        "content": {MEDIA_TYPE: {"schema": _SCHEMA}},
    }
    return {**described, "headers": _RETRY} if status == 429 else described


def content(media: str, text: str, status: int = 200) -> Responses:
    """Describe an answer that is no JSON."""
    return {status: {"description": text, "content": {media: {"schema": {"type": "string", "format": "binary"}}}}}


def body_of(*forms: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a body that the framework does not read, as ``openapi_extra``; each form is ``{media: schema}``."""
    return {
        "requestBody": {
            "required": True,
            "content": {media: {"schema": schema} for form in forms for media, schema in form.items()},
        }
    }


COMMON = problems(400, 401, 403, 404, 408, 413, 421, 422, 429)
"""What every route may answer."""
CHANGE = problems(409, 412, 428, 507)
"""What a route that changes a row may answer."""
CREATE = problems(409, 415, 507)
"""What a route that makes something may answer."""
STORED = problems(503, 507)
"""What a route that keeps or reads stored files may answer, for they may lie in a bucket."""
PathId = Annotated[str, Path(min_length=1, max_length=64, description="An id (UUIDv7).")]
