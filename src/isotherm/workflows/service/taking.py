"""Taking files in: examined and judged, kept, and only then, when all is on the disk, answered for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from isotherm.core.errors import (
    ConfigError,
    DataError,
    IsothermError,
    NotFoundError,
    StorageFullError,
    TooLargeError,
    one_line,
)
from isotherm.store.blob_rows import remember
from isotherm.store.blobs import Stored
from isotherm.store.ids import new_id
from isotherm.store.tables import Asset, Image, Inspection, Offer, Site
from isotherm.workflows.service.access import Actor, at_sites, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.categories import may_write, named_category
from isotherm.workflows.service.inspections import say, write_said
from isotherm.workflows.service.looking import Looked, look
from isotherm.workflows.service.matching import HAND, NO_RULES, Match, Rules, match, rules_of
from isotherm.workflows.service.names import file_name
from isotherm.workflows.service.once import OnceFile, Rows
from isotherm.workflows.service.service import Service

SPLITS = ("", "train", "test")
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Upload:
    """One file that somebody sends: its own name, and its bytes, where they lie, or the sha256 of what is here.

    One that may come again has what finds out whether it was taken already.
    """

    name: str
    data: bytes | Path | str
    once: OnceFile | None = None


@dataclass(frozen=True)
class Taken:
    """What became of one upload: an image (with an inspection, unless it is a common one), or why not."""

    name: str
    image: Image | None = None
    inspection: Inspection | None = None
    error: str = ""
    problem: IsothermError | None = None


@dataclass(frozen=True)
class Target:
    """Where files go: a site (None: common to all), a category, a part of the data set, an asset.

    Without an asset, the rules of the site's assets decide by each file.
    """

    site: Site | None
    category_id: str | None
    split: str
    asset_id: str | None
    rules: Rules = NO_RULES


def take_in(
    service: Service,
    actor: Actor,
    site_id: str | None,
    uploads: Iterable[Upload],
    *,
    category: str | None = None,
    split: str = "",
    asset_id: str | None = None,
) -> list[Taken]:
    """Take files in at a site, or (None) as common to all; needs the scope write.

    What is returned without an error is on the disk. A file that is no image is not kept, and never stops the others.

    Parameters
    ----------
    category, split
        What they show, where that is known, and the part of the data set they belong to.
    asset_id
        What they are pictures of.

    Raises
    ------
    NotFoundError, ForbiddenError, ConfigError
        The site or asset is not one of the actor's; the category's name or the split is wrong.
    BusyError
        As many calls are at work as may.
    """
    with service.taking():
        target = _target(service, actor, site_id, category=category, split=split, asset_id=asset_id)
        found = list[Taken]()
        try:
            for taken in each_of(service, partial(_taken, service, actor, target), uploads):
                found.append(taken)
        except TooLargeError as error:
            found.append(Taken("", error=one_line(error), problem=error))
        return found


def _target(
    service: Service, actor: Actor, site_id: str | None, *, category: str | None, split: str, asset_id: str | None
) -> Target:
    check_split(split)
    with service.database.read() as session:
        site = may_write(session, actor, site_id)
        asset = None if asset_id is None else fetch(session, actor, Asset, asset_id)
        if asset is not None and asset.site_id != site_id:
            raise NotFoundError("asset", asset.id)
        rules = rules_of(session, site) if asset is None else NO_RULES
    if category is None:
        return Target(site, None, split, asset_id, rules)
    with service.database.write() as session:
        return Target(site, named_category(service, session, actor, site_id, category).id, split, asset_id, rules)


def check_split(split: str) -> str:
    """Return the name of a part of the data set; raises ConfigError for any other."""
    if split not in SPLITS:
        raise ConfigError(f"split must be train, test or empty, not {split!r}")
    return split


def each_of(service: Service, function: Callable[[T], R], uploads: Iterable[T]) -> Iterator[R]:
    """Give what a function makes of each upload, in order, some at a time; raises TooLargeError beyond the limit.

    Parameters
    ----------
    function
        Raises nothing.
    uploads
        Taken one by one, so that a long stream of them need not be in memory.
    """
    most, running = service.limits.files_a_request, deque[Any]()
    source = iter(uploads)
    first = list(islice(source, 2))
    if len(first) < 2:
        # Most calls bring one file: they need no thread beside their own.
        yield from map(function, first)
        return
    source = chain(first, source)
    for upload in islice(source, most):
        running.append(service.threads.submit(function, upload))
        if len(running) > service.limits.children:
            yield running.popleft().result()
    while running:
        yield running.popleft().result()
    if next(source, None) is not None:
        raise TooLargeError(f"more than {most} files at once; those before are done, send the rest again")


def _taken(service: Service, actor: Actor, target: Target, upload: Upload) -> Taken:
    rows = partial(_rows, service, actor, target, upload)
    name = file_name(upload.name)
    try:
        image, inspection = rows() if upload.once is None else upload.once.rows(service.database, rows)
    except IsothermError as error:
        return Taken(name, error=one_line(error), problem=error)
    return Taken(name, image, inspection)


def _rows(service: Service, actor: Actor, target: Target, upload: Upload) -> Rows:
    ready = prepared(service, actor, target.site, upload)
    with service.database.write() as session:
        return write_image(service, session, actor, target, ready)


def bytes_of(service: Service, actor: Actor, upload: Upload) -> bytes:
    """Return the bytes of an upload.

    Raises
    ------
    TooLargeError
        It is longer than a file may be, or empty.
    NotFoundError
        Nothing of that sha256 was sent ahead by this actor.
    """
    most = service.limits.file_bytes
    if isinstance(upload.data, str):
        if not may_name(service, actor, upload.data):
            raise NotFoundError("stored file", upload.data[:64])
        return service.blobs.read(upload.data)
    size = len(upload.data) if isinstance(upload.data, bytes) else upload.data.stat().st_size
    if size > most:
        raise TooLargeError(f"the file has {size} bytes; at most {most} are taken")
    if size == 0:
        raise DataError("the file is empty")
    return upload.data if isinstance(upload.data, bytes) else upload.data.read_bytes()


def may_name(service: Service, actor: Actor, digest: str) -> bool:
    """Say whether somebody may use content by its sha256: they have sent it, or see an image that has it."""
    if not service.blobs.has(digest):
        return False
    with service.database.read() as session:
        if session.get(Offer, (digest, owner_of(actor))) is not None:
            return True
        seen = select(Image.id).where(Image.digest == digest, at_sites(actor, Image.site_id)).limit(1)
        return session.scalar(seen) is not None


def owner_of(actor: Actor) -> str:
    """Return what an `Offer` calls somebody."""
    return actor.token_id or actor.name


@dataclass(frozen=True)
class Ready:
    """A file that is on the disk, with what was found in it; only the rows are missing."""

    name: str
    stored: Stored
    thumbnail: Stored
    looked: Looked


def prepared(service: Service, actor: Actor, site: Site | None, upload: Upload) -> Ready:
    """Examine and judge a file and keep its content; raises IsothermError where it is not taken."""
    name, most = file_name(upload.name), service.limits.file_bytes
    data = bytes_of(service, actor, upload)
    looked = look(service, site, data, name, want=("thumbnail",))
    stored = service.blobs.put(data, most_bytes=most)
    small = service.blobs.put(looked.examined.parts["thumbnail"], most_bytes=most)
    return Ready(name, stored, small, looked)


def write_image(
    service: Service, session: Session, actor: Actor, target: Target, ready: Ready, *, job_id: str | None = None
) -> tuple[Image, Inspection | None]:
    """Write the rows of a file within a transaction: content, image, inspection, findings, counts and audit."""
    image, said = _image(actor, target, ready), None
    if image.site_id is not None:
        said = say(image, ready.looked, job_id=job_id)
        _count(service, session, image, findings=len(said.findings))
        image.duplicate_of = _first(session, image.site_id, image.digest)
    remember(session, ready.stored, ready.thumbnail)
    session.add(image)
    session.flush()
    if said is not None:
        write_said(session, said)
    record(session, actor, "image.added", image.id, {"name": image.name, "digest": image.digest, "site": image.site_id})
    return image, None if said is None else said.inspection


def _image(actor: Actor, target: Target, ready: Ready) -> Image:
    facts = ready.looked.facts
    matched = Match(target.asset_id, HAND) if target.asset_id else match(target.rules, ready.name, facts)
    return Image(
        id=new_id(),
        site_id=target.site and target.site.id,
        asset_id=matched.asset_id,
        matched_by=matched.by,
        match_note=matched.note,
        digest=ready.stored.digest,
        name=ready.name,
        size=ready.stored.size,
        width=facts["width"],
        height=facts["height"],
        kind=facts["kind"],
        taken_at=_moment(facts["taken_at"]),
        uploaded_by=actor.name,
        category_id=target.category_id,
        split=target.split,
        facts=facts,
        severity_rank=facts["severity_rank"],
        thumbnail=ready.thumbnail.digest,
    )


def _moment(text: str) -> datetime | None:
    """Return the time a file was taken at; one without a zone, as most cameras write it, is taken as UTC."""
    found = datetime.fromisoformat(text) if text else None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


_SITE = Site.__table__.c
_COUNT = (
    update(Site.__table__)  # type: ignore[arg-type]
    .where(
        _SITE.id == bindparam("site"),
        _SITE.images < bindparam("most_images"),
        _SITE.bytes + bindparam("size") <= bindparam("most_bytes"),
    )
    .values(
        images=_SITE.images + 1, bytes=_SITE.bytes + bindparam("size"), findings=_SITE.findings + bindparam("found")
    )
)
_FIRST = (
    select(Image.id)
    .where(Image.site_id == bindparam("site"), Image.digest == bindparam("content"), Image.duplicate_of.is_(None))
    .order_by(Image.id)
    .limit(1)
)


def _count(service: Service, session: Session, image: Image, *, findings: int) -> None:
    """Count an image and its findings within the site's quota; others who count wait for the transaction's end."""
    most = {"most_images": service.limits.site_images, "most_bytes": service.limits.site_bytes}
    counted = session.execute(_COUNT, {"site": image.site_id, "size": image.size, "found": findings, **most})
    if counted.rowcount:  # type: ignore[attr-defined]
        return
    if session.get(Site, image.site_id) is None:
        raise NotFoundError("site", str(image.site_id))
    raise StorageFullError("the site has as many images, or bytes of them, as it may; delete some first")


def _first(session: Session, site_id: str, digest: str) -> str | None:
    """Return the first image of a site with some content, if there is one."""
    return session.scalar(_FIRST, {"site": site_id, "content": digest})
