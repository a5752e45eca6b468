"""Training of a site's anomaly model: what is normal is learnt from the images of one of its categories.

The threshold comes from normal images that were held out, as `isotherm train` does it; test images only say how good
the model is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy.orm import Session

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.method import NeedsWeights
from isotherm.core.config import from_mapping, setting, to_mapping, validate
from isotherm.core.errors import ConfigError, DataError, NotFoundError
from isotherm.jobs.context import JobContext
from isotherm.store.ids import new_id
from isotherm.store.tables import Job, ModelVersion, Site
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.labelled import LabelledImage, LabelledImages, labelled_images
from isotherm.workflows.service.models import ANOMALY, active_detector
from isotherm.workflows.service.seen import NEVER_SAW, seen_in
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import SiteSettings, settings_of
from isotherm.workflows.service.testing_detectors import LABELS, held_out, tested_detector
from isotherm.workflows.service.testing_models import Tested, fair_tests, model_metrics
from isotherm.workflows.service.training import (
    MODEL,
    beats,
    enqueue_training,
    made,
    telling,
    telling_tests,
)

if TYPE_CHECKING:
    from isotherm.core.scene import SceneEdit
    from isotherm.workflows.models import TrainedModel
    from isotherm.workflows.reading import Outcome

USUAL_CATEGORY = "normal"
LEAST_IMAGES = 2
FEW_IMAGES = 20
"""Below so many a threshold is little more than the highest of a few scores."""
CROSSFIT_BELOW = 100
"""Below so many, each image is scored by a model that has not seen it: a fifth of them would be fewer than the drift
watch needs, and a threshold by so few means little."""


def methods() -> list[str]:
    """Return the methods that learn without torch, the usual one first."""
    return [row.name for row in ANOMALY_METHODS.rows() if row.extra is None]


@dataclass(frozen=True)
class AnomalySettings:
    """How an anomaly model of a site is trained."""

    category: str = setting("", "the category whose images are normal; empty: the one called normal")
    method: str = setting("patchcore", "how strangeness is measured; only methods that learn without torch")
    image_size: int = setting(
        256, "side of a square of as many pixels as the network sees, a multiple of 32", low=64, high=1024
    )
    threshold_percentile: float = setting(
        99.0, "percentile of the scores of held-out normal images that becomes the threshold", low=50, high=100
    )
    use_feedback: bool = setting(True, "learn from feedback")
    activate: Literal["", "always", "better", "never"] = setting(
        "", "whether it takes over: always, only where it is better on the test images, never; empty: the site's"
    )
    seed: int = setting(0, "seed of everything random", low=0, high=2**31 - 1)
    note: str = setting("", "a remark that is kept with the model")

    def __post_init__(self) -> None:
        validate(self)
        ANOMALY_METHODS.row(self.method)
        if self.method not in methods():
            raise ConfigError(f"a server learns by {', '.join(methods())}; {self.method!r} needs torch")
        if self.image_size % 32:
            raise ConfigError(f"image_size must be a multiple of 32, not {self.image_size}")


def request_anomaly_training(
    service: Service,
    actor: Actor,
    site_id: str,
    settings: AnomalySettings | None = None,
    *,
    config: Mapping[str, Any] | None = None,
) -> Job:
    """Ask for a new anomaly model of a site; needs the scope train.

    Parameters
    ----------
    config
        Settings of the method itself that are not the default ones.

    Raises
    ------
    ConflictError
        The site is being trained, or is about to be.
    DataError
        The category has not two different training images.
    ConfigError, ModelError
        The method has no such setting; it needs weights that are not here.
    """
    settings = settings or AnomalySettings()
    given: Any = from_mapping(ANOMALY_METHODS.get(settings.method).config_type, config or {})
    if isinstance(given, NeedsWeights):
        given.check_weights()
    with service.database.read() as session:
        fetch(session, actor, Site, site_id, "train")
        _data(session, site_id, settings)
    asked = {"kind": ANOMALY, "settings": to_mapping(settings), "config": dict(config or {})}
    return enqueue_training(service, actor, site_id, asked)


@dataclass(frozen=True)
class _Data:
    """The normal images of a site to learn from, its test images, and the category that is normal."""

    category: str
    normal: tuple[LabelledImage, ...]
    test: tuple[LabelledImage, ...]
    notes: tuple[str, ...]


def _data(session: Session, site_id: str, settings: AnomalySettings) -> _Data:
    """Return what is learnt from, and tested with; what is common to all sites says nothing of this one."""
    known = labelled_images(session, site_id, use_feedback=settings.use_feedback)
    own = [each for each in known.train if not each.common]
    category = _category(own, settings)
    normal = tuple(each for each in own if each.label == category)
    different = len({each.digest for each in normal})
    if different < LEAST_IMAGES:
        raise DataError(
            f"the category {category!r} has {different} different training image(s) at this site; at least "
            f"{LEAST_IMAGES} are needed, and {FEW_IMAGES} for a threshold that means something. Those with some: "
            f"{_counted(known)}"
        )
    test = tuple(each for each in known.test if not each.common)
    few = f"{different} different normal images are few: the threshold may be far off" if different < FEW_IMAGES else ""
    notes = (note for note in (*known.notes, few) if note and not note.startswith("no training images"))
    return _Data(category, normal, test, tuple(notes))


def _category(own: Sequence[LabelledImage], settings: AnomalySettings) -> str:
    wanted = settings.category or USUAL_CATEGORY
    return next((each.label for each in own if each.label.casefold() == wanted.casefold()), wanted)


def _counted(known: LabelledImages) -> str:
    counts = Counter(each.label for each in known.train if not each.common)
    return ", ".join(f"{label!r} ({number})" for label, number in sorted(counts.items())[:20]) or "none"


@dataclass(frozen=True)
class _Task:
    """What a training job has to do."""

    site: Site
    own: SiteSettings
    settings: AnomalySettings
    data: _Data
    seen: Mapping[str, Any]

    @property
    def activate(self) -> str:
        return self.settings.activate or self.own.activate


def train_detector(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do a training job: learn, test, keep the files, then write the version and switch to it in one transaction."""
    if MODEL in context.finished_items():
        return context.item_result(MODEL)
    task = _task(service, context)

    def learn(folder: Path) -> tuple[ModelVersion, Tested]:
        model = _learnt(service, context, task, folder)
        tested = fair_tests(task.data.test, task.data.normal, (each.group for each in task.data.normal))
        test = _test(service, context, task, model, tested)
        return _version(context, task, model, tested=tested, test=test), tested

    return made(
        service,
        context,
        task.data.normal,
        learn,
        activate=task.activate,
        is_better=partial(_is_better, service, context, task),
    )


