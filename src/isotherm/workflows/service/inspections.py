"""Inspections: what was said of an image, each time it was looked at; and the findings of the latest ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import Select, delete, insert, select, update
from sqlalchemy.orm import Session

from isotherm.core.config import from_mapping, to_mapping
from isotherm.core.errors import ConfigError, NotFoundError
from isotherm.core.findings import Finding as Found
from isotherm.core.scene import SceneEdit
from isotherm.store.ids import new_id
from isotherm.store.tables import Category, Feedback, Finding, Image, Inspection, Site, now
from isotherm.workflows.service.access import Actor, at_sites, expect_version, fetch, hold_site
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.examination import Want
from isotherm.workflows.service.examination_settings import ExaminationSettings
from isotherm.workflows.service.looking import EDIT, Looked, edit_of, examination_settings, look
from isotherm.workflows.service.paging import USUAL, Page, id_at, read_page
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import settings_of

Part = Literal["view", "picture", "plane", "thumbnail"]
_FINDINGS = insert(Finding.__table__)  # type: ignore[arg-type]


def inspect_image(
    service: Service,
    actor: Actor,
    image_id: str,
    *,
    edit: Mapping[str, Any] | None = None,
    version: int | None = None,
) -> Inspection:
    """Look at an image again, with the site's settings and active model of now; needs the scope write.

    Parameters
    ----------
    edit
        Settings of `isotherm.core.scene.SceneEdit`, kept with the image from now on; an empty one takes earlier edits
        back, None leaves them.
    version
        That of the image as the caller has read it.

    Raises
    ------
    ChangedError
        The image is not in that version any more.
    NotFoundError
        There is no such image, or it is a common one, which is not inspected.
    """
    change = None if edit is None else from_mapping(SceneEdit, edit)
    with service.taking():
        image, site = _image_and_site(service, actor, image_id)
        looked = look(service, site, service.blobs.read(image.digest), image.name, edit=change or _kept(image, change))
    with service.database.write() as session:
        hold_site(session, site.id)
        image = fetch(session, actor, Image, image_id, "write", lock=True)
        if change is not None or version is not None:
            expect_version(image, version)
        if change is not None:
            image.facts = {**image.facts, EDIT: _given(change)}
        inspection = add_inspection(session, image, looked)
        record(session, actor, "image.inspected", image.id, {"inspection": inspection.id, EDIT: image.facts.get(EDIT)})
    return inspection


def _kept(image: Image, change: SceneEdit | None) -> SceneEdit | None:
    return edit_of(image) if change is None else change


def _image_and_site(service: Service, actor: Actor, image_id: str) -> tuple[Image, Site]:
    with service.database.read() as session:
        image = fetch(session, actor, Image, image_id, "write")
        if image.site_id is None:
            raise NotFoundError("inspection of a common image")
        return image, fetch(session, actor, Site, image.site_id)


def _given(edit: SceneEdit) -> dict[str, Any]:
    return {name: value for name, value in to_mapping(edit).items() if value is not None}


def add_inspection(session: Session, image: Image, looked: Looked, *, job_id: str | None = None) -> Inspection:
    """Write down what was found in an image, within a transaction that holds the image's row.

    Its findings take the place of those of the inspection before it; the site's count follows.
    """
    said = say(image, looked, job_id=job_id)
    gone = session.execute(delete(Finding).where(Finding.image_id == image.id)).rowcount  # type: ignore[attr-defined]
    write_said(session, said)
    if len(said.findings) != gone:
        more = Site.findings + (len(said.findings) - gone)
        session.execute(update(Site).where(Site.id == image.site_id).values(findings=more))
    session.flush()
    return said.inspection


@dataclass(frozen=True)
class Said:
    """An inspection with the rows of its findings, not written down yet."""

    inspection: Inspection
    findings: list[dict[str, Any]]


def say(image: Image, looked: Looked, *, job_id: str | None = None) -> Said:
    """Return the inspection that says what was found in an image, and note it in the image's row."""
    assert image.site_id is not None
    inspection = _inspection(image, looked, job_id)
    kept = {EDIT: image.facts[EDIT]} if EDIT in (image.facts or {}) else {}
    image.facts = {**looked.facts, **kept}
    image.severity_rank, image.latest_inspection = inspection.severity_rank, inspection.id
    image.label = inspection.label
    image.anomalous = looked.standing.anomalous if looked.standing else None
    found = enumerate(looked.result["findings"])
    return Said(inspection, [_finding(inspection, number, finding) for number, finding in found])


