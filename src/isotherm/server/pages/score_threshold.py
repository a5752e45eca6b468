"""The threshold tool of anomaly models: how strange images are, and what another threshold would change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Response

from isotherm.core.errors import ConfigError, NotFoundError
from isotherm.core.proportions import clopper_pearson
from isotherm.server.pages.rendering import Visited, back_to
from isotherm.server.pages.threshold import BINS, LEFT, RIGHT, SHOWN, WIDTH, Bar
from isotherm.workflows.service.browsing import with_tiles
from isotherm.workflows.service.score_thresholds import (
    NORMAL,
    STRANGE,
    UNKNOWN,
    ScorePreview,
    checked,
    preview_scores,
    set_threshold,
)
from isotherm.workflows.service.sites import get_site

STEPS = 400
MOST_ALARMS = 100
"""For so many held-out images above the threshold the page knows what share of false alarms that means."""
PANEL, GAP, TOP = 96, 26, 16
"""Heights of one histogram, of what is between the two, and of what is above [px of the drawing]."""
HEIGHT = TOP + 2 * PANEL + GAP + 24
ORDER = (STRANGE, NORMAL, UNKNOWN)
"""From below: what the bars of the images here are made of."""
Text = Annotated[str, Form()]
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Axis:
    """The scores that the drawing shows; what lies beyond its end (``more``) stands in its last bar."""

    low: float
    high: float
    more: bool = False

    def place(self, score: float) -> int:
        """Return the bar of a score."""
        return min(BINS - 1, max(0, int((score - self.low) / (self.high - self.low) * BINS)))

    def x(self, score: float) -> float:
        """Return where a score lies in the drawing."""
        share = min(1.0, max(0.0, (score - self.low) / (self.high - self.low)))
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Where numbers stand below the drawing."""
        values = [self.low + share * (self.high - self.low) for share in (0, 0.25, 0.5, 0.75, 1)]
        texts = [f"{value:.3g}" for value in values]
        texts[-1] += " and more" if self.more else ""
        return [(self.x(value), text) for value, text in zip(values, texts, strict=True)]


@dataclass(frozen=True)
class Panel:
    """One histogram: its bars, its highest count, and where it stands."""

    bars: tuple[Bar, ...]
    most: int
    top: float


def axis_of(held: Sequence[float], scores: Sequence[float], *thresholds: float) -> Axis:
    """Return an axis that holds the thresholds and nearly all scores; a few that are far out would hide the others."""
    low, top = (pick([*held, *scores, *thresholds]) for pick in (min, max))
    highest = max(thresholds)
    high = max(highest, min(top, highest + 4 * (highest - low)))
    room = 0.02 * (high - low) or max(1e-6, 0.1 * abs(high))
    return Axis(low - room, high + room, more=top > high + room)


def panel(axis: Axis, parts: Sequence[tuple[str, Iterable[float]]], top: float) -> Panel:
    """Return the histogram of scores, those of each part on top of those before."""
    counts = [(truth, _counts(axis, scores)) for truth, scores in parts]
    most = max(1, *(sum(column) for column in zip(*(each for _, each in counts), strict=True)))
    width = (WIDTH - LEFT - RIGHT) / BINS
    bars, below = list[Bar](), [0] * BINS
    for truth, each in counts:
        for place, count in enumerate(each):
            if count:
                height = PANEL * count / most
                y = top + PANEL * (1 - below[place] / most) - height
                low = axis.low + place * (axis.high - axis.low) / BINS
                x = LEFT + place * width
                bars.append(Bar(round(x, 2), round(y, 2), round(width - 1, 2), round(height, 2), low, count, truth))
            below[place] += count
    return Panel(tuple(bars), most, top)


def _counts(axis: Axis, scores: Iterable[float]) -> list[int]:
    counts = [0] * BINS
    for score in scores:
        counts[axis.place(score)] += 1
    return counts


@router.get("/sites/{site_id}/score-threshold")
def score_threshold(visit: Visited, site_id: str, at: str = "") -> Response:
    """Show the tool; ``at`` is the threshold that is tried."""
    site = get_site(visit.service, visit.actor, site_id)
    try:
        found = preview_scores(visit.service, visit.actor, site.id, number(at) if at else None)
    except NotFoundError:
        return visit.show("score_threshold", site=site, found=None)
    axis = axis_of(found.held_out, [each.score for each in found.scores], found.now, found.then)
    return visit.show(
        "score_threshold",
        site=site,
        found=found,
        axis=axis,
        panels=_panels(axis, found),
        step=f"{(axis.high - axis.low) / STEPS:.2g}",
        truths={truth: sum(each.truth == truth for each in found.fresh) for truth in ORDER},
        learnt=len(found.scores) - len(found.fresh),
        stale=sum(each.stale for each in found.scores),
        flips=with_tiles(visit.service, visit.actor, found.flips[:SHOWN]),
        count=len(found.flips),
        plot={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "panel": PANEL, "gap": GAP},
        data={
            "rows": [[each.image_id, each.name, each.score, each.truth, each.learnt] for each in found.scores],
            "held": list(found.held_out),
            "alarms": _alarms(len(found.held_out)),
        },
    )


def _panels(axis: Axis, found: ScorePreview) -> tuple[Panel, Panel]:
    parts = [(truth, [each.score for each in found.fresh if each.truth == truth]) for truth in ORDER]
    return panel(axis, [(NORMAL, found.held_out)], TOP), panel(axis, parts, TOP + PANEL + GAP)


def _alarms(count: int) -> list[tuple[float, float]]:
    """Return the interval of the share of false alarms for 0, 1, 2 ... of so many held-out images above a threshold."""
    return [clopper_pearson(above, count) for above in range(min(count, MOST_ALARMS) + 1)] if count else []


@router.post("/sites/{site_id}/score-threshold")
def keep(visit: Visited, site_id: str, at: Text, model: Text, note: Text = "") -> Response:
    """Make a version with another threshold, unless another model has been put to work meanwhile."""
    get_site(visit.service, visit.actor, site_id)
    version = set_threshold(visit.service, visit.actor, model, number(at), note=note, only_at_work=True)
    told = f"Version {version.number} is at work: above {version.metrics['threshold']:.4g} an image stands out."
    return back_to(f"/sites/{version.site_id}/score-threshold", told)


def number(text: str) -> float:
    """Return a threshold from a form; raises ConfigError for any other text."""
    try:
        return checked(float(text))
    except ValueError:
        raise ConfigError(f"a threshold must be a finite number, as 27.5, not {text[:40]!r}") from None
