"""Reports of what a server has found: of the latest inspections of a site, or of one inspection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count

from sqlalchemy import ColumnElement, Select, select

from isotherm.core.errors import ConfigError, IsothermError, one_line
from isotherm.core.findings import ImageResult
from isotherm.core.findings import Inspection as Run
from isotherm.measurement.severity import load_table
from isotherm.reports import REPORT_WRITERS
from isotherm.reports.content import build_report
from isotherm.reports.describing import plain_text
from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.building import DocumentSettings, build_document
from isotherm.reports.document.content import FaultPictures, ReportSection, Table
from isotherm.reports.document.layout import Template
from isotherm.reports.document.particulars import ImageParticulars, Particulars
from isotherm.reports.document.pictures import unpacked, worded
from isotherm.reports.document.wording import Wording, wording
from isotherm.reports.plain import from_plain
from isotherm.store.tables import Asset, Image, Inspection, ModelVersion, Site
from isotherm.workflows.service.access import Actor, demand, fetch
from isotherm.workflows.service.given_numbers import AS_SAID
from isotherm.workflows.service.inspections import fault_part
from isotherm.workflows.service.paging import id_at
from isotherm.workflows.service.seen import NEVER_SAW
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import NO_TABLE, settings_of
from isotherm.workflows.service.trends import report_sections, taken_at
from isotherm.workflows.versions import installed

MOST_IMAGES = 2000
MOST_PICTURES = 40
"""How many pictures a report for people shows: each is drawn anew from its file."""
MOST_FACTS, LONGEST_FACT = 40, 300
"""What a report tells of a model's card."""
FOR_PROGRAMS = ("csv", "json")
"""Forms with all results; the others are for people."""


