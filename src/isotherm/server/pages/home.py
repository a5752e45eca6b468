"""The first page: drop images, see what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from isotherm.core.errors import ConflictError
from isotherm.server.pages.rendering import THEME_COOKIE, THEMES, Visit, Visited, back_to, own_path
from isotherm.server.uploads import Form, in_lane, received
from isotherm.store.tables import Site
from isotherm.workflows.service.browsing import Tile, gallery, standing, tiles_of
from isotherm.workflows.service.images import ImageFilter, Taken, take_in
from isotherm.workflows.service.simulated import make_simulated_site
from isotherm.workflows.service.sites import create_site, get_site, list_sites, site_named

FIRST_SITE = "My pictures"
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Outcome:
    """What became of one file; ``tile`` is None where it was not taken, and ``error`` says why."""

    name: str
    tile: Tile | None
    error: str = ""


@router.get("/")
def home(visit: Visited, site: str = "") -> Response:
    """Show the place to drop images, and those that came last."""
    sites = list_sites(visit.service, visit.actor, limit=200).items
    recent = gallery(visit.service, visit.actor, ImageFilter(), limit=12).items
    return visit.show("home", sites=sites, chosen=site, recent=recent, standing=standing(visit.service, visit.actor))


@router.post("/inspect")
async def inspect(request: Request, visit: Visited) -> Response:
    """Take images in and show what was found; one image is shown on a page of its own."""
    async with received(request) as form:
        site = await run_in_threadpool(_site_of, visit, form.text("site"))
        outcomes: list[Outcome] = await in_lane(request, _taken, visit, site, form)
    if request.query_params.get("part"):
        return visit.show("outcomes_part", outcomes=outcomes)
    shown = [outcome.tile for outcome in outcomes if outcome.tile]
    if len(outcomes) == 1 and shown:
        return back_to(f"/images/{shown[0].image.id}")
    return visit.show("outcomes", outcomes=outcomes, site=site, status=200 if shown else 422)


def _site_of(visit: Visit, site_id: str) -> Site:
    """Return the site that a form names; whoever begins gets a first one."""
    if site_id:
        return get_site(visit.service, visit.actor, site_id)
    known = list_sites(visit.service, visit.actor, limit=1).items
    return known[0] if known else _first_site(visit)


def _first_site(visit: Visit) -> Site:
    """Make the first site, or return the one that another of the files dropped together has just made."""
    try:
        return create_site(visit.service, visit.actor, FIRST_SITE)
    except ConflictError:
        return site_named(visit.service, visit.actor, FIRST_SITE)


def _taken(visit: Visit, site: Site, form: Form) -> list[Outcome]:
    return outcomes_of(visit, form, take_in(visit.service, visit.actor, site.id, form.uploads))


def outcomes_of(visit: Visit, form: Form, taken: Sequence[Taken]) -> list[Outcome]:
    """Return what became of the files of a form, in their order, with what a list shows of the images."""
    shown = tiles_of(visit.service, visit.actor, [item.image.id for item in taken if item.image])
    known = {tile.image.id: tile for tile in shown}
    return [_outcome(taken[place] if isinstance(place, int) else place, known) for place in form.places]


def _outcome(became: Taken | tuple[str, str], known: Mapping[str, Tile]) -> Outcome:
    if isinstance(became, tuple):
        return Outcome(became[0], None, became[1])
    return Outcome(became.name, known.get(became.image.id) if became.image else None, became.error)


@router.post("/demo")
def demo(visit: Visited) -> Response:
    """Fill a site with simulated pictures of an electrical cabinet and let its first model be trained."""
    site, job = make_simulated_site(visit.service, visit.actor)
    return back_to(f"/sites/{site.id}/train?job={job.id}", "The pictures are here; their first model is being trained.")


@router.post("/theme")
async def theme(request: Request) -> Response:
    """Keep which colours somebody wants."""
    form = await request.form(max_files=0, max_fields=5)
    wanted = str(form.get("theme", ""))
    response = back_to(own_path(str(form.get("next", "/"))))
    response.set_cookie(THEME_COOKIE, wanted if wanted in THEMES else "auto", max_age=400 * 86400, samesite="lax")
    return response
