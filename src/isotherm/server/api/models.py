"""Model versions of a site: which one judges, switched and rolled back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from isotherm.server.api.answers import CHANGE, PathId, problems
from isotherm.server.api.routing import api_router
from isotherm.server.model_schemas import ActivationOut, ComparisonOut, ModelOut, ModelWhole, ThresholdOut
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import Id, PageOut
from isotherm.server.security import CurrentActor
from isotherm.server.versions import ExpectedModel, tag_model
from isotherm.store.tables import ModelVersion
from isotherm.workflows.service import models
from isotherm.workflows.service.comparing import ModelComparison, compare_models
from isotherm.workflows.service.model_removal import remove_files
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import get_site
from isotherm.workflows.service.thresholds import ThresholdPreview, preview_threshold

Kind = Annotated[models.ModelKind, Query(description="A site may have one of each at work.")]
Share = Annotated[float, Query(ge=0, le=1, description="A probability.")]


def router(service: Service) -> APIRouter:
    """Return the routes of models."""
    routes = api_router("models")
    _looks(routes, service)
    _weighs(routes, service)

    @routes.post(
        "/models/{model_id}/activate",
        response_model=ModelOut,
        responses=CHANGE,
        summary="Let a model version judge the images of its site",
    )
    def activate(model_id: PathId, response: Response, actor: CurrentActor, expected: ExpectedModel) -> ModelVersion:
        known = models.get_model(service, actor, model_id)
        version = models.activate(service, actor, known.id, **expected.keyword())
        return tag_model(response, version.id, version)

    @routes.delete(
        "/models/{model_id}/files",
        response_model=ModelOut,
        responses=problems(409, 507),
        summary="Delete the files of a version that is not at work; its row and numbers stay",
    )
    def remove_model_files(model_id: PathId, actor: CurrentActor) -> ModelVersion:
        return remove_files(service, actor, model_id)

    @routes.post(
        "/sites/{site_id}/models/rollback",
        response_model=ModelOut,
        responses=CHANGE,
        summary="Let the version judge again that did so before the active one",
    )
    def roll_back(
        site_id: PathId, response: Response, actor: CurrentActor, expected: ExpectedModel, kind: Kind = "classifier"
    ) -> ModelVersion:
        expected.check(models.active_id(get_site(service, actor, site_id), kind))
        version = models.roll_back(service, actor, site_id, kind=kind)
        return tag_model(response, version.id, version)

    return routes


def _looks(routes: APIRouter, service: Service) -> None:
    @routes.get("/models", response_model=PageOut[ModelOut], summary="List model versions, newest first")
    def list_models(
        actor: CurrentActor,
        page: PageAsked,
        site_id: Id | None = None,
        kind: Kind | None = None,
    ) -> object:
        found = models.list_models(service, actor, site_id, kind=kind, after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)

    @routes.get("/models/{model_id}", response_model=ModelWhole, summary="Show a model version with its card")
    def get_model(model_id: PathId, actor: CurrentActor) -> ModelVersion:
        return models.get_model(service, actor, model_id)

    @routes.get(
        "/sites/{site_id}/models/active",
        response_model=ModelOut | None,
        summary="Show the version that judges now; its `ETag` goes into `If-Match` of a switch",
    )
    def active(
        site_id: PathId, response: Response, actor: CurrentActor, kind: Kind = "classifier"
    ) -> ModelVersion | None:
        model_id = models.active_id(get_site(service, actor, site_id), kind)
        found = models.get_model(service, actor, model_id) if model_id else None
        return tag_model(response, model_id, found)

    @routes.get(
        "/sites/{site_id}/models/activations",
        response_model=PageOut[ActivationOut],
        summary="List the switches of the active model, newest first",
    )
    def activations(
        site_id: PathId,
        actor: CurrentActor,
        page: PageAsked,
    ) -> object:
        found = models.list_activations(service, actor, site_id, after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)


def _weighs(routes: APIRouter, service: Service) -> None:
    @routes.get(
        "/models/{model_id}/comparison/{other_id}",
        response_model=ComparisonOut,
        responses=problems(409),
        summary="Compare two versions of a site by the images that both were tested with",
    )
    def compare(model_id: PathId, other_id: PathId, actor: CurrentActor) -> ModelComparison:
        return compare_models(service, actor, model_id, other_id)

    @routes.get(
        "/sites/{site_id}/threshold",
        response_model=ThresholdOut,
        summary="Show what another `min_confidence` would change; changes nothing",
    )
    def threshold(site_id: PathId, actor: CurrentActor, min_confidence: Share = 0.5) -> ThresholdPreview:
        return preview_threshold(service, actor, site_id, min_confidence)
