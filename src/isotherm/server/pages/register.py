"""The register of a site's assets, one asset over time, and the drift watch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import ConfigError, IsothermError, NotFoundError
from isotherm.core.shapes import Box
from isotherm.evaluation.drift import LEAST_COUNT
from isotherm.measurement.asset_trend import AssetTrend
from isotherm.measurement.reference import parse_box
from isotherm.reports import trend_section
from isotherm.reports.document.wording import wording
from isotherm.reports.trend_plot import trend_svg
from isotherm.server.pages.forms import UNTYPED, Typed, again, read_settings, texts_of, version_in
from isotherm.server.pages.rendering import Visit, Visited, back_to, many
from isotherm.server.uploads import in_lane
from isotherm.store.tables import Asset
from isotherm.workflows.service import asset_images, assets, drift, trends
from isotherm.workflows.service.browsing import tiles_of
from isotherm.workflows.service.sites import get_site

MOST_LISTED, MOST_UNCLEAR = 200, 24
NAMES = {name: wording("en")(key) for name, key in trend_section.NAMES.items()}
QUANTITIES = {
    "mean": "Mean of a picture",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
    "max_c": "Highest temperature [°C]",
    "max_delta_t_c": "Largest delta-T [K]",
    "confidence": "Confidence of the verdict",
    "distance": "Distance to what was learnt",
    "score": "Anomaly score",
}
DRIFT_LEVELS = {"stable": "none", "watch": "mid", "drift": "high", "unknown": "open"}
router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form()]
Version = Annotated[int, Form()]


@router.get("/sites/{site_id}/assets")
def register(visit: Visited, site_id: str) -> Response:
    """Show the assets of a site, the images that fit none or several, and the form for another asset."""
    return _register(visit, site_id)


def _register(visit: Visit, site_id: str, typed: Typed = UNTYPED) -> Response:
    site = get_site(visit.service, visit.actor, site_id)
    page = assets.list_assets(visit.service, visit.actor, site.id, limit=MOST_LISTED)
    unclear = asset_images.noted_images(visit.service, visit.actor, site.id, limit=MOST_UNCLEAR)
    return visit.show(
        "assets",
        status=typed.status,
        site=site,
        rows=asset_images.summaries(visit.service, visit.actor, page.items),
        more=page.next is not None,
        unclear=tiles_of(visit.service, visit.actor, [image.id for image in unclear.items]),
        fields=typed.settings(assets.AssetDetails, assets.AssetDetails()),
        typed=typed,
    )


@router.post("/sites/{site_id}/assets")
async def create(request: Request, visit: Visited, site_id: str) -> Response:
    """Make an asset."""
    return await run_in_threadpool(_create, visit, site_id, await texts_of(request))


def _create(visit: Visit, site_id: str, form: Mapping[str, str]) -> Response:
    try:
        name = form.get("name", "").strip()
        made = assets.create_asset(visit.service, visit.actor, site_id, name, **_about(form))
    except IsothermError as error:
        return _register(visit, site_id, again(visit.request, error, form))
    return back_to(f"/assets/{made.id}", f"{made.name} was made.")


def _about(form: Mapping[str, str]) -> dict[str, Any]:
    about: dict[str, Any] = {name: form.get(name, "").strip() for name in ("kind", "place", "rating")}
    return about | {"details": read_settings(assets.AssetDetails, form)}


@router.post("/sites/{site_id}/match")
async def match(request: Request, visit: Visited, site_id: str) -> Response:
    """Apply the rules of now to the newest images of a site."""
    found = await in_lane(request, asset_images.match_again, visit.service, visit.actor, site_id)
    told = f"{many(found.looked, 'image')} looked at, {found.changed} changed; {found.matched} have an asset"
    told += f", {found.noted} need a look." if found.noted else "."
    return back_to(f"/sites/{get_site(visit.service, visit.actor, site_id).id}/assets", told)


@router.get("/assets/{asset_id}")
def over_time(visit: Visited, asset_id: str) -> Response:
    """Show an asset over time."""
    return _over_time(visit, asset_id)


def _over_time(visit: Visit, asset_id: str, typed: Typed = UNTYPED) -> Response:
    asset = assets.get_asset(visit.service, visit.actor, asset_id)
    trend = trends.asset_trend(visit.service, visit.actor, asset.id)
    return visit.show(
        "asset",
        status=typed.status,
        asset=asset,
        site=get_site(visit.service, visit.actor, asset.site_id),
        trend=trend,
        plots=_plots(trend),
        tiles={
            tile.image.id: tile for tile in tiles_of(visit.service, visit.actor, (row.look.key for row in trend.rows))
        },
        names=NAMES,
        fields=typed.settings(assets.AssetDetails, assets.details_of(asset)),
        typed=typed,
        may_write=visit.actor.may("write"),
    )


def _plots(trend: AssetTrend) -> list[Markup]:
    """Return drawings of what has at least two values; their texts are escaped where they are drawn."""
    drawn = (one for one in trend.series if len(one.samples) > 1)
    return [Markup(trend_svg(one, NAMES[one.name])) for one in drawn]  # noqa: S704


@router.post("/assets/{asset_id}")
async def change(request: Request, visit: Visited, asset_id: str) -> Response:
    """Keep what is known of an asset, unless somebody else has changed it meanwhile."""
    return await run_in_threadpool(_change, visit, asset_id, await texts_of(request))


def _change(visit: Visit, asset_id: str, form: Mapping[str, str]) -> Response:
    try:
        name, version = form.get("name", "").strip(), version_in(form)
        kept = assets.update_asset(visit.service, visit.actor, asset_id, name=name, version=version, **_about(form))
    except IsothermError as error:
        return _over_time(visit, asset_id, again(visit.request, error, form))
    return back_to(f"/assets/{kept.id}", "Kept.")


@router.post("/assets/{asset_id}/delete")
def delete(visit: Visited, asset_id: str, version: Version) -> Response:
    """Remove an asset; its images stay."""
    asset = assets.get_asset(visit.service, visit.actor, asset_id)
    assets.delete_asset(visit.service, visit.actor, asset_id, version=version)
    return back_to(f"/sites/{asset.site_id}/assets", f"{asset.name} was removed; its images stay.")


@router.get("/assets/{asset_id}/views")
async def views(request: Request, visit: Visited, asset_id: str, box: str = "") -> Response:
    """Show the earlier images of an asset laid over the newest one; ``box`` is the part that is followed."""
    part = parse_box(box) if box.strip() else None
    asset = await run_in_threadpool(assets.get_asset, visit.service, visit.actor, asset_id)
    return await in_lane(request, _draw_views, visit, asset, part)


def _draw_views(visit: Visit, asset: Asset, box: Box | None) -> Response:
    try:
        found = trends.same_views(visit.service, visit.actor, asset.id, box)
    except NotFoundError:
        found = None
    images = [] if found is None else [found.newest, *(view.image for view in found.earlier)]
    return visit.show(
        "asset_views",
        asset=asset,
        site=get_site(visit.service, visit.actor, asset.site_id),
        views=found,
        box="" if box is None else f"{box.x},{box.y},{box.width},{box.height}",
        tiles={tile.image.id: tile for tile in tiles_of(visit.service, visit.actor, (image.id for image in images))},
        at=trends.taken_at,
    )


@router.post("/images/{image_id}/asset")
def assign(visit: Visited, image_id: str, version: Version, asset: Text = "") -> Response:
    """Say by hand, by its name, which asset an image shows; an empty name: none of them."""
    image = asset_images.assign_by_name(visit.service, visit.actor, image_id, asset.strip(), version=version)
    return back_to(f"/images/{image.id}", "Kept.")


@router.post("/images/{image_id}/load")
def load(visit: Visited, image_id: str, version: Version, load: Text = "", unit: Text = "percent") -> Response:
    """Keep the load that an image was taken at."""
    value = _number(load)
    given = {"current_a": value} if unit == "ampere" else {"percent": value}
    image = asset_images.set_load(visit.service, visit.actor, image_id, version=version, **given)
    return back_to(f"/assets/{image.asset_id}" if image.asset_id else f"/images/{image.id}", "Kept.")


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"a load must be a number, not {text[:40]!r}") from error


@router.get("/sites/{site_id}/drift")
def watch(visit: Visited, site_id: str, window: int = drift.WINDOW) -> Response:
    """Show how far the newest images of a site are from those of its training."""
    site = get_site(visit.service, visit.actor, site_id)
    found = drift.site_drift(visit.service, visit.actor, site.id, window=window)
    linked = {image.id for each in found.shifts for image in each.images}
    return visit.show(
        "drift",
        site=site,
        drift=found,
        window=window,
        checks=drift.list_checks(visit.service, visit.actor, site.id, limit=20),
        tiles={tile.image.id: tile for tile in tiles_of(visit.service, visit.actor, linked)},
        names=QUANTITIES,
        levels=DRIFT_LEVELS,
        least=LEAST_COUNT,
        most=drift.MOST_WINDOW,
    )
