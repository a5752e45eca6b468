"""The report of a site: a form that says what shall stand on its cover, and in which language and form it comes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import ConfigError, IsothermError
from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.layout import BUILT_IN
from isotherm.reports.document.wording import LANGUAGES
from isotherm.server.api.reports import SiteReportQuery, answer_of
from isotherm.server.pages.forms import UNTYPED, Typed, again
from isotherm.server.pages.rendering import Visit, Visited
from isotherm.server.uploads import in_lane
from isotherm.workflows.service.reporting import Period, Wanted, site_report
from isotherm.workflows.service.sites import get_site

COVER = {
    "client": "Client",
    "inspector": "Inspector",
    "qualification": "Qualification of the inspector",
    "company": "Company",
    "camera": "Camera (empty: as the files say)",
    "calibrated": "Last calibration of the camera",
    "conditions": "Conditions: weather, load",
    "remarks": "Remarks",
}
"""The texts of the cover, as the API calls them, and what the form calls them."""
TEMPLATES = {"standard": "All: cover, summary, a page for each fault, method", "brief": "Cover and summary"}
router = APIRouter(include_in_schema=False)


@router.get("/sites/{site_id}/report")
def report(visit: Visited, site_id: str) -> Response:
    """Show the form."""
    return _report(visit, site_id)


def _report(visit: Visit, site_id: str, typed: Typed = UNTYPED) -> Response:
    return visit.show(
        "report",
        status=typed.status,
        here=f"/sites/{site_id}/report",
        typed=typed,
        site=get_site(visit.service, visit.actor, site_id),
        forms=LAYOUTS.names(),
        languages=LANGUAGES,
        templates={name: TEMPLATES[name] for name in BUILT_IN},
        cover=COVER,
    )


@router.get("/sites/{site_id}/report.{form}")
async def write(request: Request, visit: Visited, site_id: str, form: str) -> Response:
    """Write the report, or show the form again with why there is none."""
    said = dict(request.query_params)
    try:
        wanted = _wanted(form, said)
        return answer_of(await in_lane(request, site_report, visit.service, visit.actor, site_id, wanted))
    except IsothermError as error:
        return await run_in_threadpool(_report, visit, site_id, again(request, error, said))


def _wanted(form: str, said: dict[str, str]) -> Wanted:
    try:
        query = SiteReportQuery.model_validate(said)
    except ValidationError as error:
        place = error.errors()[0]
        raise ConfigError(f"{'.'.join(map(str, place['loc']))}: {place['msg']}") from error
    return query.wanted(form, Period(query.since, query.until))
