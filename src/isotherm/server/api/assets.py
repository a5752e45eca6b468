"""Assets: the things that are inspected."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from isotherm.server.api.answers import CHANGE, CREATE, PathId
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import OnceRoute, documented
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import AssetChange, AssetIn, AssetOut, PageOut
from isotherm.server.security import CurrentActor
from isotherm.server.versions import ExpectedVersion, tag
from isotherm.store.tables import Asset
from isotherm.workflows.service import assets
from isotherm.workflows.service.service import Service

_ABOUT = {"name", "kind", "place", "rating"}


def router(service: Service) -> APIRouter:
    """Return the routes of assets."""
    routes = api_router("assets", OnceRoute)

    @routes.get("/sites/{site_id}/assets", response_model=PageOut[AssetOut], summary="List the assets of a site")
    def list_assets(
        site_id: PathId,
        actor: CurrentActor,
        page: PageAsked,
    ) -> object:
        found = assets.list_assets(service, actor, site_id, after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)

    @routes.post(
        "/sites/{site_id}/assets",
        response_model=AssetOut,
        status_code=201,
        responses=CREATE,
        dependencies=[Depends(documented)],
        summary="Make an asset",
    )
    def create_asset(site_id: PathId, new: AssetIn, response: Response, actor: CurrentActor) -> Asset:
        about = new.model_dump(include=_ABOUT)
        asset = assets.create_asset(service, actor, site_id, **about, details=new.details())
        response.headers["location"] = f"/api/v1/assets/{asset.id}"
        return tag(response, asset)

    @routes.get("/assets/{asset_id}", response_model=AssetOut, summary="Show an asset")
    def get_asset(asset_id: PathId, response: Response, actor: CurrentActor) -> Asset:
        return tag(response, assets.get_asset(service, actor, asset_id))

    @routes.patch("/assets/{asset_id}", response_model=AssetOut, responses=CHANGE, summary="Change an asset")
    def change_asset(
        asset_id: PathId, change: AssetChange, response: Response, actor: CurrentActor, version: ExpectedVersion
    ) -> Asset:
        about = change.model_dump(include=_ABOUT)
        changed = assets.update_asset(service, actor, asset_id, **about, details=change.details(), version=version)
        return tag(response, changed)

    @routes.delete("/assets/{asset_id}", status_code=204, responses=CHANGE, summary="Remove an asset")
    def delete_asset(asset_id: PathId, actor: CurrentActor, version: ExpectedVersion) -> None:
        assets.delete_asset(service, actor, asset_id, version=version)

    return routes
