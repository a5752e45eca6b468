"""Intervals of the metrics of masks: pictures are drawn anew, not pixels, because pixels of one picture go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.pixels import Labelling, Map, Mask, Pictures
from isotherm.evaluation.ranking import Undefined, area_under

EDGES = 256
"""Scores at which the curves of the resamples are read; the exact curve has as many as there are defect pixels."""


@dataclass(frozen=True, eq=False)
class PixelTables:
    """What each picture adds to the curves.

    Parameters
    ----------
    hits, overlaps, false_alarms
        (N E+1) defect pixels, shares of regions, and other pixels at or above each edge, highest first; the last column
        counts all.
    decided
        (N 3) hits, false alarms and misses at each picture's limit.
    """

    hits: Float[np.ndarray, "N E"]
    overlaps: Float[np.ndarray, "N E"]
    false_alarms: Float[np.ndarray, "N E"]
    decided: Float[np.ndarray, "N 3"]


def tabulate(
    pictures: Pictures, label: Labelling, edges: Float[np.ndarray, " E"], limits: Float[np.ndarray, " N"]
) -> PixelTables:
    """Count each picture's pixels at or above each of the ascending `edges`, and above its own limit."""
    rows, decided = [], []
    for (mask, scores), limit in zip(pictures, limits.tolist(), strict=True):
        rows.append(_row(mask, scores, label, edges))
        decided.append(_decided(mask, scores > limit))
    hits, overlaps, false_alarms = (np.array([row[part] for row in rows]) for part in range(3))
    return PixelTables(hits, overlaps, false_alarms, np.array(decided, dtype=np.float64))


def _row(mask: Mask, scores: Map, label: Labelling, edges: Float[np.ndarray, " E"]) -> list[Float[np.ndarray, " F"]]:
    regions, count = label(mask)
    shares = 1.0 / np.bincount(regions.ravel(), minlength=count + 1)[regions[mask]]
    # How many edges a score reaches: all of the first so many bins of the cumulated counts.
    reached = np.searchsorted(edges, scores, side="right")
    return [
        _cumulated(reached[mask], edges.size, None),
        _cumulated(reached[mask], edges.size, shares),
        _cumulated(reached[~mask], edges.size, None),
    ]


def _cumulated(reached: np.ndarray, edges: int, weights: np.ndarray | None) -> Float[np.ndarray, " F"]:
    counts = np.bincount(reached, weights, minlength=edges + 1)
    return np.cumsum(counts[::-1]).astype(np.float64)


def _decided(mask: Mask, called: Mask) -> tuple[int, int, int]:
    return int((called & mask).sum()), int((called & ~mask).sum()), int((~called & mask).sum())


def pixel_intervals(
    tables: PixelTables, faulty: Bool[np.ndarray, " N"], *, resamples: int, seed: int
) -> dict[str, tuple[float, Interval] | Undefined]:
    """Return ``pixel_auroc aupro pixel_f1 iou`` as read at the edges, and their 95 % intervals over pictures.

    Normal and faulty pictures are drawn separately, as for the metrics of whole pictures.
    """
    names = ("pixel_auroc", "aupro", "pixel_f1", "iou")
    if faulty.sum() < 2:
        reason = Undefined(f"an interval needs two pictures with masks; there is {int(faulty.sum())}")
        return dict.fromkeys(names, reason)
    times = _times(faulty, resamples, seed)
    values = [_read(tables, each) for each in (np.ones(faulty.size), *times)]
    limits = np.percentile(values[1:], [2.5, 97.5], axis=0)
    return {name: (values[0][k], Interval(*limits[:, k].tolist())) for k, name in enumerate(names)}


def _times(faulty: Bool[np.ndarray, " N"], resamples: int, seed: int) -> Float[np.ndarray, "R N"]:
    """Return how often each picture is drawn in each resample."""
    rng = np.random.default_rng(seed)
    times = np.zeros((resamples, faulty.size))
    for members in (np.flatnonzero(faulty), np.flatnonzero(~faulty)):
        if members.size:
            times[:, members] = rng.multinomial(members.size, np.full(members.size, 1 / members.size), resamples)
    return times


def _read(tables: PixelTables, times: Float[np.ndarray, " N"]) -> list[float]:
    hits, overlaps, false_alarms = (times @ part for part in (tables.hits, tables.overlaps, tables.false_alarms))
    rate, recall, overlap = (_from_zero(part) for part in (false_alarms, hits, overlaps))
    decided_hits, decided_false, misses = times @ tables.decided
    together = decided_hits + decided_false + misses
    f1 = 2 * decided_hits / (together + decided_hits)
    return [area_under(rate, recall, 1.0), area_under(rate, overlap, 0.3), float(f1), float(decided_hits / together)]


def _from_zero(counts: Float[np.ndarray, " F"]) -> Float[np.ndarray, " G"]:
    return np.concatenate([[0.0], counts / max(counts[-1], 1e-300)])


def quantile_edges(scores: Float[np.ndarray, " K"]) -> Float[np.ndarray, " E"]:
    """Return at most `EDGES` of the distinct scores of defect pixels, evenly among them, ascending."""
    ascending = np.sort(scores)
    if ascending.size <= EDGES:
        return ascending
    return ascending[np.linspace(0, ascending.size - 1, EDGES).round().astype(np.int64)]
