"""Teach a classifier: labelled pictures (or their features) in, a model folder out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from isotherm.classification import CLASSIFIERS
from isotherm.classification.calibration import LEAST_HELD_OUT, Temperature
from isotherm.classification.method import ClassifierMethod, Examples, Fitted, Labels, NeedsExtra
from isotherm.classification.openset import OpenSet, fit_open_set
from isotherm.core.config import setting, to_mapping
from isotherm.core.errors import DataError, UsageError
from isotherm.core.processes import is_first_process
from isotherm.core.progress import Progress, silent
from isotherm.core.scratch import scratch_folder
from isotherm.runtime.bundle import check_target
from isotherm.workflows.classify_data import (
    LabelledPicture,
    Sides,
    check_label,
    counted,
    group_numbers,
    split_rows,
)
from isotherm.workflows.classify_judging import judged
from isotherm.workflows.classify_model import (
    MIN_CONFIDENCE,
    NO_CATEGORY,
    Classified,
    Rejection,
    TrainedClassifier,
    load_classifier,
    save_classifier,
)
from isotherm.workflows.classify_rows import (
    Fixed,
    LabelledRows,
    Look,
    LookSettings,
    Reading,
    gathered,
    rows_of,
)
from isotherm.workflows.normals import Skipped
from isotherm.workflows.versions import installed

__all__ = [
    "NO_CATEGORY",
    "Classified",
    "ClassifySettings",
    "LabelledPicture",
    "Rejection",
    "TrainedClassifier",
    "load_classifier",
    "train_classifier",
]

METHOD = "logistic"
OpenSetChoice = Literal["mahalanobis", "knn", "off"]


@dataclass(frozen=True)
class ClassifySettings(LookSettings):
    """What training needs to know beside the method."""

    image_size: int = setting(
        0,
        "side of the square with as many pixels as each picture is given; 0: what the method is made for (224, or for "
        "small_cnn as many as the pictures have)",
        low=0,
        high=4096,
    )
    min_confidence: float = setting(
        MIN_CONFIDENCE, f"below this probability the answer is '{NO_CATEGORY}'", low=0.0, high=1.0
    )
    open_set: OpenSetChoice = setting(  # noqa: RUF009
        "mahalanobis",
        "how images unlike all that was learnt are told: by the distance to the nearest category, to the nearest "
        "learnt images (knn), or not at all (off)",
    )
    reject_unknown: bool = setting(True, f"answer '{NO_CATEGORY}' for images unlike all that was learnt")
    open_set_percentile: float = setting(
        99.0, "percentile of held-out distances that becomes the limit", low=50.0, high=100.0
    )
    test_share: float = setting(
        0.0, "share of the images held out to test with, where none are marked as such", low=0.0, high=0.5
    )
    common_in_testing: bool = setting(False, "test with the images of the shared collection too")
    seed: int = setting(0, "seed of everything random; the same seed gives the same model", low=0, high=2**31 - 1)


def train_classifier(
    pictures: Sequence[LabelledPicture] | LabelledRows,
    out: Path,
    *,
    method: str = METHOD,
    config: object | None = None,
    settings: ClassifySettings | None = None,
    reading: Reading | None = None,
    progress: Progress = silent,
) -> TrainedClassifier:
    """Learn categories and write the model's folder.

    Files that cannot be read are left out and listed in the manifest (``data.skipped``). Probabilities are calibrated
    and the limit of the unknown is chosen on pictures that were not learnt from, never on those of the part ``test``.
    Of processes that learn together (`isotherm.nn.together`) the first one writes.

    Parameters
    ----------
    pictures
        Pictures, or their features (`isotherm.workflows.classify_features.read_features`).
    out
        Where the model is written, whole or not at all; an older model there is replaced.
    method, config
        A name of `isotherm.classification.CLASSIFIERS` and its configuration (None: the defaults).
    reading
        How files are read, and which features are taken by methods that take them; None: the defaults. Features that
        are given say it themselves.

    Raises
    ------
    DataError
        Fewer than two categories with a usable picture, or nothing readable.
    UsageError
        Features were given to a method that takes pixels.
    ModelError, MissingExtraError
        The weights of the network, or an extra, are not here.
    OutputError
        `out` holds something that is no model, or cannot be written.
    """
    check_target(out)
    kind, settings = CLASSIFIERS.get(method), settings or ClassifySettings()
    config = kind.config_type() if config is None else config
    if isinstance(kind, NeedsExtra):
        kind.check_extra()
    trainer = _Trainer(kind, config, settings, reading or Reading(), progress)
    with scratch_folder() as folder:
        model = trainer.train(pictures, folder)
        if is_first_process():
            save_classifier(model, out)
    return model


@dataclass(frozen=True)
class _Trainer:
    """Everything about a training but its pictures."""

    method: ClassifierMethod
    config: object
    settings: ClassifySettings
    reading: Reading
    progress: Progress

    def train(self, pictures: Sequence[LabelledPicture] | LabelledRows, folder: Path) -> TrainedClassifier:
        rows = pictures if isinstance(pictures, LabelledRows) else self._rows(pictures, folder)
        if (self.method.wants == "features") != (rows.features is not None):
            raise UsageError(f"{self.method.name} takes {self.method.wants}; name the folder of the images instead")
        settings = self.settings
        sides = split_rows(
            rows.rows,
            test_share=settings.test_share,
            seed=settings.seed,
            common_in_testing=settings.common_in_testing,
        )
        labels = _labels(rows, sides)
        model = self._fitted(rows, sides, labels)
        return self._tested(model, rows, sides)

    def _rows(self, pictures: Sequence[LabelledPicture], folder: Path) -> LabelledRows:
        """Return the values of all pictures; only those to learn from say how pictures become pixels."""
        for label in {picture.label for picture in pictures}:
            check_label(label)
        learn = [each for each in pictures if each.part != "test"]
        _check_enough({each.label for each in learn})
        test = [each for each in pictures if each.part == "test"]
        settings, wanted = self.settings, self.method.wants == "features"
        if wanted:
            # Before anything is read: whether the weights are here.
            self.reading.features.chosen((224, 224)).check()
        look = Look(settings.image_size or self.method.side_px, settings.show, settings.ignore_overlays)
        found = gathered(learn, look, self.reading, self.progress)
        spec = self.reading.features.chosen(found.inputs.frame.size) if wanted else None
        rows = rows_of(found, spec, folder, self.progress)
        if not test:
            return rows
        fixed = Fixed(found.inputs, spec, found.as_pictures)
        return rows.joined(fixed.rows(test, self.reading, folder, self.progress))

    def _fitted(self, rows: LabelledRows, sides: Sides, labels: tuple[str, ...]) -> TrainedClassifier:
        examples = _examples(rows, sides, labels)
        fitted = self.method.fit(examples, self.config, seed=self.settings.seed, progress=self.progress)
        held = np.isfinite(fitted.logits).all(axis=1)
        open_set = self._open_set(fitted, examples.labels)
        return TrainedClassifier(
            classifier=fitted.classifier,
            method=self.method.name,
            config=self.config,
            labels=labels,
            inputs=rows.inputs,
            features=rows.features,
            as_pictures=rows.as_pictures,
            temperature=Temperature.fit(fitted.logits[held], examples.labels[held]),
            open_set=open_set,
            min_confidence=self.settings.min_confidence,
            reject_unknown=self.settings.reject_unknown and open_set is not None,
            manifest=self._manifest(rows, sides, fitted) | _held_out(fitted, examples.labels),
        )

    def _open_set(self, fitted: Fitted, labels: Labels) -> OpenSet | None:
        kind, percentile = self.settings.open_set, self.settings.open_set_percentile
        if kind == "off":
            return None
        return fit_open_set(
            kind, fitted.embeddings, labels, fitted.folds, percentile=percentile, seed=self.settings.seed
        )

    def _manifest(self, rows: LabelledRows, sides: Sides, fitted: Fitted) -> dict[str, Any]:
        held_out = int(sum(len(fold.judged) for fold in fitted.folds))
        digests = sorted({rows.rows[place].digest for place in sides.train})
        return {
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": installed("isotherm", "numpy", "openvino", "scikit-learn", "torch"),
            "settings": to_mapping(self.settings),
            "fit": dict(fitted.about),
            "data": {
                "digest": hashlib.sha256("\n".join(digests).encode()).hexdigest(),
                # So that an evaluation can tell what the model has seen.
                "image_digests": digests,
                "images": len(sides.train),
                "categories": counted(rows.rows, sides),
                "held_out": held_out,
                "test_images_learnt_from": sides.learnt,
                "skipped": [asdict(item) for item in rows.skipped],
            },
            "notes": [*sides.notes, *_doubts(held_out, self.settings), *_skipped_note(rows.skipped)],
        }

    def _tested(self, model: TrainedClassifier, rows: LabelledRows, sides: Sides) -> TrainedClassifier:
        """Add what the model makes of the test part."""
        if not len(sides.test):
            return model
        found = judged(model, rows.values[sides.test], [rows.rows[place].label for place in sides.test])
        learnt = bool(set(sides.test.tolist()) & set(sides.train.tolist())) or _all_learnt(rows, sides)
        metrics = {**model.manifest["metrics"], "test": found.summary() | {"was_learnt_from": learnt}}
        return replace(model, manifest={**model.manifest, "metrics": metrics})


def _all_learnt(rows: LabelledRows, sides: Sides) -> bool:
    digests = {rows.rows[place].digest for place in sides.train}
    groups = {rows.rows[place].group for place in sides.train} - {""}
    return any(rows.rows[place].digest in digests or rows.rows[place].group in groups for place in sides.test)


def _labels(rows: LabelledRows, sides: Sides) -> tuple[str, ...]:
    found = {rows.rows[place].label for place in sides.train}
    _check_enough(found, rows.skipped)
    return tuple(sorted(found))


def _check_enough(labels: set[str], skipped: Sequence[Skipped] = ()) -> None:
    if len(labels) >= 2:
        return
    found = ", ".join(map(repr, sorted(labels))) or "none"
    reason = ""
    if skipped:
        reason = f"; {len(skipped)} images cannot be used, the first: {skipped[0].name}: {skipped[0].error}"
    raise DataError(f"at least two categories with an image to learn from are needed; found {found}{reason}")


def _examples(rows: LabelledRows, sides: Sides, labels: tuple[str, ...]) -> Examples:
    numbers = {label: number for number, label in enumerate(labels)}
    learnt = [rows.rows[place] for place in sides.train]
    # Where all are learnt from they need not be copied.
    values = rows.values if len(learnt) == len(rows.rows) else rows.values[sides.train]
    targets = np.array([numbers[row.label] for row in learnt], np.int64)
    return Examples(values, targets, group_numbers(learnt), len(labels))


def _held_out(fitted: Fitted, targets: Labels) -> dict[str, Any]:
    """Return what is known of the classifier from the pictures that were held out while it learnt."""
    held = np.isfinite(fitted.logits).all(axis=1)
    right = int((fitted.logits[held].argmax(axis=1) == targets[held]).sum())
    count = int(held.sum())
    found = {"images": count, "accuracy": right / count if count else None}
    return {"metrics": {"held_out": found, "test": None}}


def _doubts(held_out: int, settings: ClassifySettings) -> list[str]:
    if held_out >= LEAST_HELD_OUT:
        return []
    few = f"only {held_out} images could be held out, at least {LEAST_HELD_OUT} are needed"
    notes = [f"the probabilities are not calibrated: {few}"]
    if settings.open_set != "off":
        notes.append(f"images unlike all that was learnt are not told: {few}")
    return notes


def _skipped_note(skipped: Sequence[Skipped]) -> list[str]:
    return [f"{len(skipped)} images could not be used"] if skipped else []
