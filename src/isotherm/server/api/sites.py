"""Sites."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from isotherm.server.api.answers import CHANGE, CREATE, PathId
from isotherm.server.api.routing import api_router
from isotherm.server.idempotency import OnceRoute, documented
from isotherm.server.paging import PageAsked
from isotherm.server.schemas import PageOut, SiteChange, SiteIn, SiteOut
from isotherm.server.security import CurrentActor
from isotherm.server.versions import ExpectedVersion, tag
from isotherm.store.tables import Site
from isotherm.workflows.service import sites
from isotherm.workflows.service.service import Service


def router(service: Service) -> APIRouter:
    """Return the routes of sites."""
    routes = api_router("sites", OnceRoute)

    @routes.get("/sites", response_model=PageOut[SiteOut], summary="List sites, newest first")
    def list_sites(actor: CurrentActor, page: PageAsked) -> object:
        found = sites.list_sites(service, actor, after=page.after, limit=page.limit)
        return page.answer(found.items, found.next)

    @routes.post(
        "/sites",
        response_model=SiteOut,
        status_code=201,
        responses=CREATE,
        dependencies=[Depends(documented)],
        summary="Make a site",
    )
    def create_site(new: SiteIn, response: Response, actor: CurrentActor) -> Site:
        site = sites.create_site(service, actor, new.name, note=new.note, settings=new.settings)
        response.headers["location"] = f"/api/v1/sites/{site.id}"
        return tag(response, site)

    @routes.get("/sites/{site_id}", response_model=SiteOut, summary="Show a site")
    def get_site(site_id: PathId, response: Response, actor: CurrentActor) -> Site:
        return tag(response, sites.get_site(service, actor, site_id))

    @routes.patch("/sites/{site_id}", response_model=SiteOut, responses=CHANGE, summary="Change a site")
    def change_site(
        site_id: PathId, change: SiteChange, response: Response, actor: CurrentActor, version: ExpectedVersion
    ) -> Site:
        changed = sites.update_site(
            service,
            actor,
            site_id,
            name=change.name,
            note=change.note,
            settings=change.settings,
            version=version,
        )
        return tag(response, changed)

    @routes.delete("/sites/{site_id}", status_code=204, responses=CHANGE, summary="Remove a site with all it has")
    def delete_site(site_id: PathId, actor: CurrentActor, version: ExpectedVersion) -> None:
        sites.delete_site(service, actor, site_id, version=version)

    return routes
