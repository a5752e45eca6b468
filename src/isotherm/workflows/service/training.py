"""Training of a site's models: asked for here, done by a worker, one at a time for each site."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from isotherm.classification import CLASSIFIERS
from isotherm.core.config import from_mapping, setting, to_mapping, validate
from isotherm.core.errors import BusyError, ConflictError, NotFoundError
from isotherm.core.progress import Progress
from isotherm.jobs import queue
from isotherm.jobs.context import JobContext
from isotherm.runtime.backbones import BACKBONES
from isotherm.store.blobs import Stored
from isotherm.store.ids import new_id
from isotherm.store.tables import Feedback, Job, ModelVersion, Site
from isotherm.workflows.classify_model import TrainedClassifier
from isotherm.workflows.service.access import LOCAL, Actor, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.labelled import LabelledImage, LabelledImages, labelled_images
from isotherm.workflows.service.models import (
    ANOMALY,
    CLASSIFIER,
    TRAINING_DATA,
    active_classifier,
    add_version,
    stored_files,
    switch,
)
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import SiteSettings, settings_of
from isotherm.workflows.service.testing_models import Tested, fair_tests, model_metrics, tested_metrics

TRAIN = "train"
MODEL = "model"
"""The one item of a training."""
FILES_TO = "files_to"
"""Where in a training's payload the folder stands that its files go to, where they shall."""


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained; what is empty is as the site's settings say."""

    method: str = setting("", "classifier: logistic, small_cnn or finetuned; empty: the site's")
    backbone: str = setting("", "network whose features the logistic classifier sees; empty: the site's")
    image_size: int = setting(
        0, "side of the square that images are scaled to [px]; 0: as the method wants", low=0, high=1024
    )
    use_feedback: bool = setting(True, "learn from feedback")
    common_in_testing: bool = setting(False, "test with the common test images too")
    activate: Literal["", "always", "better", "never"] = setting(
        "", "whether it takes over: always, only where it is better on the test images, never; empty: the site's"
    )
    seed: int = setting(0, "seed of everything random", low=0, high=2**31 - 1)
    note: str = setting("", "a remark that is kept with the model")

    def __post_init__(self) -> None:
        validate(self)
        if self.method:
            CLASSIFIERS.row(self.method)
        if self.backbone:
            BACKBONES.row(self.backbone)


def request_training(
    service: Service,
    actor: Actor,
    site_id: str,
    settings: TrainSettings | None = None,
    *,
    config: Mapping[str, Any] | None = None,
    files_to: str = "",
) -> Job:
    """Ask for a new model of a site; needs the scope train.

    Parameters
    ----------
    config
        Settings of the method itself that are not the default ones.
    files_to
        The folder where the job leaves the model's files in the form of the per-site API; empty: nowhere.

    Raises
    ------
    ConflictError
        The site is being trained, or is about to be.
    DataError
        There are not two categories with training images.
    ConfigError
        The method has no such setting.
    """
    settings = settings or TrainSettings()
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id, "train")
        labelled_images(session, site_id, use_feedback=settings.use_feedback).check()
    method = settings.method or settings_of(site).method
    asked = {"settings": to_mapping(settings), "config": _config(method, config or {})}
    return enqueue_training(service, actor, site_id, asked, files_to=files_to)


def enqueue_training(
    service: Service, actor: Actor, site_id: str, asked: Mapping[str, Any], *, files_to: str = ""
) -> Job:
    """Queue a training that was asked for, of whichever kind; see `request_training`."""
    with service.database.write() as session:
        site = fetch(session, actor, Site, site_id, "train", lock=True)
        running = queue.holder(session, exclusive(site_id))
        if running is not None:
            raise ConflictError(f"the site {site.name!r} is already training (job {running.id})")
        check_room(service, session, site_id)
        payload = {**asked, FILES_TO: files_to}
        job = queue.enqueue(
            session, TRAIN, payload=payload, site_id=site_id, exclusive=exclusive(site_id), created_by=actor.name
        )
        record(session, actor, "training.requested", site_id, {"job": job.id, **asked})
    return job


def exclusive(site_id: str) -> str:
    """Return what only one running job of a site may hold."""
    return f"{TRAIN}:{site_id}"


def check_room(service: Service, session: Session, site_id: str | None) -> None:
    """Raise BusyError where a site has as many jobs that are not finished as it may."""
    waiting = select(func.count()).select_from(Job).where(Job.state.in_(("queued", "running")), Job.site_id == site_id)
    if (session.scalar(waiting) or 0) >= service.limits.site_jobs:
        raise BusyError(f"{service.limits.site_jobs} jobs of this site are not finished", retry_after_s=30)


