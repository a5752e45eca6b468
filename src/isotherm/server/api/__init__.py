"""The routes of ``/api/v1``."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from isotherm.server.api import (
    assets,
    audit,
    blobs,
    categories,
    feedback,
    given_models,
    images,
    inspections,
    jobs,
    models,
    pictures,
    reports,
    score_thresholds,
    sites,
    tokens,
    trends,
)  # fmt: skip
from isotherm.server.api.answers import COMMON
from isotherm.server.query_names import only_known_names
from isotherm.server.security import actor_of_request
from isotherm.workflows.service.service import Service

PREFIX = "/api/v1"


def router(service: Service) -> APIRouter:
    """Return all routes of the API; each asks who is there before it looks at anything else."""
    first = [Depends(actor_of_request), Depends(only_known_names)]
    routes = APIRouter(prefix=PREFIX, dependencies=first, responses=COMMON)
    for part in (
        sites, assets, trends, categories, images, pictures, blobs, inspections, feedback, models, given_models,
        score_thresholds, jobs, reports, tokens, audit,
    ):  # fmt: skip
        routes.include_router(part.router(service))
    return routes
