"""From a mask to a table: each defect with its size, depth, contrast and outline."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Num

from isotherm.core.config import setting, validate
from isotherm.core.errors import DataError
from isotherm.core.findings import Region
from isotherm.core.regions import dilate, drop_small, erode, label
from isotherm.measurement.outlines import outlines
from isotherm.measurement.region_stats import RegionStats, region_stats
from isotherm.sequences.quality import cnr
from isotherm.sequences.region_depths import GapFit, RegionDepths

Mask = Bool[np.ndarray, "H W"]
# Anonymous sides: that a map is of the size of the mask is checked, with a message.
Picture = Float32[np.ndarray, "_ _"]
Verdict = Literal["accept", "reject"]

TOGETHER_PX = 9
"""Neighbouring pixels share noise by blur and by heat that spreads: so many count as one."""
RELIABLE_RATIO, RELIABLE_FIT_RATIO = 6.0, 3.0
"""Below this diameter over depth, heat flows round a defect before its depth shows (`Defect.depth_doubt`): in depths of
pixels, and in those fitted to a region, where that flow is part of the theory."""
CLEAR_RESISTANCE = 0.25
"""Gaps that hold heat up less than this (R k / d) look like solid inclusions, which lie less deep than they seem."""


@dataclass(frozen=True)
class DefectRules:
    """How defects are measured and judged."""

    pixel_mm: float | None = setting(
        None, "side of a pixel on the part [mm]; without it sizes are in pixels alone", low=1e-6
    )
    min_area_px: int = setting(4, "smallest region that counts [px]", low=1)
    guard_px: int = setting(3, "pixels this near to any defect are not sound [px]", low=0, high=100)
    ring_px: int = setting(8, "width of the ring of sound pixels that a defect is compared with [px]", low=1, high=1000)
    diffusivity_percent: float = setting(
        10.0, "standard uncertainty of the diffusivity behind the depths [%]", low=0, high=100
    )
    method_percent: float = setting(
        6.0, "standard uncertainty of a pixel's depth by the method itself, for wide defects [%]", low=0, high=100
    )
    reject_diameter_mm: float | None = setting(None, "defects of this diameter or more are rejected [mm]", low=0)
    reject_area_mm2: float | None = setting(None, "defects of this area or more are rejected [mm²]", low=0)

    def __post_init__(self) -> None:
        validate(self)


@dataclass(frozen=True)
class Defect:
    """One connected region of a mask.

    Parameters
    ----------
    number
        From 1, the largest first.
    region
        Place, area [px, mm²] and outline; the peak is that of the score.
    diameter_px, diameter_mm
        Of the circle of the same area; None in mm without the size of a pixel.
    depth_mm, depth_sigma_mm
        Depth of its middle and its standard uncertainty; None where no depth is known.
    depth_doubt
        Why the depth should not be trusted; empty where nothing speaks against it.
    cnr
        Contrast to noise against the ring of sound pixels round it, for each map by name.
    score
        Highest score in it, None without scores.
    verdict
        By the limits that were given; None where none was, or where the size of a pixel is not known.
    """

    number: int
    region: Region
    diameter_px: float
    diameter_mm: float | None
    depth_mm: float | None
    depth_sigma_mm: float | None
    depth_doubt: str
    cnr: Mapping[str, float]
    score: float | None
    verdict: Verdict | None

    @property
    def best_map(self) -> str | None:
        """The map in which it shows best."""
        known = {name: value for name, value in self.cnr.items() if not math.isnan(value)}
        return max(known, key=known.__getitem__) if known else None


@dataclass(frozen=True)
class DepthTold:
    """A depth with its standard uncertainty [mm], and why it should not be trusted (empty where nothing says so)."""

    depth_mm: float | None = None
    sigma_mm: float | None = None
    doubt: str = ""


def find_defects(
    mask: Mask,
    rules: DefectRules,
    *,
    maps: Mapping[str, Picture] | None = None,
    score: Picture | None = None,
    depth_mm: Picture | None = None,
    depths: RegionDepths | None = None,
) -> tuple[Defect, ...]:
    """Measure each defect of a mask.

    Parameters
    ----------
    mask
        (H W) where there is a defect.
    rules
        Size of a pixel, uncertainties, limits.
    maps
        Maps by name, for the contrast to noise.
    score
        How likely each pixel is a defect, by whatever found them.
    depth_mm
        Depth of each pixel [mm], NaN where none could be told (as from `isotherm.sequences.tsr`).
    depths
        Tells the depth of each region from its mean curve, in place of `depth_mm`: far more certain.

    Raises
    ------
    DataError
        A map is of another size than the mask.
    """
    named = (
        dict(maps or {})
        | ({} if score is None else {"score": score})
        | ({} if depth_mm is None else {"depth": depth_mm})
    )
    for name, picture in named.items():
        if picture.shape != mask.shape:
            raise DataError(
                f"the map {name} is {_size(picture)} pixels, the mask {_size(mask)}; they must be of one size"
            )
    labels, count = drop_small(*label(mask), rules.min_area_px)
    if not count:
        return ()
    stats = region_stats(score if score is not None else mask.astype(np.float32), labels, count)
    contours = outlines(labels, count)
    order = np.argsort(-stats.area_px, kind="stable").tolist()
    found = []
    for number, place in enumerate(order, start=1):
        inside = np.asarray(labels == place + 1)
        area = int(stats.area_px[place])
        square = None if not rules.pixel_mm else area * rules.pixel_mm**2
        region = Region(area, stats.box(place), stats.peak(place), contours[place], square)
        ring = sound_ring(inside, mask, guard_px=rules.guard_px, ring_px=rules.ring_px)
        ratios = {name: cnr(picture, inside, ring) for name, picture in (maps or {}).items()}
        diameter_mm = _diameter_px(area) * rules.pixel_mm if rules.pixel_mm else None
        if depths is not None:
            depth = told_by_fit(depths.fit(inside, ring), diameter_mm, rules)
        else:
            depth = _told_by_pixels(depth_mm, inside, diameter_mm, rules)
        found.append(_defect(number, region, (ratios, _highest(score, stats, place)), depth, rules))
    return tuple(found)


def _defect(
    number: int,
    region: Region,
    shown: tuple[Mapping[str, float], float | None],
    depth: DepthTold,
    rules: DefectRules,
) -> Defect:
    diameter = _diameter_px(region.area_px)
    diameter_mm = diameter * rules.pixel_mm if rules.pixel_mm else None
    verdict = _verdict(diameter_mm, region.area_mm2, rules)
    told = (depth.depth_mm, depth.sigma_mm, depth.doubt)
    return Defect(number, region, diameter, diameter_mm, *told, shown[0], shown[1], verdict)


def _diameter_px(area_px: int) -> float:
    return math.sqrt(4 * area_px / math.pi)


def _highest(score: Picture | None, stats: RegionStats, place: int) -> float | None:
    high = float(stats.high[place])
    return None if score is None or math.isnan(high) else high


def told_by_fit(fit: GapFit | None, diameter_mm: float | None, rules: DefectRules) -> DepthTold:
    """Return the depth that was fitted to a region, with the uncertainty of the diffusivity and with its doubts.

    Depth goes with the root of the diffusivity: half the relative uncertainty of that joins the fit's, as independent.
    """
    if fit is None:
        return DepthTold()
    depth = 1000 * fit.depth_m
    doubt = _narrow(diameter_mm, depth, RELIABLE_FIT_RATIO)
    if fit.resistance < CLEAR_RESISTANCE:
        doubt = "; ".join(
            filter(None, ("it holds heat up little: if it is solid (an inclusion) it lies less deep", doubt))
        )
    return DepthTold(depth, math.hypot(1000 * fit.sigma_m, depth * rules.diffusivity_percent / 200), doubt)


def _told_by_pixels(depth_mm: Picture | None, inside: Mask, diameter_mm: float | None, rules: DefectRules) -> DepthTold:
    depth, sigma = (None, None) if depth_mm is None else depth_of(depth_mm, inside, rules)
    return DepthTold() if depth is None else DepthTold(depth, sigma, _narrow(diameter_mm, depth, RELIABLE_RATIO))


def _narrow(diameter_mm: float | None, depth_mm: float, reliable: float) -> str:
    if diameter_mm is None:
        return "whether it is wide enough for its depth is not known without the size of a pixel"
    ratio = diameter_mm / depth_mm if depth_mm else math.inf
    if ratio >= reliable:
        return ""
    return f"diameter over depth is {ratio:.1f}: below {reliable:g} heat flows round a defect before its depth shows"


def _verdict(diameter_mm: float | None, area_mm2: float | None, rules: DefectRules) -> Verdict | None:
    limits = ((diameter_mm, rules.reject_diameter_mm), (area_mm2, rules.reject_area_mm2))
    judged = [size >= limit for size, limit in limits if size is not None and limit is not None]
    if not judged:
        return None
    return "reject" if any(judged) else "accept"


def depth_of(depth_mm: Picture, inside: Mask, rules: DefectRules) -> tuple[float | None, float | None]:
    """Return the depth of a defect and its standard uncertainty [mm], None where less than half its middle has depths.

    The depth is the median over its middle (its rim is drawn out by heat that spreads; a defect too narrow for a
    middle is taken whole). The uncertainty joins, as independent: the spread of the pixels, with neighbours counted
    together, half the relative uncertainty of the diffusivity (depth goes with its root), and that of the method.
    """
    middle = erode(np.pad(inside, 1), 2)[1:-1, 1:-1]
    taken = middle if middle.any() else inside
    known = depth_mm[taken].astype(np.float64)
    known = known[np.isfinite(known)]
    if known.size < 0.5 * np.count_nonzero(taken) or not known.size:
        return None, None
    depth = float(np.median(known))
    spread = 1.4826 * float(np.median(np.abs(known - depth)))
    parts = (
        spread / math.sqrt(max(known.size / TOGETHER_PX, 1)),
        depth * rules.diffusivity_percent / 200,
        depth * rules.method_percent / 100,
    )
    return depth, math.hypot(*parts)


def sound_ring(inside: Mask, every: Mask, *, guard_px: int, ring_px: int) -> Mask:
    """Return the sound pixels round a defect: beyond the guard, within the ring, and that far from any other defect.

    Parameters
    ----------
    inside
        Pixels of the defect.
    every
        Pixels of all defects.
    guard_px, ring_px
        Distance at which the ring begins, and its width [px].
    """
    near = dilate(inside, guard_px + ring_px)
    return np.asarray(near & ~dilate(every & dilate(near, guard_px), guard_px))


def _size(picture: Num[np.ndarray, "_ _"] | Bool[np.ndarray, "_ _"]) -> str:
    return f"{picture.shape[1]} x {picture.shape[0]}"


COLUMNS = (
    "number",
    "x_px",
    "y_px",
    "width_px",
    "height_px",
    "area_px",
    "area_mm2",
    "diameter_px",
    "diameter_mm",
    "depth_mm",
    "depth_sigma_mm",
    "depth_doubt",
    "cnr",
    "cnr_map",
    "score",
    "verdict",
)


def table_row(defect: Defect) -> dict[str, str | int | float | None]:
    """Return a defect as a row of a table, by `COLUMNS`; the outline is in `Defect.region` alone."""
    box, best = defect.region.box, defect.best_map
    numbers = (defect.number, box.x, box.y, box.width, box.height, defect.region.area_px, defect.region.area_mm2)
    sizes = (defect.diameter_px, defect.diameter_mm, defect.depth_mm, defect.depth_sigma_mm, defect.depth_doubt)
    shown = (defect.cnr[best] if best else None, best, defect.score, defect.verdict)
    return dict(zip(COLUMNS, (*numbers, *sizes, *shown), strict=True))
