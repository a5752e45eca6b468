"""What another threshold would make of the scores of a site, and setting it: a version of the model of its own.

Scores do not change with their threshold; so what is tried is counted from those that are kept. A new threshold is a
new version, with the same arrays and another manifest: what was judged before stays as it was, and says by which.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from isotherm.anomaly.threshold import false_alarms_above
from isotherm.core.errors import ChangedError, ConfigError, ConflictError, IsothermError, NotFoundError
from isotherm.store.ids import new_id
from isotherm.store.pieces import in_pieces
from isotherm.store.tables import Category, Feedback, Image, Inspection, ModelVersion, Site
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.audit import record
from isotherm.workflows.service.models import (
    ANOMALY,
    TRAINING_DATA,
    active_id,
    add_version,
    load_detector,
    stored_files,
    switch,
    training_data,
    write_files,
)
from isotherm.workflows.service.score_families import SCORES_OF, first_of, same_scores
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import check_note
from isotherm.workflows.service.testing_detectors import LABELS, held_out, numbers_at
from isotherm.workflows.service.testing_models import model_metrics

NORMAL, STRANGE, UNKNOWN = "normal", "strange", ""
MOST_SCORES = 5000


@dataclass(frozen=True)
class KnownScore:
    """The latest score of an image.

    Parameters
    ----------
    truth
        ``normal`` or ``strange`` by what people have said last, else by its category; empty where nobody has.
    learnt
        Whether the model has learnt from it, which makes its score too low.
    stale
        Whether it was judged by another threshold than that of now.
    """

    image_id: str
    name: str
    score: float
    truth: str
    learnt: bool
    stale: bool


@dataclass(frozen=True)
class Called:
    """How many scores lie above a threshold: of all images, of strange ones, of normal ones, and of those held out.

    ``alarms_low`` and ``alarms_high`` are the 95 % interval of the share of normal images that will be called, by those
    that were held out.
    """

    above: int
    of: int
    found: int
    of_strange: int
    false_alarms: int
    of_normal: int
    held_out: int
    of_held_out: int
    alarms_low: float
    alarms_high: float


@dataclass(frozen=True)
class ScorePreview:
    """What the threshold of a site's anomaly model does now and another one would do.

    Parameters
    ----------
    model
        The version at work.
    now, then
        Its threshold, and the one that is asked about.
    held_out
        The scores of the normal images that were held out while the model learnt.
    scores
        The newest images that have a score, at most `MOST_SCORES`.
    before, after
        What both make of those that the model has not learnt from.
    incomparable
        How many images have a latest score of another model, which says nothing of this one.
    """

    model: ModelVersion
    now: float
    then: float
    held_out: tuple[float, ...]
    scores: tuple[KnownScore, ...]
    before: Called
    after: Called
    incomparable: int

    @property
    def fresh(self) -> list[KnownScore]:
        """The images that the model has not learnt from."""
        return [each for each in self.scores if not each.learnt]

    @property
    def flips(self) -> list[KnownScore]:
        """The images whose verdict would be another one, those nearest to the threshold first."""
        low, high = sorted((self.now, self.then))
        return sorted(
            (each for each in self.scores if low < each.score <= high), key=lambda each: abs(each.score - self.then)
        )


def called(scores: Sequence[KnownScore], held: Sequence[float], threshold: float) -> Called:
    """Count what a threshold makes of scores; only above it is an image strange."""
    by_truth: dict[str, list[bool]] = defaultdict(list)
    for each in scores:
        by_truth[each.truth].append(each.score > threshold)
    alarms = false_alarms_above(np.sort(np.asarray(held, np.float32)), threshold)
    return Called(
        above=sum(sum(found) for found in by_truth.values()),
        of=len(scores),
        found=sum(by_truth[STRANGE]),
        of_strange=len(by_truth[STRANGE]),
        false_alarms=sum(by_truth[NORMAL]),
        of_normal=len(by_truth[NORMAL]),
        held_out=sum(score > threshold for score in held),
        of_held_out=len(held),
        alarms_low=alarms.low,
        alarms_high=alarms.high,
    )


def preview_scores(service: Service, actor: Actor, site_id: str, threshold: float | None = None) -> ScorePreview:
    """Return what another threshold (None: that of now) would change at a site; changes nothing.

    Raises
    ------
    NotFoundError
        No anomaly model is at work there.
    ConfigError
        The threshold is no finite number.
    """
    with service.database.read() as session:
        site = fetch(session, actor, Site, site_id)
        model = site.active_anomaly_model and session.get(ModelVersion, site.active_anomaly_model)
        if not model:
            raise NotFoundError("anomaly model at work at this site")
        family = same_scores(session, model)
        learnt = _learnt(service, model)
        scores = tuple(_scores(session, site, model, family=family, learnt=learnt))
        others = _latest(site, func.count()).where(Inspection.anomaly_model_id.not_in(family))
        incomparable = session.scalar(others) or 0
    now = float(model.metrics["threshold"])
    then = now if threshold is None else checked(threshold)
    held = tuple(float(score) for score in model.metrics["held_out"]["scores"])
    fresh = [each for each in scores if not each.learnt]
    before, after = (called(fresh, held, each) for each in (now, then))
    return ScorePreview(model, now, then, held, scores, before, after, incomparable)


def checked(threshold: object) -> float:
    """Return a threshold; raises ConfigError where it is no finite number."""
    sound = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not (sound and math.isfinite(threshold) and abs(threshold) < 1e30):  # type: ignore[arg-type]
        raise ConfigError(f"a threshold must be a finite number, as 27.5, not {str(threshold)[:40]!r}")
    return float(threshold)  # type: ignore[arg-type]


def _latest(site: Site, *columns: Any) -> Any:
    query = select(*columns).select_from(Image).join(Inspection, Inspection.id == Image.latest_inspection)
    return query.where(Image.site_id == site.id, Inspection.score.is_not(None))


def _scores(
    session: Session, site: Site, model: ModelVersion, *, family: frozenset[str], learnt: frozenset[str]
) -> Iterator[KnownScore]:
    query = _latest(
        site, Image.id, Image.digest, Image.name, Inspection.score, Inspection.anomaly_model_id, Category.name
    )
    query = query.outerjoin(Category, Category.id == Image.category_id).where(Inspection.anomaly_model_id.in_(family))
    rows = session.execute(query.order_by(Image.id.desc()).limit(MOST_SCORES)).all()
    said = _said(session, [row[0] for row in rows])
    for image_id, digest, name, score, by, category in rows:
        truth = _truth(said.get(image_id) or category, model)
        known = image_id in learnt or digest in learnt
        yield KnownScore(image_id, name, score, truth, learnt=known, stale=by != model.id)


def _said(session: Session, image_ids: Sequence[str]) -> dict[str, str]:
    """Return the category that people named last, of the images of which they named one."""
    found: dict[str, str] = {}
    for piece in in_pieces(image_ids):
        query = select(Feedback.image_id, Category.name).join(Category, Category.id == Feedback.category_id)
        query = query.where(Feedback.image_id.in_(piece)).order_by(Feedback.id)
        found |= {image_id: name for image_id, name in session.execute(query)}  # noqa: C416 (rows are no pairs)
    return found


def _truth(category: str | None, model: ModelVersion) -> str:
    if not category:
        return UNKNOWN
    return NORMAL if category.casefold() == str(model.card["normal"]).casefold() else STRANGE


def _learnt(service: Service, model: ModelVersion) -> frozenset[str]:
    """Return ids and sha256 of the images that a model has learnt from, as far as they are known."""
    try:
        rows: Iterable[Sequence[str]] = training_data(service, model)["train"]
    except IsothermError:
        return frozenset()
    return frozenset(each for row in rows for each in row[:2] if each)


def set_threshold(
    service: Service, actor: Actor, model_id: str, threshold: float, *, note: str = "", only_at_work: bool = False
) -> ModelVersion:
    """Make a version of an anomaly model with another threshold; needs the scope train.

    Where the model is at work, the new version takes its place. The limit of a pixel moves by the same factor.

    Parameters
    ----------
    only_at_work
        Refuse where the model is not at work any more.

    Raises
    ------
    ConfigError
        The threshold is no finite number, or the one that it has.
    ConflictError
        The model is a classifier.
    ChangedError
        It is not at work any more.
    """
    note = check_note(note)
    with service.database.read() as session:
        before = fetch(session, actor, ModelVersion, model_id, "train")
    if before.kind != ANOMALY:
        raise ConflictError("this is a classifier; its threshold is the setting min_confidence of the site")
    if checked(threshold) == before.metrics["threshold"]:
        raise ConfigError(f"{threshold:g} is the threshold of version {before.number} already")
    with service.database.apart():
        # One that is damaged is refused, though the request fails.
        load_detector(service, before)
    folder = Path(tempfile.mkdtemp(dir=service.folder / "scratch", prefix="model-"))
    try:
        how = f"set by {actor.name} in place of {before.metrics['threshold']:.6g}"
        calibration = _written(service, before, folder, float(threshold), how)
        stored = stored_files(service, folder / "new")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with service.database.write() as session:
        site = fetch(session, actor, Site, before.site_id, "train", lock=True)
        at_work = active_id(site, ANOMALY) == before.id
        if only_at_work and not at_work:
            raise ChangedError("another model has been put to work since this was read; read it again")
        version = _version(actor, before, calibration, note)
        add_version(session, version, stored)
        details = {"site": site.id, "number": version.number, "of": before.id, "from": before.metrics["threshold"]}
        record(session, actor, "model.threshold", version.id, details | {"to": float(threshold)})
        if at_work:
            switch(session, actor, site, version.id, ANOMALY)
    return version


def _written(service: Service, before: ModelVersion, folder: Path, threshold: float, how: str) -> dict[str, Any]:
    """Write the model's folder with another threshold below `folder`, and return what is known of its scores."""
    from isotherm.workflows.models import load_model, save_model

    old, new = folder / "old", folder / "new"
    old.mkdir()
    write_files(service, before, old)
    model = load_model(old)
    moved = replace(model, calibration=model.calibration.moved(threshold, how, "hand"))
    save_model(moved, new)
    (new / TRAINING_DATA).write_bytes(service.blobs.read(before.files[TRAINING_DATA]))
    return held_out(moved)


def _version(actor: Actor, before: ModelVersion, calibration: dict[str, Any], note: str) -> ModelVersion:
    test = numbers_at(before.metrics, calibration["threshold"])
    metrics = model_metrics(LABELS, {}, test)
    if test is None:
        metrics |= {"count": calibration["images"], "basis": "held-out"}
    notes = [each for each in before.card.get("notes", ()) if not each.startswith(("threshold:", _FLATTERS[:20]))]
    notes.append(f"threshold: {calibration['how']} (version {before.number})")
    if test is not None:
        notes.append(_FLATTERS)
    return ModelVersion(
        id=new_id(),
        site_id=before.site_id,
        kind=ANOMALY,
        method=before.method,
        card={**before.card, "notes": notes, "note": note, SCORES_OF: first_of(before)},
        metrics=metrics | {"held_out": calibration, "threshold": calibration["threshold"]},
        made_by=actor.name,
    )


_FLATTERS = "the threshold was set with the test images in view: their numbers are better than those of others will be"
