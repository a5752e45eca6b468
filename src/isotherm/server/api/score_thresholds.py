"""The threshold of a site's anomaly model: what another one would change, and setting it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from isotherm.server.api.answers import CREATE, STORED, PathId
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import OnceRoute, documented
from isotherm.server.model_schemas import ModelWhole, ScoreThresholdOut, ThresholdIn
from isotherm.server.security import CurrentActor
from isotherm.store.tables import ModelVersion
from isotherm.workflows.service.score_thresholds import ScorePreview, preview_scores, set_threshold
from isotherm.workflows.service.service import Service

Threshold = Annotated[
    float | None, Query(allow_inf_nan=False, description="In the unit of the scores; left out: the one of now.")
]


def router(service: Service) -> APIRouter:
    """Return the routes of thresholds of scores."""
    routes = api_router("models", OnceRoute)

    @routes.get(
        "/sites/{site_id}/score-threshold",
        response_model=ScoreThresholdOut,
        responses=STORED,
        summary="Show what another threshold of the anomaly model would change; changes nothing",
    )
    def preview(site_id: PathId, actor: CurrentActor, threshold: Threshold = None) -> ScorePreview:
        return preview_scores(service, actor, site_id, threshold)

    @routes.post(
        "/models/{model_id}/threshold",
        response_model=ModelWhole,
        status_code=201,
        responses={**CREATE, **STORED},
        dependencies=[Depends(documented)],
        summary="Make a version of an anomaly model with another threshold, which takes its place where it is at work",
    )
    def change(model_id: PathId, wanted: ThresholdIn, response: Response, actor: CurrentActor) -> ModelVersion:
        version = set_threshold(service, actor, model_id, wanted.threshold, note=wanted.note)
        response.headers["location"] = f"/api/v1/models/{version.id}"
        return version

    return routes
