"""Measure a method, or a model, on labelled pictures: folds, models, scores, metrics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from isotherm import __version__
from isotherm.anomaly import ANOMALY_METHODS
from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.errors import DataError
from isotherm.core.files import sha256
from isotherm.core.progress import Progress, silent
from isotherm.datasets.label_table import some
from isotherm.datasets.layouts import LabelledImages, LayoutName, Sample, load_layout
from isotherm.datasets.splits import (
    Distinct,
    Fold,
    Protocol,
    distinct,
    fixed,
    kfold,
    leave_one_site_out,
    with_groups,
)
from isotherm.evaluation.cost import Costs
from isotherm.workflows.decisions import DecisionSettings, Order
from isotherm.workflows.evaluation_result import Evaluation, FoldRun, summed_up
from isotherm.workflows.judging import LabelledSource, judge
from isotherm.workflows.models import TrainedModel, load_model
from isotherm.workflows.threshold_choice import LabelledChoice
from isotherm.workflows.train import TrainSettings, fit_model


@dataclass(frozen=True)
class EvaluateSettings:
    """How labelled pictures are split and summed up."""

    # Both are literals by another name, which the rule cannot see through.
    layout: LayoutName = setting("auto", "how folders say what is normal; auto looks which one fits")  # noqa: RUF009
    protocol: Protocol = setting("fixed", "what is learnt from, and what is judged")  # noqa: RUF009
    folds: int = setting(5, "parts of kfold", low=2, high=100)
    train_share: float = setting(
        0.7, "share of the normal pictures to learn from, for fixed without a training part", low=0.05, high=0.95
    )
    resamples: int = setting(1000, "bootstrap resamples of the 95 % intervals", low=100, high=100_000)
    validation_share: float = setting(
        0.0,
        "share of the judged images that is set apart to choose the threshold of least cost and to fit a probability "
        "of a fault on; everything is reported on the rest",
        low=0.0,
        high=0.8,
    )
    order: Order = setting(  # noqa: RUF009
        "table", "what orders the images of a group for the detection delay: the column order of --groups, or names"
    )

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class MethodToJudge:
    """A method that learns anew in each fold."""

    name: str = "patchcore"
    config: object | None = None
    training: TrainSettings = field(default_factory=TrainSettings)
    labelled: LabelledChoice | None = None


@dataclass(frozen=True)
class ModelToJudge:
    """A model that has learnt already."""

    folder: Path


def evaluate(
    source: LabelledSource,
    subject: MethodToJudge | ModelToJudge,
    *,
    settings: EvaluateSettings | None = None,
    costs: Costs | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Evaluation:
    """Judge labelled pictures by models that have not learnt from them.

    Thresholds come from normal pictures held out of each fold's training part, never from judged ones. No two judged
    pictures are byte-identical.

    Parameters
    ----------
    source
        The labelled pictures.
    subject
        A method (one model is trained for each fold) or a trained model (every picture is judged but those it is known
        to have learnt from; the protocol does not matter).
    costs
        What misses and false alarms cost.
    seed
        Of the splits and of the bootstrap; the seed of training is in the subject's own settings.

    Raises
    ------
    DataError
        No layout fits, no normal picture, too few sites or groups for the protocol.
    """
    settings = settings or EvaluateSettings()
    images = load_layout(source.root, settings.layout, source.masks)
    if source.groups is not None:
        images = with_groups(images, source.groups)
    pictures = distinct(images)
    notes = [*images.notes, *pictures.notes]
    judged_by: MethodToJudge | TrainedModel
    if isinstance(subject, ModelToJudge):
        judged_by = load_model(subject.folder)
        fold, more = _model_fold(judged_by, images, pictures)
        folds, notes = [fold], [*notes, *more]
    else:
        samples, more = _apart_from(subject.labelled, pictures)
        folds, judged_by, notes = _folds(samples, settings, seed), subject, [*notes, *more]
    with_maps = any(sample.mask is not None for fold in folds for sample in fold.test)
    runs = [_run_fold(source, fold, judged_by, with_maps=with_maps, progress=progress) for fold in folds]
    heading = _heading(images, subject, settings, seed) | {"notes": notes}
    if isinstance(judged_by, TrainedModel):
        # So that the numbers can go with the model, and with no other.
        heading["subject"] |= {"manifest_sha256": judged_by.manifest["manifest_sha256"]}
    how = DecisionSettings(costs or Costs(), settings.order, settings.resamples, seed)
    return summed_up(runs, heading, settings.validation_share, how)


def _apart_from(labelled: LabelledChoice | None, pictures: Distinct) -> tuple[tuple[Sample, ...], list[str]]:
    """Leave out the pictures that thresholds are chosen on: they can neither be learnt from nor be judged."""
    if labelled is None:
        return pictures.samples, []
    chosen_on = set(labelled.pictures().digests.values())
    kept = tuple(sample for sample in pictures.samples if pictures.digests[sample.name] not in chosen_on)
    if len(kept) == len(pictures.samples):
        return kept, []
    if not any(sample.anomalous for sample in kept) or all(sample.anomalous for sample in kept):
        raise DataError("apart from the labelled pictures for the threshold too few are left to judge")
    return kept, [f"{len(pictures.samples) - len(kept)} pictures left out that thresholds are chosen on"]


def _folds(samples: Sequence[Sample], settings: EvaluateSettings, seed: int) -> list[Fold]:
    if settings.protocol == "leave-one-site-out":
        return leave_one_site_out(samples)
    if settings.protocol == "kfold":
        return kfold(samples, folds=settings.folds, seed=seed)
    return fixed(samples, train_share=settings.train_share, seed=seed)


def _model_fold(model: TrainedModel, images: LabelledImages, pictures: Distinct) -> tuple[Fold, list[str]]:
    """Return the pictures that a trained model may be judged on, and what to say about the others."""
    test = [sample for sample in pictures.samples if sample.part != "train"]
    learnt = _learnt_from(model, images, pictures)
    seen = [sample for sample in test if pictures.digests[sample.name] in learnt]
    fresh = tuple(sample for sample in test if pictures.digests[sample.name] not in learnt)
    if not fresh:
        raise DataError(
            f"the model has learnt from all {len(seen)} pictures, or has its threshold from them; "
            "there is nothing left to judge it on"
        )
    if seen:
        names = some(sample.name for sample in seen)
        return Fold("model", (), fresh), [
            f"{len(seen)} pictures left out that the model has learnt from, or has its threshold from: {names}"
        ]
    if learnt:
        return Fold("model", (), fresh), []
    return Fold("model", (), fresh), [
        "the model has not learnt from all normal pictures of this folder or of one of its sites; "
        "whether it has learnt from some of them is not known"
    ]


def _learnt_from(model: TrainedModel, images: LabelledImages, pictures: Distinct) -> frozenset[str]:
    """Return the digests of the pictures that a model has learnt from, as far as it says; empty where it does not.

    A manifest may list them (``image_digests``), and the labelled ones that a threshold or a head has learnt from. One
    that holds only the digest of the whole set is compared with what people learn from: all normal pictures of the
    folder, its training part, or one site's.
    """
    data = model.manifest.get("data", {})
    labelled = [data.get(part, {}).get("image_digests", ()) for part in ("labelled", "head")]
    listed = data.get("image_digests")
    if listed is not None:
        return frozenset(chain(listed, *labelled))
    normal = [sample for sample in images.samples if not sample.anomalous]
    candidates = [normal, [sample for sample in normal if sample.part == "train"]]
    candidates += [[sample for sample in normal if sample.site == site] for site in {each.site for each in normal}]
    for candidate in candidates:
        digests = [pictures.digests[sample.name] for sample in candidate]
        # As the training workflow digests a set (`NormalImages.digest`).
        if sha256("\n".join(sorted(digests)).encode()) == data.get("digest"):
            return frozenset(digests)
    return frozenset()


def _run_fold(
    source: LabelledSource, fold: Fold, subject: MethodToJudge | TrainedModel, *, with_maps: bool, progress: Progress
) -> FoldRun:
    def report(done: int, total: int, message: str) -> None:
        progress(done, total, f"{fold.name}: {message}")

    wall, cpu = time.perf_counter(), time.process_time()
    if isinstance(subject, MethodToJudge):
        method = ANOMALY_METHODS.get(subject.name)
        images = source.images(fold.train)
        model = fit_model(
            images,
            method,
            config=subject.config,
            settings=subject.training,
            labelled=subject.labelled,
            progress=report,
        )
    else:
        model = subject
    train_s, train_cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    judgement = judge(model, source.images(fold.test), fold=fold.name, with_maps=with_maps, progress=report)
    return FoldRun(fold, model, judgement, train_s, train_cpu_s)


def _heading(
    images: LabelledImages, subject: MethodToJudge | ModelToJudge, settings: EvaluateSettings, seed: int
) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "isotherm": __version__,
        "data": str(images.root),
        "layout": images.layout,
        "protocol": "model" if isinstance(subject, ModelToJudge) else settings.protocol,
        "subject": _describe(subject),
        "settings": to_mapping(settings),
        "seed": seed,
    }


def _describe(subject: MethodToJudge | ModelToJudge) -> dict[str, Any]:
    if isinstance(subject, ModelToJudge):
        return {"model": str(subject.folder)}
    config = subject.config if subject.config is not None else ANOMALY_METHODS.get(subject.name).config_type()
    return {"method": subject.name, "config": to_mapping(config), "training": to_mapping(subject.training)}
