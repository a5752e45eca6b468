"""Many images at once, as jobs that continue where they were stopped: looking again, testing a model, taking in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from isotherm.core.errors import ConfigError, IsothermError, NotFoundError, TooLargeError, one_line
from isotherm.jobs import queue
from isotherm.jobs.context import JobContext
from isotherm.store.tables import Image, Job, JobItem, ModelVersion, Site
from isotherm.workflows.service.access import LOCAL, LOCK, Actor, demand, fetch, hold_site
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.categories import named_category
from isotherm.workflows.service.inspections import add_inspection
from isotherm.workflows.service.labelled import labelled_images
from isotherm.workflows.service.looking import edit_of, look
from isotherm.workflows.service.matching import rules_of
from isotherm.workflows.service.models import ANOMALY, CLASSIFIER, load, load_detector, training_data
from isotherm.workflows.service.names import check_name, file_name
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import SiteSettings, settings_of
from isotherm.workflows.service.taking import Target, Upload, check_split, may_name, prepared, write_image
from isotherm.workflows.service.testing_detectors import tested_detector
from isotherm.workflows.service.testing_models import Tested, fair_tests, tested_metrics
from isotherm.workflows.service.training import check_room, telling_tests

INSPECT, EVALUATE, IMPORT = "inspect", "evaluate", "import"
MOST_ITEMS = 10_000
"""Of one import."""
MOST_ERRORS = 100
"""So many are told in the result of a job; the items hold all of them."""
_PIECE = 500


@dataclass(frozen=True)
class Arrival:
    """One file of an import: the sha256 of what was sent ahead, its own name, and perhaps what it shows."""

    digest: str
    name: str
    category: str | None = None
    split: str = ""


def request_inspection(service: Service, actor: Actor, site_id: str, *, image_ids: Sequence[str] | None = None) -> Job:
    """Have images of a site (None: all) looked at again by the settings and the model of now; needs the scope write."""
    with service.database.write() as session:
        fetch(session, actor, Site, site_id, "write", lock=True)
        check_room(service, session, site_id)
        for image_id in image_ids or ():
            if fetch(session, actor, Image, image_id, "write").site_id != site_id:
                raise NotFoundError("image", image_id)
        payload = {"images": None if image_ids is None else list(dict.fromkeys(image_ids))}
        return _enqueued(session, actor, INSPECT, site_id, payload)


def request_evaluation(service: Service, actor: Actor, model_id: str) -> Job:
    """Have a model version tested with the test images that its site has now; needs the scope train."""
    with service.database.write() as session:
        version = fetch(session, actor, ModelVersion, model_id, "train")
        check_room(service, session, version.site_id)
        return _enqueued(session, actor, EVALUATE, version.site_id, {"model": version.id})


def request_import(service: Service, actor: Actor, site_id: str, arrivals: Iterable[Arrival]) -> Job:
    """Have files taken in that were sent ahead by their sha256; needs the scope write.

    Raises
    ------
    NotFoundError
        Nothing of such a sha256 was sent ahead by this actor.
    TooLargeError
        There are more than `MOST_ITEMS`.
    """
    items = [_checked(arrival) for arrival in arrivals]
    demand(actor, "write", site_id)
    if not 1 <= len(items) <= MOST_ITEMS:
        raise TooLargeError(f"an import has 1 to {MOST_ITEMS} files, not {len(items)}")
    for item in items:
        if not may_name(service, actor, item["digest"]):
            raise NotFoundError("stored file", item["digest"][:64])
    with service.database.write() as session:
        fetch(session, actor, Site, site_id, "write", lock=True)
        check_room(service, session, site_id)
        payload = {"items": items, "token": actor.token_id}
        return _enqueued(session, actor, IMPORT, site_id, payload)


def _checked(arrival: Arrival) -> dict[str, Any]:
    if not isinstance(arrival.digest, str) or not isinstance(arrival.name, str):
        raise ConfigError("a file of an import has a digest and a name, both text")
    category = None if arrival.category is None else check_name("category", arrival.category)
    return {
        "digest": arrival.digest,
        "name": file_name(arrival.name),
        "category": category,
        "split": check_split(arrival.split),
    }


def _enqueued(session: Session, actor: Actor, kind: str, site_id: str, payload: Mapping[str, Any]) -> Job:
    job = queue.enqueue(session, kind, payload=payload, site_id=site_id, created_by=actor.name)
    record(session, actor, f"{kind}.requested", site_id, {"job": job.id})
    return job


def _actor(context: JobContext) -> Actor:
    """Return whoever asked for a job; what they may do was checked then."""
    assert context.site_id is not None
    token = str(context.payload.get("token") or "")
    return Actor(context.created_by, LOCAL.scopes, frozenset({context.site_id}), token)


def inspect_batch(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do an inspection job: each image is one item, looked at and written exactly once."""
    done, wanted = context.finished_items(), list(_wanted(service, context))
    for number, image_id in enumerate(wanted):
        context.check()
        context.progress(number, len(wanted), "images")
        if image_id not in done:
            _inspect_one(service, context, image_id)
    return _counted(service, context, len(wanted))


