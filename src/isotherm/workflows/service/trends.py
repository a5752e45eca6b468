"""Assets over time: their trends, pictures of one view laid over each other, and what a report says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError, DataError, IsothermError, NotFoundError, one_line
from isotherm.core.findings import ImageResult
from isotherm.core.shapes import Box
from isotherm.measurement.asset_trend import AssetTrend, Look, trend_of
from isotherm.measurement.registration import Registration, moved, register
from isotherm.measurement.trend import TrendSettings, half_width
from isotherm.reports.change_picture import change_picture
from isotherm.reports.document.content import ReportSection
from isotherm.reports.plain import from_plain
from isotherm.reports.trend_section import trend_section
from isotherm.store.tables import Asset, Image, Inspection, ModelVersion
from isotherm.workflows.service.access import Actor, at_sites, demand, fetch
from isotherm.workflows.service.inspections import image_part
from isotherm.workflows.service.score_families import first_of
from isotherm.workflows.service.service import Service

MOST_LOOKS = 200
"""So many of an asset's newest images make its trend."""
MOST_VIEWS = 12
"""So many of them are laid over the newest: each has to be decoded."""
MOST_SECTIONS = 50
COVERAGE = 2.0
"""An interval of 95 % is about so many standard uncertainties to either side."""
Planes = Callable[[Image], np.ndarray]
"""Gives the values (H W) of an image, float32, NaN where there is none."""


@dataclass(frozen=True, eq=False)
class View:
    """One earlier image of an asset beside the newest: where it lies, and the highest temperature in a box of both."""

    image: Image
    at: datetime
    registration: Registration | None
    max_c: float | None = None
    error: str = ""

    @property
    def same(self) -> bool:
        """Whether it shows the same view."""
        return self.registration is not None and self.registration.accepted

    @property
    def said(self) -> str:
        """How well it fits, or why it does not."""
        if self.registration is None or not self.registration.accepted:
            return self.error or (self.registration.reason if self.registration else "")
        found = self.registration
        return f"{found.kind}, structure agrees by {found.correlation:.2f} over {found.overlap:.0%}"


@dataclass(frozen=True, eq=False)
class Views:
    """The newest image of an asset, and the earlier ones beside it, newest first; ``max_c`` is that of the newest."""

    newest: Image
    box: Box | None
    max_c: float | None
    earlier: tuple[View, ...]


def asset_trend(
    service: Service,
    actor: Actor,
    asset_id: str,
    settings: TrendSettings | None = None,
    *,
    until: datetime | None = None,
) -> AssetTrend:
    """Return the trend of an asset from the latest inspections of its images, up to a time.

    An image that was sent twice counts once. A picture's time is when it was taken, or, where the file does not say,
    when it was sent.
    """
    with service.database.read() as session:
        rise = fetch(session, actor, Asset, asset_id).rated_rise_k
        rows = _inspected(session, asset_id, until)
        scorers = _scorers(session, {inspection.anomaly_model_id for _, inspection in rows} - {None})
    return trend_of([_look(image, inspection, rise, scorers) for image, inspection in rows], settings)


def _inspected(session: Session, asset_id: str, until: datetime | None = None) -> list[tuple[Image, Inspection]]:
    """Return the newest images of an asset with their latest inspections, none with the content of another."""
    query = select(Image, Inspection).join(Inspection, Inspection.id == Image.latest_inspection)
    query = query.where(Image.asset_id == asset_id, Inspection.status == "ok").order_by(Image.id.desc())
    if until is not None:
        query = query.where(func.coalesce(Image.taken_at, Image.created_at) <= until)
    rows = session.execute(query.limit(MOST_LOOKS)).all()
    return list({image.digest: (image, inspection) for image, inspection in rows}.values())


@dataclass(frozen=True)
class _Scorer:
    """An anomaly model: the version whose scores it gives, and their standard uncertainty (None: not known)."""

    first: str
    uncertainty: float | None


def _scorers(session: Session, model_ids: Iterable[str | None]) -> dict[str | None, _Scorer]:
    """Return anomaly models with how much the scores of normal images differ.

    The images that were held out while a model learnt differ in more than one that is taken again, so that is rather
    too much; of an image that shows a fault it may be too little.
    """
    versions = session.scalars(select(ModelVersion).where(ModelVersion.id.in_(list(model_ids))))
    widths = [(version, half_width((version.metrics.get("held_out") or {}).get("scores", ()))) for version in versions]
    return {
        version.id: _Scorer(first_of(version), None if width is None else width / COVERAGE) for version, width in widths
    }


def taken_at(image: Image) -> datetime:
    """Return when a picture was taken, as far as is known."""
    return image.taken_at or image.created_at


def _look(
    image: Image,
    inspection: Inspection,
    rated_rise_k: float | None,
    scorers: Mapping[str | None, _Scorer],
) -> Look:
    result: ImageResult = from_plain(ImageResult, inspection.result)
    scorer = scorers.get(inspection.anomaly_model_id, _Scorer(inspection.anomaly_model_id or "", None))
    return Look(
        taken_at(image),
        result,
        image.load_percent,
        inspection.score,
        model=scorer.first,
        key=image.id,
        rated_rise_k=rated_rise_k,
        score_uncertainty=scorer.uncertainty,
    )


