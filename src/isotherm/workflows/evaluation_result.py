"""What an evaluation found: metrics by site, by kind, by fold and over all; and its three files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isotherm.core.errors import DataError
from isotherm.core.files import make_folder, write_whole
from isotherm.core.regions import label
from isotherm.datasets.layouts import NORMAL_KIND
from isotherm.datasets.splits import Fold
from isotherm.evaluation.metrics import auroc, precision_recall_curve, ranked
from isotherm.evaluation.ranking import roc_curve
from isotherm.evaluation.summary import DEFINITIONS, Measured, image_metrics, pixel_metrics, without_masks
from isotherm.workflows.decisions import DEFINITIONS as DECISION_DEFINITIONS
from isotherm.workflows.decisions import Decisions, DecisionSettings, apart, called_of, decide, labels_and_scores
from isotherm.workflows.judging import Judged, Judgement, TruthAndMaps, Unjudged, scorable
from isotherm.workflows.models import TrainedModel

METRICS, SCORES, FIGURE, DECISIONS = "metrics.json", "scores.csv", "error_analysis.png", "decisions.png"


@dataclass(frozen=True, eq=False)
class FoldRun:
    """One fold: what was learnt from, what it said, and how long learning took [s]."""

    fold: Fold
    model: TrainedModel
    judgement: Judgement
    train_s: float
    train_cpu_s: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Every judged picture, and the metrics, ready for JSON.

    Parameters
    ----------
    judged
        The pictures that the metrics speak of.
    validation
        Judged pictures that were set apart to choose a threshold and fit a probability on.
    """

    judged: tuple[Judged, ...]
    validation: tuple[Judged, ...]
    unjudged: tuple[Unjudged, ...]
    decisions: Decisions
    metrics: dict[str, Any]


def summed_up(
    runs: Sequence[FoldRun], heading: dict[str, Any], validation_share: float, settings: DecisionSettings
) -> Evaluation:
    """Compute all metrics of the folds together.

    Parameters
    ----------
    heading
        What was evaluated and how; opens the metrics.
    validation_share
        Share of the judged pictures that is set apart.

    Raises
    ------
    DataError
        Not one picture could be judged.
    """
    everything = tuple(item for run in runs for item in run.judgement.judged)
    unjudged = tuple(item for run in runs for item in run.judgement.unjudged)
    if not everything:
        first = unjudged[0]
        raise DataError(f"none of {len(unjudged)} pictures could be judged; {first.sample.name}: {first.error}")

    validation, judged = apart(everything, validation_share, settings.seed)
    decisions = decide(judged, validation, settings)

    def measure(chosen: Sequence[Judged]) -> dict[str, Any]:
        return _measure(chosen, settings.resamples, settings.seed)

    by_site = _by(judged, lambda item: item.sample.site)
    sites = {site: measure(items) | {"failed": _failed(unjudged, site)} for site, items in by_site.items()}
    pooled = sites[judged[0].sample.site] if len(sites) == 1 else measure(judged)
    metrics = {
        **heading,
        "sites": sites,
        "kinds": _kinds(judged, settings.resamples, settings.seed),
        "folds": [_describe_fold(run) for run in runs],
        "pooled": pooled | {"failed": len(unjudged)},
        "decisions": decisions.plain,
        "timings": _timings(runs),
        "definitions": {**DEFINITIONS, **DECISION_DEFINITIONS, "scores": _POOLING},
    }
    return Evaluation(tuple(judged), tuple(validation), unjudged, decisions, metrics)


_POOLING = (
    "pictures that different models have judged are ranked together by how many standard deviations of the model's "
    "held-out normal scores a score lies above their median (maps: of their largest map values); decisions are made by "
    "each model's own threshold"
)


def _by(judged: Sequence[Judged], key: Callable[[Judged], str]) -> dict[str, list[Judged]]:
    groups: dict[str, list[Judged]] = {}
    for item in judged:
        groups.setdefault(key(item), []).append(item)
    return groups


def _failed(unjudged: Sequence[Unjudged], site: str) -> int:
    return sum(item.sample.site == site for item in unjudged)


def _measure(judged: Sequence[Judged], resamples: int, seed: int) -> dict[str, Any]:
    labels, scores = labels_and_scores(judged)
    called = called_of(judged)
    counts = {"images": len(judged), "normal": int((~labels).sum()), "anomalous": int(labels.sum())}
    images = image_metrics(labels, scores, called, resamples=resamples, seed=seed)
    return {
        "counts": counts | {"masks": sum(item.sample.mask is not None for item in judged)},
        "image": _plain(images),
        "called": _called(labels, called),
        "pixel": _plain(_pixels(judged, resamples, seed)),
    }


def _called(labels: np.ndarray, called: np.ndarray) -> dict[str, int]:
    return {
        "hits": int((called & labels).sum()),
        "misses": int((~called & labels).sum()),
        "false_alarms": int((called & ~labels).sum()),
        "correct_rejections": int((~called & ~labels).sum()),
    }


def _pixels(judged: Sequence[Judged], resamples: int, seed: int) -> dict[str, Measured]:
    if not any(item.sample.mask is not None for item in judged):
        return without_masks("no masks")
    pictures = TruthAndMaps(judged)
    return pixel_metrics(pictures, label, pictures.limits, faulty=pictures.faulty, resamples=resamples, seed=seed)