@dataclass(frozen=True)
class Written:
    """A report as a file: what it is called, what it is, and its bytes."""

    filename: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Period:
    """From when, and until before when, images were sent; None: without an end."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Wanted:
    """How a report shall be.

    Parameters
    ----------
    form
        pdf, html or docx for people; csv or json with all results for programs.
    language, template
        A key of `isotherm.reports.document.wording.LANGUAGES`; ``standard`` or ``brief``.
    particulars
        What people say of the inspection.
    period
        When the images were sent.
    """

    form: str
    language: str = "en"
    template: str = "standard"
    particulars: Particulars = field(default_factory=Particulars)
    period: Period = field(default_factory=Period)

    def __post_init__(self) -> None:
        LAYOUTS.row(self.form)
        wording(self.language)


@dataclass(frozen=True, eq=False)
class _Row:
    """One image with its inspection, and the name of its asset and its place; empty without one."""

    image: Image
    inspection: Inspection
    place: str


def site_report(service: Service, actor: Actor, site_id: str, wanted: Wanted) -> Written:
    """Return a report of the latest inspections of a site's images, newest first.

    Raises
    ------
    ConfigError
        There are more than `MOST_IMAGES`; a shorter period would do.
    """
    demand(actor, "read", site_id)
    query = _rows().join(Inspection, Inspection.id == Image.latest_inspection)
    query = query.where(Image.site_id == site_id, *_within(wanted.period)).order_by(Image.id.desc())
    for_people = wanted.form not in FOR_PROGRAMS
    sections = report_sections(service, actor, site_id, language=wanted.language) if for_people else ()
    return _written(service, actor, site_id, wanted, query, sections=sections)


def inspection_report(service: Service, actor: Actor, inspection_id: str, wanted: Wanted) -> Written:
    """Return a report of one inspection; for people with the trend of its asset up to then."""
    with service.database.read() as session:
        inspection = fetch(session, actor, Inspection, inspection_id)
        image = session.get(Image, inspection.image_id)
    sections = () if image is None or wanted.form in FOR_PROGRAMS else _trend(service, actor, image, wanted.language)
    query = _rows().join(Inspection, Inspection.image_id == Image.id).where(Inspection.id == inspection_id)
    return _written(service, actor, inspection.site_id, wanted, query, sections=sections)


def _trend(service: Service, actor: Actor, image: Image, language: str) -> tuple[ReportSection, ...]:
    if image.asset_id is None or image.site_id is None:
        return ()
    return report_sections(service, actor, image.site_id, [image.asset_id], language, until=taken_at(image))


def _rows() -> Select[Image, Inspection, Asset]:
    return select(Image, Inspection, Asset).outerjoin(Asset, Asset.id == Image.asset_id)


def _within(period: Period) -> list[ColumnElement[bool]]:
    since = [] if period.since is None else [Image.id >= id_at(period.since)]
    return [*since, *([] if period.until is None else [Image.id < id_at(period.until)])]


def _written(
    service: Service,
    actor: Actor,
    site_id: str,
    wanted: Wanted,
    query: Select[Image, Inspection, Asset],
    *,
    sections: Sequence[ReportSection] = (),
) -> Written:
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id)
        rows = [
            _Row(image, found, _place(asset)) for image, found, asset in session.execute(query.limit(MOST_IMAGES + 1))
        ]
        models = session.scalars(select(ModelVersion).where(ModelVersion.site_id == site_id)).all()
    if len(rows) > MOST_IMAGES:
        raise ConfigError(f"a report holds at most {MOST_IMAGES} images; ask for a shorter time with since and until")
    names = _told_apart([row.image.name for row in rows])
    known = {model.id: model for model in models}
    results = [_result(name, row.inspection, known) for name, row in zip(names, rows, strict=True)]
    run = _run(site, rows, results)
    if wanted.form in FOR_PROGRAMS:
        writer = REPORT_WRITERS.get(wanted.form)
        return Written(writer.filename, LAYOUTS.get(wanted.form).media_type, writer.render(build_report(run)))
    used = {model_id for row in rows for model_id in (row.inspection.model_id, row.inspection.anomaly_model_id)}
    words = wording(wanted.language)
    cards = [_card(model, words) for model in models if model.id in used]
    named = dict(zip(names, rows, strict=True))
    return _laid_out(service, actor, run, wanted, named, [*sections, *cards])


def _laid_out(
    service: Service,
    actor: Actor,
    run: Run,
    wanted: Wanted,
    rows: Mapping[str, _Row],
    sections: Iterable[ReportSection],
) -> Written:
    layout = LAYOUTS.get(wanted.form)
    said = {
        name: ImageParticulars(place=row.place, load_percent=row.image.load_percent)
        for name, row in rows.items()
        if row.place or row.image.load_percent is not None
    }
    particulars = replace(wanted.particulars, site=wanted.particulars.site or run.title, images=said)
    template = Template(wanted.template)
    pictures = partial(_pictures, service, actor, rows, wording(wanted.language))
    document = build_document(
        run,
        DocumentSettings(wanted.language, particulars),
        pictures=None if template.is_brief else pictures,
        sections=sections,
    )
    rendered = layout.render(document, template)
    return Written(f"report.{wanted.form}", layout.media_type, rendered.data)


def _place(asset: Asset | None) -> str:
    return "" if asset is None else ", ".join(filter(None, (asset.name, asset.place)))


def _card(model: ModelVersion, w: Wording) -> ReportSection:
    """Return what a model is: its card, as far as it is short."""
    facts = {
        "method": model.method,
        "kind": model.kind,
        **model.card,
        **{f"measured {k}": v for k, v in model.metrics.items()},
    }
    if "elsewhere" in model.card:
        said = dict(model.card["elsewhere"])
        lines = said.pop("said", [])
        said.pop("says", None)
        facts |= {"elsewhere": said, **{f"{AS_SAID} ({number})": line for number, line in enumerate(lines, start=1)}}
    texts = [
        (name.replace("_", " "), plain_text(value)) for name, value in facts.items() if value not in (None, "", {}, [])
    ]
    short = [(w.phrase(name), text) for name, text in texts if len(text) <= LONGEST_FACT][:MOST_FACTS]
    title = f"{w('model')}: {model.number}"
    return ReportSection(title, tables=(Table(w("model_card"), (w("parameter"), w("value")), tuple(short)),))


def _run(site: Site, rows: Sequence[_Row], results: Iterable[ImageResult]) -> Run:
    settings = settings_of(site)
    begun = min((row.inspection.created_at for row in rows), default=site.created_at)
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
    often, taken = Counter(names), set(names)
    numbers = {name: count(1) for name in often}
    found = []
    for name in names:
        shown = name
        # A file may be called as another one is when it has got its number.
        while often[name] > 1 and shown in taken:
            shown = f"{name} ({next(numbers[name])})"
        taken.add(shown)
        found.append(shown)
    return found


def _result(name: str, inspection: Inspection, models: Mapping[str, ModelVersion]) -> ImageResult:
    if not inspection.result:
        return ImageResult(image=name, status="failed", error=inspection.error)
    found: ImageResult = from_plain(ImageResult, inspection.result)
    return replace(found, image=name, notes=(*_verdict(inspection, models), *found.notes))


def _verdict(inspection: Inspection, models: Mapping[str, ModelVersion]) -> list[str]:
    """Return a sentence about what each model said, and what the one that calls an image strange has never seen."""
    said = []
    if inspection.label is not None:
        judge = models.get(inspection.model_id or "")
        sure = "" if inspection.confidence is None else f", {100 * inspection.confidence:.0f} %"
        said.append(f"category by model version {judge.number if judge else None}: {inspection.label}{sure}")
    anomaly = inspection.result.get("anomaly")
    if anomaly is not None:
        scorer = models.get(inspection.anomaly_model_id or "")
        said.append(
            f"anomaly model version {scorer.number if scorer else None}: score {anomaly['score']:.3g}, threshold "
            f"{anomaly['threshold']:.3g}, {anomaly['prediction'].lower()}"
        )
        if scorer is not None and anomaly["prediction"] == "Anomaly":
            said += [scorer.card[NEVER_SAW]] if NEVER_SAW in scorer.card else []
    return said


def _pictures(
    service: Service, actor: Actor, rows: Mapping[str, _Row], w: Wording, results: Sequence[ImageResult]
) -> dict[str, FaultPictures]:
    """Return pictures of the worst; one that cannot be drawn says why."""
    found = {}
    for place, result in enumerate(results):
        if place < MOST_PICTURES:
            found[result.image] = _picture(service, actor, rows[result.image].image.id, result, w)
        else:
            reason = w("first_pictures_only", count=MOST_PICTURES)
            found[result.image] = FaultPictures(missing=w("picture_gone", reason=reason))
    return found


def _picture(service: Service, actor: Actor, image_id: str, result: ImageResult, w: Wording) -> FaultPictures:
    try:
        return worded(unpacked(fault_part(service, actor, image_id, result.findings)), result, w)
    except IsothermError as error:
        return FaultPictures(missing=w("picture_gone", reason=one_line(error)))