def _config(method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a method as plain values, checked."""
    if not values:
        return {}
    from_mapping(CLASSIFIERS.get(method).config_type, values)
    return dict(values)


@dataclass(frozen=True)
class _Task:
    """What a training job has to do."""

    site: Site
    own: SiteSettings
    settings: TrainSettings
    data: LabelledImages

    @property
    def method(self) -> str:
        return self.settings.method or self.own.method

    @property
    def activate(self) -> str:
        return self.settings.activate or self.own.activate


def train(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do a training job: learn, test, keep the files, then write the version and switch to it in one transaction."""
    if MODEL in context.finished_items():
        return context.item_result(MODEL)
    task = _task(service, context)
    task.data.check()
    for note in task.data.notes:
        context.log(note)

    def learn(folder: Path) -> tuple[ModelVersion, Tested]:
        classifier = _learnt(service, context, task, folder)
        tested = _fair(task)
        test = _test(service, context, task, classifier, tested)
        return _version(context, task, classifier, tested=tested, test=test), tested

    return made(
        service,
        context,
        task.data.train,
        learn,
        activate=task.activate,
        is_better=partial(_is_better, service, context, task),
    )


def made(
    service: Service,
    context: JobContext,
    images: Sequence[LabelledImage],
    learn: Callable[[Path], tuple[ModelVersion, Tested]],
    *,
    activate: str,
    is_better: Callable[[ModelVersion, Tested], bool],
) -> Mapping[str, Any]:
    """Have a model learnt, keep its files, then write the version and switch to it in one transaction.

    Parameters
    ----------
    images
        What is learnt from.
    learn
        Writes a model into the folder, and returns its version and what it was tested with.
    activate
        When the version is put to work at once: ``always``, or where it is better.
    is_better
        Says whether it is, by what it was tested with.
    """
    folder = Path(tempfile.mkdtemp(dir=service.folder / "scratch", prefix="train-"))
    try:
        version, tested = learn(folder / MODEL)
        (folder / MODEL / TRAINING_DATA).write_text(json.dumps(provenance(images, tested)), encoding="utf-8")
        files = stored_files(service, folder / MODEL)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    feedback = tuple(each.feedback_id for each in images if each.feedback_id)
    takes_over = activate == "always" or (activate == "better" and is_better(version, tested))
    found = _Made(version, files, feedback, takes_over)
    context.commit_item(MODEL, lambda session: _written(session, context, found))
    return context.item_result(MODEL)


def _task(service: Service, context: JobContext) -> _Task:
    settings = from_mapping(TrainSettings, context.payload["settings"])
    assert context.site_id is not None
    with service.database.read() as session:
        site = session.get(Site, context.site_id)
        if site is None:
            raise NotFoundError("site", context.site_id)
        data = labelled_images(session, site.id, use_feedback=settings.use_feedback)
    if not settings.common_in_testing:
        data = replace(data, test=tuple(each for each in data.test if not each.common))
    return _Task(site, settings_of(site), settings, data)


def _learnt(service: Service, context: JobContext, task: _Task, out: Path) -> TrainedClassifier:
    from isotherm.classification.features import FeatureConfig
    from isotherm.workflows.classify import ClassifySettings, train_classifier
    from isotherm.workflows.classify_data import LabelledPicture
    from isotherm.workflows.classify_rows import Reading

    # Each of these files has been decoded by a child with limits when it was taken in.
    pictures = [
        LabelledPicture(
            service.blobs.fetched(each.digest),
            each.label,
            name=each.name,
            group=each.group,
            part="train",
            common=each.common,
        )
        for each in task.data.train
    ]
    context.log(f"{task.method}: {len(pictures)} images of {len({each.label for each in pictures})} categories")
    features = FeatureConfig(backbone=task.settings.backbone or task.own.backbone)
    config = CLASSIFIERS.get(task.method).config_type
    return train_classifier(
        pictures,
        out,
        method=task.method,
        config=from_mapping(config, context.payload.get("config") or {}),
        settings=ClassifySettings(
            image_size=task.settings.image_size,
            min_confidence=task.own.min_confidence,
            reject_unknown=task.own.open_set,
            seed=task.settings.seed,
        ),
        progress=telling(context),
        reading=Reading(edit=task.own.scene(), jobs=1, features=features),
    )


def telling(context: JobContext) -> Progress:
    """Return what tells a job's progress, and ends its work where the job was cancelled or lost."""

    def progress(done: int, total: int, message: str) -> None:
        context.check()
        context.progress(done, total, message)

    return progress


def telling_tests(context: JobContext) -> Callable[[int, int], None]:
    """Return the same for the test images that are done."""
    progress = telling(context)
    return lambda done, total: progress(done, total, "test images")


def _fair(task: _Task) -> Tested:
    return fair_tests(task.data.test, task.data.train, (each.group for each in task.data.train))


def _test(
    service: Service, context: JobContext, task: _Task, classifier: TrainedClassifier, tested: Tested
) -> dict[str, Any] | None:
    if not task.data.test:
        context.log("no test images: the numbers are those of images that were held out while it learnt")
    return tested_metrics(service, classifier, tested, task.own, telling_tests(context))


def _version(
    context: JobContext,
    task: _Task,
    classifier: TrainedClassifier,
    *,
    tested: Tested,
    test: dict[str, Any] | None,
) -> ModelVersion:
    manifest = classifier.manifest
    notes = [*task.data.notes, *tested.notes, *manifest.get("notes", [])]
    if not task.data.test:
        notes.append("no test images: the accuracy is that on images held out while it learnt")
    return ModelVersion(
        id=new_id(),
        site_id=task.site.id,
        kind=CLASSIFIER,
        method=classifier.method,
        card={
            "labels": list(classifier.labels),
            "settings": to_mapping(task.settings),
            "site_settings": to_mapping(task.own),
            "notes": notes,
            "note": task.settings.note,
            "data": {
                "train": len(task.data.train),
                "test": len(tested.images),
                "feedback": sum(bool(each.feedback_id) for each in task.data.train),
            },
            "fit": manifest.get("fit", {}),
            "categories": manifest.get("data", {}).get("categories", {}),
            "skipped": manifest.get("data", {}).get("skipped", []),
            "versions": manifest.get("versions", {}),
        },
        metrics=model_metrics(classifier.labels, manifest.get("metrics", {}).get("held_out") or {}, test),
        job_id=context.job_id,
        made_by=context.created_by,
    )


def provenance(train: Sequence[LabelledImage], tested: Tested) -> dict[str, Any]:
    """Return what a version has learnt from and was tested with; see `training_data` of models."""
    return {
        "train": [[each.image_id, each.digest, each.label] for each in train],
        "test": [[each.image_id, each.digest, each.label] for each in tested.images],
        "feedback": [each.feedback_id for each in train if each.feedback_id],
        "groups": sorted({each.group for each in train} - {""}),
    }


def _is_better(service: Service, context: JobContext, task: _Task, version: ModelVersion, tested: Tested) -> bool:
    """Say whether a new version is right on more of the test images than the active one."""
    active = active_classifier(service, task.site.id)
    if active is None:
        return True
    step = telling_tests(context)
    return beats(context, version, tested, lambda: tested_metrics(service, active.classifier, tested, task.own, step))


def beats(
    context: JobContext, version: ModelVersion, tested: Tested, before: Callable[[], Mapping[str, Any] | None]
) -> bool:
    """Say whether a new version is right on more of the test images than another one, whose test `before` makes."""
    if tested.learnt or version.metrics["basis"] != "test":
        context.log("no fair test: the new version does not take over by itself")
        return False
    found = before()
    return found is None or _right(version.metrics["images"]) > _right(found["answers"])


def _right(answers: Mapping[str, Any]) -> int:
    return sum(each["label"] == each["truth"] for each in answers.values())


@dataclass(frozen=True, eq=False)
class _Made:
    """A version that a training has made and that is not written down yet.

    ``files`` are kept already; ``feedback`` holds the corrections that it has learnt from.
    """

    version: ModelVersion
    files: Mapping[str, Stored]
    feedback: Sequence[str]
    takes_over: bool


def _written(session: Session, context: JobContext, made: _Made) -> dict[str, Any]:
    """Write a version, mark the feedback that it has learnt from and switch to it, within the job's transaction."""
    version = made.version
    site = add_version(session, version, made.files)
    actor = Actor(context.created_by, LOCAL.scopes)
    # What a classifier has learnt stays marked so: an anomaly model has learnt no more than that it is normal.
    free = [Feedback.used_in.is_(None)] if version.kind == ANOMALY else []
    for feedback_id in made.feedback:
        session.execute(update(Feedback).where(Feedback.id == feedback_id, *free).values(used_in=version.id))
    if made.takes_over:
        switch(session, actor, site, version.id, version.kind)
    record(session, actor, "model.trained", version.id, {"site": site.id, "number": version.number})
    told = {"model_id": version.id, "number": version.number, "activated": made.takes_over}
    return {**told, "notes": version.card["notes"]}
