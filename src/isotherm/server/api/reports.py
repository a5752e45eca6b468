"""Reports: of the latest inspections of a site, and of one inspection, for people and for programs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from isotherm.reports.document.html_layout import policy
from isotherm.reports.document.particulars import Particulars
from isotherm.server.api.answers import STORED, PathId, Responses, problems
from isotherm.server.api.routing import api_router
from isotherm.server.schemas import Moment
from isotherm.server.security import REPORT_POLICY, CurrentActor
from isotherm.server.uploads import in_lane
from isotherm.workflows.service import reporting
from isotherm.workflows.service.reporting import Period, Wanted, Written
from isotherm.workflows.service.service import Service

Form = Annotated[
    Literal["pdf", "html", "docx", "csv", "json"],
    Path(description="PDF, a page or a document for people; a table, or all, for programs."),
]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORMS: Responses = {
    200: {
        "description": "The report.",
        "content": {
            "application/pdf": _BINARY,
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document": _BINARY,
            "text/html": {"schema": {"type": "string"}},
            "text/csv": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}},
        },
    }
}


class ReportQuery(BaseModel):
    """How a report for people shall be, and what somebody says for its cover; reports for programs take none of it."""

    lang: Literal["en", "de", "es", "pt", "zh"] = Field("en", description="The language.")
    template: Literal["standard", "brief"] = Field("standard", description="All, or cover and summary.")
    client: str = Field("", max_length=500)
    inspector: str = Field("", max_length=500)
    qualification: str = Field("", max_length=500)
    company: str = Field("", max_length=500)
    camera: str = Field("", max_length=500)
    calibrated: str = Field("", max_length=500)
    conditions: str = Field("", max_length=500)
    remarks: str = Field("", max_length=500)

    def wanted(self, form: str, period: Period | None = None) -> Wanted:
        """Return this as the use case takes it."""
        said = Particulars(**self.model_dump(include=set(ReportQuery.model_fields) - {"lang", "template"}))
        return Wanted(form, self.lang, self.template, said, period or Period())


class SiteReportQuery(ReportQuery):
    """The same for a site."""

    since: Moment | None = None
    until: Moment | None = None


def router(service: Service) -> APIRouter:
    """Return the routes of reports."""
    routes = api_router("reports")

    @routes.get(
        "/inspections/{inspection_id}/report.{form}",
        response_class=Response,
        responses={**_FORMS, **problems(409), **STORED},
        summary="The report of one inspection",
    )
    async def of_inspection(
        inspection_id: PathId, form: Form, request: Request, actor: CurrentActor, query: Annotated[ReportQuery, Query()]
    ) -> Response:
        wanted = query.wanted(form)
        return answer_of(await in_lane(request, reporting.inspection_report, service, actor, inspection_id, wanted))

    @routes.get(
        "/sites/{site_id}/report.{form}",
        response_class=Response,
        responses={**_FORMS, **problems(409), **STORED},
        summary="The report of the latest inspections of a site",
    )
    async def of_site(
        site_id: PathId, form: Form, request: Request, actor: CurrentActor, query: Annotated[SiteReportQuery, Query()]
    ) -> Response:
        wanted = query.wanted(form, Period(query.since, query.until))
        return answer_of(await in_lane(request, reporting.site_report, service, actor, site_id, wanted))

    return routes


def answer_of(written: Written) -> Response:
    """Return a report as an answer that a browser saves, or shows in a sandbox."""
    answer = Response(written.data, media_type=written.media_type)
    page = written.media_type.startswith("text/html")
    answer.headers["content-disposition"] = f'{"inline" if page else "attachment"}; filename="{written.filename}"'
    # The page's own script tells temperatures under the pointer; it alone may run, and in a sandbox.
    script = f"script-src '{policy()}'; sandbox allow-scripts"
    answer.headers["content-security-policy"] = REPORT_POLICY.replace("sandbox", script) if page else REPORT_POLICY
    return answer
