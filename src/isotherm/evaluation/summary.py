"""All metrics of one set of pictures, by name, each with its interval or the reason why it is undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from isotherm.evaluation.aupimo import aupimo
from isotherm.evaluation.bootstrap import Interval, Places, resampled
from isotherm.evaluation.metrics import auroc_of, average_precision_of, f1_max_of, f1_of, ranked
from isotherm.evaluation.pixel_spread import pixel_intervals, quantile_edges, tabulate
from isotherm.evaluation.pixels import (
    Labelling,
    Pictures,
    PixelRankings,
    aupro,
    count_pixels,
    pixel_auroc,
    pixel_f1_max,
    rank_pixels,
)
from isotherm.evaluation.ranking import Metric, Undefined

Labels = Bool[np.ndarray, " N"]
Scores = Float[np.ndarray, " N"]

DEFINITIONS = {
    "auroc": "area under the ROC curve of the picture scores; a tie counts as half",
    "average_precision": "sum of precision times gain in recall over all distinct scores",
    "f1": "F1 at the threshold that was chosen in training, without the judged pictures",
    "f1_max": "best F1 that any threshold gives, fitted on these very labels: an upper bound, no promise",
    "pixel_auroc": "area under the ROC curve over pixels",
    "aupro": "area under the per-region-overlap curve up to a false positive rate of 0.3, over 0.3",
    "aupimo": (
        "recall of each faulty picture's defect pixels over the false positive rate that normal pictures share, "
        "averaged over the logarithm of that rate from 1e-5 to 1e-4, then over the pictures (Bertoldo et al. 2024)"
    ),
    "pixel_f1": "F1 over pixels at the pixel threshold that was chosen in training, without the judged pictures",
    "pixel_f1_max": "best F1 over pixels that any threshold gives, fitted on these very masks",
    "iou": "intersection over union over pixels at the same pixel threshold",
    "low, high": (
        "95 % percentile bootstrap over pictures, drawn within each class; of aupimo over the faulty pictures alone, "
        "with the normal ones as they are"
    ),
}


@dataclass(frozen=True)
class Measured:
    """A metric and, where one was asked for, its 95 % interval."""

    value: Metric
    interval: Interval | Undefined | None = None

    def to_mapping(self) -> dict[str, Any]:
        """Return value, low and high (and the reason where one of them is null), ready for JSON."""
        found: dict[str, Any] = {}
        reasons = [part.reason for part in (self.value, self.interval) if isinstance(part, Undefined)]
        found["value"] = None if isinstance(self.value, Undefined) else self.value
        if self.interval is not None:
            known = isinstance(self.interval, Interval)
            found["low"] = self.interval.low if known else None  # type: ignore[union-attr]
            found["high"] = self.interval.high if known else None  # type: ignore[union-attr]
        if reasons:
            found["reason"] = reasons[0]
        return found


def image_metrics(
    labels: Labels, scores: Scores, called: Labels, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Measured]:
    """Return the metrics of picture scores: ``auroc average_precision f1 f1_max``.

    Parameters
    ----------
    labels
        (N) true for anomalous.
    scores
        (N) larger is stranger.
    called
        (N) true for what is called anomalous, at thresholds that were chosen without these pictures.
    resamples, seed
        Of the bootstrap intervals; f1_max has none, because it is fitted on the labels.
    """

    def statistics(drawn: Places) -> Mapping[str, Metric]:
        ranking = ranked(labels[drawn], scores[drawn])
        return {
            "auroc": auroc_of(ranking),
            "average_precision": average_precision_of(ranking),
            "f1": f1_of(labels[drawn], called[drawn]),
        }

    spread = resampled(statistics, labels, resamples=resamples, seed=seed)
    values = statistics(np.arange(labels.size))
    measured = {name: Measured(value, spread[name]) for name, value in values.items()}
    return {**measured, "f1_max": Measured(f1_max_of(ranked(labels, scores))[0])}


PIXEL_METRICS = ("pixel_auroc", "aupro", "aupimo", "pixel_f1", "pixel_f1_max", "iou")


def pixel_metrics(
    pictures: Pictures,
    label: Labelling,
    limits: Float[np.ndarray, " N"],
    *,
    faulty: Bool[np.ndarray, " N"],
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Measured]:
    """Return the metrics of maps against masks, by the names of `PIXEL_METRICS`.

    Parameters
    ----------
    pictures
        The truth and the map of each picture.
    label
        Finds the connected regions (8-connected) of a mask.
    limits
        (N) a pixel above its picture's limit is called a defect; chosen without these pictures.
    faulty
        (N) true for faulty pictures.
    resamples, seed
        Of the bootstrap intervals over pictures; pixel_f1_max has none, because it is fitted on the masks.
    """
    rankings = rank_pixels(pictures, label)
    counts = count_pixels(pictures, limits)
    values = {
        "pixel_auroc": pixel_auroc(rankings),
        "aupro": aupro(rankings),
        "pixel_f1": counts.f1(),
        "iou": counts.iou(),
    }
    found = {"aupimo": _mean(aupimo(pictures, faulty), resamples, seed)}
    if rankings.by_pixel.missing():
        return found | {name: Measured(value) for name, value in values.items()} | _f1_max(rankings)
    tables = tabulate(pictures, label, quantile_edges(rankings.by_pixel.scores), limits)
    spread = pixel_intervals(tables, faulty, resamples=resamples, seed=seed)
    return (
        found
        | {name: Measured(value, _around(value, spread[name])) for name, value in values.items()}
        | _f1_max(rankings)
    )


def _f1_max(rankings: PixelRankings) -> dict[str, Measured]:
    return {"pixel_f1_max": Measured(pixel_f1_max(rankings))}


def _around(value: Metric, read: tuple[float, Interval] | Undefined) -> Interval | Undefined:
    """Move an interval of values read at some scores by what reading at all of them makes of the value itself."""
    if isinstance(read, Undefined):
        return read
    if isinstance(value, Undefined):
        return value
    at_some, interval = read
    low, high = (float(np.clip(limit + value - at_some, 0, 1)) for limit in (interval.low, interval.high))
    return Interval(low, high)


def _mean(values: Float[np.ndarray, " F"] | Undefined, resamples: int, seed: int) -> Measured:
    if isinstance(values, Undefined):
        return Measured(values)
    if not values.size:
        return Measured(Undefined("no anomalous samples"))
    if values.size < 2:
        return Measured(float(values.mean()), Undefined("an interval needs two pictures with masks; there is 1"))
    drawn = np.random.default_rng(seed).integers(0, values.size, (resamples, values.size))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5]).tolist()
    return Measured(float(values.mean()), Interval(low, high))


def without_masks(reason: str) -> dict[str, Measured]:
    """Return the pixel metrics of a set that has no masks: all undefined, and why."""
    return dict.fromkeys(PIXEL_METRICS, Measured(Undefined(reason)))
