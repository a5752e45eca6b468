"""Metrics of masks: does the map put defect pixels above the others.

All are exact. Memory is that of the defect pixels (16 bytes each) and of one picture: the others are streamed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from isotherm.evaluation.metrics import auroc_of, f1_max_of, f1_of_counts
from isotherm.evaluation.ranking import Metric, Ranking, Undefined, area_under, rank, roc_curve

# Anonymous sides: pictures of one set differ in size.
Mask = Bool[np.ndarray, "_ _"]
Map = Float[np.ndarray, "_ _"]
Labelling = Callable[[Mask], tuple[Int[np.ndarray, "_ _"], int]]
"""Numbers the connected regions of a mask 1, 2 ...; returns the numbers and how many there are."""
Pictures = Sequence[tuple[Mask, Map]]
"""The truth and the map of each picture; may compute them when asked, each is asked for twice."""


@dataclass(frozen=True, eq=False)
class PixelRankings:
    """Defect pixels against all others: each pixel counted once, and each region counted once.

    ``by_region`` weighs a pixel by one over its region's area, so small defects count as much as large ones.
    """

    by_pixel: Ranking
    by_region: Ranking


def rank_pixels(pictures: Pictures, label: Labelling) -> PixelRankings:
    """Rank the pixels of all pictures together.

    Parameters
    ----------
    pictures
        For each picture the mask (H W) and the map (H W) of the same size.
    label
        Finds the connected regions (8-connected) of a mask.
    """
    found = [_defect_pixels(mask, scores, label) for mask, scores in pictures]
    scores = np.concatenate([values for values, _ in found]) if found else np.empty(0)
    weights = np.concatenate([shares for _, shares in found]) if found else np.empty(0)
    by_pixel = rank(scores, _others(pictures))
    summed = rank(scores, [], weights).weights
    by_region = Ranking(by_pixel.scores, summed, by_pixel.above, by_pixel.tied, by_pixel.negatives)
    return PixelRankings(by_pixel, by_region)


def _defect_pixels(
    mask: Mask, scores: Map, label: Labelling
) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]:
    regions, count = label(mask)
    area = np.bincount(regions.ravel(), minlength=count + 1)
    return scores[mask], 1.0 / area[regions[mask]]


def _others(pictures: Pictures) -> Iterator[Float[np.ndarray, " _"]]:
    for mask, scores in pictures:
        yield scores[~mask]


def pixel_auroc(rankings: PixelRankings) -> Metric:
    """Return the area under the ROC curve over pixels."""
    return auroc_of(rankings.by_pixel)


def pixel_f1_max(rankings: PixelRankings) -> Metric:
    """Return the best F1 over pixels that any threshold gives on these very masks (fitted on them)."""
    return f1_max_of(rankings.by_pixel)[0]


def aupro(rankings: PixelRankings, max_fpr: float = 0.3) -> Metric:
    """Return the area under the per-region-overlap curve up to a false positive rate, over that rate.

    The overlap is the covered share of each connected defect region, averaged over regions; the false positive rate is
    that of all defect-free pixels (Bergmann et al., CVPR 2019, section 5.1; limit 0.3 as there).
    """
    return rankings.by_region.missing() or area_under(*roc_curve(rankings.by_region), max_fpr)


@dataclass(frozen=True)
class PixelCounts:
    """Pixels called rightly or wrongly at one threshold, over all pictures."""

    hits: int
    false_alarms: int
    misses: int

    def f1(self) -> Metric:
        """Return the F1 (Dice) over pixels; undefined where no pixel is a defect."""
        return f1_of_counts(self.hits, self.false_alarms, self.misses)

    def iou(self) -> Metric:
        """Return intersection over union of the called and the true pixels; undefined where no pixel is a defect."""
        if self.hits + self.misses == 0:
            return Undefined("no anomalous samples")
        return self.hits / (self.hits + self.false_alarms + self.misses)


def count_pixels(pictures: Pictures, limits: Float[np.ndarray, " N"]) -> PixelCounts:
    """Count the pixels of all pictures, calling those whose map is above their picture's limit (N)."""
    hits = false_alarms = misses = 0
    for (mask, scores), limit in zip(pictures, limits.tolist(), strict=True):
        called = scores > limit
        hits += int(np.sum(called & mask))
        false_alarms += int(np.sum(called & ~mask))
        misses += int(np.sum(~called & mask))
    return PixelCounts(hits, false_alarms, misses)
