"""The images of an asset: listed, assigned by hand, matched again by rules, and the load they were taken at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError, NotFoundError
from isotherm.measurement.operation import FULL_LOAD_PERCENT
from isotherm.store.tables import Asset, Image, Site
from isotherm.workflows.service.access import Actor, at_sites, demand, expect_version, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.matching import HAND, match, rules_of
from isotherm.workflows.service.paging import USUAL, Page, read_page
from isotherm.workflows.service.service import Service

MOST_MATCHED = 20_000
"""So many of the newest images are looked at in one call."""
MOST_LOAD_PERCENT = 1000.0
_PIECE = 500


@dataclass(frozen=True)
class Matched:
    """What matching again has done: images looked at, changed, with an asset now, and with something to decide."""

    looked: int = 0
    changed: int = 0
    matched: int = 0
    noted: int = 0
    left: bool = False


@dataclass(frozen=True)
class AssetSummary:
    """An asset in a list: how many images it has, and when the last one was taken or sent."""

    asset: Asset
    images: int = 0
    latest: datetime | None = None


def assign_asset(
    service: Service, actor: Actor, image_id: str, asset_id: str | None, *, version: int | None = None
) -> Image:
    """Say by hand which asset an image shows (None: none); no rule changes that later. Needs the scope write.

    Raises
    ------
    NotFoundError
        There is no such image or asset, or the asset is of another site.
    ChangedError
        `version` is given and is not the image's.
    """
    with service.database.write() as session:
        image = fetch(session, actor, Image, image_id, "write", lock=True)
        expect_version(image, version)
        if asset_id is not None and fetch(session, actor, Asset, asset_id).site_id != image.site_id:
            raise NotFoundError("asset", asset_id)
        image.asset_id, image.matched_by, image.match_note = asset_id, HAND, ""
        session.flush()
        record(session, actor, "image.assigned", image.id, {"asset": asset_id})
    return image


def assign_by_name(service: Service, actor: Actor, image_id: str, name: str, *, version: int | None = None) -> Image:
    """Say by hand which asset of its site an image shows, by the asset's name; empty: none of them."""
    with service.database.read() as session:
        site_id = fetch(session, actor, Image, image_id).site_id
        found = session.scalar(select(Asset.id).where(Asset.site_id == site_id, Asset.name == name)) if name else None
    if name and found is None:
        raise NotFoundError("asset of this site", name[:128])
    return assign_asset(service, actor, image_id, found, version=version)


def set_load(
    service: Service,
    actor: Actor,
    image_id: str,
    *,
    percent: float | None = None,
    current_a: float | None = None,
    version: int | None = None,
) -> Image:
    """Say at what load an image was taken; needs the scope write.

    Parameters
    ----------
    percent, current_a
        Of the rated current [%], or the current itself [A], for which the asset must have a rated one; neither: the
        load is not known.

    Raises
    ------
    ConfigError
        Both are given; a value is out of range; the asset has no rated current.
    """
    if percent is not None and current_a is not None:
        raise ConfigError("give the load in percent or in ampere, not both")
    with service.database.write() as session:
        image = fetch(session, actor, Image, image_id, "write", lock=True)
        expect_version(image, version)
        if current_a is not None:
            percent = FULL_LOAD_PERCENT * current_a / _rated_current_a(session, image)
        if percent is not None and not 0 <= percent <= MOST_LOAD_PERCENT:
            raise ConfigError(f"a load must be from 0 to {MOST_LOAD_PERCENT:g} % of the rated current, not {percent:g}")
        image.load_percent = percent
        session.flush()
        record(session, actor, "image.loaded", image.id, {"load_percent": percent, "current_a": current_a})
    return image


def _rated_current_a(session: Session, image: Image) -> float:
    asset = session.get(Asset, image.asset_id) if image.asset_id else None
    if asset is None or asset.rated_current_a is None:
        raise ConfigError("a load in ampere needs the rated current of the image's asset; give the load in percent")
    return asset.rated_current_a


def images_of_asset(
    service: Service, actor: Actor, asset_id: str, *, after: Sequence[object] | None = None, limit: int = USUAL
) -> Page[Image]:
    """Return the images of an asset, newest first."""
    with service.database.read() as session:
        fetch(session, actor, Asset, asset_id)
        return read_page(session, select(Image).where(Image.asset_id == asset_id), [Image.id], after=after, limit=limit)


def noted_images(
    service: Service, actor: Actor, site_id: str, *, after: Sequence[object] | None = None, limit: int = USUAL
) -> Page[Image]:
    """Return the images of a site of which a person should say what they show, newest first; the note says why."""
    with service.database.read() as session:
        query = select(Image).where(at_sites(actor, Image.site_id, site_id), Image.match_note != "")
        return read_page(session, query, [Image.id], after=after, limit=limit)


def match_again(service: Service, actor: Actor, site_id: str) -> Matched:
    """Apply the rules of now to the newest images of a site that nobody has assigned by hand; needs the scope write.

    The tags of an image are those that were read when it was last inspected.
    """
    demand(actor, "write", site_id)
    total, last = Matched(), None
    while total.looked < MOST_MATCHED:
        with service.database.write() as session:
            site = fetch(session, actor, Site, site_id, "write", lock=True)
            piece = _match_piece(session, site, last)
            if piece is None:
                return total
            total, last = _sum(total, piece[0]), piece[1]
    return Matched(total.looked, total.changed, total.matched, total.noted, left=True)


def _match_piece(session: Session, site: Site, before: str | None) -> tuple[Matched, str] | None:
    query = select(Image).where(Image.site_id == site.id).order_by(Image.id.desc()).limit(_PIECE)
    images = session.scalars(query if before is None else query.where(Image.id < before)).all()
    if not images:
        return None
    changed = _rematched(session, site, [image for image in images if image.matched_by != HAND])
    matched, noted = (
        sum(map(bool, found)) for found in zip(*((i.asset_id, i.match_note) for i in images), strict=True)
    )
    return Matched(len(images), changed, matched, noted), images[-1].id


def _rematched(session: Session, site: Site, images: Iterable[Image]) -> int:
    rules, changed = rules_of(session, site), 0
    for image in images:
        found = match(rules, image.name, image.facts)
        if (found.asset_id, found.by, found.note) != (image.asset_id, image.matched_by, image.match_note):
            image.asset_id, image.matched_by, image.match_note = found.asset_id, found.by, found.note
            image.version += 1
            changed += 1
    session.flush()
    return changed


def _sum(first: Matched, second: Matched) -> Matched:
    return Matched(
        first.looked + second.looked,
        first.changed + second.changed,
        first.matched + second.matched,
        first.noted + second.noted,
    )


def summaries(service: Service, actor: Actor, assets: Sequence[Asset]) -> list[AssetSummary]:
    """Return assets with how many images they have and when the last one was taken."""
    demand(actor, "read")
    ids = [asset.id for asset in assets]
    counted = (
        select(Image.asset_id, func.count(), func.max(func.coalesce(Image.taken_at, Image.created_at)))
        .where(Image.asset_id.in_(ids))
        .group_by(Image.asset_id)
    )
    with service.database.read() as session:
        found = {asset_id: (count, latest) for asset_id, count, latest in session.execute(counted)}
    return [AssetSummary(asset, *found.get(asset.id, (0, None))) for asset in assets]
