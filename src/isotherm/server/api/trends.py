"""Images of assets, trends, views of the same thing, and the drift watch."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from isotherm.core.errors import NotFoundError
from isotherm.evaluation.drift import LEAST_COUNT
from isotherm.measurement.reference import parse_box
from isotherm.measurement.trend import TrendSettings
from isotherm.reports.trend_plot import trend_svg
from isotherm.server.api.answers import CHANGE, STORED, PathId, content, problems
from isotherm.server.api.routing import api_router
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import ImageOut, PageOut
from isotherm.server.security import FILE_POLICY, CurrentActor
from isotherm.server.trend_schemas import (
    AssetOfImage,
    DriftCheckOut,
    DriftOut,
    LoadOfImage,
    MatchedOut,
    TrendOut,
    ViewsOut,
    drift_out,
    trend_out,
    views_out,
)  # fmt: skip
from isotherm.server.uploads import in_lane
from isotherm.server.versions import ExpectedVersion, tag
from isotherm.store.tables import Image
from isotherm.workflows.service import asset_images, drift, trends
from isotherm.workflows.service.service import Service

SVG, PNG = "image/svg+xml", "image/png"
Exponent = Annotated[float, Query(ge=1.6, le=2.0, description="Temperature rise goes with the current to this power.")]
Coverage = Annotated[float, Query(ge=1, le=5, description="A change counts beyond so many standard uncertainties.")]
BoxText = Annotated[
    str, Query(max_length=60, description="A part of the newest image [px] to follow: x,y,width,height.")
]
Quantity = Literal["max_c", "delta_t_k", "rated_delta_t_k", "score"]
Window = Annotated[
    int, Query(ge=LEAST_COUNT, le=drift.MOST_WINDOW, description="So many of the newest images are compared.")
]


def router(service: Service) -> APIRouter:
    """Return the routes of assets over time."""
    routes = api_router("assets")
    _images(routes, service)
    _trends(routes, service)
    _drift(routes, service)
    return routes


def _images(routes: APIRouter, service: Service) -> None:
    @routes.get("/assets/{asset_id}/images", response_model=PageOut[ImageOut], summary="List the images of an asset")
    def of_asset(asset_id: PathId, actor: CurrentActor, page: PageAsked) -> object:
        found = asset_images.images_of_asset(service, actor, asset_id, after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)

    @routes.get(
        "/sites/{site_id}/unclear-images",
        response_model=PageOut[ImageOut],
        summary="List images of which a person should say what they show",
    )
    def unclear(site_id: PathId, actor: CurrentActor, page: PageAsked) -> object:
        found = asset_images.noted_images(service, actor, site_id, after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)

    @routes.post(
        "/sites/{site_id}/match",
        response_model=MatchedOut,
        responses=problems(507),
        summary="Match the newest images to assets again",
    )
    async def match_again(site_id: PathId, request: Request, actor: CurrentActor) -> object:
        return await in_lane(request, asset_images.match_again, service, actor, site_id)

    @routes.put(
        "/images/{image_id}/asset", response_model=ImageOut, responses=CHANGE, summary="Say which asset an image shows"
    )
    def assign(
        image_id: PathId, said: AssetOfImage, response: Response, actor: CurrentActor, version: ExpectedVersion
    ) -> Image:
        return tag(response, asset_images.assign_asset(service, actor, image_id, said.asset_id, version=version))

    @routes.put(
        "/images/{image_id}/load", response_model=ImageOut, responses=CHANGE, summary="Say at what load it was taken"
    )
    def load(
        image_id: PathId, said: LoadOfImage, response: Response, actor: CurrentActor, version: ExpectedVersion
    ) -> Image:
        changed = asset_images.set_load(
            service, actor, image_id, percent=said.load_percent, current_a=said.current_a, version=version
        )
        return tag(response, changed)


def _trends(routes: APIRouter, service: Service) -> None:
    @routes.get("/assets/{asset_id}/trend", response_model=TrendOut, summary="The trend of an asset, and its alarms")
    def trend(asset_id: PathId, actor: CurrentActor, load_exponent: Exponent = 2.0, coverage: Coverage = 2.0) -> object:
        settings = TrendSettings(load_exponent=load_exponent, coverage=coverage)
        return trend_out(trends.asset_trend(service, actor, asset_id, settings))

    @routes.get(
        "/assets/{asset_id}/trend/{quantity}.svg",
        response_class=Response,
        responses=content(SVG, "A drawing that needs nothing else."),
        summary="One quantity of a trend as a drawing",
    )
    def drawing(asset_id: PathId, quantity: Quantity, actor: CurrentActor) -> Response:
        found = trends.asset_trend(service, actor, asset_id)
        series = next((one for one in found.series if one.name == quantity), None)
        if series is None:
            raise NotFoundError("quantity of this trend", quantity[:40])
        return Response(trend_svg(series), media_type=SVG, headers={"content-security-policy": FILE_POLICY})

    @routes.get(
        "/assets/{asset_id}/views",
        response_model=ViewsOut,
        responses=STORED,
        summary="Earlier images of an asset, laid over the newest one",
    )
    async def views(asset_id: PathId, request: Request, actor: CurrentActor, box: BoxText = "") -> object:
        part = parse_box(box) if box else None
        return views_out(await in_lane(request, trends.same_views, service, actor, asset_id, part))

    @routes.get(
        "/images/{image_id}/change/{earlier_id}",
        response_class=Response,
        responses={**content(PNG, "Red: warmer than in the earlier image; blue: colder."), **STORED},
        summary="What has become warmer since an earlier image of the same view",
    )
    async def change(image_id: PathId, earlier_id: PathId, request: Request, actor: CurrentActor) -> Response:
        return Response(await in_lane(request, trends.change_png, service, actor, image_id, earlier_id), media_type=PNG)


def _drift(routes: APIRouter, service: Service) -> None:
    @routes.get(
        "/sites/{site_id}/drift",
        response_model=DriftOut,
        responses=STORED,
        summary="How far new images are from the training's",
    )
    def site_drift(site_id: PathId, actor: CurrentActor, window: Window = drift.WINDOW) -> object:
        return drift_out(drift.site_drift(service, actor, site_id, window=window))

    @routes.get(
        "/sites/{site_id}/drift/checks",
        response_model=list[DriftCheckOut],
        summary="The latest checks of drift that the server has made by itself",
    )
    def checks(site_id: PathId, actor: CurrentActor) -> object:
        return drift.list_checks(service, actor, site_id)
