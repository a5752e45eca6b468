"""``/api/make_model``: teach a temple's classifier as a job, and leave its files where that API has them."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from isotherm.core.errors import ConflictError, DataError, IsothermError, NotFoundError
from isotherm.jobs.context import JobContext
from isotherm.runtime.bundle import read_parts
from isotherm.store.tables import Category, Image, Job, ModelVersion
from isotherm.workflows.compat.config import CompatConfig
from isotherm.workflows.compat.folders import write_below
from isotherm.workflows.compat.requests import MakeModel
from isotherm.workflows.compat.weights import files_of
from isotherm.workflows.service.access import LOCAL, Actor
from isotherm.workflows.service.models import active_classifier, load, write_files
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import get_site, site_named
from isotherm.workflows.service.training import FILES_TO, TrainSettings, request_training, train

UNFINISHED = ("queued", "running")
LEAST_CATEGORIES = 2
LEAST_SIDE_PX, MOST_SIDE_PX = 32, 160
"""The network's input has no fewer pixels than a square of the one, unless the pictures have, and no more than of the
other: a twentieth of a thermal picture is too little, and of a photo too much for a processor."""


@dataclass
class Flags:
    """How far the making of a model has come; all are in every answer."""

    got_training_data_flag: bool = False
    got_testing_data_flag: bool = False
    made_model_architecture_flag: bool = False
    trained_model_flag: bool = False
    tested_model_flag: bool = False
    saved_model_flag: bool = False


def begin(service: Service, actor: Actor, config: CompatConfig, request: MakeModel, flags: Flags) -> str:
    """Queue the training of a temple's model and return the id of the job.

    Raises
    ------
    NotFoundError
        There is no such temple.
    ConflictError
        It has a model and the request is not forceful, or it is being trained.
    DataError
        Fewer than two categories have a training image; the message counts them.
    """
    try:
        site = site_named(service, actor, request.temple_id)
    except NotFoundError as error:
        raise NotFoundError("temple", request.temple_id) from error
    counts = _counts(service, site.id, "train")
    flags.got_training_data_flag = len(counts) >= LEAST_CATEGORIES
    flags.got_testing_data_flag = bool(_counts(service, site.id, "test"))
    if not request.forceful and active_classifier(service, site.id) is not None:
        raise ConflictError(f"temple {request.temple_id!r} has a model already; forceful makes another")
    if not flags.got_training_data_flag:
        held = ", ".join(f"{name!r} ({count})" for name, count in counts.items()) or "none"
        raise DataError(f"at least {LEAST_CATEGORIES} categories need a training image each; those with one: {held}")
    settings = TrainSettings(
        method=config.settings.network, image_size=_side(service, config, site.id), activate="always"
    )
    given = {"epochs": config.settings.epochs} if config.settings.network == "small_cnn" else {}
    models = str(config.models_path.absolute())
    return request_training(service, actor, site.id, settings, config=given, files_to=models).id


def is_over(service: Service, job_id: str) -> bool:
    """Say whether a training has ended, well or not."""
    return _job(service, job_id).state not in UNFINISHED


def end(service: Service, job_id: str, flags: Flags) -> None:
    """Set the flags by how a training went.

    Raises
    ------
    DataError
        It has failed, or its files could not be written; the message says why.
    """
    job = _job(service, job_id)
    version = _version(service, job_id)
    flags.made_model_architecture_flag = flags.trained_model_flag = version is not None
    flags.tested_model_flag = bool(flags.got_testing_data_flag and version and version.metrics)
    flags.saved_model_flag = job.state == "succeeded"
    if not flags.saved_model_flag:
        raise DataError(f"the training has {_ENDS.get(job.state, job.state)}: {job.error or 'no reason is known'}")


def train_and_export(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do a training job, and write its model's files where they were asked for; tried again, it writes them only."""
    result = train(service, context)
    folder, version = context.payload.get(FILES_TO), _version(service, context.job_id)
    if folder and version is not None:
        export(service, Path(folder), version)
    return result


def export(service: Service, folder: Path, version: ModelVersion) -> None:
    """Write architecture, weights and labels of a model version below a folder, in that of its site."""
    name = get_site(service, LOCAL, version.site_id).name
    classifier = load(service, version)
    with tempfile.TemporaryDirectory(dir=service.folder / "scratch") as whole:
        write_files(service, version, Path(whole))
        _, arrays, network = read_parts(Path(whole))
    facts = {
        "method": version.method,
        "labels": list(classifier.labels),
        "input_shape": _input_shape(classifier),
        "temperature": classifier.temperature.value,
        "min_confidence": classifier.min_confidence,
        "model_version": version.number,
        "model_id": version.id,
    }
    for file, data in files_of(arrays, network, facts).items():
        write_below(folder, (name, file), data)


def _input_shape(classifier: Any) -> list[int]:
    """Return H, W and channels of what a network sees."""
    frame = classifier.inputs.frame
    return [frame.size[0], frame.size[1], 3]


def _counts(service: Service, site_id: str, split: str) -> dict[str, int]:
    """Return how many images of a part each category has; those of all sites count for training only."""
    own = Image.site_id == site_id
    wanted = own | Image.site_id.is_(None) if split == "train" else own
    query = (
        select(Category.name, func.count())
        .join(Image, Image.category_id == Category.id)
        .where(wanted, Image.split == split)
        .group_by(Category.name)
        .order_by(Category.name)
    )
    with service.database.read() as session:
        return {name: count for name, count in session.execute(query)}  # noqa: C416 (rows unpack, dict() wants tuples)


def _side(service: Service, config: CompatConfig, site_id: str) -> int:
    """Return the side of the network's input by the size of the first training image; 0: as the method wants."""
    if config.settings.network != "small_cnn":
        return 0
    return input_side_px(_first_size(service, site_id), config.settings.scale_factor)


def input_side_px(size: tuple[int, int], scale_factor: float) -> int:
    """Return the side of the square with as many pixels as the network sees, for first images of H x W."""
    whole = math.sqrt(size[0] * size[1])
    return max(1, round(min(whole, max(LEAST_SIDE_PX, min(MOST_SIDE_PX, whole * scale_factor)))))


def _first_size(service: Service, site_id: str) -> tuple[int, int]:
    """Return H and W of the first training image: the temple's own, else one that is common to all."""
    query = (
        select(Image.height, Image.width)
        .where((Image.site_id == site_id) | Image.site_id.is_(None), Image.split == "train")
        .order_by(Image.site_id.is_(None), Image.id)
        .limit(1)
    )
    with service.database.read() as session:
        height, width = session.execute(query).one()
    return height, width


def _job(service: Service, job_id: str) -> Job:
    with service.database.read() as session:
        job = session.get(Job, job_id)
    if job is None:
        raise IsothermError("the training has been removed")
    return job


def _version(service: Service, job_id: str) -> ModelVersion | None:
    """Return the model version that a job has left."""
    with service.database.read() as session:
        return session.scalar(select(ModelVersion).where(ModelVersion.job_id == job_id))


_ENDS = {"failed": "failed", "cancelled": "been cancelled", "dead": "been given up"}
