"""Categories of a site, and those that are common to all sites."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from isotherm.server.api.answers import CHANGE, CREATE, PathId
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import OnceRoute, documented
from isotherm.server.schemas import CategoryIn, CategoryOut, PageOut
from isotherm.server.security import CurrentActor
from isotherm.server.versions import ExpectedVersion, tag
from isotherm.store.tables import Category
from isotherm.workflows.service import categories
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import get_site


def router(service: Service) -> APIRouter:
    """Return the routes of categories."""
    routes = api_router("categories", OnceRoute)
    _lists(routes, service)
    _makes(routes, service)

    @routes.get("/categories/{category_id}", response_model=CategoryOut, summary="Show a category")
    def get_category(category_id: PathId, response: Response, actor: CurrentActor) -> Category:
        return tag(response, categories.get_category(service, actor, category_id))

    @routes.patch(
        "/categories/{category_id}", response_model=CategoryOut, responses=CHANGE, summary="Rename a category"
    )
    def rename_category(
        category_id: PathId, change: CategoryIn, response: Response, actor: CurrentActor, version: ExpectedVersion
    ) -> Category:
        return tag(response, categories.rename_category(service, actor, category_id, change.name, version=version))

    @routes.delete(
        "/categories/{category_id}", status_code=204, responses=CHANGE, summary="Remove a category that nothing names"
    )
    def delete_category(category_id: PathId, actor: CurrentActor, version: ExpectedVersion) -> None:
        categories.delete_category(service, actor, category_id, version=version)

    return routes


def _lists(routes: APIRouter, service: Service) -> None:
    @routes.get("/categories", response_model=PageOut[CategoryOut], summary="List the common categories")
    def list_common(actor: CurrentActor) -> object:
        return {"items": categories.list_categories(service, actor, None), "next": None}

    @routes.get(
        "/sites/{site_id}/categories",
        response_model=PageOut[CategoryOut],
        summary="List the categories of a site and the common ones, by name",
    )
    def list_categories(site_id: PathId, actor: CurrentActor, common: bool = True) -> object:
        get_site(service, actor, site_id)
        return {"items": categories.list_categories(service, actor, site_id, common=common), "next": None}


def _makes(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/categories",
        response_model=CategoryOut,
        status_code=201,
        responses=CREATE,
        dependencies=[Depends(documented)],
        summary="Make a common category",
    )
    def create_common(new: CategoryIn, response: Response, actor: CurrentActor) -> Category:
        return _made(response, categories.create_category(service, actor, None, new.name))

    @routes.post(
        "/sites/{site_id}/categories",
        response_model=CategoryOut,
        status_code=201,
        responses=CREATE,
        dependencies=[Depends(documented)],
        summary="Make a category of a site",
    )
    def create_category(site_id: PathId, new: CategoryIn, response: Response, actor: CurrentActor) -> Category:
        return _made(response, categories.create_category(service, actor, site_id, new.name))


def _made(response: Response, category: Category) -> Category:
    response.headers["location"] = f"/api/v1/categories/{category.id}"
    return tag(response, category)
