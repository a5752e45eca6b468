"""Training the models of a site, and looking on while it is trained."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from isotherm.classification import CLASSIFIERS
from isotherm.core.config import settings_of
from isotherm.runtime.backbones import BACKBONES
from isotherm.server.pages.forms import read_settings
from isotherm.server.pages.rendering import Visit, Visited, back_to
from isotherm.store.tables import Job
from isotherm.workflows.service.anomaly_training import AnomalySettings, methods, request_anomaly_training
from isotherm.workflows.service.browsing import category_counts, unlearnt, workers
from isotherm.workflows.service.jobs import get_job, job_log, list_jobs
from isotherm.workflows.service.sites import get_site
from isotherm.workflows.service.sites import settings_of as site_settings
from isotherm.workflows.service.training import TRAIN, TrainSettings, request_training

router = APIRouter(include_in_schema=False)


@router.get("/sites/{site_id}/train")
def train_page(visit: Visited, site_id: str, job: str = "") -> Response:
    """Show what a training would learn from, its form, and the training that runs or was the last."""
    site = get_site(visit.service, visit.actor, site_id)
    jobs = list_jobs(visit.service, visit.actor, site_id=site.id, kind=TRAIN, limit=10).items
    shown = get_job(visit.service, visit.actor, job) if job else next(iter(jobs), None)
    return visit.show(
        "train",
        site=site,
        counts=category_counts(visit.service, visit.actor, site.id),
        common=category_counts(visit.service, visit.actor, None),
        unlearnt=unlearnt(visit.service, visit.actor, site.id),
        fields=[(item, item.default) for item in settings_of(TrainSettings)],
        known={"method": ["", *CLASSIFIERS.names()], "backbone": ["", *BACKBONES.names()]},
        own=site_settings(site),
        anomaly_fields=[(item, item.default) for item in settings_of(AnomalySettings)],
        anomaly_methods=methods(),
        jobs=jobs,
        job=shown,
        lines=job_log(visit.service, visit.actor, shown.id) if shown else [],
        workers=workers(visit.service, visit.actor),
    )


@router.post("/sites/{site_id}/train")
async def train(request: Request, visit: Visited, site_id: str) -> Response:
    """Ask for a new classifier."""
    form = {name: str(value) for name, value in (await request.form(max_files=0, max_fields=60)).items()}
    job = await run_in_threadpool(_request, visit, site_id, form)
    return back_to(f"/sites/{job.site_id}/train?job={job.id}")


@router.post("/sites/{site_id}/train-anomaly")
async def train_anomaly(request: Request, visit: Visited, site_id: str) -> Response:
    """Ask for a new anomaly model."""
    form = {name: str(value) for name, value in (await request.form(max_files=0, max_fields=60)).items()}
    job = await run_in_threadpool(_request_anomaly, visit, site_id, form)
    return back_to(f"/sites/{job.site_id}/train?job={job.id}")


def _request_anomaly(visit: Visit, site_id: str, form: Mapping[str, str]) -> Job:
    settings = AnomalySettings(**read_settings(AnomalySettings, form))
    return request_anomaly_training(visit.service, visit.actor, site_id, settings)


def _request(visit: Visit, site_id: str, form: Mapping[str, str]) -> Job:
    settings = TrainSettings(**read_settings(TrainSettings, form))
    return request_training(visit.service, visit.actor, site_id, settings)
