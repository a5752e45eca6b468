"""Regions, differences and isotherms of one picture, each with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.regions import Mask
from isotherm.core.shapes import Line
from isotherm.core.thermogram import Temperatures, Thermogram
from isotherm.measurement.budgets import Measured, measure_areas, uncertainty_of
from isotherm.measurement.deltas import Comparer, Comparing, Delta, parse_delta
from isotherm.measurement.isotherms import IsothermArea, find_isotherm, parse_isotherm
from isotherm.measurement.operation import Operation
from isotherm.measurement.quality import Caution, cautions
from isotherm.measurement.readings import (
    Area,
    Histogram,
    Pictures,
    Statistic,
    area_of,
    halves,
    histogram,
    whole,
)
from isotherm.measurement.region_stats import stats_of
from isotherm.measurement.severity import SeverityTable
from isotherm.measurement.shapes import profile
from isotherm.radiometry.parameters import edge_name, sigma_at_edge, value_at_edge
from isotherm.radiometry.uncertainty import Contribution, MonteCarlo, Uncertainty, UncertaintySettings

MOST_MASK_PX = 2_000_000_000
"""Regions times pixels that are measured at most: each region is a mask of one byte a pixel."""


@dataclass(frozen=True, eq=False)
class MeasureRequest:
    """What is measured beside the regions that the thermogram holds.

    Parameters
    ----------
    masks, thresholds
        Further regions by label: masks (H W) from models or drawings, and isotherms as written by people.
    deltas, isotherms
        As written by people; see `isotherm.measurement.deltas` and `isotherm.measurement.isotherms`.
    settings
        What is assumed about the camera, and how uncertainties are stated.
    table, operation
        The severity table for differences, or None; what is known of load and irradiance.
    """

    masks: dict[str, Mask] = field(default_factory=dict)
    thresholds: dict[str, str] = field(default_factory=dict)
    deltas: tuple[str, ...] = ()
    isotherms: tuple[str, ...] = ()
    settings: UncertaintySettings = field(default_factory=UncertaintySettings)
    table: SeverityTable | None = None
    operation: Operation = field(default_factory=Operation)


@dataclass(frozen=True, eq=False)
class Profile:
    """The temperatures along a line: distance from its start [px], and °C of the nearest pixel."""

    label: str
    distance_px: Float[np.ndarray, " P"]
    celsius: Float[np.ndarray, " P"]


@dataclass(frozen=True, eq=False)
class Measurement:
    """Everything that was measured in one picture; the whole picture is the region called "image"."""

    thermogram: Thermogram
    celsius: Temperatures
    regions: tuple[Measured, ...]
    settings: UncertaintySettings
    deltas: tuple[Delta, ...]
    isotherms: tuple[IsothermArea, ...]
    profiles: tuple[Profile, ...]
    histograms: dict[str, Histogram | None]
    cautions: tuple[Caution, ...]

    def uncertainty(self, region: Measured, statistic: Statistic | None = None) -> Uncertainty:
        """Return the budget of a region's statistic, of its usual one where none is named."""
        return uncertainty_of(region, statistic or region.reading.usual, self.settings)


def measure(thermogram: Thermogram, request: MeasureRequest) -> Measurement:
    """Measure the regions of a thermogram.

    Raises
    ------
    DataError
        The picture holds no temperatures, or a region or mask does not fit it.
    ConfigError
        A difference or isotherm is not understood, or names a region that is not there.
    """
    pictures = Pictures(thermogram)
    areas = _areas(thermogram, request)
    asked = [parse_delta(text, list(areas)) for text in request.deltas]
    with_halves = areas | _halves(areas, asked)
    measured = measure_areas(pictures, list(with_halves.values()), request.settings)
    comparer = Comparer(measured, request.settings, request.table, request.operation)
    celsius = pictures.celsius(areas["image"])
    found = cautions(thermogram, list(areas.values()), judged=bool(asked), load_percent=request.operation.load_percent)
    return Measurement(
        thermogram=thermogram,
        celsius=celsius,
        regions=tuple(measured.values()),
        settings=request.settings,
        deltas=tuple(delta for each in asked for delta in comparer.deltas(each)),
        isotherms=tuple(_isotherm(text, areas, celsius, thermogram) for text in request.isotherms),
        profiles=tuple(_profile(pictures, area) for area in areas.values() if isinstance(area.shape, Line)),
        histograms={label: histogram(pictures.celsius(area)[area.mask]) for label, area in areas.items()},
        cautions=(*found, *_unjudged(request)),
    )


def _unjudged(request: MeasureRequest) -> Iterator[Caution]:
    """Say why a severity table that was asked for judges nothing."""
    if request.table is None or request.deltas:
        return
    if request.table.comparison == "absolute":
        why = "judges temperatures themselves, which isotherm hotspots does"
    else:
        why = "judges differences, and none is asked for: give --delta, such as image-ambient"
    yield Caution("nothing-judged", "", f"the severity table {request.table.id} {why}")


def _areas(thermogram: Thermogram, request: MeasureRequest) -> dict[str, Area]:
    size = thermogram.size
    count = len(thermogram.regions) + len(request.masks) + len(request.thresholds)
    if count * size[0] * size[1] > MOST_MASK_PX:
        raise DataError(f"{count} regions are too many for a picture of {size[1]}x{size[0]} px")
    areas = {"image": whole(size)}
    for marked in thermogram.regions:
        areas[_free(marked.label, areas)] = area_of(replace(marked, label=_free(marked.label, areas)), size)
    drawn = {label: (mask, "mask") for label, mask in request.masks.items()}
    for label, text in request.thresholds.items():
        celsius = thermogram.celsius()
        drawn[label] = (_isotherm(text, areas, celsius, thermogram).mask, "isotherm")
    for label, (mask, kind) in drawn.items():
        areas[label] = _mask_area(label, mask, kind, areas, size)
    return areas


