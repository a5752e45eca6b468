"""Training the models of a site, and looking on while it is trained."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from isotherm.classification import CLASSIFIERS
from isotherm.core.errors import IsothermError
from isotherm.runtime.backbones import BACKBONES
from isotherm.server.pages.forms import UNTYPED, Typed, again, read_settings, texts_of
from isotherm.server.pages.rendering import Visit, Visited, back_to
from isotherm.workflows.service.anomaly_training import AnomalySettings, methods, request_anomaly_training
from isotherm.workflows.service.browsing import category_counts, unlearnt, workers
from isotherm.workflows.service.jobs import get_job, job_log, list_jobs
from isotherm.workflows.service.models import ANOMALY, CLASSIFIER, ModelKind
from isotherm.workflows.service.sites import get_site
from isotherm.workflows.service.sites import settings_of as site_settings
from isotherm.workflows.service.training import TRAIN, TrainSettings, request_training

router = APIRouter(include_in_schema=False)


@router.get("/sites/{site_id}/train")
def train_page(visit: Visited, site_id: str, job: str = "") -> Response:
    """Show what a training would learn from, its form, and the training that runs or was the last."""
    return _train_page(visit, site_id, job)


def _train_page(visit: Visit, site_id: str, job: str = "", typed: Typed = UNTYPED) -> Response:
    site = get_site(visit.service, visit.actor, site_id)
    jobs = list_jobs(visit.service, visit.actor, site_id=site.id, kind=TRAIN, limit=10).items
    shown = get_job(visit.service, visit.actor, job) if job else next(iter(jobs), None)
    return visit.show(
        "train",
        status=typed.status,
        here=f"/sites/{site.id}/train",
        site=site,
        counts=category_counts(visit.service, visit.actor, site.id),
        common=category_counts(visit.service, visit.actor, None),
        unlearnt=unlearnt(visit.service, visit.actor, site.id),
        fields=typed.settings(TrainSettings, TrainSettings(), CLASSIFIER),
        known={"method": ["", *CLASSIFIERS.names()], "backbone": ["", *BACKBONES.names()]},
        own=site_settings(site),
        anomaly_fields=typed.settings(AnomalySettings, AnomalySettings(), ANOMALY),
        typed=typed,
        anomaly_methods=methods(),
        jobs=jobs,
        job=shown,
        lines=job_log(visit.service, visit.actor, shown.id) if shown else [],
        workers=workers(visit.service, visit.actor),
    )


@router.post("/sites/{site_id}/train")
async def train(request: Request, visit: Visited, site_id: str) -> Response:
    """Ask for a new classifier."""
    return await run_in_threadpool(_ask, visit, site_id, await texts_of(request), CLASSIFIER)


@router.post("/sites/{site_id}/train-anomaly")
async def train_anomaly(request: Request, visit: Visited, site_id: str) -> Response:
    """Ask for a new anomaly model."""
    return await run_in_threadpool(_ask, visit, site_id, await texts_of(request), ANOMALY)


def _ask(visit: Visit, site_id: str, form: Mapping[str, str], kind: ModelKind) -> Response:
    """Ask for a model of a kind, or show the form again with why there will be none."""
    try:
        if kind == ANOMALY:
            wanted = AnomalySettings(**read_settings(AnomalySettings, form))
            job = request_anomaly_training(visit.service, visit.actor, site_id, wanted)
        else:
            settings = TrainSettings(**read_settings(TrainSettings, form))
            job = request_training(visit.service, visit.actor, site_id, settings)
    except IsothermError as error:
        return _train_page(visit, site_id, typed=again(visit.request, error, form, kind))
    return back_to(f"/sites/{job.site_id}/train?job={job.id}")
