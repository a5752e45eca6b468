"""Detection delay: how many pictures of an asset pass from its first faulty one to the first alarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from isotherm.evaluation.bootstrap import Interval
from isotherm.evaluation.ranking import Metric, Undefined


@dataclass(frozen=True, eq=False)
class Course:
    """The pictures of one asset in the order they were taken: faulty or not (T), called or not (T)."""

    name: str
    faulty: Bool[np.ndarray, " T"]
    called: Bool[np.ndarray, " T"]

    def delay(self) -> float:
        """Return pictures from the first faulty one to the first alarm from there on; infinite without an alarm."""
        onset = int(np.argmax(self.faulty))
        alarms = np.flatnonzero(self.called[onset:])
        return float(alarms[0]) if alarms.size else float("inf")

    def alarmed_early(self) -> bool:
        """Say whether an alarm was raised before the first faulty picture."""
        return bool(self.called[: int(np.argmax(self.faulty))].any())


@dataclass(frozen=True)
class Delays:
    """Detection delays of some assets, counted in pictures.

    Parameters
    ----------
    assets
        Assets with a faulty picture, which alone have a delay.
    never
        Those for which no alarm was raised from the first faulty picture on.
    early
        Those with an alarm before their first faulty picture.
    at_once
        Share found in the first faulty picture itself, with its interval.
    median
        Median delay; an asset that is never found counts as infinitely late, so it is
        undefined where more than half are (of an even number the earlier of the two middle ones).
    mean_of_found
        Mean delay of those that are found; too good where some are not.
    """

    assets: int
    never: int
    early: int
    at_once: Metric
    at_once_interval: Interval | Undefined
    median: Metric
    median_interval: Interval | Undefined
    mean_of_found: Metric


def detection_delays(courses: Sequence[Course], *, resamples: int = 1000, seed: int = 0) -> Delays | Undefined:
    """Return the delays of the assets that have a faulty picture; intervals by bootstrap over assets.

    Undefined where no asset has one, and where every asset has a single picture: then nothing is ordered.
    """
    faulty = [course for course in courses if course.faulty.any()]
    if not faulty:
        return Undefined("no asset has a faulty picture")
    if all(course.faulty.size == 1 for course in courses):
        return Undefined("no asset has more than one picture")
    delays = np.array([course.delay() for course in faulty])
    drawn = np.random.default_rng(seed).integers(0, delays.size, (resamples, delays.size))
    found = delays[np.isfinite(delays)]
    return Delays(
        assets=delays.size,
        never=int(np.isinf(delays).sum()),
        early=sum(course.alarmed_early() for course in faulty),
        at_once=float(np.mean(delays == 0)),
        at_once_interval=_interval(np.mean(delays[drawn] == 0, axis=1), delays.size),
        median=_finite(float(_median(delays[None])[0])),
        median_interval=_interval(_median(delays[drawn]), delays.size),
        mean_of_found=float(found.mean()) if found.size else Undefined("no asset is found"),
    )


def _median(delays: np.ndarray) -> np.ndarray:
    # The lower of the two middle ones: the mean of a number and infinity would say nothing.
    return np.asarray(np.sort(delays, axis=1)[:, (delays.shape[1] - 1) // 2])


def _finite(value: float) -> Metric:
    return value if np.isfinite(value) else Undefined("more than half of the assets are never found")


def _interval(values: np.ndarray, assets: int) -> Interval | Undefined:
    if assets < 2:
        return Undefined("an interval needs two assets with a faulty picture; there is 1")
    low, high = np.percentile(values, [2.5, 97.5], method="inverted_cdf").tolist()
    if np.isinf(high):
        return Undefined("in more than 2.5 % of the resamples most assets are never found")
    return Interval(low, high)
