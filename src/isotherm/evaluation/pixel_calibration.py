"""Whether the probabilities that a network gives to pixels come true; pixels of one plate go together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.calibration import BINS, Reliability
from isotherm.evaluation.defects import PlateJudgement
from isotherm.evaluation.ranking import Undefined

DEFINITION = (
    "stated probabilities of pixels against the share of defect pixels, in ten bins of equal width; the expected "
    "calibration error is the mean distance weighed by pixels (intervals: 95 % bootstrap over plates)"
)


def pixel_reliability(
    plates: Sequence[PlateJudgement], *, resamples: int = 1000, seed: int = 0
) -> Reliability | Undefined:
    """Compare stated probabilities of pixels with what is true, over the pixels of all plates.

    Parameters
    ----------
    plates
        Judged plates whose scores are probabilities; pixels without one (minus infinity) do not count.
    resamples, seed
        Of the intervals, for which plates are drawn anew.

    Returns
    -------
    Reliability or Undefined
        Undefined without a plate, and where a score is no probability.
    """
    if not plates:
        return Undefined("no plates")
    if any(_highest(plate) > 1 for plate in plates):
        return Undefined("the scores are no probabilities")
    tables = np.stack([_table(plate) for plate in plates])
    total = tables.sum(axis=0)
    filled = np.flatnonzero(total[0])
    rng = np.random.default_rng(seed)
    drawn = [tables[rng.integers(0, len(plates), len(plates))].sum(axis=0) for _ in range(resamples)]
    limits = _limits(drawn, filled)
    few = Undefined("an interval needs two plates; there is 1")
    errors = [_error(each) for each in drawn if each[0].any()]
    return Reliability(
        stated=total[1, filled] / total[0, filled],
        observed=total[2, filled] / total[0, filled],
        low=limits[0],
        high=limits[1],
        counts=total[0, filled].astype(np.int64),
        error=_error(total),
        interval=few if len(plates) < 2 else Interval(*np.percentile(errors, [2.5, 97.5]).tolist()),
        brier=float(total[3].sum() / total[0].sum()),
    )


def _highest(plate: PlateJudgement) -> float:
    return max(float(scores.max(initial=0)) for scores in (plate.on_defects, plate.elsewhere))


def _table(plate: PlateJudgement) -> Float64[np.ndarray, "4 B"]:
    """Return of each bin: pixels, sum of probabilities, defect pixels, sum of squared distances."""
    rows = np.zeros((4, BINS))
    for scores, true in ((plate.on_defects, 1.0), (plate.elsewhere, 0.0)):
        stated = scores[np.isfinite(scores)].astype(np.float64)
        member = np.minimum((stated * BINS).astype(np.int64), BINS - 1)
        counts = np.bincount(member, minlength=BINS)
        squared = np.bincount(member, (stated - true) ** 2, BINS)
        rows += np.stack([counts, np.bincount(member, stated, BINS), counts * true, squared])
    return rows


def _error(table: Float64[np.ndarray, "4 B"]) -> float:
    return float(np.abs(table[1] - table[2]).sum() / table[0].sum())


def _limits(drawn: Sequence[Float64[np.ndarray, "4 B"]], filled: np.ndarray) -> Float64[np.ndarray, "2 F"]:
    """Return the interval of the observed share of each bin over the draws that have pixels in it."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.array([each[2, filled] / each[0, filled] for each in drawn])
    return np.asarray(np.nanpercentile(shares, [2.5, 97.5], axis=0))
