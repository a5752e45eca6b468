"""Jobs: what waits, runs and has ended; one job with its log."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from isotherm.server.pages.gallery import place, written
from isotherm.server.pages.rendering import Visited, back_to
from isotherm.workflows.service import jobs as use
from isotherm.workflows.service.browsing import jobs_by_state, workers

STATES = ("queued", "running", "succeeded", "failed", "dead", "cancelled")
SHOWN_LINES = 500
router = APIRouter(include_in_schema=False)


@router.get("/jobs")
def jobs(visit: Visited, state: str = "", site: str = "", after: str = "") -> Response:
    """Show jobs, newest first, and which workers are alive."""
    page = use.list_jobs(visit.service, visit.actor, site_id=site or None, state=state, after=place(after), limit=50)
    return visit.show(
        "jobs",
        jobs=page.items,
        more=written(page.next),
        after=after,
        state=state,
        site=site,
        states=STATES,
        counts=jobs_by_state(visit.service, visit.actor),
        workers=workers(visit.service, visit.actor),
    )


@router.get("/jobs/{job_id}")
def job(visit: Visited, job_id: str) -> Response:
    """Show a job, its progress and the last lines of its log."""
    found = use.get_job(visit.service, visit.actor, job_id)
    log = use.job_log(visit.service, visit.actor, job_id)
    return visit.show("job", job=found, lines=log[-SHOWN_LINES:])


@router.get("/jobs/{job_id}/lines")
def lines(visit: Visited, job_id: str, after: int = 0) -> Response:
    """Give the lines of a job's log with a number above one, for the page that follows it."""
    found = use.job_log(visit.service, visit.actor, job_id, after=after)
    return JSONResponse([{"number": line.number, "text": line.text} for line in found])


@router.post("/jobs/{job_id}/cancel")
def cancel(visit: Visited, job_id: str) -> Response:
    """End a job that waits or runs."""
    use.cancel_job(visit.service, visit.actor, job_id)
    return back_to(f"/jobs/{job_id}", "It is being cancelled.")


@router.post("/jobs/{job_id}/retry")
def retry(visit: Visited, job_id: str) -> Response:
    """Let a job that has failed, was cancelled or given up wait again."""
    use.retry_job(visit.service, visit.actor, job_id)
    return back_to(f"/jobs/{job_id}", "It waits again.")
