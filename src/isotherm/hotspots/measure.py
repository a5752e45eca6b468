"""From a picture and a rule, or a mask, to findings: where, how hot, how big, how severe."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from isotherm.core.config import setting
from isotherm.core.errors import ConfigError, DataError
from isotherm.core.findings import Finding, Region, Verdict
from isotherm.core.regions import Labels, closed, drop_small, label, opened
from isotherm.core.scene import Source
from isotherm.core.thermogram import Thermogram
from isotherm.hotspots.method import HotspotMethod, Mask, PictureConfig, Values
from isotherm.hotspots.objects import without_sky
from isotherm.measurement.operation import Operation
from isotherm.measurement.outlines import outlines
from isotherm.measurement.reference import Reference, ambient_reference, box_reference, median_reference, parse_box
from isotherm.measurement.region_stats import RegionStats, region_stats, stats_of
from isotherm.measurement.severity import SeverityTable
from isotherm.measurement.sureness import Sureness

__all__ = ["HotspotSettings", "find_hotspots", "hot_regions", "measure_mask", "stats_of"]

_COVERAGE = 2


@dataclass(frozen=True)
class HotspotSettings(Operation):
    """What happens to a mask of hot pixels, whichever method made it, and what is known of the equipment."""

    open_px: int = setting(
        0, "radius of the disc that removes thin parts of the mask [px]; 0 removes none", low=0, high=64
    )
    close_px: int = setting(1, "radius of the disc that fills gaps in the mask [px]; 0 fills none", low=0, high=64)
    min_area_px: int | None = setting(
        None, "smallest hotspot [px]; 0.01 % of the picture and at least 4 px, where not given", low=1
    )
    ignore_below_c: float | None = setting(
        None, "what is colder (a clear sky) counts neither for the method nor for the median [°C or grey level]"
    )
    skip_sky: bool = setting(True, "leave a background as cold as a sky out of the median")
    reference: Literal["auto", "median", "ambient", "region", "none"] = setting(
        "auto",
        "what delta-T is over: median of the picture outside the hotspots, ambient air, or the maximum of a region; "
        "auto takes what the severity table asks for, else the median",
    )
    reference_box: str | None = setting(None, "the region to compare with, as x,y,width,height [px]")
    ignore_overlays: Literal["auto", "on", "off"] = setting(
        "auto",
        "leave out what is drawn into images (logos, read-outs, markers, scales, frames): auto does so in pictures "
        "without temperatures",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reference_box is None and self.reference == "region":
            raise ConfigError("reference 'region' needs reference_box, the region as x,y,width,height")
        if self.reference_box is not None:
            parse_box(self.reference_box)
            if self.reference not in ("auto", "region"):
                raise ConfigError(f"reference_box goes with reference 'region', not {self.reference!r}")

    def without_overlays(self, thermogram: Thermogram) -> bool:
        """Say whether what is drawn into this picture is to be left out; the caller finds it."""
        painted = thermogram.estimated or not thermogram.radiometric
        return self.ignore_overlays == "on" or (self.ignore_overlays == "auto" and painted)

    def considered(self, values: Values) -> Values:
        """Return the values with NaN in place of those that are to be ignored."""
        if self.ignore_below_c is None:
            return values
        return np.where(values < self.ignore_below_c, np.float32(np.nan), values)

    def least_area_px(self, size: tuple[int, int]) -> int:
        """Return the smallest area that counts in a picture of this height and width [px]."""
        return self.min_area_px or max(4, round(1e-4 * size[0] * size[1]))


def find_hotspots(
    thermogram: Thermogram,
    method: HotspotMethod,
    *,
    config: Any,
    settings: HotspotSettings,
    table: SeverityTable | None = None,
) -> tuple[Finding, ...]:
    """Find, measure and judge the hot regions of a picture.

    Parameters
    ----------
    thermogram
        The picture; without temperatures the grey levels decide, and temperatures and delta-T stay None.
    method, config
        The rule, and its settings (an instance of ``method.config_type``).
    settings
        Clean-up, reference of delta-T, load.
    table
        The severity table to judge by, or None.

    Returns
    -------
    tuple of Finding
        Hottest first.

    Raises
    ------
    DataError
        The rule or the reference cannot be applied to this picture (region outside it, grey levels over ambient air).
    """
    return hot_regions(thermogram, method, config=config, settings=settings, table=table)[0]


def hot_regions(
    thermogram: Thermogram,
    method: HotspotMethod,
    *,
    config: Any,
    settings: HotspotSettings,
    table: SeverityTable | None = None,
    drawn: Mask | None = None,
    values: Values | None = None,
) -> tuple[tuple[Finding, ...], Mask]:
    """Return what `find_hotspots` returns, and the mask (H W) of these regions.

    What is true in `drawn` (H W) is no part of the scene: it is never hot, and counts for no reference. `values` are
    the picture's, where the caller has them already.
    """
    values = thermogram.values() if values is None else values
    if drawn is not None:
        values = np.where(drawn, np.float32(np.nan), values)
    labels, count = _hot_regions(values, method, _for_picture(config, thermogram), settings)
    measuring = _Measuring(thermogram, values, settings, table)
    return measuring.findings(labels, count, kind="hotspot", origin=method.name), labels > 0


def measure_mask(
    thermogram: Thermogram,
    mask: Mask,
    *,
    kind: Literal["hotspot", "anomaly"],
    origin: str,
    settings: HotspotSettings | None = None,
    table: SeverityTable | None = None,
) -> tuple[Finding, ...]:
    """Measure and judge the 8-connected regions of any mask, as it is: nothing is cleaned away.

    Parameters
    ----------
    thermogram, mask
        The picture and (H W) bool.
    kind, origin
        What the regions are and who found them.
    settings
        Reference of delta-T and load; the defaults where None.
    table
        The severity table to judge by, or None.

    Returns
    -------
    tuple of Finding
        Hottest first; a region without any temperature comes last, with ``temperatures`` None.

    Raises
    ------
    DataError
        Mask and picture differ in size, or the reference region lies outside the picture.
    """
    if mask.shape != thermogram.size:
        raise DataError(f"the mask is {_by(mask.shape)} px, the picture {_by(thermogram.size)} px; they must be equal")
    measuring = _Measuring(thermogram, thermogram.values(), settings or HotspotSettings(), table)
    return measuring.findings(*label(mask), kind=kind, origin=origin)


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, reversed(size)))


def _for_picture(config: Any, thermogram: Thermogram) -> Any:
    return config.for_picture(thermogram) if isinstance(config, PictureConfig) else config


def _hot_regions(values: Values, method: HotspotMethod, config: Any, settings: HotspotSettings) -> tuple[Labels, int]:
    values = settings.considered(values)
    hot = closed(opened(method.find(values, config), settings.open_px), settings.close_px)
    # Closing may have filled in pixels that have no temperature or are to be ignored.
    return drop_small(*label(hot & np.isfinite(values)), settings.least_area_px(values.shape))


@dataclass(frozen=True, eq=False)
class _Measuring:
    """One picture about to be measured."""

    thermogram: Thermogram
    values: Values
    settings: HotspotSettings
    table: SeverityTable | None

    def findings(
        self, labels: Labels, count: int, *, kind: Literal["hotspot", "anomaly"], origin: str
    ) -> tuple[Finding, ...]:
        if count == 0:
            return ()
        stats = region_stats(self.values, labels, count)
        reference = self._reference(labels > 0)
        sureness = Sureness(self.thermogram, self.values, reference, [stats.peak(number) for number in range(count)])
        contours = outlines(labels, count)
        pixel_mm2 = _pixel_mm2(self.thermogram)
        found = []
        for number in _hottest_first(stats):
            area = int(stats.area_px[number])
            region = Region(
                area_px=area,
                box=stats.box(number),
                peak=stats.peak(number),
                contour=contours[number],
                area_mm2=None if pixel_mm2 is None else area * pixel_mm2,
            )
            found.append(self._judged(Finding(kind, origin, region), stats, number, sureness))
        return tuple(found)

    def _judged(self, finding: Finding, stats: RegionStats, number: int, sureness: Sureness) -> Finding:
        if not self.thermogram.radiometric:
            return replace(finding, severity=self._no_verdict("the picture holds no temperatures"))
        temperatures = stats.temperatures(number)
        if temperatures is None:
            return replace(finding, severity=self._no_verdict("the region has no temperature"))
        sigma_k, delta_t_sigma_k = sureness.of(finding.region.peak)
        finding = replace(finding, temperatures=temperatures, uncertainty_k=sigma_k)
        reference = sureness.reference
        if reference is None or reference.value_c is None:
            return replace(finding, severity=self._verdict(temperatures.max_c, None, None))
        delta_t_c = temperatures.max_c - reference.value_c
        return replace(
            finding,
            delta_t_c=delta_t_c,
            reference=reference.text,
            delta_t_uncertainty_k=delta_t_sigma_k,
            reference_c=reference.value_c,
            severity=_doubted(self._verdict(temperatures.max_c, delta_t_c, reference), delta_t_c, delta_t_sigma_k),
        )

    def _reference(self, marked: Mask) -> Reference | None:
        settings, table = self.settings, self.table
        choice = settings.reference
        if choice == "none" or not self.thermogram.radiometric:
            return None
        if settings.reference_box is not None:
            return box_reference(self.values, parse_box(settings.reference_box))
        over_air = table is not None and table.accepts("ambient") and not table.accepts("similar")
        if choice == "ambient" or (choice == "auto" and over_air):
            return ambient_reference(self.thermogram.scene)
        return _median_reference(settings, self.values, marked)

    def _no_verdict(self, why: str) -> Verdict | None:
        return None if self.table is None else self.table.not_applicable(why)

    def _verdict(self, max_c: float, delta_t_c: float | None, reference: Reference | None) -> Verdict | None:
        table, settings = self.table, self.settings
        if table is None:
            return None
        if table.comparison == "absolute":
            return table.judge(max_c, settings)
        if delta_t_c is None or reference is None:
            return table.not_applicable("nothing to compare with")
        if reference.obstacle and table.accepts(reference.comparison):
            return table.not_applicable(reference.obstacle)
        verdict = table.judge_difference(delta_t_c, reference.comparison, f"the {reference.text}", settings)
        caveat = reference.caveat if verdict.inputs else ""
        return replace(verdict, reason="; ".join(part for part in (verdict.reason, caveat) if part))


def _doubted(verdict: Verdict | None, delta_t_c: float, sigma_k: float | None) -> Verdict | None:
    """Say in a verdict's reason where the difference may be none."""
    if verdict is None or sigma_k is None or "delta_t_c" not in verdict.inputs or abs(delta_t_c) > _COVERAGE * sigma_k:
        return verdict
    doubt = f"delta-T is smaller than its uncertainty of {_COVERAGE * sigma_k:.1f} K (k = {_COVERAGE})"
    return replace(verdict, reason="; ".join(part for part in (verdict.reason, doubt) if part))


