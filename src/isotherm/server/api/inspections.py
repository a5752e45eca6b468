"""Inspections of images and their findings."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict

from isotherm.server.api.answers import CREATE, STORED, PathId, problems
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import OnceRoute, documented, with_its_answer
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import (
    FindingOut,
    Id,
    InspectIn,
    InspectionOut,
    InspectionWhole,
    Moment,
    PageOut,
    Split,
    Text,
)  # fmt: skip
from isotherm.server.security import CurrentActor
from isotherm.server.uploads import in_lane
from isotherm.server.versions import expected_version
from isotherm.store.tables import Inspection
from isotherm.workflows.service import inspections
from isotherm.workflows.service.inspections import FindingFilter
from isotherm.workflows.service.service import Service


class FindingQuery(BaseModel):
    """Which findings a list holds."""

    model_config = ConfigDict(extra="ignore")
    site_id: Id | None = None
    image_id: Id | None = None
    kind: Literal["", "hotspot", "anomaly"] = ""
    min_severity: Annotated[int | None, Query(ge=-1, le=100)] = None
    category: Annotated[Text | None, Query(max_length=128)] = None
    split: Split | None = None
    label: Annotated[Text | None, Query(max_length=128)] = None
    name: Annotated[Text, Query(max_length=128)] = ""
    no_feedback: bool = False
    since: Moment | None = None
    until: Moment | None = None
    order: Literal["newest", "severity"] = "severity"


def router(service: Service) -> APIRouter:
    """Return the routes of inspections and findings."""
    routes = api_router("inspections", OnceRoute)
    _lists(routes, service)

    @routes.post(
        "/images/{image_id}/inspections",
        response_model=InspectionWhole,
        status_code=201,
        responses={**CREATE, **problems(412), **STORED},
        dependencies=[Depends(documented)],
        summary="Look at an image again, perhaps with another emissivity, distance ...",
    )
    async def inspect(
        image_id: PathId,
        request: Request,
        actor: CurrentActor,
        wanted: Annotated[InspectIn, Body(default_factory=InspectIn)],
    ) -> Response:
        given = request.headers.get("if-match")
        version = None if given is None else expected_version(given)

        def work() -> Response:
            made = inspections.inspect_image(service, actor, image_id, edit=wanted.edit, version=version)
            location = {"location": f"/api/v1/inspections/{made.id}"}
            return JSONResponse(InspectionWhole.model_validate(made).model_dump(mode="json"), 201, location)

        return await in_lane(request, with_its_answer, work)

    @routes.get("/inspections/{inspection_id}", response_model=InspectionWhole, summary="Show an inspection")
    def get_inspection(inspection_id: PathId, actor: CurrentActor) -> Inspection:
        return inspections.get_inspection(service, actor, inspection_id)

    return routes


def _lists(routes: APIRouter, service: Service) -> None:
    @routes.get("/inspections", response_model=PageOut[InspectionOut], summary="List inspections, newest first")
    def list_inspections(
        actor: CurrentActor,
        page: PageAsked,
        site_id: Id | None = None,
        image_id: Id | None = None,
    ) -> object:
        found = inspections.list_inspections(
            service, actor, site_id=site_id, image_id=image_id, after=page.after, limit=page.limit
        )
        return page.answer(found.items, found.next)

    @routes.get(
        "/findings", response_model=PageOut[FindingOut], summary="List findings of the latest inspections, worst first"
    )
    def list_findings(
        actor: CurrentActor,
        page: PageAsked,
        filters: Annotated[FindingQuery, Query()],
    ) -> object:
        wanted = FindingFilter(**filters.model_dump())
        found = inspections.list_findings(service, actor, wanted, after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)