def _wanted(service: Service, context: JobContext) -> Iterator[str]:
    """Give the ids of the images; those that came after the job are left alone."""
    given = context.payload.get("images")
    if given is not None:
        yield from given
        return
    after = ""
    while True:
        query = select(Image.id).where(Image.site_id == context.site_id, Image.id > after, Image.id < context.job_id)
        with service.database.read() as session:
            piece = session.scalars(query.order_by(Image.id).limit(_PIECE)).all()
        if not piece:
            return
        yield from piece
        after = piece[-1]


def _inspect_one(service: Service, context: JobContext, image_id: str) -> None:
    with service.database.read() as session:
        image, site = session.get(Image, image_id), session.get(Site, context.site_id)
    if image is None or site is None:
        context.commit_item(image_id, error="the image was deleted")
        return
    try:
        looked = look(service, site, service.blobs.read(image.digest), image.name, edit=edit_of(image))
    except IsothermError as error:
        context.commit_item(image_id, error=one_line(error))
        context.log(f"{image.name}: {one_line(error)}")
        return

    def write(session: Session) -> Mapping[str, Any]:
        hold_site(session, context.site_id)
        held = session.get(Image, image_id, with_for_update=LOCK)
        if held is None:
            return {"deleted": True}
        return {"inspection": add_inspection(session, held, looked, job_id=context.job_id).id}

    context.commit_item(image_id, write)


def evaluate(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do an evaluation job; its result holds the numbers, and the answer for each test image."""
    with service.database.read() as session:
        version = session.get(ModelVersion, context.payload["model"])
        if version is None:
            raise NotFoundError("model version", str(context.payload["model"]))
        site, data = session.get(Site, version.site_id), labelled_images(session, version.site_id, use_feedback=False)
    assert site is not None
    learnt = training_data(service, version)
    # What is common to all sites says nothing of how this one looks when all is well.
    images = [each for each in data.test if version.kind != ANOMALY or not each.common]
    tested = fair_tests(images, (row[1] for row in learnt["train"]), learnt["groups"])
    found = _numbers(service, context, version, tested, settings_of(site))
    notes = [*tested.notes, *([_UNTESTED[version.kind]] if found is None else [])]
    return {"model_id": version.id, "metrics": found, "notes": notes}


_UNTESTED: Mapping[str, str] = {
    CLASSIFIER: "there is no test image of a category that the model knows",
    ANOMALY: "there is no test image that the model can score",
}


def _numbers(
    service: Service, context: JobContext, version: ModelVersion, tested: Tested, settings: SiteSettings
) -> dict[str, Any] | None:
    step = telling_tests(context)
    if version.kind == ANOMALY:
        normal = version.card["normal"]
        return tested_detector(service, load_detector(service, version), tested, normal, settings, step=step)
    return tested_metrics(service, load(service, version), tested, settings, step)


def take_in_batch(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do an import job: each file is one item, taken in exactly once."""
    items = context.payload["items"]
    done = context.finished_items()
    for number, item in enumerate(items):
        context.check()
        context.progress(number, len(items), "files")
        if str(number) not in done:
            _take_one(service, context, str(number), item)
    return _counted(service, context, len(items))


def _take_one(service: Service, context: JobContext, item: str, wanted: Mapping[str, Any]) -> None:
    actor = _actor(context)
    with service.database.read() as session:
        site = session.get(Site, context.site_id)
        rules = rules_of(session, site)
    if site is None:
        raise NotFoundError("site", str(context.site_id))

    def write(session: Session) -> Mapping[str, Any]:
        hold_site(session, site.id)
        name = wanted["category"]
        found = None if name is None else named_category(service, session, actor, site.id, name).id
        target = Target(site, found, wanted["split"], None, rules)
        image, _ = write_image(service, session, actor, target, ready, job_id=context.job_id)
        return {"image": image.id}

    try:
        ready = prepared(service, actor, site, Upload(wanted["name"], wanted["digest"]))
        context.commit_item(item, write)
    except IsothermError as error:
        context.commit_item(item, error=one_line(error))
        context.log(f"{wanted['name']}: {one_line(error)}")


def _counted(service: Service, context: JobContext, total: int) -> Mapping[str, Any]:
    query = select(JobItem.item, JobItem.error).where(JobItem.job_id == context.job_id, JobItem.error != "")
    with service.database.read() as session:
        failed = {item: error for item, error in session.execute(query)}  # noqa: C416 (rows are no pairs for mypy)
    return {"items": total, "failed": len(failed), "errors": dict(list(failed.items())[:MOST_ERRORS])}
