"""What a model makes of images whose categories are known and that it has not learnt from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np

from isotherm.core.errors import DataError, IsothermError, one_line
from isotherm.core.thermogram import Thermogram
from isotherm.evaluation.classes import Share
from isotherm.workflows.classify_judging import Judged
from isotherm.workflows.classify_model import Classified, TrainedClassifier
from isotherm.workflows.service.labelled import LabelledImage
from isotherm.workflows.service.looking import examination_settings
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import SiteSettings

MOST_IMAGES = 1000
"""Of so many test images the answers are kept one by one, so that versions can be compared."""


@dataclass(frozen=True)
class Tested:
    """Which images a model can be tested with honestly, and what a user should know about that."""

    images: tuple[LabelledImage, ...]
    learnt: bool = False
    notes: tuple[str, ...] = ()


def fair_tests(test: Sequence[LabelledImage], learnt: Iterable[LabelledImage | str], groups: Iterable[str]) -> Tested:
    """Leave out test images whose content, or whose asset, was learnt from, and copies of one another.

    Where nothing is left they are all tested, and what comes of it is marked as saying nothing.

    Parameters
    ----------
    learnt, groups
        The images (or digests) and the assets that the model has learnt from.
    """
    digests = {each if isinstance(each, str) else each.digest for each in learnt}
    assets = set(groups) - {""}
    distinct = {each.digest: each for each in reversed(test)}
    fresh = [each for each in test if each.digest not in digests and each.group not in assets]
    chosen = tuple(each for each in fresh if distinct[each.digest] is each)
    left_out = len(test) - len(fresh)
    if not left_out:
        return Tested(chosen)
    if chosen:
        return Tested(chosen, notes=(f"{left_out} test images are also learnt from; they are not tested",))
    note = "every test image is also learnt from: the test says nothing; mark other images as test images"
    return Tested(tuple(distinct.values()), learnt=True, notes=(note,))


A = TypeVar("A")


@dataclass
class Answers(Generic[A]):
    """What a model said of each test image that could be judged, and why the others could not, by their ids."""

    images: list[LabelledImage] = field(default_factory=list)
    said: list[A] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def answers_to(
    service: Service,
    images: Sequence[LabelledImage],
    settings: SiteSettings,
    ask: Callable[[Thermogram], A],
    step: Callable[[int, int], None],
) -> Answers[A]:
    """Ask a model for its answer to each image, decoded with the settings of its site.

    Parameters
    ----------
    ask
        Returns the answer to a picture, or raises IsothermError with why there is none.
    step
        Called with how many images are done and how many there are.
    """
    answers = Answers[A]()
    for done, image in enumerate(images):
        step(done, len(images))
        try:
            data = service.blobs.read(image.digest)
            said = ask(service.examinations.picture(data, image.name, examination_settings(settings)))
        except IsothermError as error:
            answers.failed[image.image_id] = one_line(error)
            continue
        answers.images.append(image)
        answers.said.append(said)
    return answers


def tested_metrics(
    service: Service,
    classifier: TrainedClassifier,
    tested: Tested,
    settings: SiteSettings,
    step: Callable[[int, int], None],
) -> dict[str, Any] | None:
    """Return the numbers of a test, ready for JSON; None where there is no image that a model can be tested with.

    Parameters
    ----------
    step
        Called with how many images are done and how many there are.
    """
    answers = answers_to(service, tested.images, settings, lambda picture: _said(classifier, picture, settings), step)
    if not any(image.label in classifier.labels for image in answers.images):
        return None
    truth = tuple(image.label for image in answers.images)
    known = np.array([label in classifier.labels for label in truth], np.bool_)
    found = Judged(classifier.labels, truth, tuple(answers.said), known).summary()
    kept = list(zip(answers.images, answers.said, strict=True))[:MOST_IMAGES]
    return {
        **_plain(found),
        "basis": "test",
        "was_learnt_from": tested.learnt,
        "failed": answers.failed,
        "answers": {image.image_id: _answer(image, said) for image, said in kept},
    }


def _said(classifier: TrainedClassifier, picture: Thermogram, settings: SiteSettings) -> Classified:
    (said,) = classifier.classify([picture], min_confidence=settings.min_confidence, open_set=settings.open_set)
    if said.error:
        raise DataError(said.error)
    return said


def _answer(image: LabelledImage, said: Classified) -> dict[str, Any]:
    return {"truth": image.label, "label": said.label, "nearest": said.nearest, "confidence": said.confidence}


def _plain(value: Any) -> Any:
    """Return values that JSON and PostgreSQL can hold: no numpy, no NaN."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def model_metrics(labels: Sequence[str], held_out: Mapping[str, Any], test: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is kept with a model version: the test's numbers, or else those of the images held out in training.

    ``accuracy`` with its ``interval`` and ``basis`` (``test`` or ``held-out``), ``count``, ``labels``, ``per_class``,
    ``confusion``, ``images`` (the answer for each test image), ``test`` and ``held_out`` (everything that is known).
    """
    found = {"labels": list(labels), "held_out": _plain(held_out), "per_class": {}, "confusion": [], "images": {}}
    if test is None:
        return found | _of_held_out(held_out) | {"test": None}
    whole = {name: value for name, value in test.items() if name != "answers"}
    accuracy = test["accuracy"]
    per_class = {
        label: {name: entry[name]["value"] for name in ("precision", "recall", "f1")} | {"support": entry["support"]}
        for label, entry in test["categories"].items()
    }
    return found | {
        "accuracy": accuracy["value"],
        "interval": [accuracy.get("low"), accuracy.get("high")],
        "count": accuracy["count"],
        "basis": "test",
        "per_class": per_class,
        "confusion": test["confusion"],
        "images": test["answers"],
        "test": whole,
    }


def _of_held_out(held_out: Mapping[str, Any]) -> dict[str, Any]:
    count, value = int(held_out.get("images") or 0), held_out.get("accuracy")
    if value is None or not count:
        return {"accuracy": None, "interval": [None, None], "count": 0, "basis": "none"}
    interval = Share(round(value * count), count).interval
    ends = [getattr(interval, "low", None), getattr(interval, "high", None)]
    return {"accuracy": value, "interval": ends, "count": count, "basis": "held-out"}