def _plain(measured: dict[str, Measured]) -> dict[str, Any]:
    return {name: value.to_mapping() for name, value in measured.items()}


def _kinds(judged: Sequence[Judged], resamples: int, seed: int) -> dict[str, Any]:
    """Return each kind of defect against all normal pictures."""
    kinds = _by(judged, lambda item: item.sample.kind)
    normal = kinds.pop(NORMAL_KIND, [])
    found = {}
    for kind, items in sorted(kinds.items()):
        labels, scores = labels_and_scores([*items, *normal])
        images = image_metrics(labels, scores, called_of([*items, *normal]), resamples=resamples, seed=seed)
        found[kind] = {"counts": {"anomalous": len(items), "normal": len(normal)}, "image": _plain(images)}
    return found


def _describe_fold(run: FoldRun) -> dict[str, Any]:
    labels, scores = labels_and_scores(run.judgement.judged)
    limits = run.model.calibration
    return {
        "name": run.fold.name,
        "normal_to_learn_from": len(run.fold.train),
        "judged": len(labels),
        "auroc": Measured(auroc(labels, scores)).to_mapping(),
        "threshold": limits.threshold,
        "pixel_threshold": limits.pixel_threshold,
        "threshold_how": limits.how,
        "skipped": run.model.manifest.get("data", {}).get("skipped", []) if run.fold.train else [],
        "train_s": run.train_s,
        "predict_s": run.judgement.predict_s,
    }


def _timings(runs: Sequence[FoldRun]) -> dict[str, float]:
    predict_s = sum(run.judgement.predict_s for run in runs)
    count = sum(len(run.judgement.judged) for run in runs)
    return {
        "train_s": sum(run.train_s for run in runs),
        "train_cpu_s": sum(run.train_cpu_s for run in runs),
        "predict_s": predict_s,
        "images_per_s": count / predict_s,
        "model_bytes": sum(_bytes(run.model) for run in runs) / len(runs),
    }


def _bytes(model: TrainedModel) -> int:
    return sum(array.nbytes for array in model.detector.arrays().values())


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write metrics (JSON), scores (CSV) and two figures (PNG), each whole or not at all."""
    make_folder(folder)
    text = json.dumps(evaluation.metrics, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(folder / METRICS, (text + "\n").encode())
    write_whole(folder / SCORES, scores_csv(evaluation).encode())
    write_whole(folder / FIGURE, _figure(evaluation))
    write_whole(folder / DECISIONS, _decisions_figure(evaluation))


COLUMNS = (
    *("image", "site", "kind", "group", "label", "fold", "status", "error"),
    *("score", "percentile", "threshold", "standing", "prediction", "mask", "used_for"),
)


def scores_csv(evaluation: Evaluation) -> str:
    """Return one row a picture (`COLUMNS`), in natural order of their names within each fold, failed ones last."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for use, items in (("test", evaluation.judged), ("validation", evaluation.validation)):
        for item in items:
            prediction = "Anomaly" if item.called else "Normal"
            numbers = [repr(value) for value in (item.score, item.percentile, item.threshold, item.standing)]
            writer.writerow([*_who(item), "ok", "", *numbers, prediction, _mask(item), use])
    for lost in evaluation.unjudged:
        writer.writerow([*_who(lost), "failed", lost.error, "", "", "", "", "", _mask(lost), ""])
    return stream.getvalue()


def _who(item: Judged | Unjudged) -> list[str]:
    sample = item.sample
    truth = "Anomaly" if sample.anomalous else "Normal"
    return [sample.name, sample.site, sample.kind, sample.group, truth, item.fold]


def _mask(item: Judged | Unjudged) -> str:
    if not item.sample.anomalous:
        return ""
    return "yes" if scorable(item.sample) else "missing"


def _figure(evaluation: Evaluation) -> bytes:
    # matplotlib takes half a second to import; nothing else here needs it.
    from isotherm.reports.figures import Curve, ScoreGroup, error_analysis

    sites = _by(evaluation.judged, lambda item: item.sample.site)
    named = dict(sites) if len(sites) == 1 else {**sites, "all": list(evaluation.judged)}
    roc, recall = [], []
    for name, items in named.items():
        ranking = ranked(*labels_and_scores(items))
        if ranking.missing() is None:
            roc.append(Curve(name, *roc_curve(ranking)))
            recall.append(Curve(name, *precision_recall_curve(ranking)))
    groups = [
        ScoreGroup(name, *labels_and_scores(items), np.array([item.limit for item in items]))
        for name, items in sites.items()
    ]
    return error_analysis(_title(evaluation), groups, roc, recall)


def _title(evaluation: Evaluation) -> str:
    subject = evaluation.metrics["subject"]
    name = subject.get("method") or Path(subject["model"]).name
    folder = "/".join(Path(evaluation.metrics["data"]).parts[-2:])
    return f"{name} on {folder}, {evaluation.metrics['protocol']}"


def _decisions_figure(evaluation: Evaluation) -> bytes:
    from isotherm.reports.figures_decisions import Thresholds, decisions_figure

    found = evaluation.decisions
    limits = np.array([item.limit for item in evaluation.judged])
    marks = Thresholds(limits, found.chosen)
    return decisions_figure(_title(evaluation), found.false_alarms, found.probability, found.cost, marks)
