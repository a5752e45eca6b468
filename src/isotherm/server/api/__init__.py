"""The routes of ``/api/v1``."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from isotherm.server.api import (
    assets,
    audit,
    blobs,
    categories,
    feedback,
    images,
    inspections,
    jobs,
    models,
    pictures,
    reports,
    sites,
    tokens,
    trends,
)  # fmt: skip
from isotherm.server.api.answers import COMMON
from isotherm.server.security import actor_of_request
from isotherm.workflows.service.service import Service

PREFIX = "/api/v1"


def router(service: Service) -> APIRouter:
    """Return all routes of the API; each asks who is there before it looks at anything else."""
    routes = APIRouter(prefix=PREFIX, dependencies=[Depends(actor_of_request)], responses=COMMON)
    for part in (
        sites, assets, trends, categories, images, pictures, blobs, inspections, feedback, models, jobs, reports,
        tokens, audit,
    ):  # fmt: skip
        routes.include_router(part.router(service))
    return routes
