"""Query names that a route does not know are refused: who mistypes a filter would get the rows of everybody."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from isotherm.core.errors import UnknownNameError
from isotherm.server.problems import MOST_ERRORS

LONGEST_NAME = 64
"""Letters of an unknown name that are looked at."""


async def only_known_names(request: Request) -> None:
    """Refuse query names that the route of a request does not take; a dependency of routes.

    Raises
    ------
    RequestValidationError
        Names each unknown one, the near one and those that are known.
    """
    if not request.query_params:
        return
    known = set(_names_of(request.scope["route"].dependant))
    unknown = (name for name in request.query_params if name not in known)
    if found := [_mistake(name[:LONGEST_NAME], known) for name in islice(unknown, MOST_ERRORS)]:
        raise RequestValidationError(found)


def _names_of(part: Dependant) -> Iterator[str]:
    """Give the query names of a route and all that it depends on."""
    for field in part.query_params:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield field.alias
    for each in part.dependencies:
        yield from _names_of(each)


def _mistake(name: str, known: set[str]) -> dict[str, object]:
    why = UnknownNameError("query name", name, known) if known else f"unknown query name {name!r}; this path takes none"
    return {"type": "extra_forbidden", "loc": ("query", name), "msg": str(why)}
