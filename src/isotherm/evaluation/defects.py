"""Judging defect maps of plates: pixels, defects, false calls and depths, with intervals over plates.

A plate is one specimen: pixels of one plate go together, so every interval is from plates drawn anew, not pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.core.proportions import clopper_pearson
from isotherm.core.regions import dilate, drop_small, label
from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.metrics import auroc_of, average_precision_of
from isotherm.evaluation.pixel_spread import quantile_edges
from isotherm.evaluation.pixels import PixelCounts
from isotherm.evaluation.ranking import Metric, Ranking, Undefined, rank
from isotherm.evaluation.summary import Measured

Mask = Bool[np.ndarray, "H W"]
RATIOS = (3.0, 6.0)
"""Where ranges of diameter over depth part: below 3, 3 to 6, 6 and more."""

_POD_RANGES = {
    "pod": (0.0, np.inf),
    "pod_below_3": (0.0, RATIOS[0]),
    "pod_3_to_6": RATIOS,
    "pod_from_6": (RATIOS[1], np.inf),
}
MOST_FOR_NONE = -math.log(0.025)
"""Upper end of the exact 95 % interval of a Poisson count of which none was seen (Garwood 1936)."""

DEFINITIONS = {
    "iou": "intersection over union of called and true pixels, over the pixels of all plates",
    "dice": "2 x intersection over the sum of called and true pixels, over the pixels of all plates",
    "average_precision": "sum of precision times gain in recall over all distinct scores of pixels",
    "auroc": "area under the ROC curve over pixels",
    "pod": "share of the defects that were found; by diameter over depth below 3, 3 to 6, and 6 or more",
    "found": "at least a part (`cover_percent`) of the defect's pixels is called, by regions that count as on a defect",
    "false_calls": "called regions that are not on a defect, as mean over all plates, those without a defect included",
    "false_calls_m2": "the same regions over the judged area of all plates [1/m2], where the size of a pixel is known",
    "on a defect": "at least a part (`own_percent`) of the region lies on defects or within `margin_px` of one",
    "depth_error": "median over found defects of |depth told - true depth| over true depth",
    "low, high": (
        "95 % percentile bootstrap over plates (recordings of one specimen together), drawn among those with and those "
        "without a defect apart; of a difference: over the same draws for both. Where draws cannot differ: for a pod "
        "of 0 or 1 the exact one of Clopper & Pearson over defects, for no false call Poisson's"
    ),
}


@dataclass(frozen=True)
class CallRules:
    """When a defect counts as found and a called region as a false call."""

    cover_percent: float = setting(25.0, "a defect is found when so much of it is called [%]", low=0, high=100)
    own_percent: float = setting(25.0, "a region is on a defect when so much of it lies there [%]", low=0, high=100)
    margin_px: int = setting(2, "how far beyond a defect its signal may reach [px]", low=0, high=100)
    min_area_px: int = setting(4, "called regions smaller than this are not counted [px]", low=1)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True, eq=False)
class PlateTruth:
    """What is true of a plate.

    Parameters
    ----------
    labels
        (H W) 0 where it is sound, n on its n-th defect.
    diameter_mm, depth_mm
        (D) of its defects, NaN where not known.
    judged
        (H W) where the labels say something; None: everywhere.
    pixel_mm
        Side of a pixel; None where not known.
    """

    labels: Int[np.ndarray, "H W"]
    diameter_mm: Float64[np.ndarray, " D"]
    depth_mm: Float64[np.ndarray, " D"]
    judged: Mask | None = None
    pixel_mm: float | None = None

    @property
    def area_m2(self) -> float:
        """The area where the labels say something; NaN where the size of a pixel is not known."""
        pixels = self.labels.size if self.judged is None else np.count_nonzero(self.judged)
        return float("nan") if self.pixel_mm is None else pixels * self.pixel_mm**2 * 1e-6


@dataclass(frozen=True, eq=False)
class PlateJudgement:
    """One plate, judged.

    Parameters
    ----------
    hits, false_alarms, misses
        Pixels.
    found
        (D) whether each defect was found.
    covered
        (D) which part of it was called.
    false_calls
        Called regions that are not on a defect.
    depth_told_mm
        (D) NaN where none was told.
    on_defects, elsewhere
        Scores of pixels on defects and of all others.
    """

    truth: PlateTruth
    hits: int
    false_alarms: int
    misses: int
    found: Bool[np.ndarray, " D"]
    covered: Float64[np.ndarray, " D"]
    false_calls: int
    depth_told_mm: Float64[np.ndarray, " D"]
    on_defects: Float[np.ndarray, " P"] = field(repr=False)
    elsewhere: Float[np.ndarray, " N"] = field(repr=False)

    @property
    def ratio(self) -> Float64[np.ndarray, " D"]:
        """Diameter over depth of each defect."""
        return np.asarray(self.truth.diameter_mm / self.truth.depth_mm)


def judge_plate(
    truth: PlateTruth,
    called: Mask,
    scores: Float[np.ndarray, "H W"],
    *,
    rules: CallRules | None = None,
    depth_told_mm: Float64[np.ndarray, " D"] | None = None,
) -> PlateJudgement:
    """Compare what was called on a plate with what is true.

    Parameters
    ----------
    truth
        The plate's defects.
    called
        (H W) pixels that were called a defect, at a threshold that was chosen without this plate.
    scores
        (H W) the larger, the more likely a defect; NaN counts as the lowest.
    rules
        When a defect is found and a call false.
    depth_told_mm
        (D) depth that was told of each defect, NaN where none.

    Raises
    ------
    DataError
        Labels of defects that are not there, or a defect without a pixel.
    """
    rules = rules or CallRules()
    count = truth.diameter_mm.size
    area = np.bincount(np.maximum(truth.labels, 0).ravel(), minlength=count + 1)[1:]
    if area.size != count or truth.labels.min() < 0 or not area.all():
        raise DataError(f"the labels of a plate must be 0 and 1 to {count}, each on at least one pixel")
    judged = np.ones(called.shape, np.bool_) if truth.judged is None else truth.judged
    true, called = (truth.labels > 0) & judged, called & judged
    on_defect, false_calls = _regions(called, truth.labels > 0, judged, rules)
    covered = np.bincount(truth.labels[on_defect], minlength=count + 1)[1:] / area
    filled = np.where(np.isnan(scores), -np.inf, scores)
    return PlateJudgement(
        truth,
        hits=int((called & true).sum()),
        false_alarms=int((called & ~true).sum()),
        misses=int((~called & true).sum()),
        found=np.asarray((covered >= rules.cover_percent / 100) & (covered > 0)),
        covered=covered,
        false_calls=false_calls,
        depth_told_mm=np.full(count, np.nan) if depth_told_mm is None else depth_told_mm,
        on_defects=filled[true],
        elsewhere=filled[judged & ~true],
    )


def _regions(called: Mask, true: Mask, judged: Mask, rules: CallRules) -> tuple[Mask, int]:
    """Return the pixels of the called regions that are on a defect, and how many regions are not."""
    labels, count = drop_small(*label(called), rules.min_area_px)
    near = dilate(true, rules.margin_px) | ~judged
    size = np.bincount(labels.ravel(), minlength=count + 1)
    own = np.bincount(labels[near], minlength=count + 1)
    on_defect = (own >= rules.own_percent / 100 * size) & (own > 0)
    on_defect[0] = False
    return np.asarray(on_defect[labels]), int(count - on_defect.sum())


def judge_plates(
    plates: Sequence[PlateJudgement],
    *,
    specimens: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Measured]:
    """Return the metrics of a set of plates, each with its interval; see `DEFINITIONS`.

    Parameters
    ----------
    specimens
        What each plate is of: those of one specimen are drawn together. None: each is its own.
    resamples, seed
        Of the intervals.

    Returns
    -------
    dict
        ``iou dice average_precision auroc pod pod_below_3 pod_3_to_6 pod_from_6 false_calls false_calls_m2 depth_error
        depth_error_from_6``; undefined with the reason where the plates cannot give a number.
    """
    if not plates:
        return dict.fromkeys(_STATISTICS, Measured(Undefined("no plates")))
    found = _Resampled.of(plates, _draws(plates, specimens, resamples, seed))
    measured = {name: _measured(found.exact[name], found.at_edges[name], found.drawn[name]) for name in _STATISTICS}
    return {name: _at_the_ends(name, one, plates) for name, one in measured.items()}


def _at_the_ends(name: str, measured: Measured, plates: Sequence[PlateJudgement]) -> Measured:
    """Replace intervals of draws that cannot differ: all or no defects found, no false call."""
    value, everything = measured.value, np.arange(len(plates))
    if not isinstance(measured.interval, Interval) or isinstance(value, Undefined):
        return measured
    if name in _POD_RANGES and value in (0.0, 1.0):
        count = int(_in_range(plates, everything, *_POD_RANGES[name]).sum())
        return Measured(value, Interval(*clopper_pearson(round(value * count), count)))
    if name == "false_calls" and value == 0:
        return Measured(value, Interval(0.0, MOST_FOR_NONE / len(plates)))
    if name == "false_calls_m2" and value == 0:
        return Measured(value, Interval(0.0, MOST_FOR_NONE / sum(plate.truth.area_m2 for plate in plates)))
    return measured


def plate_differences(
    plates: Sequence[PlateJudgement],
    baseline: Sequence[PlateJudgement],
    *,
    specimens: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Measured]:
    """Return by how much the metrics of one method differ from those of another on the same plates (paired).

    Raises
    ------
    DataError
        They are not of the same plates.
    """
    if [plate.found.size for plate in plates] != [plate.found.size for plate in baseline]:
        raise DataError("a difference needs the same plates, in the same order")
    if not plates:
        return dict.fromkeys(_STATISTICS, Measured(Undefined("no plates")))
    draws = _draws(plates, specimens, resamples, seed)
    one, other = _Resampled.of(plates, draws), _Resampled.of(baseline, draws)
    return {
        name: _measured(
            _less(one.exact[name], other.exact[name]),
            _less(one.at_edges[name], other.at_edges[name]),
            [_less(*pair) for pair in zip(one.drawn[name], other.drawn[name], strict=True)],
            least=-1,
        )
        for name in _STATISTICS
    }


def _less(one: Metric, other: Metric) -> Metric:
    for value in (one, other):
        if isinstance(value, Undefined):
            return value
    return float(one) - float(other)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class _Resampled:
    """Metrics of all plates, and of each draw of them.

    ``at_edges`` holds what the curves read at some scores make of all plates: what each draw is to be compared with.
    """

    exact: Mapping[str, Metric]
    at_edges: Mapping[str, Metric]
    drawn: Mapping[str, list[Metric]]

    @classmethod
    def of(cls, plates: Sequence[PlateJudgement], draws: Sequence[Int[np.ndarray, " _"]]) -> _Resampled:
        tables, everything = _Tables.of(plates), np.arange(len(plates))
        at_edges = {name: statistic(plates, tables, everything) for name, statistic in _STATISTICS.items()}
        drawn = {name: [statistic(plates, tables, draw) for draw in draws] for name, statistic in _STATISTICS.items()}
        return cls(at_edges | _exact_curves(plates), at_edges, drawn)


def _measured(exact: Metric, at_edges: Metric, drawn: list[Metric], *, least: float = 0) -> Measured:
    interval = _interval(drawn)
    if isinstance(exact, Undefined):
        return Measured(exact)
    if isinstance(interval, Interval) and exact != at_edges:
        # Curves read at some scores only: the interval moves by what reading all of them makes of the value.
        shift = exact - float(at_edges)  # type: ignore[arg-type]
        interval = Interval(*np.clip([interval.low + shift, interval.high + shift], least, 1).tolist())
    return Measured(exact, interval)


def _exact_curves(plates: Sequence[PlateJudgement]) -> dict[str, Metric]:
    ranking = rank(np.concatenate([plate.on_defects for plate in plates]), (plate.elsewhere for plate in plates))
    return {"average_precision": average_precision_of(ranking), "auroc": auroc_of(ranking)}


@dataclass(frozen=True, eq=False)
class _Tables:
    """Pixels of each plate at or above each edge of the scores, highest first; the last column counts all."""

    edges: Float64[np.ndarray, " E"]
    on_defects: Int[np.ndarray, "N F"]
    elsewhere: Int[np.ndarray, "N F"]

    @classmethod
    def of(cls, plates: Sequence[PlateJudgement]) -> _Tables:
        scores = np.concatenate([plate.on_defects for plate in plates]).astype(np.float64)
        edges = np.unique(quantile_edges(scores))[::-1] if scores.size else np.zeros(1)
        return cls(
            edges,
            np.stack([_at_or_above(plate.on_defects, edges) for plate in plates]),
            np.stack([_at_or_above(plate.elsewhere, edges) for plate in plates]),
        )

    def ranking(self, drawn: Int[np.ndarray, " N"]) -> Ranking:
        hits, others = self.on_defects[drawn].sum(axis=0), self.elsewhere[drawn].sum(axis=0)
        weights, between = np.diff(hits, prepend=0), np.diff(others, prepend=0)
        there = weights > 0
        # Others between two kept edges count as above the lower one.
        above = np.diff(np.cumsum(between)[there], prepend=0)
        scores = np.append(self.edges, -np.inf)
        return Ranking(scores[there], weights[there].astype(np.float64), above * 0, above, int(others[-1]))


def _at_or_above(scores: Float[np.ndarray, " P"], edges: Float64[np.ndarray, " E"]) -> Int[np.ndarray, " F"]:
    ordered = np.sort(scores)
    return np.append(ordered.size - np.searchsorted(ordered, edges, side="left"), ordered.size)


def _draws(
    plates: Sequence[PlateJudgement], specimens: Sequence[str] | None, resamples: int, seed: int
) -> list[Int[np.ndarray, " _"]]:
    rng = np.random.default_rng(seed)
    names = np.arange(len(plates)) if specimens is None else np.unique(specimens, return_inverse=True)[1]
    members = [np.flatnonzero(names == name) for name in range(int(names.max()) + 1)]
    faulty = np.array([any(plates[i].found.size for i in each.tolist()) for each in members])
    groups = [group for group in (np.flatnonzero(faulty), np.flatnonzero(~faulty)) if group.size]
    if min(group.size for group in groups) < 2:
        return []
    return [
        np.concatenate([members[i] for group in groups for i in rng.choice(group, group.size).tolist()])
        for _ in range(resamples)
    ]


def _interval(values: list[Metric]) -> Interval | Undefined:
    if not values:
        return Undefined("an interval needs two plates with defects, and two without where there is one")
    known = [value for value in values if isinstance(value, float)]
    if len(known) < 0.95 * len(values):
        return Undefined("too few plates have what this needs: many draws of plates hold none")
    low, high = np.percentile(known, [2.5, 97.5]).tolist()
    return Interval(low, high)


_Statistic = Callable[[Sequence[PlateJudgement], _Tables, Int[np.ndarray, " N"]], Metric]


def _overlap(measure: Callable[[PixelCounts], Metric]) -> _Statistic:
    def statistic(plates: Sequence[PlateJudgement], _: _Tables, drawn: Int[np.ndarray, " N"]) -> Metric:
        hits, false, misses = np.sum(
            [[plates[i].hits, plates[i].false_alarms, plates[i].misses] for i in drawn.tolist()], axis=0
        ).tolist()
        if hits + misses == 0:
            return Undefined("no plate has a defect")
        return measure(PixelCounts(hits, false, misses))

    return statistic


def _in_range(
    plates: Sequence[PlateJudgement], drawn: Int[np.ndarray, " N"], low: float, high: float
) -> Bool[np.ndarray, " D"]:
    """Return which defects have a diameter over depth in a range; from 0 to infinity also those of unknown size."""
    ratios = _joined(plates, drawn, "ratio")
    return (
        np.asarray((ratios >= low) & (ratios < high)) if low > 0 or high < np.inf else np.ones(ratios.shape, np.bool_)
    )


def _pod(low: float, high: float) -> _Statistic:
    def statistic(plates: Sequence[PlateJudgement], _: _Tables, drawn: Int[np.ndarray, " N"]) -> Metric:
        inside = _in_range(plates, drawn, low, high)
        found = _joined(plates, drawn, "found")[inside]
        return float(found.mean()) if found.size else Undefined("no defects of this size")

    return statistic


def _depth_error(low: float) -> _Statistic:
    def statistic(plates: Sequence[PlateJudgement], _: _Tables, drawn: Int[np.ndarray, " N"]) -> Metric:
        told = _joined(plates, drawn, "depth_told_mm")
        true = np.concatenate([plates[i].truth.depth_mm for i in drawn.tolist()])
        taken = _joined(plates, drawn, "found") & np.isfinite(told / true)
        if low > 0:
            taken &= _joined(plates, drawn, "ratio") >= low
        if not taken.any():
            return Undefined("no depth was told of a defect that was found")
        return float(np.median(np.abs(told[taken] / true[taken] - 1)))

    return statistic


def _joined(plates: Sequence[PlateJudgement], drawn: Int[np.ndarray, " N"], name: str) -> np.ndarray:
    return np.concatenate([getattr(plates[i], name) for i in drawn.tolist()])


def _false_calls(plates: Sequence[PlateJudgement], _: _Tables, drawn: Int[np.ndarray, " N"]) -> Metric:
    return float(np.mean([plates[i].false_calls for i in drawn.tolist()]))


def _false_calls_m2(plates: Sequence[PlateJudgement], _: _Tables, drawn: Int[np.ndarray, " N"]) -> Metric:
    calls, area = np.sum([[plates[i].false_calls, plates[i].truth.area_m2] for i in drawn.tolist()], axis=0).tolist()
    return Undefined("the size of a pixel is not known for all plates") if np.isnan(area) else calls / area


_STATISTICS: Mapping[str, _Statistic] = {
    "iou": _overlap(PixelCounts.iou),
    "dice": _overlap(PixelCounts.f1),
    "average_precision": lambda _, tables, drawn: average_precision_of(tables.ranking(drawn)),
    "auroc": lambda _, tables, drawn: auroc_of(tables.ranking(drawn)),
    **{name: _pod(*ends) for name, ends in _POD_RANGES.items()},
    "false_calls": _false_calls,
    "false_calls_m2": _false_calls_m2,
    "depth_error": _depth_error(0),
    "depth_error_from_6": _depth_error(RATIOS[1]),
}