def same_views(service: Service, actor: Actor, asset_id: str, box: Box | None = None) -> Views:
    """Lay the earlier images of an asset over its newest one.

    Parameters
    ----------
    box
        A part of the newest image [px], whose highest temperature is followed through those of the same view.

    Raises
    ------
    NotFoundError
        The asset has no image.
    ConfigError
        The box lies outside the newest image.
    """
    images = _newest(service, actor, asset_id)
    newest, planes = images[0], _planes(service, actor)
    plane = planes(newest)
    if box is not None and (box.x + box.width > plane.shape[1] or box.y + box.height > plane.shape[0]):
        raise ConfigError(f"the box lies outside the newest image of {plane.shape[1]} x {plane.shape[0]} px")
    earlier = tuple(_view(planes, newest, image, box) for image in images[1:])
    return Views(newest, box, _highest(plane, box), earlier)


def _newest(service: Service, actor: Actor, asset_id: str) -> list[Image]:
    with service.database.read() as session:
        fetch(session, actor, Asset, asset_id)
        images = [image for image, _ in _inspected(session, asset_id)]
    if not images:
        raise NotFoundError("inspected image of this asset")
    return sorted(images, key=taken_at, reverse=True)[: MOST_VIEWS + 1]


def _view(planes: Planes, newest: Image, image: Image, box: Box | None) -> View:
    """Return an earlier image beside the newest; one that cannot be read has its reason."""
    try:
        found = _registration(planes, newest, image)
        seen = _seen(planes, newest, image, found) if box is not None and found.accepted else None
    except IsothermError as error:
        return View(image, taken_at(image), None, error=one_line(error))
    return View(image, taken_at(image), found, None if seen is None else _highest(seen, box))


def _highest(values: np.ndarray, box: Box | None) -> float | None:
    """Return the highest value in a box; None where a part of the box shows nothing."""
    if box is None:
        return None
    inside = values[box.y : box.y + box.height, box.x : box.x + box.width]
    return float(inside.max()) if np.isfinite(inside).all() else None


def _registration(planes: Planes, newest: Image, image: Image) -> Registration:
    """Return where an image lies in a newer one; found once and kept while this process lives."""
    key = newest.digest, image.digest
    # Asked once: another thread may forget them all meanwhile.
    found = _FOUND.get(key)
    if found is None:
        found = register(planes(newest), planes(image))
        if len(_FOUND) >= _MOST_FOUND:
            _FOUND.clear()
        _FOUND[key] = found
    return found


_FOUND: dict[tuple[str, str], Registration] = {}
_MOST_FOUND = 4096


def _planes(service: Service, actor: Actor) -> Planes:
    """Return what decodes images; the last two are kept, because each is asked for twice beside the newest."""

    @lru_cache(maxsize=2)
    def plane(image: Image) -> np.ndarray:
        data = image_part(service, actor, image.id, "plane")
        return np.frombuffer(data, "<f4").reshape(image.height, image.width)

    return plane


def _seen(planes: Planes, newest: Image, image: Image, found: Registration) -> np.ndarray:
    """Return an image as the newest one sees it."""
    return moved(planes(image), found, (newest.height, newest.width))


def change_png(service: Service, actor: Actor, image_id: str, earlier_id: str) -> bytes:
    """Return a picture of what has become warmer (red) and colder (blue) from one image to another of the same view.

    Raises
    ------
    DataError
        The two are not the same view, or one has no temperatures; the message says why.
    """
    with service.database.read() as session:
        newest, image = (fetch(session, actor, Image, each) for each in (image_id, earlier_id))
    if any(each.kind == "levels" for each in (newest, image)):
        raise DataError("a picture without temperatures has no change of temperature")
    planes = _planes(service, actor)
    found = _registration(planes, newest, image)
    if not found.accepted:
        raise DataError(f"the two images are not the same view: {found.reason}")
    return change_picture(planes(newest) - _seen(planes, newest, image, found))


def report_sections(
    service: Service,
    actor: Actor,
    site_id: str,
    asset_ids: Sequence[str] | None = None,
    language: str = "en",
    *,
    until: datetime | None = None,
) -> tuple[ReportSection, ...]:
    """Return a section of a report for each asset that was inspected more than once, those with an alarm first.

    Parameters
    ----------
    asset_ids
        Which assets of the site; None for the first `MOST_SECTIONS` by name that have images.
    language
        A code of `isotherm.reports.document.wording.LANGUAGES`.
    until
        Images that were taken later are left out.
    """
    demand(actor, "read", site_id)
    found = []
    for asset in _assets(service, actor, site_id, asset_ids):
        trend = asset_trend(service, actor, asset.id, until=until)
        if len(trend.rows) > 1:
            found.append((not trend.alarms, asset.name, trend_section(asset.name, _about(asset), trend, language)))
    return tuple(section for _, _, section in sorted(found, key=lambda item: item[:2]))


def _assets(service: Service, actor: Actor, site_id: str, asset_ids: Iterable[str] | None) -> Sequence[Asset]:
    query = select(Asset).where(at_sites(actor, Asset.site_id, site_id))
    if asset_ids is None:
        query = query.where(select(Image.id).where(Image.asset_id == Asset.id).exists())
    else:
        query = query.where(Asset.id.in_(list(asset_ids)))
    with service.database.read() as session:
        return session.scalars(query.order_by(Asset.name).limit(MOST_SECTIONS)).all()


def _about(asset: Asset) -> str:
    current = f"{asset.rated_current_a:g} A" if asset.rated_current_a is not None else ""
    return ", ".join(part for part in (asset.kind, asset.place, asset.rating, current) if part)
