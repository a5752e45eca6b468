"""The threshold tool: how sure the verdicts of a site are, and what another threshold would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Response

from isotherm.core.errors import ConfigError
from isotherm.server.pages.rendering import Visited, back_to
from isotherm.workflows.service.browsing import with_tiles
from isotherm.workflows.service.sites import get_site, settings_of, update_site
from isotherm.workflows.service.thresholds import Confidence, confidences

BINS = 40
SHOWN = 48
WIDTH, HEIGHT = 640, 180
LEFT, RIGHT, TOP, BOTTOM = 34, 8, 8, 24
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Outcome:
    """What a threshold makes of the images; right and wrong are known only of those that people have sorted."""

    answered: int
    rejected: int
    right: int
    wrong: int
    spared: int
    lost: int


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram, in the drawing's own units; ``low`` is the least value in it, ``truth`` says of what."""

    x: float
    y: float
    width: float
    height: float
    low: float
    count: int
    truth: str = ""


def outcome(items: Sequence[Confidence], least: float) -> Outcome:
    """Count what a threshold makes of images: ``spared`` are wrong verdicts it holds back, ``lost`` right ones."""
    answered = [item for item in items if item.confidence >= least]
    rejected = [item for item in items if item.confidence < least]
    return Outcome(
        answered=len(answered),
        rejected=len(rejected),
        right=sum(item.truth == item.nearest for item in answered if item.truth),
        wrong=sum(item.truth != item.nearest for item in answered if item.truth),
        spared=sum(item.truth != item.nearest for item in rejected if item.truth),
        lost=sum(item.truth == item.nearest for item in rejected if item.truth),
    )


def flips(items: Sequence[Confidence], now: float, then: float) -> list[Confidence]:
    """Return the images whose verdict another threshold changes, those nearest to it first."""
    low, high = sorted((now, then))
    between = (item for item in items if low <= item.confidence < high)
    return sorted(between, key=lambda item: abs(item.confidence - then))


def bars(items: Sequence[Confidence]) -> list[Bar]:
    """Return the histogram of confidences in `BINS` equal parts of 0 to 1."""
    counts = [0] * BINS
    for item in items:
        counts[min(BINS - 1, int(item.confidence * BINS))] += 1
    across, up, most = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, max(1, *counts)
    return [
        Bar(
            x=round(LEFT + across * place / BINS, 2),
            y=round(TOP + up * (1 - count / most), 2),
            width=round(across / BINS - 1, 2),
            height=round(up * count / most, 2),
            low=place / BINS,
            count=count,
        )
        for place, count in enumerate(counts)
    ]


@router.get("/sites/{site_id}/threshold")
def threshold(visit: Visited, site_id: str, at: str = "") -> Response:
    """Show the tool; ``at`` is the threshold that is tried."""
    site = get_site(visit.service, visit.actor, site_id)
    latest = confidences(visit.service, visit.actor, site.id)
    items = [item for item in latest if not item.unlike]
    now = settings_of(site).min_confidence
    tried = share(at) if at else now
    changed = flips(items, now, tried)
    return visit.show(
        "threshold",
        site=site,
        now=now,
        tried=tried,
        items=items,
        unlike=len(latest) - len(items),
        bars=bars(items),
        before=outcome(items, now),
        after=outcome(items, tried),
        flips=with_tiles(visit.service, visit.actor, changed[:SHOWN]),
        count=len(changed),
        plot={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
        rows=[[item.image_id, item.name, item.nearest, item.confidence, item.truth] for item in items],
    )


@router.post("/sites/{site_id}/threshold")
def keep(visit: Visited, site_id: str, at: Annotated[str, Form()], version: Annotated[int, Form()]) -> Response:
    """Keep a threshold, unless somebody else has changed the site's settings meanwhile."""
    site = update_site(visit.service, visit.actor, site_id, settings={"min_confidence": share(at)}, version=version)
    return back_to(f"/sites/{site.id}/threshold", f"Verdicts from {share(at):.0%} now.")


def share(text: str) -> float:
    """Return a number of 0 to 1 from a form; raises ConfigError for any other text."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ConfigError("a threshold is a number from 0 to 1, as 0.65")
    return value
