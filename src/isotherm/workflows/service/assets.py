"""Assets: things that are inspected again and again, such as a motor or a string of modules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from isotherm.core.errors import BusyError, ConflictError
from isotherm.store.tables import Asset, Image, Site
from isotherm.workflows.service.access import Actor, at_sites, expect_version, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.names import check_name
from isotherm.workflows.service.paging import USUAL, Page, read_page
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import check_note

MOST = 100_000
"""Assets of a site."""


def create_asset(
    service: Service, actor: Actor, site_id: str, name: str, *, kind: str = "", place: str = "", rating: str = ""
) -> Asset:
    """Make an asset of a site; needs the scope write.

    Raises
    ------
    ConfigError, ConflictError
        The name breaks a rule; it is taken.
    """
    asset = Asset(site_id=site_id, name=check_name("asset", name), kind=_kind(kind))
    asset.place, asset.rating = check_note(place), check_note(rating)
    with service.database.write() as session:
        fetch(session, actor, Site, site_id, "write")
        _check_free(session, site_id, asset.name)
        if (session.scalar(select(func.count()).select_from(Asset).where(Asset.site_id == site_id)) or 0) >= MOST:
            raise BusyError(f"the site has {MOST} assets already", retry_after_s=3600)
        session.add(asset)
        session.flush()
        record(session, actor, "asset.created", asset.id, {"name": asset.name, "site": site_id})
    return asset


def get_asset(service: Service, actor: Actor, asset_id: str) -> Asset:
    """Return an asset; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, Asset, asset_id)


def list_assets(
    service: Service,
    actor: Actor,
    site_id: str | None = None,
    *,
    after: Sequence[object] | None = None,
    limit: int = USUAL,
) -> Page[Asset]:
    """Return assets, newest first."""
    with service.database.read() as session:
        query = select(Asset).where(at_sites(actor, Asset.site_id, site_id))
        return read_page(session, query, [Asset.id], after=after, limit=limit)


def update_asset(  # noqa: PLR0913 (what is changed, each by its name)
    service: Service,
    actor: Actor,
    asset_id: str,
    *,
    name: str | None = None,
    kind: str | None = None,
    place: str | None = None,
    rating: str | None = None,
    version: int | None = None,
) -> Asset:
    """Change what is known of an asset; raises ChangedError where it is not in that version."""
    with service.database.write() as session:
        asset = fetch(session, actor, Asset, asset_id, "write", lock=True)
        expect_version(asset, version)
        if name is not None and name != asset.name:
            asset.name = _check_free(session, asset.site_id, check_name("asset", name))
        asset.kind = asset.kind if kind is None else _kind(kind)
        asset.place = asset.place if place is None else check_note(place)
        asset.rating = asset.rating if rating is None else check_note(rating)
        session.flush()
        record(session, actor, "asset.changed", asset.id, {"name": asset.name})
    return asset


def delete_asset(service: Service, actor: Actor, asset_id: str, *, version: int | None = None) -> None:
    """Remove an asset; its images stay."""
    with service.database.write() as session:
        asset = fetch(session, actor, Asset, asset_id, "write", lock=True)
        expect_version(asset, version)
        session.execute(update(Image).where(Image.asset_id == asset.id).values(asset_id=None))
        session.delete(asset)
        session.flush()
        record(session, actor, "asset.deleted", asset.id, {"name": asset.name})


def _kind(text: str) -> str:
    return check_name("asset's kind", text) if text else ""


def _check_free(session: Session, site_id: str, name: str) -> str:
    if session.scalar(select(Asset.id).where(Asset.site_id == site_id, Asset.name == name)) is not None:
        raise ConflictError(f"there is an asset called {name!r} already")
    return name
