"""Sites: their categories, the images that they learn from and are tested with, their settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from starlette.concurrency import run_in_threadpool

from isotherm.classification import CLASSIFIERS
from isotherm.core.errors import ConfigError, IsothermError
from isotherm.hotspots import HOTSPOT_METHODS
from isotherm.measurement.severity import SEVERITY_TABLES
from isotherm.runtime.backbones import BACKBONES
from isotherm.server.pages.forms import UNTYPED, Typed, again, read_settings, texts_of, version_in
from isotherm.server.pages.home import Outcome, outcomes_of
from isotherm.server.pages.rendering import Visit, Visited, back_to
from isotherm.server.uploads import Form as Received
from isotherm.server.uploads import in_lane, received
from isotherm.store.tables import ModelVersion, Site
from isotherm.workflows.service import sites as use
from isotherm.workflows.service.browsing import category_counts, unlearnt
from isotherm.workflows.service.categories import create_category, delete_category, rename_category
from isotherm.workflows.service.images import take_in
from isotherm.workflows.service.models import ModelKind, active_id, get_model

COMMON = "common"
"""In an address, what belongs to no site."""
router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form()]
Version = Annotated[int, Form()]


@router.get("/sites")
def sites(visit: Visited) -> Response:
    """Show all sites and the form for another."""
    return _sites(visit)


def _sites(visit: Visit, typed: Typed = UNTYPED) -> Response:
    found = use.list_sites(visit.service, visit.actor, limit=200).items
    return visit.show("sites", status=typed.status, sites=found, typed=typed)


@router.post("/sites")
def create(visit: Visited, name: Text = "", note: Text = "") -> Response:
    """Make a site."""
    try:
        site = use.create_site(visit.service, visit.actor, name.strip(), note=note)
    except IsothermError as error:
        return _sites(visit, again(visit.request, error, {"name": name, "note": note}))
    return back_to(f"/sites/{site.id}/data", f"{site.name} was made. Give it images to learn from.")


@router.get("/sites/{site_id}")
def overview(visit: Visited, site_id: str) -> Response:
    """Show a site."""
    site = use.get_site(visit.service, visit.actor, site_id)
    return visit.show(
        "site",
        site=site,
        counts=category_counts(visit.service, visit.actor, site.id),
        common=category_counts(visit.service, visit.actor, None),
        unlearnt=unlearnt(visit.service, visit.actor, site.id),
        active=active_of(visit, site),
        scorer=active_of(visit, site, "anomaly"),
        settings=use.settings_of(site),
    )


def active_of(visit: Visit, site: Site, kind: ModelKind = "classifier") -> ModelVersion | None:
    """Return the model version of a kind that judges a site's images now."""
    model_id = active_id(site, kind)
    return get_model(visit.service, visit.actor, model_id) if model_id else None


@router.get("/common")
def common(visit: Visited) -> Response:
    """Show the categories that every site learns from."""
    return visit.show("common", counts=category_counts(visit.service, visit.actor, None))


@router.get("/sites/{site_id}/data")
def data(visit: Visited, site_id: str, category: str = "") -> Response:
    """Show the images that a site learns from, by category, and the form for more."""
    site = use.get_site(visit.service, visit.actor, site_id)
    counts = category_counts(visit.service, visit.actor, site.id)
    return visit.show("site_data", site=site, counts=counts, category=category)


@router.post("/sites/{site_id}/data")
async def add_data(request: Request, visit: Visited, site_id: str) -> Response:
    """Take in images to learn from or to test with."""
    site = None if site_id == COMMON else await run_in_threadpool(use.get_site, visit.service, visit.actor, site_id)
    async with received(request) as form:
        outcomes: list[Outcome] = await in_lane(request, _add, visit, site, form)
    if request.query_params.get("part"):
        return visit.show("outcomes_part", outcomes=outcomes)
    where = f"/sites/{site.id}/data" if site else "/common"
    refused = [outcome for outcome in outcomes if not outcome.tile]
    told = f"{len(outcomes) - len(refused)} images were taken."
    if refused:
        told += f" {len(refused)} were not: " + "; ".join(f"{item.name}: {item.error}" for item in refused[:5])
    return back_to(where, told)


