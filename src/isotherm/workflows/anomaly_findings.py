"""What a score and its map mean in a picture: the verdict, and the regions that stand out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32

from isotherm.core.errors import DataError
from isotherm.core.findings import AnomalyResult, Finding
from isotherm.core.regions import label
from isotherm.core.thermogram import Thermogram
from isotherm.hotspots.measure import HotspotSettings, measure_mask
from isotherm.measurement.severity import SeverityTable
from isotherm.workflows.models import Scored, TrainedModel

Map = Float32[np.ndarray, "H W"]
Mask = Bool[np.ndarray, "H W"]


def check_score(scored: Scored) -> None:
    """Raise DataError where the model gave no finite score."""
    if not math.isfinite(scored.score):
        raise DataError("the model gave no finite score for this picture")


def map_at(model: TrainedModel, scored: Scored, size: tuple[int, int]) -> Map:
    """Return the map at a picture's size (H, W); raises DataError where the model gave no finite score."""
    check_score(scored)
    return model.restore(scored, size)


def verdict(model: TrainedModel, scored: Scored, mask: Mask) -> AnomalyResult:
    """Return what the model says of the whole picture, of which `mask` stands out."""
    return AnomalyResult(
        score=scored.score,
        percentile=scored.percentile,
        threshold=model.calibration.threshold,
        prediction="Anomaly" if scored.anomalous else "Normal",
        area_px=int(mask.sum()),
    )


def regions(
    model: TrainedModel,
    thermogram: Thermogram,
    values: Map,
    mask: Mask,
    *,
    settings: HotspotSettings | None = None,
    table: SeverityTable | None = None,
) -> tuple[Finding, ...]:
    """Measure what stands out of a picture; each region has the highest value of its part of the map as its score."""
    found = measure_mask(thermogram, mask, kind="anomaly", origin=model.method, settings=settings, table=table)
    labels, count = label(mask)
    highest = np.full(count + 1, -np.inf, dtype=np.float32)
    np.maximum.at(highest, labels[mask], values[mask])
    peaks = (finding.region.peak for finding in found)
    scores = [float(highest[labels[y, x]]) for x, y in peaks]
    return tuple(replace(finding, score=score) for finding, score in zip(found, scores, strict=True))