def _task(service: Service, context: JobContext) -> _Task:
    settings = from_mapping(AnomalySettings, context.payload["settings"])
    assert context.site_id is not None
    with service.database.read() as session:
        site = session.get(Site, context.site_id)
        if site is None:
            raise NotFoundError("site", context.site_id)
        data = _data(session, site.id, settings)
        return _Task(site, settings_of(site), settings, data, seen_in(session, [each.image_id for each in data.normal]))


@dataclass(frozen=True)
class _StoredImages:
    """Images of the server, decoded whenever they are asked for (an `isotherm.workflows.normals.ImageSource`)."""

    images: Sequence[tuple[Path, str]]
    edit: SceneEdit

    def __len__(self) -> int:
        return len(self.images)

    def outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        """Read these images in the order given."""
        from isotherm.workflows.reading import Input, read_inputs

        # Each of these files has been decoded by a child with limits when it was taken in.
        return read_inputs([Input(*self.images[index]) for index in indices], edit=self.edit, jobs=1)


def _learnt(service: Service, context: JobContext, task: _Task, out: Path) -> TrainedModel:
    from isotherm.workflows.train import TrainSettings, train

    normal = task.data.normal
    context.log(f"{task.settings.method}: {len(normal)} images of {task.data.category!r}")
    images = _StoredImages([(service.blobs.fetched(each.digest), each.name) for each in normal], task.own.scene())
    config_type = ANOMALY_METHODS.get(task.settings.method).config_type
    return train(
        images,
        out,
        method_name=task.settings.method,
        config=from_mapping(config_type, context.payload.get("config") or {}),
        settings=TrainSettings(
            image_size=task.settings.image_size,
            threshold_percentile=task.settings.threshold_percentile,
            crossfit_below=CROSSFIT_BELOW,
            seed=task.settings.seed,
        ),
        progress=telling(context),
    )


def _test(
    service: Service, context: JobContext, task: _Task, model: TrainedModel, tested: Tested
) -> dict[str, Any] | None:
    if not tested.images:
        context.log("no test images: how many anomalies it finds is not known")
    return tested_detector(service, model, tested, task.data.category, task.own, step=telling_tests(context))


def _version(
    context: JobContext, task: _Task, model: TrainedModel, *, tested: Tested, test: dict[str, Any] | None
) -> ModelVersion:
    manifest, data = model.manifest, task.data
    calibration, unseen = held_out(model), _never_saw(data, tested)
    notes = [*data.notes, *tested.notes, f"threshold: {calibration['how']}", unseen]
    if test is None:
        notes.append("no test images: how many anomalies it finds is not known")
    return ModelVersion(
        id=new_id(),
        site_id=task.site.id,
        kind=ANOMALY,
        method=model.method,
        card={
            "normal": data.category,
            "settings": to_mapping(task.settings),
            "site_settings": to_mapping(task.own),
            "notes": notes,
            NEVER_SAW: unseen,
            "note": task.settings.note,
            "data": {"train": len(data.normal), "test": len(tested.images), **manifest["data"], "image_digests": []},
            "seen": task.seen,
            "versions": manifest.get("versions", {}),
        },
        metrics=_metrics(calibration, test),
        job_id=context.job_id,
        made_by=context.created_by,
    )


def _metrics(calibration: Mapping[str, Any], test: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is kept with a version: a test's numbers in the form of a classifier's, and the threshold."""
    found = model_metrics(LABELS, {}, test)
    if test is None:
        found |= {"count": calibration["images"], "basis": "held-out"}
    return found | {"held_out": dict(calibration), "threshold": calibration["threshold"]}


def _never_saw(data: _Data, tested: Tested) -> str:
    others = sorted({each.label for each in tested.images} - {data.category})
    unseen = f"; of faults it was tested with {', '.join(others)}" if others else "; no fault was there to test it with"
    return (
        f"it has learnt from images of {data.category!r} of this site alone: what they do not show (another camera, "
        f"view, season or load) scores high, fault or not{unseen}"
    )


def _is_better(service: Service, context: JobContext, task: _Task, version: ModelVersion, tested: Tested) -> bool:
    """Say whether a new version is right on more of the test images than the active one."""
    active = active_detector(service, task.site.id)
    if active is None:
        return True
    ask = partial(tested_detector, service, active[1], tested, task.data.category, task.own)
    return beats(context, version, tested, partial(ask, step=telling_tests(context)))
