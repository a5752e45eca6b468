"""Reports of what a server has found: of the latest inspections of a site, or of one inspection."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from PIL import Image as Picture
from sqlalchemy import ColumnElement, Select, select

from isotherm.core.errors import ConfigError, IsothermError
from isotherm.core.findings import ImageResult
from isotherm.core.findings import Inspection as Run
from isotherm.measurement.severity import load_table
from isotherm.reports import REPORT_WRITERS
from isotherm.reports.content import Report, build_report
from isotherm.reports.plain import from_plain
from isotherm.store.tables import Image, Inspection, ModelVersion, Site
from isotherm.workflows.service.access import Actor, demand, fetch
from isotherm.workflows.service.inspections import image_part
from isotherm.workflows.service.paging import id_at
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import NO_TABLE, settings_of
from isotherm.workflows.versions import installed

MOST_IMAGES = 2000
MOST_PICTURES = 10
"""How many pictures a report for people shows: each is drawn anew from its file."""
_QUALITY = 85


@dataclass(frozen=True)
class Written:
    """A report as a file: what it is called, and its bytes."""

    filename: str
    data: bytes


@dataclass(frozen=True)
class Period:
    """From when, and until before when, images were sent; None: without an end."""

    since: datetime | None = None
    until: datetime | None = None


def site_report(service: Service, actor: Actor, site_id: str, form: str, *, period: Period | None = None) -> Written:
    """Return a report of the latest inspections of a site's images, newest first.

    Parameters
    ----------
    form
        A name of `isotherm.reports.REPORT_WRITERS`: html, csv or json.
    period
        When the images were sent.

    Raises
    ------
    ConfigError
        There are more than `MOST_IMAGES`; a shorter period would do.
    """
    REPORT_WRITERS.row(form)
    demand(actor, "read", site_id)
    query = select(Image, Inspection).join(Inspection, Inspection.id == Image.latest_inspection)
    query = query.where(Image.site_id == site_id, *_within(period or Period())).order_by(Image.id.desc())
    return _written(service, actor, site_id, form, query)


def inspection_report(service: Service, actor: Actor, inspection_id: str, form: str) -> Written:
    """Return a report of one inspection."""
    REPORT_WRITERS.row(form)
    with service.database.read() as session:
        site_id = fetch(session, actor, Inspection, inspection_id).site_id
    query = select(Image, Inspection).join(Inspection, Inspection.image_id == Image.id)
    return _written(service, actor, site_id, form, query.where(Inspection.id == inspection_id))


def _within(period: Period) -> list[ColumnElement[bool]]:
    since = [] if period.since is None else [Image.id >= id_at(period.since)]
    return [*since, *([] if period.until is None else [Image.id < id_at(period.until)])]


def _written(service: Service, actor: Actor, site_id: str, form: str, query: Select[Image, Inspection]) -> Written:
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id)
        rows = [(image, inspection) for image, inspection in session.execute(query.limit(MOST_IMAGES + 1))]
        versions = select(ModelVersion.id, ModelVersion.number).where(ModelVersion.site_id == site_id)
        numbers = {row.id: row.number for row in session.execute(versions)}
    if len(rows) > MOST_IMAGES:
        raise ConfigError(f"a report holds at most {MOST_IMAGES} images; ask for a shorter time with since and until")
    names = _told_apart([image.name for image, _ in rows])
    results = [_result(name, inspection, numbers) for name, (_, inspection) in zip(names, rows, strict=True)]
    report = build_report(_run(site, rows, results))
    if form == "html":
        images = {name: image for name, (image, _) in zip(names, rows, strict=True)}
        report = replace(report, pictures=_pictures(service, actor, report, images))
    writer = REPORT_WRITERS.get(form)
    return Written(writer.filename, writer.render(report))


def _run(site: Site, rows: Sequence[tuple[Image, Inspection]], results: Iterable[ImageResult]) -> Run:
    settings = settings_of(site)
    begun = min((inspection.created_at for _, inspection in rows), default=site.created_at)
    table = None if settings.severity == NO_TABLE else load_table(settings.severity).describe()
    return Run(
        results=tuple(results),
        title=site.name,
        started_at=begun.isoformat(timespec="seconds"),
        settings={"method": settings.hotspot_method, "severity": settings.severity},
        severity_table=table,
        versions=installed("isotherm", "numpy", "openvino"),
    )


def _told_apart(names: Sequence[str]) -> list[str]:
    """Return names of which none comes twice: files of one name are numbered."""
    often, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if often[name] == 1 else f"{name} ({seen[name]})")
    return found


def _result(name: str, inspection: Inspection, numbers: Mapping[str, int]) -> ImageResult:
    if not inspection.result:
        return ImageResult(image=name, status="failed", error=inspection.error)
    found: ImageResult = from_plain(ImageResult, inspection.result)
    return replace(found, image=name, notes=(*_verdict(inspection, numbers), *found.notes))


def _verdict(inspection: Inspection, numbers: Mapping[str, int]) -> list[str]:
    """Return one sentence about what the classifier said."""
    if inspection.label is None:
        return []
    number = numbers.get(inspection.model_id or "")
    sure = "" if inspection.confidence is None else f", {100 * inspection.confidence:.0f} %"
    return [f"category by model version {number}: {inspection.label}{sure}"]


def _pictures(service: Service, actor: Actor, report: Report, images: Mapping[str, Image]) -> dict[str, bytes]:
    """Return pictures of the worst, with their findings outlined; one that cannot be drawn is left out."""
    found = {}
    for result in report.detailed[:MOST_PICTURES]:
        try:
            png = image_part(service, actor, images[result.image].id, "picture")
        except IsothermError:
            continue
        found[result.image] = _jpeg(png)
    return found


def _jpeg(png: bytes) -> bytes:
    stream = io.BytesIO()
    Picture.open(io.BytesIO(png)).convert("RGB").save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
