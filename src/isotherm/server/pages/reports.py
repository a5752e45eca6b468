"""The report of a site: a form that says what shall stand on its cover, and in which language and form it comes."""

from __future__ import annotations

from fastapi import APIRouter, Response

from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.layout import BUILT_IN
from isotherm.reports.document.wording import LANGUAGES
from isotherm.server.pages.rendering import Visited
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
    return visit.show(
        "report",
        site=get_site(visit.service, visit.actor, site_id),
        forms=LAYOUTS.names(),
        languages=LANGUAGES,
        templates={name: TEMPLATES[name] for name in BUILT_IN},
        cover=COVER,
    )
