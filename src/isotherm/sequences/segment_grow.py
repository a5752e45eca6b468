"""Regions that grow from seeds, given by hand or found as maxima, as long as pixels stay similar."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from isotherm.core.config import setting, validate
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.regions import Mask, label
from isotherm.sequences.departure import SMOOTH_PX, Maps, departure
from isotherm.sequences.prominence import score_of
from isotherm.sequences.segment import Segmentation, cleaned, within

MOST_SEEDS = 200
"""Maxima that are grown in one picture, the highest first."""
NEAR_PX = 2
"""A maximum is the highest pixel within this distance."""
FIRST_REACH_PX = 12
"""A region is looked for in a square of this reach round its seed first, then in larger ones."""
SHARES = (1.0, 0.7, 0.4, 0.2)
"""Parts of the tolerance with which a region is tried that runs into another with more."""
_SEED = re.compile(r"\s*(\d{1,6})\s*,\s*(\d{1,6})\s*")


@dataclass(frozen=True)
class GrowConfig:
    """Settings of `Grow`."""

    seeds: str = setting("", "seeds by hand as 'x,y x,y ...' [px]; empty: the maxima of the departure from the usual")
    seed_limit: float = setting(10.0, "a maximum is a seed from this departure on [standard deviations]", low=0)
    tolerance_percent: float = setting(
        50.0, "how far below its seed's departure a region's pixels may be [% of the seed's]", low=0, high=100
    )
    least: float = setting(4.0, "a region's pixels depart by this at least [standard deviations]", low=0)
    max_region_percent: float = setting(
        25.0, "a region that would grow larger than this part of the picture is not taken [%]", low=0, high=100
    )
    smooth_px: float = setting(
        SMOOTH_PX, "maps are smoothed by a Gaussian of this standard deviation [px]", low=0, high=20
    )
    min_area_px: int = setting(12, "smallest region that is kept [px]", low=1)
    border_px: int = setting(3, "pixels at the rim of the picture that are never a defect [px]", low=0, high=1000)

    def __post_init__(self) -> None:
        validate(self)
        seeds_of(self.seeds)


class Grow:
    """Seeded region growing on similarity, after Adams & Bischof (IEEE Trans. PAMI 16(6), 1994).

    A region is what is connected with its seed and departs from the usual by at least a part of what the seed does:
    heat spreads sideways, so a defect is about as large as its signal at half height, and a limit fit for a deep defect
    would take the halo of a near one too. Seeds are taken from the highest down. Where a region would run into
    one that was taken before it is grown less far, and a maximum that hardly stands out from the slope of another has
    no region of its own.
    """

    name = "grow"
    config_type = GrowConfig

    def segment(self, maps: Maps, config: GrowConfig) -> Segmentation:
        """Return the grown regions; see `SegmentMethod.segment`. A seed outside the picture is a DataError."""
        departed = departure(maps, smooth_px=config.smooth_px)
        seen = np.isfinite(departed) & within(departed.shape, config.border_px)
        filled = np.where(seen, departed, -np.inf).astype(np.float32)
        by_hand = seeds_of(config.seeds)
        for x, y in by_hand:
            if not (x < filled.shape[1] and y < filled.shape[0]):
                raise DataError(f"the seed {x},{y} is outside the picture of {filled.shape[1]} x {filled.shape[0]} px")
        seeds = by_hand or maxima(filled, config.seed_limit)
        mask, grown = _grown(filled, seeds, config)
        notes = (f"{grown} regions from {len(seeds)} {'seeds' if by_hand else 'maxima'}",)
        found = cleaned(mask, min_area_px=config.min_area_px, border_px=config.border_px)
        return Segmentation(found, score_of(departed), notes)


def seeds_of(text: str) -> list[tuple[int, int]]:
    """Read seeds (x, y) written as ``x,y x,y ...`` [px]; raises ConfigError for anything else."""
    parts = re.split(r"[;\s]+(?=\d+\s*,)", text.strip()) if text.strip() else []
    matches = [_SEED.fullmatch(part.rstrip(";")) for part in parts]
    if not all(matches):
        raise ConfigError(f"seeds are whole numbers x,y x,y ... [px], such as '40,30 90,75'; not {text!r}")
    return [(int(match[1]), int(match[2])) for match in matches if match]


def maxima(score: Float32[np.ndarray, "H W"], limit: float) -> list[tuple[int, int]]:
    """Return (x, y) of the pixels that are the highest in their neighbourhood and at least `limit`, highest first."""
    highest = score.copy()
    for _ in range(NEAR_PX):
        padded = np.pad(highest, 1, constant_values=-np.inf)
        rows = np.maximum(np.maximum(padded[:-2], padded[2:]), padded[1:-1])
        highest = np.maximum(np.maximum(rows[:, :-2], rows[:, 2:]), rows[:, 1:-1])
    y, x = np.nonzero((score == highest) & (score >= limit) & np.isfinite(score))
    order = np.argsort(-score[y, x], kind="stable")[:MOST_SEEDS]
    return list(zip(x[order].tolist(), y[order].tolist(), strict=True))


def _grown(score: Float32[np.ndarray, "H W"], seeds: list[tuple[int, int]], config: GrowConfig) -> tuple[Mask, int]:
    taken = np.zeros(score.shape, np.bool_)
    largest, grown = config.max_region_percent / 100 * score.size, 0
    for x, y in seeds:
        if taken[y, x]:
            continue
        for part in SHARES:
            least = max(float(score[y, x]) * (1 - part * config.tolerance_percent / 100), config.least)
            (rows, columns), region = region_round(score, (x, y), least)
            if region.sum() <= largest and not (taken[rows, columns] & region).any():
                taken[rows, columns] |= region
                grown += int(region.any())
                break
    return taken, grown


def region_round(
    score: Float32[np.ndarray, "H W"], seed: tuple[int, int], least: float
) -> tuple[tuple[slice, slice], Bool[np.ndarray, "h w"]]:
    """Return the pixels of at least this score that are connected (8 neighbours) with a seed, and where they are.

    Returns
    -------
    box
        Rows and columns of the part of the picture that was looked at.
    region
        The pixels in it; all False where the seed itself is below.
    """
    x, y = seed
    reach = FIRST_REACH_PX
    while True:
        rows = slice(max(0, y - reach), min(score.shape[0], y + reach + 1))
        columns = slice(max(0, x - reach), min(score.shape[1], x + reach + 1))
        above = score[rows, columns] >= least
        numbers, _ = label(above)
        number = numbers[y - rows.start, x - columns.start]
        region = np.asarray((numbers == number) & above)
        if reach >= max(score.shape) or not (number and _touches_cut(region, rows, columns, score.shape)):
            return (rows, columns), region if number else np.zeros_like(above)
        reach *= 2


def _touches_cut(region: Bool[np.ndarray, "h w"], rows: slice, columns: slice, size: tuple[int, ...]) -> bool:
    """Say whether a region reaches a side of the square that is not a side of the picture."""
    sides = (
        (rows.start > 0, region[0]),
        (rows.stop < size[0], region[-1]),
        (columns.start > 0, region[:, 0]),
        (columns.stop < size[1], region[:, -1]),
    )
    return any(cut and bool(side.any()) for cut, side in sides)


METHOD = Grow()