def _median_reference(settings: HotspotSettings, values: Values, marked: Mask) -> Reference:
    values = settings.considered(values)
    objects = without_sky(values) if settings.skip_sky else values
    reference = median_reference(objects, marked)
    if objects is values:
        return reference
    if reference.value_c is None:
        return median_reference(values, marked)
    return replace(reference, text=f"{reference.text}, without the sky")


def _hottest_first(stats: RegionStats) -> list[int]:
    """Order by the highest value, then by area, then by place; NaN last."""
    # lexsort sorts by its last key first and keeps the raster order of equals; negated NaN still sorts last.
    order: list[int] = np.lexsort((-stats.area_px, -stats.high)).tolist()
    return order


def _pixel_mm2(thermogram: Thermogram) -> float | None:
    """Return the area of one pixel at the object [mm²], seen face on; None unless lens and distance are known.

    The field of view is that of the detector's longer side, which may stand upright. A distance that is only a default
    would give an area that is only a guess.
    """
    view, distance = thermogram.camera.field_of_view_deg, thermogram.scene.distance_m
    if view is None or not 0 < view < 180 or distance.source in (Source.ASSUMED, Source.CAMERA_DEFAULT):
        return None
    if not (math.isfinite(distance.value) and distance.value > 0):
        return None
    side_mm = 2000 * distance.value * math.tan(math.radians(view) / 2) / max(thermogram.size)
    return side_mm**2