def _mask_area(label: str, mask: Mask, kind: str, areas: dict[str, Area], size: tuple[int, int]) -> Area:
    if label in areas:
        raise ConfigError(f"two regions are called {label!r}")
    if mask.shape != size:
        shape = "x".join(map(str, mask.shape[::-1]))
        raise DataError(f"the mask {label!r} has {shape} px, the picture {size[1]}x{size[0]}")
    if not mask.any():
        raise DataError(f"the {kind} {label!r} is empty: no pixel belongs to it")
    return Area(label, kind, mask)


def _free(label: str, taken: dict[str, Area]) -> str:
    """Return a label of its own: cameras may call two tools the same."""
    number, found = 2, label
    while found in taken:
        found, number = f"{label}-{number}", number + 1
    return found


def _halves(areas: dict[str, Area], asked: Sequence[Comparing]) -> dict[str, Area]:
    wanted = dict.fromkeys(label for each in asked for label in each.halved)
    return {half.label: half for label in wanted for half in halves(areas[label])}


def _isotherm(text: str, areas: dict[str, Area], celsius: Temperatures, thermogram: Thermogram) -> IsothermArea:
    isotherm = parse_isotherm(text, areas)
    region = areas[isotherm.region].mask if isotherm.region else None
    return find_isotherm(isotherm, celsius, thermogram.scene, region)


def _profile(pictures: Pictures, area: Area) -> Profile:
    assert isinstance(area.shape, Line)
    return Profile(area.label, *profile(pictures.celsius(area), area.shape))


def plain(measurement: Measurement) -> dict[str, Any]:
    """Return a measurement as plain values, ready for JSON; NaN becomes None. Temperatures are °C, differences K."""
    return {
        "regions": [_plain_region(measurement, region) for region in measurement.regions],
        "deltas": [_plain_delta(delta) for delta in measurement.deltas],
        "isotherms": [_plain_isotherm(area, measurement.celsius) for area in measurement.isotherms],
        "cautions": [asdict(caution) for caution in measurement.cautions],
    }


def _plain_region(measurement: Measurement, region: Measured) -> dict[str, Any]:
    reading, area = region.reading, region.area
    stats = {name: _known(reading.celsius(name)) for name in ("min", "max", "mean", "median")}
    spread = reading.temperatures
    return {
        "label": reading.label,
        "kind": reading.kind,
        "origin": reading.origin,
        "shape": asdict(area.shape) if area.shape is not None else None,
        "area_px": reading.area_px,
        "missing_px": reading.missing_px,
        **{f"{name}_c": value for name, value in stats.items()},
        "std_c": spread.std_c if spread else None,
        "min_at": reading.min_at,
        "max_at": reading.max_at,
        "scene": {
            edge_name(name): value_at_edge(name, region.reading.scene.params()[name].value)
            for name in sorted(area.overridden)
        },
        "uncertainty": {
            name: plain_uncertainty(measurement.uncertainty(region, name)) for name in ("min", "max", "mean")
        },
        "histogram": _plain_histogram(measurement.histograms.get(reading.label)),
        "profile": next((_plain_profile(item) for item in measurement.profiles if item.label == reading.label), None),
    }


def plain_uncertainty(uncertainty: Uncertainty) -> dict[str, Any]:
    """Return a budget as plain values; None for what is not known."""
    check = uncertainty.monte_carlo
    return {
        "standard_k": _known(uncertainty.standard_k),
        "expanded_k": _known(uncertainty.expanded_k),
        "coverage": uncertainty.coverage,
        "contributions": [_plain_contribution(item) for item in uncertainty.contributions],
        "monte_carlo": asdict(check) if isinstance(check, MonteCarlo) else None,
        "caveat": uncertainty.caveat,
    }


def _plain_contribution(item: Contribution) -> dict[str, Any]:
    """Return a line of a budget; a parameter in the name and unit of its flag, with the region that it is of."""
    name, of, label = item.name.partition(" of ")
    sigma, unit = (item.sigma, item.unit) if edge_name(name) == name else sigma_at_edge(name, item.sigma)
    known = {"sigma": _known(sigma), "effect_k": _known(item.effect_k)}
    return asdict(item) | {"name": edge_name(name) + of + label, "unit": unit} | known


def _plain_histogram(found: Histogram | None) -> dict[str, Any] | None:
    return None if found is None else {"edges_c": found.edges_c.tolist(), "counts": found.counts.tolist()}


def _plain_profile(found: Profile) -> dict[str, Any]:
    celsius = [_known(value) for value in found.celsius.astype(np.float64).tolist()]
    return {"distance_px": found.distance_px.tolist(), "celsius": celsius}


def _plain_delta(delta: Delta) -> dict[str, Any]:
    return {
        "text": delta.text,
        "left": delta.left,
        "left_c": _known(delta.left_c),
        "right": delta.right,
        "right_c": _known(delta.right_c),
        "value_k": _known(delta.value_k),
        "comparison": delta.comparison,
        "significant": delta.significant,
        "uncertainty": plain_uncertainty(delta.uncertainty),
        "severity": asdict(delta.verdict) if delta.verdict else None,
        "note": delta.note,
    }


def _plain_isotherm(area: IsothermArea, celsius: Temperatures) -> dict[str, Any]:
    found = stats_of(celsius[area.mask])
    return {
        "text": area.isotherm.text,
        "low_c": _known(area.low_c),
        "high_c": _known(area.high_c),
        "area_px": area.area_px,
        "share": area.share,
        "temperatures": asdict(found) if found else None,
        "notes": list(area.notes),
    }


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
