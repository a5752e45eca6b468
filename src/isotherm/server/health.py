"""``/healthz``, ``/readyz`` and ``/metrics``: whether the server lives, can work, and how it fares."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from isotherm.server.metrics import CONTENT_TYPE
from isotherm.server.problems import NotLoggedInError
from isotherm.server.readiness import readiness
from isotherm.server.security import CurrentActor, actor_of_request, may_see_metrics
from isotherm.workflows.service.service import Service


async def _may_see_checks(request: Request) -> bool:
    """Say whether somebody is told what is amiss: those who can mend it."""
    with suppress(NotLoggedInError):
        return (await actor_of_request(request)).may("admin")
    return False


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
    def readyz(with_checks: Annotated[bool, Depends(_may_see_checks)]) -> JSONResponse:
        found = readiness(service)
        ready = all(found.values())
        answer: dict[str, Any] = {"status": "ready" if ready else "not ready"}
        checks = {"checks": found} if with_checks else {}
        return JSONResponse({**answer, **checks}, status_code=200 if ready else 503)

    @routes.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    def metrics(request: Request, actor: CurrentActor) -> Response:
        may_see_metrics(actor)
        return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE)

    return routes
