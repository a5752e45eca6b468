"""From maps to a mask without learning: the seam of the methods, their table, and the two that cut at a threshold.

Defaults were chosen on forty simulated plates of CFRP (seeds 4101, 4103) with the fourteen maps of
`isotherm.sequences.features`, and so that 24 plates without a defect (4102, 4104) stay empty. With fewer maps, or
fainter defects, lower limits find more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64

from isotherm.core.config import setting, validate
from isotherm.core.regions import clean, label
from isotherm.core.registry import Registry, Row
from isotherm.core.two_classes import split
from isotherm.sequences.departure import SMOOTH_PX, Maps, departure
from isotherm.sequences.prominence import score_of, standing_out

Mask = Bool[np.ndarray, "H W"]
Score = Float32[np.ndarray, "H W"]
BINS = 1024
STANDS = 1.0
"""From so much above the skirt of its peak on a pixel belongs to a defect [standard deviations]."""


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What a method found.

    Parameters
    ----------
    mask
        (H W) where there is a defect; never where a pixel has no number.
    score
        (H W) the larger, the more likely a defect; NaN where a pixel has no number.
    notes
        What was decided, for the user.
    """

    mask: Mask
    score: Float32[np.ndarray, "H W"]
    notes: tuple[str, ...] = ()


@runtime_checkable
class SegmentMethod(Protocol):
    """One way to tell defects from sound material in maps, without having been taught."""

    name: str
    config_type: type
    """A frozen dataclass of `isotherm.core.config.setting` fields; the single source of the command's flags."""

    def segment(self, maps: Maps, config: Any) -> Segmentation:
        """Return mask and score.

        Parameters
        ----------
        maps
            (K H W) such as the 14 of `isotherm.sequences.features`, or one; NaN pixels are never a defect.
        config
            An instance of ``config_type``.

        Raises
        ------
        DataError
            The maps cannot be used for it (constant, too small).
        """
        ...


def cleaned(mask: Mask, *, min_area_px: int, border_px: int) -> Mask:
    """Take out the rim, single pixels and narrow bridges of noise, fill gaps of as little, and drop small regions."""
    return clean(mask & within(mask.shape, border_px), open_px=1, close_px=1, min_area_px=min_area_px)


def defects_in(departed: Score, candidates: Mask, *, limit: float, min_area_px: int, border_px: int) -> Mask:
    """Return the regions at half their height whose peak departs far enough.

    Parameters
    ----------
    departed
        (H W) by `isotherm.sequences.departure`.
    candidates
        (H W) pixels that may belong to one.
    limit
        Departure that a region must reach somewhere.
    """
    with np.errstate(invalid="ignore"):
        stands = np.asarray(standing_out(departed) >= STANDS)
    labels, count = label(cleaned(stands & candidates, min_area_px=min_area_px, border_px=border_px))
    highest = np.full(count + 1, -np.inf)
    np.maximum.at(highest, labels.ravel(), np.nan_to_num(departed, nan=-np.inf).ravel())
    highest[0] = -np.inf
    return np.asarray((highest >= limit)[labels])


def within(size: tuple[int, ...], border_px: int) -> Mask:
    """Return a picture that is True but for its rim."""
    inside = np.zeros(size, np.bool_)
    inside[border_px : size[0] - border_px, border_px : size[1] - border_px] = True
    return inside


@dataclass(frozen=True)
class OtsuConfig:
    """Settings of `Otsu`."""

    min_separation: float = setting(
        5.0, "nothing is a defect unless the two classes differ by this [robust standard deviations]", low=0
    )
    smooth_px: float = setting(
        SMOOTH_PX, "maps are smoothed by a Gaussian of this standard deviation [px]", low=0, high=20
    )
    min_area_px: int = setting(12, "smallest region that is kept [px]", low=1)
    border_px: int = setting(3, "pixels at the rim of the picture that are never a defect [px]", low=0, high=1000)

    def __post_init__(self) -> None:
        validate(self)


class Otsu:
    """Otsu's threshold on how far each pixel departs from the usual.

    On the logarithm of the departure (over 1), because a few defects near the surface stand out so far that a threshold
    on the departure itself would part only them from all others.
    """

    name = "otsu"
    config_type = OtsuConfig

    def segment(self, maps: Maps, config: OtsuConfig) -> Segmentation:
        """Return the pixels of the class that departs; see `SegmentMethod.segment`."""
        departed = departure(maps, smooth_px=config.smooth_px)
        score, known = score_of(departed), np.isfinite(departed)
        logs = _log(departed[known])
        limit, _ = split(logs, BINS)
        above = np.zeros(score.shape, np.bool_)
        above[known] = logs >= limit
        parted = 0 < above.sum() < known.sum()
        apart = float(departed[above].mean() - departed[known & ~above].mean()) if parted else 0.0
        if apart < config.min_separation:
            return Segmentation(
                np.zeros_like(above), score, (f"nothing stands out: the classes differ by {apart:.1f}",)
            )
        return Segmentation(
            defects_in(departed, above, limit=0, min_area_px=config.min_area_px, border_px=config.border_px),
            score,
            (f"threshold at {np.expm1(limit):.1f}",),
        )


def _log(score: Float32[np.ndarray, " P"]) -> Float64[np.ndarray, " P"]:
    return np.asarray(np.log1p(np.maximum(score, 0).astype(np.float64)))


@dataclass(frozen=True)
class MahalanobisConfig:
    """Settings of `Mahalanobis`."""

    limit: float = setting(8.0, "departure from the usual that a defect must reach [standard deviations]", low=0)
    smooth_px: float = setting(
        SMOOTH_PX, "maps are smoothed by a Gaussian of this standard deviation [px]", low=0, high=20
    )
    min_area_px: int = setting(12, "smallest region that is kept [px]", low=1)
    border_px: int = setting(3, "pixels at the rim of the picture that are never a defect [px]", low=0, high=1000)

    def __post_init__(self) -> None:
        validate(self)


class Mahalanobis:
    """A fixed limit on the robust distance from the usual; see `isotherm.sequences.departure.departure`.

    A region reaches down to half its height; see `isotherm.sequences.prominence.standing_out`.
    """

    name = "mahalanobis"
    config_type = MahalanobisConfig

    def segment(self, maps: Maps, config: MahalanobisConfig) -> Segmentation:
        """Return the regions that reach the limit; see `SegmentMethod.segment`."""
        departed = departure(maps, smooth_px=config.smooth_px)
        area_px, border_px, every = config.min_area_px, config.border_px, np.ones(departed.shape, np.bool_)
        mask = defects_in(departed, every, limit=config.limit, min_area_px=area_px, border_px=border_px)
        return Segmentation(mask, score_of(departed))


OTSU, MAHALANOBIS = Otsu(), Mahalanobis()
SEGMENT_METHODS: Registry[SegmentMethod] = Registry(
    "segmentation method",
    Row("mahalanobis", "isotherm.sequences.segment:MAHALANOBIS", "far from the usual in all maps together"),
    Row("otsu", "isotherm.sequences.segment:OTSU", "the threshold that best parts usual from unusual (Otsu)"),
    Row("kmeans", "isotherm.sequences.segment_kmeans:METHOD", "clusters of maps, or of maps and place, far from usual"),
    Row("grow", "isotherm.sequences.segment_grow:METHOD", "regions grown from seeds: given ones, or maxima"),
)