def write_said(session: Session, said: Said) -> None:
    """Write an inspection down, within a transaction that holds the row of its image."""
    session.add(said.inspection)
    session.flush()
    if said.findings:
        session.execute(_FINDINGS, said.findings)


def _inspection(image: Image, looked: Looked, job_id: str | None) -> Inspection:
    said, standing = looked.said, looked.standing
    verdict = {} if said is None else _verdict(said)
    return Inspection(
        id=new_id(),
        site_id=image.site_id,
        image_id=image.id,
        model_id=looked.active.version.id if looked.active else None,
        job_id=job_id,
        anomaly_model_id=standing.model_id if standing else None,
        score=standing.score if standing else None,
        severity_rank=looked.examined.facts["severity_rank"],
        result=looked.result,
        **verdict,
    )


def _verdict(said: Any) -> dict[str, Any]:
    """Return the columns of a classifier's answer; an image that it cannot judge has its reason as the error."""
    if said.error:
        return {"reason": said.error}
    return {
        "label": said.label,
        "confidence": said.confidence,
        "rejected": said.rejected,
        "probabilities": dict(said.probabilities),
        "reason": said.reason,
        "distance": said.distance,
    }


def _finding(inspection: Inspection, number: int, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a plain finding; a table that does not apply has no action, and then no rank."""
    severity, region, temperatures = found["severity"] or {}, found["region"], found["temperatures"] or {}
    return {
        "id": new_id(),
        "created_at": now(),
        "site_id": inspection.site_id,
        "image_id": inspection.image_id,
        "inspection_id": inspection.id,
        "number": number,
        "kind": found["kind"],
        "origin": found["origin"],
        "severity_rank": severity["rank"] if severity.get("action") else -1,
        "grade": severity.get("grade") or "",
        "max_c": temperatures.get("max_c"),
        "delta_t_c": found["delta_t_c"],
        "score": found["score"],
        "area_px": region["area_px"],
        "box": [region["box"][name] for name in ("x", "y", "width", "height")],
    }


def image_part(
    service: Service,
    actor: Actor,
    image_id: str,
    part: Part,
    *,
    edit: Mapping[str, Any] | None = None,
    palette: str = "iron",
) -> bytes:
    """Return a form of an image made on demand, from its original file, in a child.

    Parameters
    ----------
    part
        ``view``: the JSON of ``<thermal-view>``; ``picture``: with its hot spots outlined; ``plane``: float32 values.
    edit
        Settings of `isotherm.core.scene.SceneEdit` to try, in place of those that are kept.
    palette
        The colours of a picture, a name of `isotherm.reports.palette.FOR_TEMPERATURES`.
    """
    if part not in get_args(Part):
        raise ConfigError(f"an image has no part {part!r}; known: {', '.join(get_args(Part))}")
    image, settings = _as_shown(service, actor, image_id, edit)
    return _drawn(service, image, replace(settings, palette=palette), part, search=part == "picture")


def fault_part(service: Service, actor: Actor, image_id: str, found: Sequence[Found]) -> bytes:
    """Return the pictures for the page of a report, with what an inspection has found outlined; see `image_part`."""
    image, settings = _as_shown(service, actor, image_id, None)
    return _drawn(service, image, settings, "fault", search=found)


def _as_shown(
    service: Service, actor: Actor, image_id: str, edit: Mapping[str, Any] | None
) -> tuple[Image, ExaminationSettings]:
    """Return an image and how it is read, by an edit or as it is kept."""
    with service.database.read() as session:
        image = fetch(session, actor, Image, image_id)
        site = image.site_id and session.get(Site, image.site_id)
    settings = examination_settings(
        settings_of(site) if site else settings_of(Site(settings={})),
        edit_of(image) if edit is None else from_mapping(SceneEdit, edit),
    )
    # Codes and print tell which asset an image shows, which was asked when it came in.
    return image, replace(settings, tags=False, letters=False)


def _drawn(
    service: Service, image: Image, settings: ExaminationSettings, part: Want, *, search: bool | Sequence[Found]
) -> bytes:
    with service.taking():
        data = service.blobs.read(image.digest)
        return service.examinations.examine(data, image.name, settings, want=(part,), search=search).parts[part]


def get_inspection(service: Service, actor: Actor, inspection_id: str) -> Inspection:
    """Return an inspection; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, Inspection, inspection_id)


