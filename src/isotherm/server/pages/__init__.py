"""The pages: drawn on the server, made quicker by scripts, whole without them (docs/pages.md)."""

from __future__ import annotations

from fastapi import APIRouter

from isotherm.server.pages import (
    account,
    assets,
    gallery,
    home,
    image,
    jobs,
    models,
    register,
    reports,
    score_threshold,
    sites,
    threshold,
    training,
)
from isotherm.server.pages.rendering import error_page
from isotherm.workflows.service.service import Service

__all__ = ["error_page", "router"]


def router(service: Service) -> APIRouter:  # noqa: ARG001 (the form of all routers; pages take it from the application)
    """Return the routes of all pages."""
    found = APIRouter()
    for module in (
        assets, home, gallery, image, sites, reports, register, models, training, threshold, score_threshold, jobs,
        account,
    ):  # fmt: skip
        # Taken over as they are: a router that is included would have all of its routes built anew.
        found.routes.extend(module.router.routes)
    return found
