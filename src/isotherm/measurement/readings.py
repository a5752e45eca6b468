"""What a region of a picture reads, in its own scene: extremes and their places, mean, spread, histogram."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int64

from isotherm.core.errors import DataError
from isotherm.core.findings import TemperatureStats
from isotherm.core.regions import Mask
from isotherm.core.scene import ZERO_CELSIUS_K, Scene, SceneEdit
from isotherm.core.shapes import Marked, Origin, Shape
from isotherm.core.thermogram import Temperatures, Thermogram
from isotherm.measurement.region_stats import stats_of
from isotherm.measurement.shapes import kind_of, mask_of, outside_px

Statistic = Literal["min", "max", "mean", "median"]
STATISTICS: tuple[Statistic, ...] = ("min", "max", "mean", "median")
BINS = 32


@dataclass(frozen=True, eq=False)
class Area:
    """A region that is measured: its pixels (H W) and the scene parameters that differ inside it.

    ``kind`` is the shape's name, or "mask", "isotherm", "half" and "image" for what is no shape.
    """

    label: str
    kind: str
    mask: Mask = field(repr=False)
    origin: Origin = "user"
    shape: Shape | None = None
    edit: SceneEdit | None = None

    def scene(self, picture: Scene) -> Scene:
        """Return the scene inside this region, where the picture's is `picture`."""
        return picture if self.edit is None else picture.edited(self.edit)

    @property
    def overridden(self) -> frozenset[str]:
        """The names of the scene's parameters that differ inside this region."""
        return frozenset() if self.edit is None else frozenset(self.edit.values())

    @property
    def cut_px(self) -> int:
        """How many pixels of the shape lie outside the picture."""
        return 0 if self.shape is None else outside_px(self.shape, self.mask)


def area_of(marked: Marked, size: tuple[int, int]) -> Area:
    """Return the pixels of a marked shape in a picture of this height and width.

    Raises
    ------
    DataError
        No pixel of it lies in the picture.
    """
    mask = mask_of(marked.shape, size)
    if not mask.any():
        raise DataError(
            f"region {marked.label!r} has no pixel in the picture, which is {size[1]}x{size[0]} px "
            "(x from 0 at the left, y from 0 at the top)"
        )
    return Area(marked.label, kind_of(marked.shape), mask, marked.origin, marked.shape, marked.edit)


def whole(size: tuple[int, int]) -> Area:
    """Return the whole picture as a region called "image"."""
    return Area("image", "image", np.ones(size, dtype=np.bool_))


def halves(area: Area) -> tuple[Area, Area]:
    """Return the left and the right half of a region, cut in the middle of the columns that it covers.

    The column in the middle of an odd number belongs to neither.
    """
    columns = np.flatnonzero(area.mask.any(axis=0))
    left, right = int(columns[0]), int(columns[-1])
    width = (right - left + 1) // 2
    if width == 0:
        raise DataError(f"region {area.label!r} is one pixel wide: it has no left and right half")
    place = np.arange(area.mask.shape[1])
    return tuple(  # type: ignore[return-value]
        Area(f"{area.label} ({side} half)", "half", area.mask & inside, area.origin, None, area.edit)
        for side, inside in (("left", place < left + width), ("right", place > right - width))
    )


