"""What an anomaly model makes of a site's test images, which it has not learnt from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from isotherm.core.thermogram import Thermogram
from isotherm.evaluation.bootstrap import intervals
from isotherm.evaluation.classes import Share, accuracy, averages, by_class, confusion
from isotherm.evaluation.metrics import auroc
from isotherm.workflows.anomaly_findings import check_score
from isotherm.workflows.classify_judging import plain_metric, plain_share
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import SiteSettings
from isotherm.workflows.service.testing_models import MOST_IMAGES, Tested, answers_to

if TYPE_CHECKING:
    from isotherm.workflows.models import TrainedModel

NORMAL, STRANGE = "Normal", "Anomaly"
LABELS = (NORMAL, STRANGE)


def tested_detector(
    service: Service,
    model: TrainedModel,
    tested: Tested,
    category: str,
    settings: SiteSettings,
    *,
    step: Callable[[int, int], None],
) -> dict[str, Any] | None:
    """Return the numbers of a test, ready for JSON; None where no image could be scored.

    Parameters
    ----------
    category
        The one whose images are normal; all others show what is not.
    step
        Called with how many images are done and how many there are.
    """
    answers = answers_to(service, tested.images, settings, lambda picture: _score(model, picture), step)
    if not answers.images:
        return None
    scores = np.array(answers.said, np.float64)
    truth = np.array([image.label != category for image in answers.images], np.bool_)
    called = scores > model.calibration.threshold
    kept = list(zip(answers.images, truth.tolist(), called.tolist(), answers.said, strict=True))[:MOST_IMAGES]
    return {
        **_numbers(truth, called, scores),
        "was_learnt_from": tested.learnt,
        "failed": answers.failed,
        "answers": {image.image_id: _answer(*row) for image, *row in kept},
    }


def _score(model: TrainedModel, picture: Thermogram) -> float:
    (scored,) = model.judge([model.prepare(picture)])
    check_score(scored)
    return scored.score


def _numbers(truth: np.ndarray, called: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    counts = confusion(truth.astype(np.int64), called.astype(np.int64), len(LABELS))
    spread = intervals(lambda labels, values: {"auroc": auroc(labels, values)}, truth, scores)
    classes = zip(LABELS, by_class(counts), strict=True)
    return {
        "images": len(scores),
        "accuracy": plain_share(accuracy(counts)),
        "balanced_accuracy": {"value": averages(counts)["balanced_accuracy"], "low": None, "high": None},
        "auroc": plain_metric(auroc(truth, scores), spread["auroc"]),
        "found": plain_share(Share(int(counts[1, 1]), int(counts[1].sum()))),
        "false_alarms": plain_share(Share(int(counts[0, 1]), int(counts[0].sum()))),
        "categories": {
            label: {
                "precision": plain_share(each.precision),
                "recall": plain_share(each.recall),
                "f1": plain_metric(each.f1, each.f1_interval),
                "support": each.support,
            }
            for label, each in classes
        },
        "confusion": counts.tolist(),
    }


def numbers_at(metrics: Mapping[str, Any], threshold: float) -> dict[str, Any] | None:
    """Return what a test would have said by another threshold, from the answers that were kept; None without a test.

    Of more than `MOST_IMAGES` test images only so many answers are kept, and counted.
    """
    answers, before = metrics.get("images") or {}, metrics.get("test")
    if not answers or not before:
        return None
    truth = np.array([each["truth"] == STRANGE for each in answers.values()], np.bool_)
    scores = np.array([each["score"] for each in answers.values()], np.float64)
    called = scores > threshold
    rows = zip(answers, truth.tolist(), called.tolist(), scores.tolist(), strict=True)
    return {
        **_numbers(truth, called, scores),
        "was_learnt_from": before["was_learnt_from"],
        "failed": before["failed"],
        "answers": {image_id: _answer(*row) for image_id, *row in rows},
    }


def _answer(strange: bool, called: bool, score: float) -> dict[str, Any]:
    return {"truth": LABELS[strange], "label": LABELS[called], "score": score}


def held_out(model: TrainedModel) -> dict[str, Any]:
    """Return what the normal images say that were held out while a model learnt, in the form of a test's numbers."""
    calibration = model.calibration
    alarms = calibration.false_alarms()
    return {
        "images": int(calibration.scores.size),
        "scores": [float(score) for score in calibration.scores],
        "threshold": calibration.threshold,
        "pixel_threshold": calibration.pixel_threshold,
        "how": calibration.how,
        "false_alarms": {"value": alarms.rate, "low": alarms.low, "high": alarms.high},
    }
