"""Assets: things that are inspected again and again, such as a motor or a string of modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from isotherm.core.config import from_mapping, setting, to_mapping, validate
from isotherm.core.errors import BusyError, ConfigError, ConflictError
from isotherm.store.tables import Asset, Image, Site
from isotherm.workflows.service.access import Actor, at_sites, expect_version, fetch, hold_site
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.matching import Rule, Rules, check_rule, read_rules
from isotherm.workflows.service.names import check_name
from isotherm.workflows.service.paging import USUAL, Page, read_page
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import check_note

MOST = 100_000
"""Assets of a site."""
LONGEST_TAG = 256


@dataclass(frozen=True)
class AssetDetails:
    """What calculations need of an asset, and how its images are told from others."""

    rated_current_a: float | None = setting(
        None, "rated current [A]; a load in ampere is a share of it", low=0.001, high=1e6
    )
    rated_rise_k: float | None = setting(
        None, "temperature rise over the air at the rated current that the maker allows [K]", low=0, high=1000
    )
    name_rule: str = setting("", "patterns of its files' names, such as motor7_*; separate more of them by semicolons")
    tag: str = setting("", "text of the QR code, bar code or label on it")
    latitude_deg: float | None = setting(None, "latitude [degrees, WGS 84]", low=-90, high=90)
    longitude_deg: float | None = setting(None, "longitude [degrees, WGS 84]", low=-180, high=180)
    radius_m: float | None = setting(
        None, "its images are taken within this distance [m]; 15, if empty", low=1, high=1e5
    )

    def __post_init__(self) -> None:
        validate(self)
        check_rule(self.name_rule)
        if len(self.tag) > LONGEST_TAG or not self.tag.isprintable():
            raise ConfigError(f"tag must be printable text of at most {LONGEST_TAG} characters")
        if (self.latitude_deg is None) != (self.longitude_deg is None):
            raise ConfigError("latitude_deg and longitude_deg go together; give both or neither")


def details_of(asset: Asset) -> AssetDetails:
    """Return what is known of an asset beside its name, kind, place and rating."""
    return AssetDetails(**{name: getattr(asset, name) for name in AssetDetails.__dataclass_fields__})


def create_asset(  # noqa: PLR0913 (what is known of it, each by its name)
    service: Service,
    actor: Actor,
    site_id: str,
    name: str,
    *,
    kind: str = "",
    place: str = "",
    rating: str = "",
    details: Mapping[str, Any] | None = None,
) -> Asset:
    """Make an asset of a site; needs the scope write.

    Parameters
    ----------
    name, kind, place, rating
        What people read.
    details
        Settings of `AssetDetails`.

    Raises
    ------
    ConfigError, ConflictError
        The name or a detail breaks a rule; the name is taken, or a rule or tag fits another asset too.
    """
    asset = Asset(site_id=site_id, name=check_name("asset", name), kind=_kind(kind))
    asset.place, asset.rating = check_note(place), check_note(rating)
    _detail(asset, from_mapping(AssetDetails, details or {}))
    with service.database.write() as session:
        site = fetch(session, actor, Site, site_id, "write", lock=True)
        _check_free(session, site_id, asset.name)
        if (session.scalar(select(func.count()).select_from(Asset).where(Asset.site_id == site_id)) or 0) >= MOST:
            raise BusyError(f"the site has {MOST} assets already", retry_after_s=3600)
        _check_rules(session, asset)
        session.add(asset)
        site.assets_version += 1
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
    details: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Asset:
    """Change what is known of an asset; details that are left out stay.

    Raises
    ------
    ChangedError
        It is not in that version.
    ConfigError, ConflictError
        A value breaks a rule; the name is taken, or a rule or tag fits another asset too.
    """
    with service.database.write() as session:
        asset = _held(session, actor, asset_id, version)
        if name is not None and name != asset.name:
            asset.name = _check_free(session, asset.site_id, check_name("asset", name))
        asset.kind = asset.kind if kind is None else _kind(kind)
        asset.place = asset.place if place is None else check_note(place)
        asset.rating = asset.rating if rating is None else check_note(rating)
        if details:
            _detail(asset, from_mapping(AssetDetails, {**to_mapping(details_of(asset)), **details}))
            _check_rules(session, asset)
        session.flush()
        record(session, actor, "asset.changed", asset.id, {"name": asset.name})
    return asset


def delete_asset(service: Service, actor: Actor, asset_id: str, *, version: int | None = None) -> None:
    """Remove an asset; its images stay."""
    with service.database.write() as session:
        asset = _held(session, actor, asset_id, version)
        free = {"asset_id": None, "matched_by": "", "match_note": ""}
        session.execute(update(Image).where(Image.asset_id == asset.id).values(**free))
        session.delete(asset)
        session.flush()
        record(session, actor, "asset.deleted", asset.id, {"name": asset.name})


def _held(session: Session, actor: Actor, asset_id: str, version: int | None) -> Asset:
    """Lock an asset and its site, in the order of all transactions, and count a new version of both."""
    site = hold_site(session, fetch(session, actor, Asset, asset_id, "write").site_id)
    asset = fetch(session, actor, Asset, asset_id, "write", lock=True)
    expect_version(asset, version)
    if site is not None:
        site.assets_version += 1
    return asset


def _detail(asset: Asset, details: AssetDetails) -> None:
    for name, value in to_mapping(details).items():
        setattr(asset, name, value)
    asset.name_rule, asset.tag = check_rule(details.name_rule), details.tag.strip()


def _kind(text: str) -> str:
    return check_name("asset's kind", text) if text else ""


def _check_free(session: Session, site_id: str, name: str) -> str:
    if session.scalar(select(Asset.id).where(Asset.site_id == site_id, Asset.name == name)) is not None:
        raise ConflictError(f"there is an asset called {name!r} already")
    return name


def _check_rules(session: Session, asset: Asset) -> None:
    """Raise ConflictError where a file name or a tag can be shown to fit another asset of the site too."""
    if not asset.name_rule and not asset.tag:
        return
    rules, own = read_rules(session, asset.site_id, but=asset.id), Rule("", asset.name, asset.name_rule, asset.tag)
    for other in rules.with_tag(asset.tag):
        raise ConflictError(f"the tag {other.tag!r} is that of {other.asset!r} already")
    for other, example in _common_names(own, rules):
        raise ConflictError(
            f"the rule {asset.name_rule!r} and the rule {other.name_rule!r} of {other.asset!r} both fit a file "
            f"called {example!r}; make one of them narrower"
        )


def _common_names(own: Rule, rules: Rules) -> Iterator[tuple[Rule, str]]:
    """Give names that fit a rule and another one, as far as the shortest name of a pattern shows it."""
    for example in own.examples:
        for other in rules.named(example):
            yield other, example
    if own.names is None:
        return
    for other in rules.by_asset.values():
        for example in other.examples:
            if own.names.match(example):
                yield other, example