@dataclass(frozen=True, eq=False)
class Histogram:
    """How many pixels lie between neighbouring edges [°C]; the last bin includes its upper edge."""

    edges_c: Float64[np.ndarray, " bins_plus_1"]
    counts: Int64[np.ndarray, " bins"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What one region reads [°C]; None and NaN where no pixel of it has a temperature. Places are (x, y) [px]."""

    label: str
    kind: str
    origin: Origin
    area_px: int
    missing_px: int
    temperatures: TemperatureStats | None
    median_c: float
    min_at: tuple[int, int] | None
    max_at: tuple[int, int] | None
    scene: Scene

    def celsius(self, statistic: Statistic) -> float:
        """Return one statistic [°C], NaN where there is none."""
        if self.temperatures is None:
            return float("nan")
        return self.median_c if statistic == "median" else float(getattr(self.temperatures, f"{statistic}_c"))

    @property
    def usual(self) -> Statistic:
        """The statistic that is meant where none is named: the mean of a spot, the maximum of everything else."""
        return "mean" if self.kind == "spot" else "max"


class Pictures:
    """The temperatures of one thermogram in the scenes of its regions; the last few are kept."""

    def __init__(self, thermogram: Thermogram) -> None:
        if thermogram.calibration is None:
            raise DataError("this picture holds no temperatures (only colours or grey levels): nothing can be measured")
        self.thermogram = thermogram
        self.calibration = thermogram.calibration
        self._kept: dict[Scene, Temperatures] = {}

    def kelvin(self, scene: Scene) -> Temperatures:
        """Return float32 kelvin (H W) in a scene."""
        if scene not in self._kept:
            if len(self._kept) > 3:
                self._kept.pop(next(iter(self._kept)))
            self._kept[scene] = self.calibration.kelvin(self.thermogram.counts, scene)
        return self._kept[scene]

    def moved(self, scene: Scene, home: Scene) -> Temperatures:
        """Return kelvin (H W) in a scene that is asked for once; that of `home` is kept."""
        return self.kelvin(home) if scene == home else self.calibration.kelvin(self.thermogram.counts, scene)

    def kelvin_in(self, area: Area) -> Float[np.ndarray, " P"]:
        """Return the temperatures [K] of a region's pixels in raster order, in its own scene."""
        found: Float[np.ndarray, " P"] = self.kelvin(area.scene(self.thermogram.scene))[area.mask]
        return found

    def celsius(self, area: Area) -> Temperatures:
        """Return the picture [°C] as the scene of a region has it (H W)."""
        return self.kelvin(area.scene(self.thermogram.scene)) - np.float32(ZERO_CELSIUS_K)


def statistics_k(kelvin: Float[np.ndarray, " P"]) -> Float64[np.ndarray, " 4"]:
    """Return minimum, maximum, mean and median [K] of what is finite, in the order of `STATISTICS`; NaN for nothing."""
    known = kelvin[np.isfinite(kelvin)].astype(np.float64)
    if not known.size:
        return np.full(4, np.nan)
    return np.array([known.min(), known.max(), known.mean(), np.median(known)])


def read_area(pictures: Pictures, area: Area) -> Reading:
    """Return what a region reads in its own scene.

    The standard deviation is the population's; of equal extremes the first in raster order gives the place.
    """
    celsius = pictures.kelvin_in(area) - np.float32(ZERO_CELSIUS_K)
    valid = np.isfinite(celsius)
    known = celsius[valid].astype(np.float64)
    places = np.argwhere(area.mask)
    return Reading(
        label=area.label,
        kind=area.kind,
        origin=area.origin,
        area_px=int(celsius.size),
        missing_px=int(celsius.size - known.size),
        temperatures=stats_of(celsius),
        median_c=float(np.median(known)) if known.size else float("nan"),
        min_at=_place(places, np.where(valid, celsius, np.inf).argmin()) if known.size else None,
        max_at=_place(places, np.where(valid, celsius, -np.inf).argmax()) if known.size else None,
        scene=area.scene(pictures.thermogram.scene),
    )


def _place(places: np.ndarray, index: np.intp) -> tuple[int, int]:
    y, x = places[int(index)]
    return int(x), int(y)


def histogram(celsius: Float[np.ndarray, " P"], bins: int = BINS) -> Histogram | None:
    """Return how the finite temperatures [°C] are spread over bins of equal width; None where there are none."""
    known = celsius[np.isfinite(celsius)].astype(np.float64)
    if not known.size:
        return None
    counts, edges = np.histogram(known, bins=bins)
    return Histogram(edges, counts.astype(np.int64))
