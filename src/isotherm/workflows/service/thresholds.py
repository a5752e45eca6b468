"""What another least confidence would change at a site: how sure the latest verdicts were, and which would flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select, true
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError
from isotherm.store.tables import Category, Image, Inspection, Site
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import settings_of

BINS = 20
MOST_FLIPS = 100
MOST_CONFIDENCES = 5000


@dataclass(frozen=True)
class Confidence:
    """How sure the latest inspection of an image was.

    ``nearest`` is the most probable category, rejected or not. ``unlike`` says that the image was refused for being
    unlike all that was learnt, which no least confidence changes.
    """

    image_id: str
    name: str
    nearest: str
    confidence: float
    unlike: bool
    truth: str = ""


@dataclass(frozen=True)
class Bin:
    """Latest verdicts whose confidence lies from `low` (in it) to `high` (not in it, but for 1).

    ``right`` and ``wrong`` count the verdicts of images whose category is known; a refused one is neither.
    """

    low: float
    high: float
    count: int
    right: int
    wrong: int


@dataclass(frozen=True)
class Flip:
    """An image whose verdict would change: to no category, or to the most probable one."""

    image_id: str
    name: str
    label: str
    becomes: str
    confidence: float
    truth: str


@dataclass(frozen=True)
class ThresholdPreview:
    """What a site's ``min_confidence`` does now and would do.

    Parameters
    ----------
    now, then
        The value of the site, and the one that is asked about.
    bins
        `BINS` of them, from 0 to 1.
    lost, gained
        How many verdicts would become "no category"; how many that were refused for lack of confidence would get one.
    flips
        The newest of those images, at most `MOST_FLIPS`.
    """

    now: float
    then: float
    bins: tuple[Bin, ...]
    lost: int
    gained: int
    flips: tuple[Flip, ...]


def confidences(service: Service, actor: Actor, site_id: str, *, most: int = MOST_CONFIDENCES) -> list[Confidence]:
    """Return how sure the latest inspections of a site's images were, newest first."""
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id)
        said = Inspection.label, Inspection.probabilities, Inspection.confidence
        query = _latest(site, Image.id, Image.name, *said, ~_only_unsure(site), Category.name)
        return [
            Confidence(image_id, name, _nearest(label, probabilities), confidence, bool(unlike), truth or "")
            for image_id, name, label, probabilities, confidence, unlike, truth in session.execute(
                query.order_by(Image.id.desc()).limit(most)
            )
        ]


def _nearest(label: str | None, probabilities: dict[str, float]) -> str:
    """Return the most probable category of a verdict, whether it was given or refused."""
    return max(probabilities, key=probabilities.__getitem__) if probabilities else label or ""


def preview_threshold(service: Service, actor: Actor, site_id: str, min_confidence: float) -> ThresholdPreview:
    """Return what another ``min_confidence`` would change in the latest verdicts of a site; changes nothing.

    Raises
    ------
    ConfigError
        `min_confidence` is no number from 0 to 1.
    """
    if isinstance(min_confidence, bool) or not isinstance(min_confidence, int | float) or not 0 <= min_confidence <= 1:
        raise ConfigError(f"min_confidence must be a number from 0 to 1, not {min_confidence!r}")
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id)
        lost = and_(~Inspection.rejected, Inspection.confidence < min_confidence)
        gained = and_(Inspection.rejected, _only_unsure(site), Inspection.confidence >= min_confidence)
        counts = session.execute(_latest(site, func.count().filter(lost), func.count().filter(gained))).one()
        return ThresholdPreview(
            settings_of(site).min_confidence,
            float(min_confidence),
            tuple(_bins(session, site)),
            counts[0],
            counts[1],
            tuple(_flips(session, site, or_(lost, gained))),
        )


def _only_unsure(site: Site) -> ColumnElement[bool]:
    """Say that a verdict was refused for lack of confidence alone, not for being unlike all that was learnt."""
    if not settings_of(site).open_set:
        return true()
    return or_(Inspection.distance.is_(None), Inspection.distance <= 1)


def _latest(site: Site, *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(Image)
        .join(Inspection, Inspection.id == Image.latest_inspection)
        .outerjoin(Category, Category.id == Image.category_id)
        .where(Image.site_id == site.id, Inspection.confidence.is_not(None))
    )


def _bins(session: Session, site: Site) -> Sequence[Bin]:
    place = case(*((Inspection.confidence < (number + 1) / BINS, number) for number in range(BINS - 1)), else_=BINS - 1)
    known, right = Category.name.is_not(None), Category.name == Inspection.label
    # A refused verdict names no category; it counts as neither right nor wrong.
    judged = and_(known, ~Inspection.rejected)
    counted = _latest(
        site,
        place.label("place"),
        func.count(),
        func.count().filter(and_(judged, right)),
        func.count().filter(and_(judged, ~right)),
    ).group_by("place")
    found = {number: tuple(counts) for number, *counts in session.execute(counted)}
    return [Bin(number / BINS, (number + 1) / BINS, *found.get(number, (0, 0, 0))) for number in range(BINS)]


def _flips(session: Session, site: Site, flipped: ColumnElement[bool]) -> Sequence[Flip]:
    from isotherm.workflows.classify_model import NO_CATEGORY

    query = _latest(site, Image.id, Image.name, Inspection, Category.name).where(flipped)
    rows = session.execute(query.order_by(Image.id.desc()).limit(MOST_FLIPS))
    return [
        Flip(
            image_id,
            name,
            said.label or "",
            _nearest(said.label, said.probabilities) if said.rejected else NO_CATEGORY,
            said.confidence or 0.0,
            truth or "",
        )
        for image_id, name, said, truth in rows
    ]