def list_inspections(
    service: Service,
    actor: Actor,
    *,
    site_id: str | None = None,
    image_id: str | None = None,
    after: Sequence[object] | None = None,
    limit: int = USUAL,
) -> Page[Inspection]:
    """Return inspections, newest first, of a site or of an image."""
    query = select(Inspection).where(at_sites(actor, Inspection.site_id, site_id))
    if image_id is not None:
        get_image_row(service, actor, image_id)
        query = query.where(Inspection.image_id == image_id)
    with service.database.read() as session:
        return read_page(session, query, [Inspection.id], after=after, limit=limit)


def get_image_row(service: Service, actor: Actor, image_id: str) -> Image:
    """Return an image's row; raises NotFoundError where there is none for this actor."""
    with service.database.read() as session:
        return fetch(session, actor, Image, image_id)


@dataclass(frozen=True)
class FindingFilter:
    """Which findings of a list are wanted; what is None or empty does not matter.

    Parameters
    ----------
    site_id, image_id
        Those of one site; of one image.
    kind, min_severity
        ``hotspot`` or ``anomaly``; the least rank.
    category, split, label, name
        Of their image: the category it is sorted under, its part of the data set, its latest verdict, part of its name.
    no_feedback
        Those of images that nobody has said anything about.
    since, until
        When they were found (until: before that).
    order
        Newest first, or worst first.
    """

    site_id: str | None = None
    image_id: str | None = None
    kind: str = ""
    min_severity: int | None = None
    category: str | None = None
    split: str | None = None
    label: str | None = None
    name: str = ""
    no_feedback: bool = False
    since: datetime | None = None
    until: datetime | None = None
    order: Literal["newest", "severity"] = "severity"

    def __post_init__(self) -> None:
        if self.order not in ("newest", "severity"):
            raise ConfigError(f"order must be newest or severity, not {self.order!r}")


def list_findings(
    service: Service,
    actor: Actor,
    filters: FindingFilter | None = None,
    *,
    after: Sequence[object] | None = None,
    limit: int = USUAL,
) -> Page[Finding]:
    """Return a page of the findings of latest inspections."""
    wanted = filters or FindingFilter()
    query = _of_images(select(Finding).where(*_conditions(actor, wanted)), wanted)
    columns = [Finding.severity_rank, Finding.id] if wanted.order == "severity" else [Finding.id]
    with service.database.read() as session:
        return read_page(session, query, columns, after=after, limit=limit)


def _conditions(actor: Actor, wanted: FindingFilter) -> Iterator[Any]:
    yield at_sites(actor, Finding.site_id, wanted.site_id)
    if wanted.image_id is not None:
        yield Finding.image_id == wanted.image_id
    if wanted.kind:
        yield Finding.kind == wanted.kind
    if wanted.min_severity is not None:
        yield Finding.severity_rank >= wanted.min_severity
    if wanted.label is not None:
        yield (
            select(Inspection.id)
            .where(Inspection.id == Finding.inspection_id, Inspection.label == wanted.label)
            .exists()
        )
    if wanted.no_feedback:
        yield ~select(Feedback.id).where(Feedback.image_id == Finding.image_id).exists()
    if wanted.since is not None:
        yield Finding.id >= id_at(wanted.since)
    if wanted.until is not None:
        yield Finding.id < id_at(wanted.until)


def _of_images(query: Select[Any], wanted: FindingFilter) -> Select[Any]:
    if wanted.category is None and wanted.split is None and not wanted.name:
        return query
    query = query.join(Image, Image.id == Finding.image_id)
    if wanted.category is not None:
        query = query.join(Category, Category.id == Image.category_id).where(Category.name == wanted.category)
    if wanted.split is not None:
        query = query.where(Image.split == wanted.split)
    return query.where(Image.name.icontains(wanted.name, autoescape=True)) if wanted.name else query
