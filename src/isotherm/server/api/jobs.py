"""Jobs: started, watched, cancelled, tried again."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from isotherm.core.config import from_mapping
from isotherm.server.api.answers import CREATE, STORED, PathId, problems
from isotherm.server.api.routing import api_router
from isotherm.server.events import LONGEST_WAIT_S, check_room, events, finished, job_out, streams_of, version_in
from isotherm.server.idempotency import OnceRoute, documented
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import Id, ImportIn, InspectJobIn, JobOut, LogLine, PageOut, Text, TrainIn
from isotherm.server.security import CurrentActor
from isotherm.store.tables import Job
from isotherm.workflows.service import batches, jobs, training
from isotherm.workflows.service.access import Actor
from isotherm.workflows.service.anomaly_training import AnomalySettings, request_anomaly_training
from isotherm.workflows.service.batches import Arrival
from isotherm.workflows.service.models import ANOMALY
from isotherm.workflows.service.service import Service

State = Literal["", "queued", "running", "succeeded", "failed", "cancelled", "dead"]
STARTED = {**CREATE, 202: {"description": "The job waits for a worker; `Location` is its address."}}


def router(service: Service) -> APIRouter:
    """Return the routes of jobs."""
    routes = api_router("jobs", OnceRoute)
    _starts(routes, service)
    _looks(routes, service)
    _watches(routes, service)

    @routes.post("/jobs/{job_id}/cancel", response_model=JobOut, responses=problems(409, 507), summary="End a job")
    def cancel(job_id: PathId, actor: CurrentActor) -> JobOut:
        return job_out(jobs.cancel_job(service, actor, job_id))

    @routes.post(
        "/jobs/{job_id}/retry", response_model=JobOut, responses=problems(409, 507), summary="Try an ended job again"
    )
    def retry(job_id: PathId, actor: CurrentActor) -> JobOut:
        return job_out(jobs.retry_job(service, actor, job_id))

    return routes


def _starts(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/sites/{site_id}/train",
        response_model=JobOut,
        status_code=202,
        responses=STARTED,
        dependencies=[Depends(documented)],
        summary="Train a new model of a site",
    )
    def train(site_id: PathId, wanted: TrainIn, response: Response, actor: CurrentActor) -> JobOut:
        return _started(response, _training(service, actor, site_id, wanted))

    @routes.post(
        "/sites/{site_id}/inspect",
        response_model=JobOut,
        status_code=202,
        responses=STARTED,
        dependencies=[Depends(documented)],
        summary="Look at many images of a site again",
    )
    def inspect(site_id: PathId, wanted: InspectJobIn, response: Response, actor: CurrentActor) -> JobOut:
        return _started(response, batches.request_inspection(service, actor, site_id, image_ids=wanted.image_ids))

    @routes.post(
        "/sites/{site_id}/import",
        response_model=JobOut,
        status_code=202,
        responses={**STARTED, **STORED},
        dependencies=[Depends(documented)],
        summary="Take many images in whose contents have been sent before",
    )
    def take_in(site_id: PathId, wanted: ImportIn, response: Response, actor: CurrentActor) -> JobOut:
        arrivals = [Arrival(item.digest, item.name, item.category, item.split) for item in wanted.files]
        return _started(response, batches.request_import(service, actor, site_id, arrivals))

    @routes.post(
        "/models/{model_id}/evaluate",
        response_model=JobOut,
        status_code=202,
        responses=STARTED,
        dependencies=[Depends(documented)],
        summary="Test a model version with the test images that its site has now",
    )
    def evaluate(model_id: PathId, response: Response, actor: CurrentActor) -> JobOut:
        return _started(response, batches.request_evaluation(service, actor, model_id))


def _training(service: Service, actor: Actor, site_id: str, wanted: TrainIn) -> Job:
    if wanted.kind == ANOMALY:
        asked = from_mapping(AnomalySettings, wanted.settings)
        return request_anomaly_training(service, actor, site_id, asked, config=wanted.config)
    settings = from_mapping(training.TrainSettings, wanted.settings)
    return training.request_training(service, actor, site_id, settings, config=wanted.config)


def _started(response: Response, job: Job) -> JobOut:
    response.headers["location"] = f"/api/v1/jobs/{job.id}"
    return job_out(job)


def _looks(routes: APIRouter, service: Service) -> None:
    @routes.get("/jobs", response_model=PageOut[JobOut], summary="List jobs, newest first")
    def list_jobs(
        actor: CurrentActor,
        page: PageAsked,
        site_id: Id | None = None,
        kind: Annotated[Text, Query(max_length=32)] = "",
        state: State = "",
    ) -> object:
        place = page.after
        found = jobs.list_jobs(service, actor, site_id=site_id, kind=kind, state=state, after=place, limit=page.limit)
        return page.answer([job_out(job) for job in found.items], found.next)

    @routes.get("/jobs/{job_id}", response_model=JobOut, summary="Show a job, perhaps when it has ended")
    async def get_job(
        job_id: PathId,
        request: Request,
        actor: CurrentActor,
        wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT_S, description="How long to wait for its end [s].")] = 0,
    ) -> JobOut:
        read = partial(jobs.get_job, service, actor, job_id)
        return job_out(await finished(read, wait, request.app.state.settings.event_poll_s))

    @routes.get("/jobs/{job_id}/log", response_model=PageOut[LogLine], summary="Show the log of a job")
    def log(
        job_id: PathId,
        actor: CurrentActor,
        page: PageAsked,
    ) -> object:
        place = page.after
        lines = jobs.job_log(service, actor, job_id, after=place[0] if place else 0, limit=page.limit)
        return page.answer(lines, [lines[-1].number] if len(lines) == page.limit else None)


def _watches(routes: APIRouter, service: Service) -> None:
    @routes.get(
        "/jobs/{job_id}/events",
        response_class=Response,
        responses={
            200: {
                "description": "Server-sent events.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
        summary="Watch a job: an event for each change (`Last-Event-ID` goes on after one), until it has ended",
    )
    async def watch(job_id: PathId, request: Request, actor: CurrentActor) -> StreamingResponse:
        read = partial(jobs.get_job, service, actor, job_id)
        await run_in_threadpool(read)
        check_room(streams_of(request.app))
        return StreamingResponse(events(request, read, version_in(request)), media_type="text/event-stream")
