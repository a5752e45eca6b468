"""Learn what normal looks like: normal images in, a model with thresholds out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.anomaly import ANOMALY_METHODS
from isotherm.anomaly.channels import ChannelNames
from isotherm.anomaly.inputs import InputChoices, OverlayChoice, SpanName
from isotherm.anomaly.method import AnomalyMethod, Detector, NeedsWeights
from isotherm.anomaly.threshold import Rule, ScoreCalibration, calibrate, keep_within
from isotherm.core.config import setting, to_mapping, validate
from isotherm.core.errors import ConfigError, DataError, UsageError
from isotherm.core.processes import is_first_process
from isotherm.core.progress import Progress, silent
from isotherm.core.thermogram import Thermogram
from isotherm.runtime.bundle import check_target
from isotherm.workflows.models import TrainedModel, at_once, load_model, save_model, score_pictures
from isotherm.workflows.normals import FolderImages, ImageSource, NormalImages, ThermogramImages, gather
from isotherm.workflows.threshold_choice import LabelledChoice, choose_by_labels
from isotherm.workflows.versions import installed

__all__ = [
    "FolderImages",
    "ImageSource",
    "LabelledChoice",
    "TrainSettings",
    "TrainedModel",
    "fit_model",
    "load_model",
    "save_model",
    "train",
]

SIZE_STEP = 32
"""The networks halve their input five times."""
MAX_FOLDS = 5


@dataclass(frozen=True)
class TrainSettings:
    """What training needs to know beside the method's own configuration."""

    image_size: int = setting(
        256,
        "side of a square of as many pixels as the network input, a multiple of 32; the aspect ratio of the "
        "training set is kept",
        low=64,
        high=1024,
    )
    canvas_size: int = setting(
        0,
        "the same for the size that pictures are brought to; above image_size they are cut into overlapping tiles "
        "(0: as image_size)",
        low=0,
        high=4096,
    )
    span: SpanName = setting(  # noqa: RUF009
        "training",
        "the temperatures that become 0 and 1: low and high ones of the training set, of each image (takes the weather "
        "out, and with it how hot an image is as a whole), or of its site (first folder of its name; the image's own "
        "for a site never seen)",
    )
    channels: ChannelNames = setting(  # noqa: RUF009
        "grey",
        "what the network sees: the image three times (grey; RGB where it has colours), or image, local contrast and "
        "gradient (local)",
    )
    ignore_overlays: OverlayChoice = setting(  # noqa: RUF009
        "auto",
        "leave out what is drawn into images (logos, read-outs, markers, scales, frames): auto does so in pictures "
        "without temperatures",
    )
    seed: int = setting(0, "seed of everything random; the same seed gives the same model", low=0, high=2**31 - 1)
    # A literal by another name, which the rule cannot see through.
    threshold: Rule = setting(  # noqa: RUF009
        "percentile",
        "how the threshold is chosen: a percentile of held-out normal scores, a budget of false alarms on them, or "
        "labelled images",
    )
    threshold_percentile: float = setting(
        99.0, "percentile of the held-out normal scores that becomes the threshold (percentile)", low=50.0, high=100.0
    )
    false_alarms: float = setting(
        0.01, "share of normal images that may be called anomalies (budget)", low=1e-5, high=0.5
    )
    confidence: float = setting(0.95, "how sure that share must be kept (budget)", low=0.5, high=0.9999)
    holdout: float = setting(0.2, "share of the normal images that is held out for the threshold", low=0.05, high=0.5)
    crossfit_below: int = setting(
        50, "below so many normal images, all are scored by models that have not seen them", low=0, high=100_000
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.image_size % SIZE_STEP:
            raise ConfigError(f"TrainSettings: image_size must be a multiple of {SIZE_STEP}, not {self.image_size}")

    def input_choices(self) -> InputChoices:
        """Return how images become network inputs."""
        return InputChoices(self.span, self.channels, self.ignore_overlays)


def train(
    normals: Path | ImageSource,
    model_dir: Path,
    *,
    method_name: str = "patchcore",
    config: object | None = None,
    settings: TrainSettings | None = None,
    labelled: LabelledChoice | None = None,
    progress: Progress = silent,
) -> TrainedModel:
    """Learn from a folder of normal images and write the model's folder.

    Of processes that learn together (`isotherm.nn.together`) the first one writes.

    Parameters
    ----------
    normals
        A folder, or a `FolderImages` where scene edits, hints or threads matter. Unreadable files are left out and
        listed in the manifest (``skipped``).
    model_dir
        Where the model is written, whole or not at all; an older model there is replaced.
    method_name, config
        A name of `ANOMALY_METHODS` and its configuration (None: the defaults).
    labelled
        Labelled pictures for the threshold rule ``labels``.

    Raises
    ------
    DataError
        Empty folder, nothing readable, fewer than two different images, or temperatures and pictures mixed.
    OutputError
        `model_dir` holds something that is no model, or cannot be written.
    """
    method = ANOMALY_METHODS.get(method_name)
    check_target(model_dir)
    source = FolderImages(normals) if isinstance(normals, Path) else normals
    model = fit_model(source, method, config=config, settings=settings, labelled=labelled, progress=progress)
    if is_first_process():
        save_model(model, model_dir)
    return model


def fit_model(
    images: ImageSource | Sequence[Thermogram],
    method: AnomalyMethod,
    *,
    config: object | None = None,
    settings: TrainSettings | None = None,
    labelled: LabelledChoice | None = None,
    progress: Progress = silent,
) -> TrainedModel:
    """Learn from normal images and choose the thresholds from normal images that the detector has not seen.

    With fewer than ``crossfit_below`` images each is scored by a model fitted without it (up to five folds), and the
    final model learns from all; otherwise a share is held out, and the final model learns from the rest. Byte-identical
    images are never on both sides. With the rule ``labels`` the thresholds are then moved to what labelled pictures
    say; the held-out scores still tell how many false alarms to expect.

    Raises
    ------
    DataError
        Nothing readable, fewer than two different images, temperatures and pictures mixed, or labelled pictures of one
        class only.
    UsageError
        The rule ``labels`` without labelled pictures, or these without that rule.
    """
    settings = settings or TrainSettings()
    _check_labelled(settings, labelled)
    config = config if config is not None else method.config_type()
    if isinstance(config, NeedsWeights):
        config.check_weights()
    source = images if isinstance(images, ImageSource) else ThermogramImages(images)
    normals = gather(source, (settings.image_size, settings.canvas_size), progress, choices=settings.input_choices())
    trainer = _Trainer(normals, method, config, settings.seed, progress)
    detector, calibration, fitted_on = _learn(trainer, settings)
    model = TrainedModel(
        detector=detector,
        method=method.name,
        config=config,
        inputs=normals.spec,
        calibration=calibration,
        manifest=_manifest(normals, settings, fitted_on=fitted_on, held_out=calibration.scores.size),
    )
    return choose_by_labels(model, labelled, progress) if labelled else model


def _check_labelled(settings: TrainSettings, labelled: LabelledChoice | None) -> None:
    if settings.threshold == "labels" and labelled is None:
        raise UsageError("the threshold rule 'labels' needs labelled images: name their folder (--labelled DIR)")
    if labelled is None:
        return
    if settings.threshold != "labels":
        raise UsageError(f"labelled images are for the threshold rule 'labels', not for {settings.threshold!r}")
    # Before the work: whether there are any.
    labelled.pictures()


@dataclass(frozen=True)
class _Trainer:
    """Fits on some normal images and scores others."""

    normals: NormalImages
    method: AnomalyMethod
    config: object
    seed: int
    progress: Progress

    def fit(self, members: Sequence[int], stage: str) -> Detector:
        """Fit on these images; `stage` opens the progress messages."""

        def report(done: int, total: int, message: str) -> None:
            self.progress(done, total, f"{stage}: {message}" if stage else message)

        return self.method.fit(self.normals.subset(members), self.config, self.seed, report)

    def scores(self, detector: Detector, members: Sequence[int]) -> Iterator[tuple[float, float]]:
        """Yield each image's score, and the largest value of its map at the picture's own size."""
        spec = self.normals.spec
        step = at_once(spec)
        for start in range(0, len(members), step):
            part = members[start : start + step]
            sizes = [self.normals.normals[member].size for member in part]
            inputs = [spec.inputs(shrunk) for shrunk in self.normals.shrunk(part)]
            for (score, values, _), size in zip(score_pictures(detector, spec, inputs, sizes), sizes, strict=True):
                yield score, float(spec.restore_map(values, size).max())


def _learn(trainer: _Trainer, settings: TrainSettings) -> tuple[Detector, ScoreCalibration, int]:
    groups = _groups(trainer.normals)
    if len(groups) < 2:
        raise DataError(
            f"{len(trainer.normals)} usable normal image(s), {len(groups)} of them different; at least 2 are needed, "
            "one to learn from and one to choose the threshold with"
        )
    order = np.random.default_rng(settings.seed).permutation(len(groups))
    groups = [groups[place] for place in order]
    if len(trainer.normals) < settings.crossfit_below:
        return _cross_fit(trainer, groups, settings)
    return _hold_out(trainer, groups, settings)


def _cross_fit(
    trainer: _Trainer, groups: list[list[int]], settings: TrainSettings
) -> tuple[Detector, ScoreCalibration, int]:
    everything = range(len(trainer.normals))
    folds = [sorted(chain(*groups[start::MAX_FOLDS])) for start in range(min(MAX_FOLDS, len(groups)))]
    scores: list[tuple[float, float]] = []
    for number, fold in enumerate(folds, start=1):
        rest = [member for member in everything if member not in fold]
        detector = trainer.fit(rest, f"fold {number}/{len(folds)}")
        scores.extend(trainer.scores(detector, fold))
    held_out = (
        f"{len(scores)} normal images, each scored by a model that had not seen it ({len(folds)} folds); "
        "the final model has learnt from all of them"
    )
    return trainer.fit(everything, ""), _calibrate(scores, settings, held_out), len(everything)


def _hold_out(
    trainer: _Trainer, groups: list[list[int]], settings: TrainSettings
) -> tuple[Detector, ScoreCalibration, int]:
    count = min(len(groups) - 1, max(1, round(settings.holdout * len(groups))))
    held, rest = (sorted(chain(*part)) for part in (groups[:count], groups[count:]))
    detector = trainer.fit(rest, "")
    held_out = f"{len(held)} normal images that the model has not learnt from ({settings.holdout:.0%}, drawn at random)"
    calibration = _calibrate(list(trainer.scores(detector, held)), settings, held_out)
    return detector, calibration, len(rest)


def _calibrate(scores: list[tuple[float, float]], settings: TrainSettings, held_out: str) -> ScoreCalibration:
    image, maxima = np.asarray(scores, dtype=np.float32).T
    if settings.threshold == "budget":
        return keep_within(image, maxima, settings.false_alarms, confidence=settings.confidence, held_out=held_out)
    return calibrate(image, maxima, settings.threshold_percentile, held_out=held_out)


def _groups(normals: NormalImages) -> list[list[int]]:
    """Gather byte-identical images, so that they stay on one side of every split."""
    groups: dict[str, list[int]] = {}
    for member, normal in enumerate(normals.normals):
        groups.setdefault(normal.digest, []).append(member)
    return list(groups.values())


def _manifest(normals: NormalImages, settings: TrainSettings, *, fitted_on: int, held_out: int) -> dict[str, Any]:
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": installed("isotherm", "numpy", "openvino", "pillow", "torch"),
        "settings": to_mapping(settings),
        "data": {
            "digest": normals.digest,
            # So that an evaluation can leave out what the model has seen.
            "image_digests": sorted({item.digest for item in normals.normals}),
            "images": len(normals),
            "different_images": len(_groups(normals)),
            "fitted_on": fitted_on,
            "held_out": held_out,
            "skipped": [asdict(item) for item in normals.skipped],
        },
    }
