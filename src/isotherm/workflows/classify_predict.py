"""Answers of a classifier for many files: a bad one is an answer with its reason and stops nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from isotherm.core.scene import SceneEdit
from isotherm.formats import ReadHints
from isotherm.workflows.classify_model import BATCH, Classified, Rejection, TrainedClassifier
from isotherm.workflows.reading import Input, read_inputs


@dataclass(frozen=True)
class PredictSettings:
    """How files are read, and when the answer is that none of the categories fits."""

    rejection: Rejection = field(default_factory=Rejection)
    edit: SceneEdit = field(default_factory=SceneEdit)
    hints: ReadHints = field(default_factory=ReadHints)
    jobs: int = 2


def predict(
    model: TrainedClassifier, inputs: Sequence[Input], settings: PredictSettings
) -> Iterator[tuple[str, Classified]]:
    """Yield each input's name and answer, in order; `settings` says how they are read by how many threads."""
    outcomes = read_inputs(inputs, edit=settings.edit, hints=settings.hints, jobs=settings.jobs)
    rejection = settings.rejection
    while batch := list(islice(outcomes, BATCH)):
        read = [each.thermogram for each in batch if each.thermogram is not None]
        found = iter(model.classify(read, min_confidence=rejection.min_confidence, open_set=rejection.open_set))
        for each in batch:
            yield each.name, next(found) if each.thermogram is not None else Classified.failed(each.error)
