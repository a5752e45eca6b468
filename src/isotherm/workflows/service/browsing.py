"""What people look through: the gallery, the neighbours of an image, counts by category.

Nothing here changes anything. Rows that a list shows are read as they are needed there, without the results of
inspections, which are large.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from isotherm.jobs.queue import workers_alive
from isotherm.store.ids import is_id
from isotherm.store.tables import Category, Feedback, Image, Inspection, Job, ModelVersion, Site, Worker
from isotherm.workflows.service.access import Actor, at_sites, demand, fetch
from isotherm.workflows.service.feedback import is_waiting
from isotherm.workflows.service.images import ImageFilter, list_images
from isotherm.workflows.service.paging import Page

if TYPE_CHECKING:
    from isotherm.workflows.service.service import Service


class _OfImage(Protocol):
    @property
    def image_id(self) -> str: ...


OfImage = TypeVar("OfImage", bound=_OfImage)


@dataclass(frozen=True)
class Said:
    """What an inspection said, in short."""

    id: str
    image_id: str
    status: str
    error: str
    label: str | None
    confidence: float | None
    rejected: bool
    score: float | None


@dataclass(frozen=True)
class Tile:
    """One image of a gallery with the names that belong to it; ``said`` is its latest inspection."""

    image: Image
    site: str
    category: str
    said: Said | None


@dataclass(frozen=True)
class CategoryCount:
    """How many images a category has to learn from, to test with, and without either use."""

    category: Category
    train: int = 0
    test: int = 0
    unused: int = 0


@dataclass(frozen=True)
class Standing:
    """What there is in all, for the first page."""

    sites: int
    images: int
    findings: int
    jobs: int
    models: int


@dataclass(frozen=True)
class Around:
    """The images before and after one in its site, newest first."""

    newer: str | None = None
    older: str | None = None


@dataclass(frozen=True)
class Corrected:
    """A correction by a person that no model has learnt from yet, with the name of what it should have been."""

    feedback: Feedback
    category: str
    image: str = field(default="")


def gallery(
    service: Service, actor: Actor, filters: ImageFilter, *, after: Sequence[object] | None = None, limit: int = 48
) -> Page[Tile]:
    """Return a page of the images that somebody may see, with what belongs to them.

    Raises
    ------
    NotFoundError, ForbiddenError, ConfigError
        The site is not theirs; they may not read; `after` is no place in this list.
    """
    page = list_images(service, actor, filters, after=after, limit=limit)
    with service.database.read() as session:
        return Page(tuple(tiles(session, page.items)), page.next)


def tiles(session: Session, images: Sequence[Image]) -> list[Tile]:
    """Return images with their names and latest verdicts, in three queries however many they are."""
    categories = _names(session, Category, {image.category_id for image in images})
    sites = _names(session, Site, {image.site_id for image in images})
    said = said_of(session, [image.latest_inspection for image in images])
    return [
        Tile(
            image,
            sites.get(image.site_id or "", ""),
            categories.get(image.category_id or "", ""),
            said.get(image.latest_inspection or ""),
        )
        for image in images
    ]


def tiles_of(service: Service, actor: Actor, image_ids: Iterable[str]) -> list[Tile]:
    """Return images by their ids, in this order; what somebody may not see is left out."""
    wanted = [image_id for image_id in image_ids if is_id(image_id)]
    with service.database.read() as session:
        query = select(Image).where(Image.id.in_(wanted), at_sites(actor, Image.site_id))
        found = {image.id: image for image in session.scalars(query)}
        return tiles(session, [found[image_id] for image_id in wanted if image_id in found])


def with_tiles(service: Service, actor: Actor, items: Sequence[OfImage]) -> list[tuple[OfImage, Tile]]:
    """Return what is told of images, each with its image; what somebody may not see is left out."""
    found = {tile.image.id: tile for tile in tiles_of(service, actor, (item.image_id for item in items))}
    return [(item, found[item.image_id]) for item in items if item.image_id in found]


def said_of(session: Session, inspection_ids: Iterable[str | None]) -> dict[str, Said]:
    """Return what inspections said, by their ids."""
    wanted = {inspection_id for inspection_id in inspection_ids if inspection_id}
    query = select(*_SAID).where(Inspection.id.in_(wanted))
    return {row.id: Said(*row) for row in session.execute(query)} if wanted else {}


_SAID = (
    Inspection.id,
    Inspection.image_id,
    Inspection.status,
    Inspection.error,
    Inspection.label,
    Inspection.confidence,
    Inspection.rejected,
    Inspection.score,
)


def _names(session: Session, table: type[Category] | type[Site], ids: set[str | None]) -> dict[str, str]:
    wanted = {row_id for row_id in ids if row_id}
    if not wanted:
        return {}
    return {row.id: row.name for row in session.execute(select(table.id, table.name).where(table.id.in_(wanted)))}


def neighbours(service: Service, actor: Actor, image: Image) -> Around:
    """Return the images that came in before and after one, at the same site."""
    same = Image.site_id == image.site_id if image.site_id else Image.site_id.is_(None)
    with service.database.read() as session:
        demand(actor, "read", image.site_id)
        newer = session.scalar(select(Image.id).where(same, Image.id > image.id).order_by(Image.id).limit(1))
        older = session.scalar(select(Image.id).where(same, Image.id < image.id).order_by(Image.id.desc()).limit(1))
    return Around(newer, older)


def history(service: Service, actor: Actor, image: Image, *, most: int = 20) -> list[tuple[Inspection, int | None]]:
    """Return the inspections of an image, newest first, each with the number of the model version that judged."""
    demand(actor, "read", image.site_id)
    query = (
        select(Inspection, ModelVersion.number)
        .outerjoin(ModelVersion, ModelVersion.id == Inspection.model_id)
        .where(Inspection.image_id == image.id)
        .order_by(Inspection.id.desc())
        .limit(most)
    )
    with service.database.read() as session:
        return [(inspection, number) for inspection, number in session.execute(query)]


def opinions(service: Service, actor: Actor, image: Image) -> list[Corrected]:
    """Return what people said of an image, newest first."""
    demand(actor, "read", image.site_id)
    query = (
        select(Feedback, Category.name)
        .join(Category, Category.id == Feedback.category_id)
        .where(Feedback.image_id == image.id)
        .order_by(Feedback.id.desc())
        .limit(50)
    )
    with service.database.read() as session:
        return [Corrected(feedback, name, image.name) for feedback, name in session.execute(query)]


def unlearnt(service: Service, actor: Actor, site_id: str) -> int:
    """Return how many corrections of a site wait for the next training."""
    query = select(func.count(Feedback.id)).where(at_sites(actor, Feedback.site_id, site_id), is_waiting())
    with service.database.read() as session:
        return session.scalar(query) or 0


def category_counts(service: Service, actor: Actor, site_id: str | None) -> list[CategoryCount]:
    """Return the categories of a site (None: the common ones) by name, with their numbers of images."""
    demand(actor, "read", site_id)
    own = Category.site_id == site_id if site_id else Category.site_id.is_(None)
    counted = (
        select(Image.category_id, Image.split, func.count())
        .where(Image.site_id == site_id if site_id else Image.site_id.is_(None), Image.category_id.is_not(None))
        .group_by(Image.category_id, Image.split)
    )
    with service.database.read() as session:
        numbers: dict[str, dict[str, int]] = {}
        for category_id, split, number in session.execute(counted):
            numbers.setdefault(category_id or "", {})[split or "unused"] = number
        rows = session.scalars(select(Category).where(own).order_by(Category.name)).all()
        return [CategoryCount(row, **numbers.get(row.id, {})) for row in rows]


def verdicts(service: Service, actor: Actor, site_id: str) -> list[str]:
    """Return the labels that the classifiers of a site can give, for a filter."""
    query = select(ModelVersion.card).where(at_sites(actor, ModelVersion.site_id, site_id or None)).limit(200)
    with service.database.read() as session:
        labels = {str(label) for card in session.scalars(query) for label in card.get("labels", ())}
    return sorted(labels)


def standing(service: Service, actor: Actor) -> Standing:
    """Return the totals of what somebody may see, from the counters of the sites."""
    with service.database.read() as session:
        totals = select(func.count(), func.sum(Site.images), func.sum(Site.findings))
        sites, images, findings = session.execute(totals.where(at_sites(actor, Site.id))).one()
        open_jobs = select(func.count(Job.id)).where(at_sites(actor, Job.site_id), Job.state.in_(("queued", "running")))
        models = select(func.count(ModelVersion.id)).where(at_sites(actor, ModelVersion.site_id))
        jobs, models_made = session.scalar(open_jobs) or 0, session.scalar(models) or 0
        return Standing(sites, images or 0, findings or 0, jobs, models_made)


def image_of(service: Service, actor: Actor, image_id: str) -> Tile:
    """Return one image with its names.

    Raises
    ------
    NotFoundError, ForbiddenError
        There is none, or none for them.
    """
    with service.database.read() as session:
        (tile,) = tiles(session, [fetch(session, actor, Image, image_id)])
        return tile


def jobs_by_state(service: Service, actor: Actor) -> dict[str, int]:
    """Return how many jobs of this actor's sites there are in each state."""
    query = select(Job.state, func.count()).where(at_sites(actor, Job.site_id)).group_by(Job.state)
    with service.database.read() as session:
        return {row[0]: row[1] for row in session.execute(query)}


def workers(service: Service, actor: Actor) -> list[Worker]:
    """Return the workers that have been heard of lately."""
    demand(actor, "read")
    with service.database.read() as session:
        return workers_alive(service.database, session)
