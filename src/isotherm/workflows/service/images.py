"""Images: taken in whole and for good, or refused with a reason; looked at, sorted and removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import select

from isotherm.core.errors import ConfigError, NotFoundError
from isotherm.store.blob_rows import remember
from isotherm.store.tables import Category, Feedback, Image, Offer, now
from isotherm.workflows.classify_model import NO_CATEGORY
from isotherm.workflows.service.access import Actor, at_sites, demand, expect_version, fetch, hold_site
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.categories import named_category
from isotherm.workflows.service.paging import USUAL, Page, id_at, read_page
from isotherm.workflows.service.removal import remove_image
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.taking import Taken, Upload, check_split, may_name, owner_of, take_in

__all__ = [
    "ImageFilter",
    "Taken",
    "Upload",
    "delete_image",
    "get_image",
    "image_bytes",
    "label_image",
    "list_images",
    "missing_blobs",
    "put_blob",
    "take_in",
    "thumbnail_bytes",
]

Order = Literal["newest", "severity"]


@dataclass(frozen=True)
class ImageFilter:
    """Which images of a list are wanted; what is None or empty does not matter.

    Parameters
    ----------
    site_id, common
        Those of one site; those that are common to all sites.
    category, split, label
        The name of the category they are sorted under (``""``: none); the part of the data set; the latest verdict.
    name, digest
        Part of the file name, whatever the case; the sha256 of the content.
    min_severity
        The least rank of the worst finding.
    unsure
        Those whose latest verdict was refused for lack of confidence.
    anomalous
        Those whose latest score is above the threshold of its anomaly model.
    no_feedback
        Those that nobody has said anything about.
    since, until
        When they were sent (until: before that).
    order
        Newest first, or worst first.
    """

    site_id: str | None = None
    common: bool = False
    category: str | None = None
    split: str | None = None
    label: str | None = None
    name: str = ""
    digest: str = ""
    min_severity: int | None = None
    unsure: bool = False
    anomalous: bool = False
    no_feedback: bool = False
    since: datetime | None = None
    until: datetime | None = None
    order: Order = "newest"

    def __post_init__(self) -> None:
        if self.order not in get_args(Order):
            raise ConfigError(f"order must be one of {', '.join(get_args(Order))}, not {self.order!r}")
        if self.split is not None:
            check_split(self.split)


def list_images(
    service: Service,
    actor: Actor,
    filters: ImageFilter | None = None,
    *,
    after: Sequence[object] | None = None,
    limit: int = USUAL,
) -> Page[Image]:
    """Return a page of images."""
    wanted = filters or ImageFilter()
    query = select(Image).where(*_conditions(actor, wanted))
    columns = [Image.severity_rank, Image.id] if wanted.order == "severity" else [Image.id]
    with service.database.read() as session:
        return read_page(session, query, columns, after=after, limit=limit)


def _conditions(actor: Actor, wanted: ImageFilter) -> Iterator[Any]:
    yield Image.site_id.is_(None) if wanted.common else at_sites(actor, Image.site_id, wanted.site_id)
    if wanted.category == "":
        yield Image.category_id.is_(None)
    elif wanted.category is not None:
        yield Image.category_id.in_(select(Category.id).where(Category.name == wanted.category))
    if wanted.split is not None:
        yield Image.split == wanted.split
    if wanted.name:
        yield Image.name.icontains(wanted.name, autoescape=True)
    if wanted.digest:
        yield Image.digest == wanted.digest
    if wanted.min_severity is not None:
        yield Image.severity_rank >= wanted.min_severity
    yield from _verdicts(wanted)
    if wanted.since is not None:
        yield Image.id >= id_at(wanted.since)
    if wanted.until is not None:
        yield Image.id < id_at(wanted.until)


def _verdicts(wanted: ImageFilter) -> Iterator[Any]:
    if wanted.label is not None:
        yield Image.label == wanted.label
    if wanted.unsure:
        yield Image.label == NO_CATEGORY
    if wanted.anomalous:
        yield Image.anomalous
    if wanted.no_feedback:
        yield ~select(Feedback.id).where(Feedback.image_id == Image.id).exists()


def get_image(service: Service, actor: Actor, image_id: str) -> Image:
    """Return an image's row; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, Image, image_id)


def image_bytes(service: Service, actor: Actor, image_id: str) -> bytes:
    """Return the file as it was sent; raises DataError where the disk has changed it."""
    return service.blobs.read(get_image(service, actor, image_id).digest)


def thumbnail_bytes(service: Service, actor: Actor, image_id: str) -> bytes:
    """Return the small picture of an image; raises NotFoundError where there is none."""
    digest = get_image(service, actor, image_id).thumbnail
    if digest is None:
        raise NotFoundError("thumbnail")
    return service.blobs.read(digest)


def label_image(
    service: Service,
    actor: Actor,
    image_id: str,
    *,
    category: str | None,
    split: str = "",
    version: int | None = None,
) -> Image:
    """Sort an image under a category (None: under none) and into a part of the data set; needs the scope write.

    A category of that name is made where the site has none and there is no common one.

    Raises
    ------
    ChangedError
        `version` is given and is not the image's.
    """
    with service.database.write() as session:
        image = fetch(session, actor, Image, image_id, "write", lock=True)
        expect_version(image, version)
        found = None if category is None else named_category(service, session, actor, image.site_id, category)
        image.category_id, image.split = None if found is None else found.id, check_split(split)
        session.flush()
        record(session, actor, "image.labelled", image.id, {"category": category, "split": split})
    return image


def delete_image(service: Service, actor: Actor, image_id: str, *, version: int | None = None) -> None:
    """Remove an image with its inspections; its content goes a day later where nothing else has it."""
    with service.database.write() as session:
        hold_site(session, fetch(session, actor, Image, image_id, "write").site_id)
        image = fetch(session, actor, Image, image_id, "write", lock=True)
        expect_version(image, version)
        remove_image(session, image)
        record(session, actor, "image.deleted", image.id, {"name": image.name, "digest": image.digest})


def missing_blobs(service: Service, actor: Actor, digests: Iterable[str]) -> list[str]:
    """Return those sha256 sums whose content must still be sent before `take_in` can name it.

    A content that was sent for a site that the actor may not see counts as missing, so that nobody learns from the
    answer what others have.
    """
    demand(actor, "write")
    return [digest for digest in dict.fromkeys(digests) if not may_name(service, actor, digest)]


def put_blob(service: Service, actor: Actor, digest: str, data: Any) -> None:
    """Keep content under its sha256, to be named by `take_in` within a day; sending it twice changes nothing.

    Raises
    ------
    DataError, TooLargeError
        It is not what `digest` says; it is longer than a file may be.
    """
    demand(actor, "write")
    stored = service.blobs.put(data, most_bytes=service.limits.file_bytes, digest=digest)
    with service.database.write() as session:
        remember(session, stored)
        session.merge(Offer(digest=stored.digest, owner=owner_of(actor), created_at=now()))
