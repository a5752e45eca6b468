"""Reports: of the latest inspections of a site, and of one inspection, as a page, a table or data."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response

from isotherm.server.api.answers import PathId, Responses, problems
from isotherm.server.schemas import Moment
from isotherm.server.security import REPORT_POLICY, CurrentActor
from isotherm.server.uploads import in_lane
from isotherm.workflows.service import reporting
from isotherm.workflows.service.reporting import Period, Written
from isotherm.workflows.service.service import Service

TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}
Form = Annotated[Literal["html", "csv", "json"], Path(description="A page for people, a table, or all for programs.")]
_FORMS: Responses = {
    200: {
        "description": "The report.",
        "content": {
            "text/html": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


def router(service: Service) -> APIRouter:
    """Return the routes of reports."""
    routes = APIRouter(tags=["reports"])

    @routes.get(
        "/inspections/{inspection_id}/report.{form}",
        response_class=Response,
        responses={**_FORMS, **problems(507)},
        summary="The report of one inspection",
    )
    async def of_inspection(inspection_id: PathId, form: Form, request: Request, actor: CurrentActor) -> Response:
        written = await in_lane(request, reporting.inspection_report, service, actor, inspection_id, form)
        return _answer(written, form)

    @routes.get(
        "/sites/{site_id}/report.{form}",
        response_class=Response,
        responses={**_FORMS, **problems(507)},
        summary="The report of the latest inspections of a site",
    )
    async def of_site(
        site_id: PathId,
        form: Form,
        request: Request,
        actor: CurrentActor,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> Response:
        period = Period(since, until)
        written = await in_lane(request, reporting.site_report, service, actor, site_id, form, period=period)
        return _answer(written, form)

    return routes


def _answer(written: Written, form: str) -> Response:
    answer = Response(written.data, media_type=TYPES[form])
    answer.headers["content-disposition"] = (
        f'{"inline" if form == "html" else "attachment"}; filename="{written.filename}"'
    )
    answer.headers["content-security-policy"] = REPORT_POLICY
    return answer
