"""The gallery: images with filters, a page at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from isotherm.core.errors import ConfigError
from isotherm.server.pages.rendering import Visit, Visited
from isotherm.workflows.service.browsing import gallery, verdicts
from isotherm.workflows.service.categories import list_categories
from isotherm.workflows.service.images import ImageFilter
from isotherm.workflows.service.sites import list_sites

PAGE = 48
COMMON = "common"
SPLITS = {"": "any use", "train": "to learn from", "test": "to test with", "none": "no use"}
SEVERITIES = {"": "any severity", "0": "judged", "1": "1 or worse", "2": "2 or worse", "3": "3 or worse"}
STRANGE = "anomalous"
SCORES = {"": "any score", STRANGE: "above the threshold"}
ORDERS = {"newest": "newest first", "severity": "most severe first"}
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Wanted:
    """The filters of a gallery, as they stand in its address; what is empty filters nothing."""

    site: str = ""
    category: str = ""
    split: str = ""
    severity: str = ""
    verdict: str = ""
    score: str = ""
    name: str = ""
    since: str = ""
    until: str = ""
    order: str = "newest"

    def filters(self) -> ImageFilter:
        """Return what the service is asked for; raises ConfigError where a field is wrong."""
        return ImageFilter(
            site_id=self.site if self.site not in ("", COMMON) else None,
            common=self.site == COMMON,
            category=self.category or None,
            split={"": None, "none": ""}.get(self.split, self.split),
            label=self.verdict or None,
            anomalous=self.score == STRANGE,
            name=self.name,
            min_severity=_number(self.severity),
            since=_day(self.since),
            until=_day(self.until, days=1),
            order="severity" if self.order == "severity" else "newest",
        )

    def parts(self) -> Mapping[str, str]:
        """Return the query of the address, without what is empty or usual."""
        return {name: value for name, value in vars(self).items() if value and (name, value) != ("order", "newest")}


async def _wanted(request: Request) -> Wanted:
    asked = request.query_params
    return Wanted(**{each.name: asked[each.name] for each in fields(Wanted) if each.name in asked})


@router.get("/images")
def images(visit: Visited, wanted: Annotated[Wanted, Depends(_wanted)], after: str = "") -> Response:
    """Show a page of images."""
    page = gallery(visit.service, visit.actor, wanted.filters(), after=place(after), limit=PAGE)
    return visit.show(
        "gallery", tiles=page.items, wanted=wanted, parts_of_query=wanted.parts(), after=after,
        more=written(page.next), **_choices(visit, wanted.site),
        splits=SPLITS, severities=SEVERITIES, scores=SCORES, orders=ORDERS,
    )  # fmt: skip


def _choices(visit: Visit, site: str) -> dict[str, Any]:
    known = site if site not in ("", COMMON) else None
    categories = list_categories(visit.service, visit.actor, known)
    return {
        "sites": list_sites(visit.service, visit.actor, limit=200).items,
        "categories": sorted({category.name for category in categories}),
        "labels": verdicts(visit.service, visit.actor, known or ""),
    }


def place(text: str) -> list[object] | None:
    """Return the place in a list that an address names; raises ConfigError where it is none."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ConfigError("this is no place in a list; begin with its first page")
    return found


def written(key: Sequence[object] | None) -> str:
    """Return the place in a list for an address."""
    return json.dumps(list(key), separators=(",", ":")) if key else ""


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or len(text) > 4:
        raise ConfigError("the least severity must be a whole number, as 2")
    return int(text)


def _day(text: str, days: int = 0) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise ConfigError("a day is written like 2026-11-22") from error
