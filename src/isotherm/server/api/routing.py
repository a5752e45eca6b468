"""Where each part of the API puts its routes."""

from __future__ import annotations

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from isotherm.server.api.answers import COMMON
from isotherm.server.query_names import only_known_names
from isotherm.server.security import actor_of_request

PREFIX = "/api/v1"


def api_router(tag: str, route_class: type[APIRoute] = APIRoute) -> APIRouter:
    """Return a place for routes below ``/api/v1``; each asks who is there before it looks at anything else.

    Parameters
    ----------
    tag
        The chapter of the API's description that they stand in.
    route_class
        What they are.
    """
    first = [Depends(actor_of_request), Depends(only_known_names)]
    return APIRouter(prefix=PREFIX, tags=[tag], dependencies=first, responses=COMMON, route_class=route_class)
