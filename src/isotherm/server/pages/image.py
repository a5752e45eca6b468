"""One image: the thermal picture, what was found, the verdicts so far, and what a person says of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Response
from fastapi.responses import JSONResponse

from isotherm.server.pages.rendering import Visit, Visited, back_to
from isotherm.store.tables import Feedback, Image, Inspection
from isotherm.workflows.service.assets import get_asset, list_assets
from isotherm.workflows.service.browsing import history, image_of, neighbours, opinions
from isotherm.workflows.service.categories import list_categories
from isotherm.workflows.service.feedback import give_feedback, withdraw_feedback
from isotherm.workflows.service.images import delete_image, label_image
from isotherm.workflows.service.inspections import inspect_image
from isotherm.workflows.service.looking import UNSCORED
from isotherm.workflows.service.models import get_model
from isotherm.workflows.service.sites import get_site, settings_of

DIGITS = 9
"""As many categories have a key of their own."""
ASSETS = 200
"""So many, the newest, are offered by name; any other can be typed."""
router = APIRouter(include_in_schema=False)
Text = Annotated[str, Form()]
Version = Annotated[int, Form()]


@dataclass(frozen=True)
class Found:
    """One finding as a row of a table and as an outline over the picture."""

    number: int
    kind: str
    origin: str
    max_c: float | None
    delta_t_c: float | None
    reference: str
    area_px: int
    peak: tuple[int, int]
    rank: int
    grade: str
    action: str
    score: float | None
    contour: Sequence[Sequence[float]]

    @property
    def outline(self) -> dict[str, Any]:
        """What the element ``<thermal-view>`` draws."""
        return {"label": str(self.number), "contour": self.contour, "peak": self.peak}


def found_in(result: Mapping[str, Any]) -> list[Found]:
    """Return the findings of a stored result, numbered from 1."""
    return [_found(number, finding) for number, finding in enumerate(result.get("findings", ()), start=1)]


def _found(number: int, finding: Mapping[str, Any]) -> Found:
    region, verdict = finding["region"], finding.get("severity") or {}
    judged = bool(verdict.get("action"))
    return Found(
        number=number,
        kind=finding["kind"],
        origin=finding["origin"],
        max_c=(finding.get("temperatures") or {}).get("max_c"),
        delta_t_c=finding.get("delta_t_c"),
        reference=finding.get("reference", ""),
        area_px=region["area_px"],
        peak=tuple(region["peak"]),
        rank=verdict.get("rank", 0) if judged else -1,
        grade=verdict.get("grade") or "",
        action=verdict.get("action") or verdict.get("reason") or "",
        score=finding.get("score"),
        contour=region["contour"],
    )


@router.get("/images/{image_id}")
def image(visit: Visited, image_id: str, part: str = "") -> Response:
    """Show an image; ``part`` leaves the frame of the page out, for a script that puts it into another."""
    shown = _shown(visit, image_id)
    if part:
        return visit.show("image_part", **shown)
    around = neighbours(visit.service, visit.actor, shown["tile"].image)
    return visit.show("image", around=around, **_assets(visit, shown["tile"].image), **shown)


def _assets(visit: Visit, image: Image) -> dict[str, Any]:
    """Return the asset that an image shows, and the names to choose from."""
    if image.site_id is None:
        return {"asset": None, "asset_names": []}
    known = list_assets(visit.service, visit.actor, image.site_id, limit=ASSETS).items
    shown = get_asset(visit.service, visit.actor, image.asset_id) if image.asset_id else None
    return {"asset": shown, "asset_names": sorted(asset.name for asset in known)}


def _shown(visit: Visit, image_id: str) -> dict[str, Any]:
    tile = image_of(visit.service, visit.actor, image_id)
    site_id = tile.image.site_id
    past = history(visit.service, visit.actor, tile.image)
    said = opinions(visit.service, visit.actor, tile.image)
    latest = past[0][0] if past else None
    mine = _mine(said, latest, visit.actor.name)
    return {
        "tile": tile,
        "history": past,
        "latest": latest,
        "findings": sorted(found_in(latest.result), key=_urgency) if latest else [],
        "notes": _notes(latest),
        **_score(visit, latest),
        "categories": list_categories(visit.service, visit.actor, site_id),
        "said_before": said,
        "mine": mine,
        "chosen": next((item.category for item in said if mine and item.feedback.id == mine.id), ""),
        "least": settings_of(get_site(visit.service, visit.actor, site_id)).min_confidence if site_id else None,
        "digits": DIGITS,
        "may_write": visit.actor.may("write"),
    }


def _urgency(found: Found) -> tuple[int, bool]:
    """Return what findings are ordered by: the worst verdict first, then what is unusual here."""
    return -found.rank, found.kind != "anomaly"


def _notes(latest: Inspection | None) -> list[str]:
    """Return what reading and measuring found worth saying of the picture."""
    notes = latest.result.get("notes", []) if latest else []
    return [note for note in notes if not note.startswith(UNSCORED)]


def _score(visit: Visit, latest: Inspection | None) -> dict[str, Any]:
    """Return what the anomaly model said, the number of its version and whether another one is at work by now.

    ``unscored`` says why it said nothing where it could not.
    """
    if latest is None or latest.anomaly_model_id is None:
        return {"anomaly": None, "scorer": None, "replaced": False, "unscored": ""}
    reasons = [note.removeprefix(UNSCORED) for note in latest.result["notes"] if note.startswith(UNSCORED)]
    version = get_model(visit.service, visit.actor, latest.anomaly_model_id)
    site = get_site(visit.service, visit.actor, latest.site_id)
    return {
        "anomaly": latest.result.get("anomaly"),
        "scorer": version.number,
        "replaced": site.active_anomaly_model not in (None, version.id),
        "unscored": " ".join(reasons),
    }


def _mine(said: Iterable[Any], latest: Inspection | None, name: str) -> Feedback | None:
    """Return what this person said of the latest inspection."""
    own = (item.feedback for item in said if latest and item.feedback.inspection_id == latest.id)
    return next((feedback for feedback in own if feedback.created_by == name), None)


@router.post("/inspections/{inspection_id}/feedback")
def feedback(visit: Visited, inspection_id: str, category: Text, note: Text = "") -> Response:
    """Keep what a person says that a verdict should have been."""
    said = give_feedback(visit.service, visit.actor, inspection_id, category.strip(), note=note)
    told = f"Kept: it is {category.strip()}. The next training learns from it."
    if visit.wants_json():
        return JSONResponse({"id": said.id, "category": category.strip(), "said": told})
    return back_to(f"/images/{said.image_id}", told)


@router.post("/feedback/{feedback_id}/withdraw")
def withdraw(visit: Visited, feedback_id: str, image: Text) -> Response:
    """Take back what a person has said."""
    withdraw_feedback(visit.service, visit.actor, feedback_id)
    if visit.wants_json():
        return JSONResponse({"said": "Taken back."})
    return back_to(f"/images/{image_of(visit.service, visit.actor, image).image.id}", "Taken back.")


@router.post("/images/{image_id}/inspect")
def again(visit: Visited, image_id: str) -> Response:
    """Inspect an image once more, with the settings and the model of now."""
    inspect_image(visit.service, visit.actor, image_id)
    return back_to(f"/images/{image_id}", "Inspected again.")


@router.post("/images/{image_id}/label")
def label(visit: Visited, image_id: str, version: Version, category: Text = "", split: Text = "") -> Response:
    """Sort an image under a category and into the data to learn from or to test with."""
    changed = label_image(
        visit.service, visit.actor, image_id, category=category.strip() or None, split=split, version=version
    )
    return back_to(f"/images/{changed.id}", "Kept.")


@router.post("/images/{image_id}/delete")
def delete(visit: Visited, image_id: str, version: Version) -> Response:
    """Remove an image."""
    gone: Image = image_of(visit.service, visit.actor, image_id).image
    delete_image(visit.service, visit.actor, image_id, version=version)
    return back_to("/images", f"{gone.name} was removed.")