def _add(visit: Visit, site: Site | None, form: Received) -> list[Outcome]:
    category = form.text("category").strip()
    if not category:
        raise ConfigError("say the category of these images")
    taken = take_in(
        visit.service, visit.actor, site.id if site else None, form.uploads, category=category,
        split=form.text("split", "train"),
    )  # fmt: skip
    return outcomes_of(visit, form, taken)


@router.post("/sites/{site_id}/categories")
def add_category(visit: Visited, site_id: str, name: Text) -> Response:
    """Make a category."""
    made = create_category(visit.service, visit.actor, None if site_id == COMMON else site_id, name.strip())
    return back_to(_home_of(made.site_id), f"The category {made.name} was made.")


@router.post("/categories/{category_id}")
def change_category(visit: Visited, category_id: str, name: Text, version: Version) -> Response:
    """Give a category another name."""
    changed = rename_category(visit.service, visit.actor, category_id, name.strip(), version=version)
    return back_to(_home_of(changed.site_id), f"It is called {changed.name} now.")


@router.post("/categories/{category_id}/delete")
def remove_category(visit: Visited, category_id: str, site: Text = "") -> Response:
    """Remove a category that no image is sorted under."""
    delete_category(visit.service, visit.actor, category_id)
    return back_to(_home_of(use.get_site(visit.service, visit.actor, site).id if site else None), "It was removed.")


def _home_of(site_id: str | None) -> str:
    return f"/sites/{site_id}" if site_id else "/common"


@router.get("/sites/{site_id}/settings")
def settings(visit: Visited, site_id: str) -> Response:
    """Show the form of a site's settings."""
    return _settings(visit, site_id)


def _settings(visit: Visit, site_id: str, typed: Typed = UNTYPED) -> Response:
    site = use.get_site(visit.service, visit.actor, site_id)
    return visit.show(
        "site_settings",
        status=typed.status,
        site=site,
        fields=typed.settings(use.SiteSettings, use.settings_of(site)),
        known=_known(),
        typed=typed,
    )


def _known() -> dict[str, list[str]]:
    """Return the names that a setting may have, where there is a table of them."""
    return {
        "method": CLASSIFIERS.names(),
        "hotspot_method": HOTSPOT_METHODS.names(),
        "severity": [*SEVERITY_TABLES, use.NO_TABLE],
        "backbone": BACKBONES.names(),
    }


@router.post("/sites/{site_id}/settings")
async def keep_settings(request: Request, visit: Visited, site_id: str) -> Response:
    """Keep the settings of a site, unless somebody else has changed them meanwhile."""
    return await run_in_threadpool(_keep, visit, site_id, await texts_of(request))


def _keep(visit: Visit, site_id: str, form: Mapping[str, str]) -> Response:
    try:
        site = use.update_site(
            visit.service, visit.actor, site_id, name=form.get("name"), note=form.get("note"),
            settings=read_settings(use.SiteSettings, form), version=version_in(form),
        )  # fmt: skip
    except IsothermError as error:
        return _settings(visit, site_id, again(visit.request, error, form))
    return back_to(f"/sites/{site.id}/settings", "Kept.")


@router.post("/sites/{site_id}/delete")
def delete(visit: Visited, site_id: str, name: Text) -> Response:
    """Remove a site with all that it has; its name must be typed, because nothing brings it back."""
    site = use.get_site(visit.service, visit.actor, site_id)
    if name.strip() != site.name:
        raise ConfigError("type the name of the site to remove it")
    use.delete_site(visit.service, visit.actor, site_id)
    return back_to("/sites", f"{site.name} was removed.")
