"""Measure a classifier on labelled pictures: numbers, tables and figures in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.errors import DataError
from isotherm.core.files import csv_of, make_folder, write_whole
from isotherm.core.progress import Progress, silent
from isotherm.core.scratch import scratch_folder
from isotherm.reports.figures_classes import confusion_figure, probability_figure
from isotherm.workflows.classify_data import LabelledPicture, Row
from isotherm.workflows.classify_judging import Judged, judged
from isotherm.workflows.classify_model import Classified, Rejection, TrainedClassifier
from isotherm.workflows.classify_rows import Fixed, LabelledRows, Reading
from isotherm.workflows.normals import Skipped

METRICS, CLASSES, ANSWERS = "metrics.json", "categories.csv", "answers.csv"
CONFUSION, PROBABILITIES = "confusion.png", "probabilities.png"
FILES = (METRICS, CLASSES, ANSWERS, CONFUSION, PROBABILITIES)


@dataclass(frozen=True, eq=False)
class ClassEvaluation:
    """A classifier's answers for labelled pictures.

    Parameters
    ----------
    rows
        The pictures that were judged, in the order of the answers.
    learnt
        How many of all usable pictures the model has learnt from. They are not judged, unless there are no others.
    """

    model: TrainedClassifier
    found: Judged
    rows: tuple[Row, ...]
    learnt: int
    skipped: tuple[Skipped, ...]
    rejection: Rejection

    @property
    def notes(self) -> list[str]:
        """Return what a reader of the numbers should know, one sentence each."""
        notes = []
        if self.learnt and len(self.rows) == self.learnt:
            notes.append("the model has learnt from all of these images: the numbers say nothing about new ones")
        elif self.learnt:
            notes.append(f"{self.learnt} images that the model has learnt from were left out")
        unknown = sorted(set(self.found.truth) - set(self.found.labels))
        if unknown:
            notes.append(f"categories that the model does not know, judged by rejection only: {', '.join(unknown)}")
        return notes + ([f"{len(self.skipped)} images could not be used"] if self.skipped else [])

    def metrics(self, *, seed: int = 0) -> dict[str, Any]:
        """Return all numbers, ready for JSON."""
        curve = self.found.rejection()
        return {
            "model": {"method": self.model.method, "data": self.model.manifest.get("data", {}).get("digest")},
            "labels": list(self.found.labels),
            **self.found.summary(seed=seed),
            "min_confidence": self.limit,
            "learnt_from": self.learnt,
            "rejection_curve": {
                "confidence": curve.thresholds.tolist(),
                "answered": curve.answered.tolist(),
                "correct": [None if np.isnan(value) else value for value in curve.correct.tolist()],
            },
            "skipped": [asdict(each) for each in self.skipped],
            "notes": self.notes,
        }

    @property
    def limit(self) -> float:
        """Return the confidence below which there is no category."""
        asked = self.rejection.min_confidence
        return self.model.min_confidence if asked is None else asked


def evaluate_classifier(
    model: TrainedClassifier,
    pictures: Sequence[LabelledPicture] | LabelledRows,
    *,
    rejection: Rejection | None = None,
    reading: Reading | None = None,
    progress: Progress = silent,
) -> ClassEvaluation:
    """Judge labelled pictures that the model has not learnt from.

    Where pictures are parted in train and test, those of the part ``train`` are not looked at.

    Raises
    ------
    DataError
        None can be used, none is of a category that the model knows, or they are features of another kind.
    """
    rejection = rejection or Rejection()
    with scratch_folder() as folder:
        rows = _rows(model, pictures, reading or Reading(), folder, progress)
        if not rows.rows:
            raise DataError(f"none of {len(rows.skipped)} images can be used{_first(rows.skipped)}")
        known = set(model.manifest.get("data", {}).get("image_digests", ()))
        places = _tested(rows.rows)
        fresh = [place for place in places if rows.rows[place].digest not in known]
        judging = fresh or places
        chosen = tuple(rows.rows[place] for place in judging)
        found = judged(model, rows.values[np.array(judging)], [row.label for row in chosen], rejection)
    return ClassEvaluation(model, found, chosen, len(places) - len(fresh), rows.skipped, rejection)


def _rows(
    model: TrainedClassifier,
    pictures: Sequence[LabelledPicture] | LabelledRows,
    reading: Reading,
    folder: Path,
    progress: Progress,
) -> LabelledRows:
    if not isinstance(pictures, LabelledRows):
        used = [each for each in pictures if each.part != "train"] or list(pictures)
        return Fixed(model.inputs, model.features, model.as_pictures).rows(used, reading, folder, progress)
    own = (model.features, model.inputs.to_mapping())
    if own != (pictures.features, pictures.inputs.to_mapping()):
        raise DataError(
            "these features are not those that the model was taught with (other network, weights, maps, pooling, size "
            "or span): name the folder of the images instead"
        )
    return pictures


def _tested(rows: Sequence[Row]) -> list[int]:
    """Return one place for each different picture, of the test part where there is one."""
    parted = any(row.part == "test" for row in rows)
    found = {row.digest: place for place, row in reversed(list(enumerate(rows))) if not parted or row.part == "test"}
    return sorted(found.values())


def _first(skipped: Sequence[Skipped]) -> str:
    return f"; the first: {skipped[0].name}: {skipped[0].error}" if skipped else ""


def write_class_evaluation(evaluation: ClassEvaluation, out: Path, *, seed: int = 0) -> None:
    """Write the files of an evaluation into a folder; raises OutputError where that is not possible."""
    make_folder(out)
    found, metrics = evaluation.found, evaluation.metrics(seed=seed)
    share = metrics["accuracy"]
    title = f"{evaluation.model.method}: {share['hits']} of {share['count']} right ({share['value']:.1%})"
    files = {
        METRICS: (json.dumps(metrics, indent=1, ensure_ascii=False) + "\n").encode(),
        CLASSES: csv_of(_CLASS_COLUMNS, _class_rows(metrics)),
        ANSWERS: csv_of(_answer_columns(found.labels), _answer_rows(evaluation)),
        CONFUSION: confusion_figure(title, found.labels, found.counts),
        PROBABILITIES: probability_figure(title, found.reliability(), found.rejection(), evaluation.limit),
    }
    for name, data in files.items():
        write_whole(out / name, data)


_MEASURES, _ENDS = ("precision", "recall", "f1"), {"": "value", "_low": "low", "_high": "high"}
_CLASS_COLUMNS = ("category", "support", *(f"{name}{end}" for name in _MEASURES for end in _ENDS))


def _class_rows(metrics: dict[str, Any]) -> Iterator[dict[str, object]]:
    for label, found in metrics["categories"].items():
        row: dict[str, object] = {"category": label, "support": found["support"]}
        for name in _MEASURES:
            for end, part in _ENDS.items():
                value = found[name].get(part)
                row[f"{name}{end}"] = "" if value is None else f"{value:.6f}"
        yield row


def _answer_columns(labels: Sequence[str]) -> list[str]:
    return ["name", "category", *ANSWER_COLUMNS, *(f"p {label}" for label in labels)]


ANSWER_COLUMNS = ("answer", "confidence", "nearest", "distance", "rejected", "reason", "error")


def answer_row(name: str, answer: Classified) -> dict[str, object]:
    """Return an answer as a row of a table, with a column ``p <category>`` for each probability."""
    return {
        "name": name,
        "answer": answer.label,
        "confidence": "" if answer.error else f"{answer.confidence:.6f}",
        "nearest": answer.nearest,
        "distance": "" if answer.distance is None else f"{answer.distance:.4f}",
        "rejected": "" if answer.error else str(answer.rejected).lower(),
        "reason": answer.reason,
        "error": answer.error,
        **{f"p {label}": f"{value:.6f}" for label, value in answer.probabilities.items()},
    }


def _answer_rows(evaluation: ClassEvaluation) -> Iterator[dict[str, object]]:
    for row, answer in zip(evaluation.rows, evaluation.found.answers, strict=True):
        yield {"category": row.label, **answer_row(row.name, answer)}
