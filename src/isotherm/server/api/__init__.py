"""The routes of ``/api/v1``."""

from __future__ import annotations

from fastapi import APIRouter

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
from isotherm.workflows.service.service import Service


def router(service: Service) -> APIRouter:
    """Return all routes of the API."""
    found = APIRouter()
    for part in (
        sites, assets, trends, categories, images, pictures, blobs, inspections, feedback, models, given_models,
        score_thresholds, jobs, reports, tokens, audit,
    ):  # fmt: skip
        # Taken over as they are: a router that is included would have all of its routes built anew.
        found.routes.extend(part.router(service).routes)
    return found
