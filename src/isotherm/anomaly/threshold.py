"""From scores of held-out normal images to a threshold, and to a score that means the same for every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import ceil, log
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from isotherm.core.errors import DataError, ModelError
from isotherm.core.proportions import beta_quantile, binomial_tail, clopper_pearson

Scores = Float[np.ndarray, " N"]
Rule = Literal["percentile", "budget", "labels"]
"""How a threshold is chosen: percentile of held-out normal scores, budget of false alarms, labelled pictures."""
ByHand = Literal["hand"]
"""How one is chosen that a person has set by looking at the scores."""


@dataclass(frozen=True)
class FalseAlarms:
    """The share of normal images like the held-out ones that will be called: what to expect, and its 95 % interval."""

    rate: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{_percent(self.rate)} of normal images (95 % interval {_percent(self.low)} to {_percent(self.high)})"


@dataclass(frozen=True)
class Yardstick:
    """Where values of held-out normal images lie: their median, and their standard deviation as a unit.

    By it, scores of models that have learnt from different images (or of different methods) can be ranked together. A
    threshold could not do that: it is an extreme of few scores, and differs much from model to model by chance.
    """

    centre: float
    spread: float

    def standing(self, values: np.ndarray | np.float64) -> np.ndarray:
        """Return how many deviations above the median each value lies; the order stays."""
        return np.asarray((values - self.centre) / self.spread)

    def value(self, standing: float) -> float:
        """Return the value that lies so many deviations above the median."""
        return self.centre + standing * self.spread


def yardstick(values: Scores) -> Yardstick:
    """Measure values of held-out normal images (N).

    Of a single one, or where all are alike, the unit is a thousandth of the median: it must not be 0.
    """
    centre = float(np.median(values))
    spread = float(np.std(values, ddof=1, dtype=np.float64)) if values.size > 1 else 0.0
    return Yardstick(centre, max(spread, 1e-3 * abs(centre), 1e-12))


@dataclass(frozen=True, eq=False)
class ScoreCalibration:
    """What normal images that the detector had not seen score, and the limits that follow.

    Parameters
    ----------
    scores
        (N) their scores, ascending, in the method's own unit.
    percentile
        The percentile of the held-out scores at which the threshold lies, or that was asked for, 0..100.
    threshold
        An image above it is an anomaly.
    pixel_threshold
        A pixel of the map, at the picture's own size, above it belongs to the mask.
    how
        How both were chosen, in words.
    rule
        How they were chosen.
    map_maxima
        Where the largest map values of the held-out images lie; None in models of before this was kept.
    """

    scores: Scores
    percentile: float
    threshold: float
    pixel_threshold: float
    how: str
    rule: Rule | ByHand = "percentile"
    map_maxima: Yardstick | None = None

    def yardstick(self) -> Yardstick:
        """Return where the held-out scores lie."""
        return yardstick(self.scores)

    def map_yardstick(self) -> Yardstick:
        """Return where the largest map values lie; the scores stand in for them where they were not kept."""
        return self.map_maxima or self.yardstick()

    def percentile_of(self, score: float) -> float:
        """Return the percentage (0..100) of held-out normal images that score lower."""
        return 100.0 * float(np.searchsorted(self.scores, np.float32(score), side="left")) / self.scores.size

    def p_value(self, score: float) -> float:
        """Return how often a normal image would look at least so strange, by the held-out ones: 1 / (N + 1) to 1.

        Of images that are exchangeable with the held-out ones at most a share u gets a p-value of at most u (Vovk,
        Gammerman & Shafer 2005, chapter 2).
        """
        lower = int(np.searchsorted(self.scores, np.float32(score), side="left"))
        return (1 + self.scores.size - lower) / (1 + self.scores.size)

    def false_alarms(self) -> FalseAlarms:
        """Return the share of normal images that will score above the threshold; see `false_alarms_above`."""
        return false_alarms_above(self.scores, self.threshold)

    def moved(
        self, threshold: float, how: str, rule: Rule | ByHand, *, pixel_threshold: float | None = None
    ) -> ScoreCalibration:
        """Return the same scores with another threshold.

        Parameters
        ----------
        how, rule
            How it was chosen, in words and as one of the known ways.
        pixel_threshold
            The limit of a pixel; None moves it by the same factor as the threshold.
        """
        if pixel_threshold is None:
            pixel_threshold = self._moved_along(threshold)
        percentile = self.percentile_of(threshold)
        return replace(
            self, percentile=percentile, threshold=threshold, pixel_threshold=pixel_threshold, how=how, rule=rule
        )

    def _moved_along(self, threshold: float) -> float:
        if self.threshold > 0 and self.pixel_threshold > 0 and threshold > 0:
            return self.pixel_threshold * threshold / self.threshold
        return self.pixel_threshold + threshold - self.threshold

    def to_mapping(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "scores": [float(value) for value in self.scores],
            "percentile": self.percentile,
            "threshold": self.threshold,
            "pixel_threshold": self.pixel_threshold,
            "how": self.how,
            "rule": self.rule,
            "map_maxima": None if self.map_maxima is None else asdict(self.map_maxima),
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ScoreCalibration:
        """Rebuild what `to_mapping` gave; raises ModelError where a value cannot be right."""
        try:
            scores = np.asarray(values["scores"], dtype=np.float32)
            percentile, threshold, pixel_threshold = (
                float(values[name]) for name in ("percentile", "threshold", "pixel_threshold")
            )
            how = str(values["how"])
            # Models of before the other rules do not name theirs.
            rule: Rule | ByHand = values.get("rule", "percentile")
            maxima = values.get("map_maxima")
            measured = None if maxima is None else Yardstick(float(maxima["centre"]), float(maxima["spread"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"its calibration is damaged: {error}") from error
        if (
            scores.ndim != 1
            or not scores.size
            or not np.isfinite(scores).all()
            or not np.isfinite((threshold, pixel_threshold)).all()
        ):
            raise ModelError("its calibration holds no finite scores")
        if rule not in (*get_args(Rule), *get_args(ByHand)):
            raise ModelError(f"its calibration names the unknown threshold rule {rule!r}")
        if measured is not None and not (np.isfinite(measured.centre) and 0 < measured.spread < np.inf):
            raise ModelError("its calibration holds no finite spread of the maps")
        return cls(np.sort(scores), percentile, threshold, pixel_threshold, how, rule, measured)


def false_alarms_above(scores: Scores, threshold: float) -> FalseAlarms:
    """Return the share of normal images that will score above a threshold, by held-out ones (N, ascending, float32).

    A threshold that is itself the (k + 1)-th highest of N held-out scores leaves a share that follows
    Beta(k + 1, N - k), whatever the scores' distribution (Wilks 1941). One that was chosen elsewhere is exceeded by
    k of N, a plain proportion (Clopper & Pearson 1934). Both hold for images that are as independent of one another
    as the interval assumes; cross-fitted scores come from models that have learnt from a little less than the final
    one, so there both are approximate.
    """
    count = scores.size
    above = count - int(np.searchsorted(scores, np.float32(threshold), side="right"))
    if above < count and scores[count - 1 - above] == np.float32(threshold):
        low, high = (beta_quantile(above + 1, count - above, share) for share in (0.025, 0.975))
        return FalseAlarms((above + 1) / (count + 1), low, high)
    return FalseAlarms(above / count, *clopper_pearson(above, count))


def calibrate(scores: Scores, map_maxima: Scores, percentile: float, *, held_out: str = "") -> ScoreCalibration:
    """Choose the thresholds from held-out normal images; never give it test images.

    The percentile is the smallest score that at least so many per cent of the held-out images do not exceed, without
    interpolation; the threshold is that score, and only what lies above it is an anomaly.

    Parameters
    ----------
    scores, map_maxima
        (N) the score, and the largest map value at the picture's own size, of each held-out normal image.
    percentile
        0..100.
    held_out
        How the images were held out, in words; opens the description.

    Raises
    ------
    DataError
        No score, or one that is not finite.
    """
    _check(scores, map_maxima)
    threshold, pixel_threshold = (
        float(np.percentile(values, percentile, method="inverted_cdf")) for values in (scores, map_maxima)
    )
    how = _describe(scores.size, percentile, held_out or f"{scores.size} held-out normal images")
    ordered = np.sort(scores).astype(np.float32)
    return ScoreCalibration(ordered, percentile, threshold, pixel_threshold, how, map_maxima=yardstick(map_maxima))


def keep_within(
    scores: Scores, map_maxima: Scores, rate: float, *, confidence: float = 0.95, held_out: str = ""
) -> ScoreCalibration:
    """Choose the lowest thresholds that keep to a budget of false alarms with some confidence.

    The threshold is the (k + 1)-th highest of N held-out scores with the largest k for which Beta(k + 1, N - k) lies
    below `rate` with probability `confidence`: a distribution-free upper tolerance limit (Wilks 1941). Where even the
    highest score cannot promise it, that one is taken, and the description says how many images would be needed.

    Parameters
    ----------
    scores, map_maxima, held_out
        As for `calibrate`.
    rate
        Share of normal images that may be called, above 0 and below 1.
    confidence
        How sure that must be, above 0 and below 1: the share of held-out sets like this for which the promise holds.

    Raises
    ------
    DataError
        No score, or one that is not finite.
    """
    _check(scores, map_maxima)
    count = scores.size
    above = next((k for k in range(count) if binomial_tail(k + 1, count, rate) < confidence), count) - 1
    what = f"at most {_percent(rate)} false alarms with {_percent(confidence)} confidence"
    place = f"the {_nth_highest(max(above, 0) + 1)} score of {held_out or f'{count} held-out normal images'}"
    if above < 0:
        what, above = _too_few(count, rate, confidence), 0
    threshold, pixel_threshold = (float(np.sort(values)[count - 1 - above]) for values in (scores, map_maxima))
    percentile = 100.0 * (count - above) / count
    return ScoreCalibration(
        np.sort(scores).astype(np.float32),
        percentile,
        threshold,
        pixel_threshold,
        f"{what}: {place}",
        "budget",
        yardstick(map_maxima),
    )


def _too_few(count: int, rate: float, confidence: float) -> str:
    needed = ceil(log(1 - confidence) / log(1 - rate))
    return (
        f"{count} held-out images are too few to promise at most {_percent(rate)} false alarms with "
        f"{_percent(confidence)} confidence ({needed} are needed; what can be promised is at most "
        f"{_percent(beta_quantile(1, count, confidence))})"
    )


def _nth_highest(number: int) -> str:
    if number == 1:
        return "highest"
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending} highest"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _check(scores: Scores, map_maxima: Scores) -> None:
    if not scores.size:
        raise DataError("no held-out normal image to choose a threshold from")
    if not (np.isfinite(scores).all() and np.isfinite(map_maxima).all()):
        raise DataError("a normal image got a score that is not a finite number")


def _describe(count: int, percentile: float, held_out: str) -> str:
    text = f"{percentile:g}th percentile of the scores of {held_out}"
    if count * (1 - percentile / 100) >= 1:
        return text
    needed = f", which would need at least {int(np.ceil(100 / (100 - percentile)))} images" if percentile < 100 else ""
    return (
        f"{text}; with {count} scores this is the largest of them, not a measured percentile{needed}: "
        f"expect up to about {100 / (count + 1):.0f} % false alarms"
    )
