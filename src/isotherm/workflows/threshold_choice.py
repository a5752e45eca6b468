"""Thresholds of a trained model chosen on labelled pictures, which then count as seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from isotherm.anomaly.threshold import ScoreCalibration
from isotherm.core.errors import DataError
from isotherm.core.progress import Progress
from isotherm.core.regions import label
from isotherm.datasets.layouts import Sample, load_layout
from isotherm.datasets.splits import Distinct, distinct
from isotherm.evaluation.cost import CostCurve, Costs, cost_curve
from isotherm.evaluation.metrics import f1_max_of
from isotherm.evaluation.pixels import rank_pixels
from isotherm.workflows.judging import Judged, LabelledSource, TruthAndMaps, judge
from isotherm.workflows.models import TrainedModel


@dataclass(frozen=True)
class LabelledChoice:
    """Labelled pictures to choose thresholds on.

    Parameters
    ----------
    source
        Pictures of both classes. None of them may be judged later.
    costs
        The threshold of least expected cost is taken; None: the one of highest F1.
    """

    source: LabelledSource
    costs: Costs | None = None

    def pictures(self) -> Distinct:
        """Find the labelled pictures; raises DataError where there are none."""
        return distinct(load_layout(self.source.root, masks=self.source.masks))


def choose_by_labels(model: TrainedModel, choice: LabelledChoice, progress: Progress) -> TrainedModel:
    """Return the model with thresholds chosen on labelled pictures, recorded in its manifest (``data.labelled``).

    Pictures that the model has learnt from are left out. The pixel threshold is the one of highest F1 over the pixels
    of the labelled masks; without masks it moves by the same factor as the threshold.

    Raises
    ------
    DataError
        Not both classes are there, or a picture cannot be read: a choice on a part would not be the one asked for.
    """
    pictures = choice.pictures()
    learnt = set(model.manifest["data"]["image_digests"])
    fresh = [sample for sample in pictures.samples if pictures.digests[sample.name] not in learnt]
    judged = _judged(model, choice.source, fresh, progress)
    labels = np.array([item.sample.anomalous for item in judged], dtype=np.bool_)
    scores = np.array([item.score for item in judged], dtype=np.float64)
    curve = cost_curve(labels, scores, choice.costs or Costs())
    if not isinstance(curve, CostCurve):
        raise DataError(
            f"{choice.source.root}: {curve.reason} among the {len(judged)} labelled pictures that the model has not "
            "learnt from; a threshold needs both classes"
        )
    threshold = curve.cheapest() if choice.costs else curve.best_f1(labels)
    calibration = _moved(model.calibration, threshold, judged, _criterion(choice.costs))
    called = scores > threshold
    record: dict[str, Any] = {
        "folder": str(choice.source.root),
        "normal": int((~labels).sum()),
        "anomalous": int(labels.sum()),
        "left_out": len(pictures.samples) - len(fresh),
        "costs": asdict(choice.costs) if choice.costs else None,
        # On the very pictures that the threshold was fitted on.
        "misses": int((~called & labels).sum()),
        "false_alarms": int((called & ~labels).sum()),
        "image_digests": sorted(pictures.digests[item.sample.name] for item in judged),
    }
    data = {**model.manifest["data"], "labelled": record}
    return replace(model, calibration=calibration, manifest={**model.manifest, "data": data})


def _judged(
    model: TrainedModel, source: LabelledSource, samples: Sequence[Sample], progress: Progress
) -> Sequence[Judged]:
    with_maps = any(sample.mask is not None for sample in samples)
    judgement = judge(model, source.images(samples), fold="labelled", with_maps=with_maps, progress=progress)
    if judgement.unjudged:
        lost = judgement.unjudged[0]
        raise DataError(f"{source.root}: the labelled picture {lost.sample.name} cannot be used: {lost.error}")
    return judgement.judged


def _criterion(costs: Costs | None) -> str:
    if costs is None:
        return "highest F1"
    share = "their own share of faults" if costs.prevalence is None else f"{100 * costs.prevalence:g} % faults"
    return f"least cost (a miss {costs.cost_miss:g}, a false alarm {costs.cost_false_alarm:g}, {share})"


def _moved(before: ScoreCalibration, threshold: float, judged: Sequence[Judged], criterion: str) -> ScoreCalibration:
    faulty = sum(item.sample.anomalous for item in judged)
    how = f"{criterion} on {len(judged) - faulty} normal and {faulty} faulty labelled images"
    pixel_threshold = _pixel_threshold(before, judged)
    if pixel_threshold is not None:
        how += "; pixel threshold: highest F1 over the pixels of their masks"
    return before.moved(threshold, how, "labels", pixel_threshold=pixel_threshold)


def _pixel_threshold(before: ScoreCalibration, judged: Sequence[Judged]) -> float | None:
    if not any(item.sample.mask is not None for item in judged):
        return None
    _, at = f1_max_of(rank_pixels(TruthAndMaps(judged), label).by_pixel)
    if at is None:
        return None
    return before.map_yardstick().value(at)
