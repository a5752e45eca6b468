"""``/healthz``, ``/readyz`` and ``/metrics``: whether the server lives, can work, and how it fares."""

from __future__ import annotations

import os
import shutil
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from isotherm.core.errors import IsothermError
from isotherm.jobs.queue import workers_alive
from isotherm.server.metrics import CONTENT_TYPE
from isotherm.server.security import CurrentActor, may_see_metrics
from isotherm.store.migrate import check
from isotherm.workflows.service.service import Service

LEAST_FREE = 0.05
"""The part of the disk that must be free."""


def router(service: Service) -> APIRouter:
    """Return the routes; the first two need no token and tell nothing that an attacker could use."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get(
        "/readyz",
        summary="Whether the server can work",
        responses={503: {"description": "It cannot", "content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    def readyz() -> JSONResponse:
        found = readiness(service)
        ready = all(found.values())
        return JSONResponse(
            {"status": "ready" if ready else "not ready", "checks": found}, status_code=200 if ready else 503
        )

    @routes.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    def metrics(request: Request, actor: CurrentActor) -> Response:
        may_see_metrics(actor)
        return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE)

    return routes


def readiness(service: Service) -> dict[str, bool]:
    """Return what a server needs, and whether it has it."""
    return {
        "database": _holds(lambda: check(service.database)),
        "folder": os.access(service.folder / "blobs", os.W_OK),
        "disk": _room(service),
        "workers": bool(_workers(service)),
    }


def _holds(ask: Any) -> bool:
    try:
        ask()
    except IsothermError:
        return False
    return True


def _room(service: Service) -> bool:
    usage = shutil.disk_usage(service.folder)
    return usage.free >= LEAST_FREE * usage.total


def _workers(service: Service) -> int:
    try:
        with service.database.read() as session:
            return len(workers_alive(service.database, session))
    except IsothermError:
        return 0
