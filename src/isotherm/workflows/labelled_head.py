"""A model learns from labelled pictures which of the unusual is faulty (`isotherm.anomaly.head`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64

from isotherm.anomaly.head import HeadedDetector, features_of, fit_head
from isotherm.anomaly.method import Inputs
from isotherm.anomaly.threshold import ScoreCalibration, calibrate
from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.errors import DataError, UsageError
from isotherm.core.progress import Progress, silent
from isotherm.datasets.layouts import Sample, load_layout
from isotherm.datasets.splits import distinct
from isotherm.runtime.bundle import check_target
from isotherm.workflows.judging import LabelledSource, SampleImages
from isotherm.workflows.models import TrainedModel, at_once, load_model, save_model, together

Rows = Float64[np.ndarray, "N D"]
Labels = Bool[np.ndarray, " N"]


@dataclass(frozen=True)
class HeadSettings:
    """How a head learns."""

    penalty: float = setting(3.0, "weight of the L2 penalty; more where labelled images are few", low=1e-3, high=1e6)
    folds: int = setting(5, "parts; each is scored by a head that learnt from the others", low=2, high=100)
    threshold_percentile: float = setting(
        99.0, "percentile of these scores of normal images that becomes the threshold", low=50.0, high=100.0
    )
    seed: int = setting(0, "seed of the parts", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        validate(self)


def add_head(
    model_dir: Path,
    labelled: LabelledSource,
    out: Path,
    *,
    settings: HeadSettings | None = None,
    progress: Progress = silent,
) -> TrainedModel:
    """Write a copy of a model whose score is that of a head learnt from labelled pictures.

    Pictures that the model has learnt from are left out: their scores would look too normal.

    Raises
    ------
    DataError
        No layout fits, fewer than two usable pictures of a class, or a picture cannot be read.
    UsageError
        The model cuts pictures into tiles, or has a head already.
    """
    check_target(out)
    model = load_model(model_dir)
    pictures = distinct(load_layout(labelled.root, masks=labelled.masks))
    learnt = set(model.manifest.get("data", {}).get("image_digests", ()))
    fresh = [sample for sample in pictures.samples if pictures.digests[sample.name] not in learnt]
    headed = learn_head(model, labelled.images(fresh), settings=settings, progress=progress)
    digests = sorted(pictures.digests[sample.name] for sample in fresh)
    data = {**headed.manifest["data"], "head": {**headed.manifest["data"]["head"], "image_digests": digests}}
    headed = replace(headed, manifest={**headed.manifest, "data": data})
    save_model(headed, out)
    return headed


def learn_head(
    model: TrainedModel, images: SampleImages, *, settings: HeadSettings | None = None, progress: Progress = silent
) -> TrainedModel:
    """Return the model with a head learnt from these pictures, none of which it may have learnt from.

    The threshold is a percentile of normal pictures scored by heads that have not seen them (nor pictures of their
    group). The map and its threshold stay the detector's.
    """
    settings = settings or HeadSettings()
    _check(model)
    features, labels, groups = _features(model, images, progress)
    for name, count in (("normal", int((~labels).sum())), ("faulty", int(labels.sum()))):
        if count < 2:
            raise DataError(f"{images.root}: {count} {name} pictures to learn a head from; at least 2 are needed")
    calibration = _calibrated(features, labels, groups, settings=settings, before=model.calibration)
    head = fit_head(features, labels, settings.penalty)
    record = {
        "folder": str(images.root),
        "normal": int((~labels).sum()),
        "faulty": int(labels.sum()),
        "settings": to_mapping(settings),
    }
    data = {**model.manifest.get("data", {}), "head": record}
    return replace(
        model,
        detector=HeadedDetector(model.detector, head),
        calibration=calibration,
        manifest={**model.manifest, "data": data},
    )


def _check(model: TrainedModel) -> None:
    if len(model.inputs.frame.tiles) > 1:
        raise UsageError("a head looks at whole pictures, but this model cuts them into tiles (train without tiles)")
    if isinstance(model.detector, HeadedDetector):
        raise UsageError("this model has a head already; learn the new one from the model without it")


def _features(model: TrainedModel, images: SampleImages, progress: Progress) -> tuple[Rows, Labels, list[str]]:
    """Return what a head looks at, the labels, and the group of each picture."""
    rows: list[Rows] = []
    samples: list[Sample] = []
    usable = _inputs(model, images)
    while batch := list(islice(usable, at_once(model.inputs))):
        inputs = together([each for _, each in batch])
        rows.append(features_of(inputs, model.detector.predict(inputs).scores))
        samples += [sample for sample, _ in batch]
        progress(len(samples), len(images), "labelled images")
    if not rows:
        raise DataError(f"{images.root}: no picture that the model has not learnt from")
    labels = np.array([sample.anomalous for sample in samples], dtype=np.bool_)
    return np.concatenate(rows), labels, [sample.group or sample.name for sample in samples]


def _inputs(model: TrainedModel, images: SampleImages) -> Iterator[tuple[Sample, Inputs]]:
    for sample, outcome in images.all():
        if outcome.thermogram is None:
            raise DataError(f"{images.root}: the labelled picture {sample.name} cannot be read: {outcome.error}")
        yield sample, model.inputs.prepare(outcome.thermogram)


def _calibrated(
    features: Rows, labels: Labels, groups: Sequence[str], *, settings: HeadSettings, before: ScoreCalibration
) -> ScoreCalibration:
    """Choose the threshold by cross-fitting over groups of pictures."""
    scores = cross_fitted(features, labels, groups, settings)[~labels]
    held_out = f"{scores.size} labelled normal images, each scored by a head that had not seen it"
    found = calibrate(scores, scores, settings.threshold_percentile, held_out=held_out)
    return replace(found, pixel_threshold=before.pixel_threshold, map_maxima=before.map_yardstick())


def cross_fitted(
    features: Rows, labels: Labels, groups: Sequence[str], settings: HeadSettings
) -> Float64[np.ndarray, " N"]:
    """Return the log-odds of each picture by a head that has learnt from the other parts.

    Whole groups go to a part; those with a fault are dealt out first, so that each part gets some.
    """
    part = _parts(labels, groups, settings)
    scores = np.empty(len(labels))
    for number in np.unique(part):
        rest = part != number
        if not (labels[rest].any() and (~labels[rest]).any()):
            raise DataError("the labelled pictures are too few groups to hold some out of each class")
        scores[~rest] = fit_head(features[rest], labels[rest], settings.penalty).log_odds(features[~rest])
    return scores


def _parts(labels: Labels, groups: Sequence[str], settings: HeadSettings) -> np.ndarray:
    names = sorted(set(groups))
    of = np.array([names.index(group) for group in groups])
    faulty = np.array([bool(labels[of == number].any()) for number in range(len(names))])
    shuffled = np.random.default_rng(settings.seed).permutation(len(names))
    order = np.concatenate([shuffled[faulty[shuffled]], shuffled[~faulty[shuffled]]])
    part = np.empty(len(names), np.int64)
    part[order] = np.arange(len(names)) % min(settings.folds, len(names))
    dealt: np.ndarray = part[of]
    return dealt
