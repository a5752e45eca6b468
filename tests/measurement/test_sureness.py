"""The cheap uncertainties of findings are those of the whole budgets."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from isotherm.core.findings import Finding, Region
from isotherm.core.scene import SceneEdit, Source
from isotherm.core.shapes import Box
from isotherm.core.thermogram import Thermogram
from isotherm.formats import read_bytes
from isotherm.measurement.budgets import measure_areas
from isotherm.measurement.deltas import Comparer, parse_delta
from isotherm.measurement.quality import finding_cautions
from isotherm.measurement.readings import Area, Pictures, whole
from isotherm.measurement.reference import Reference, ambient_reference
from isotherm.measurement.sureness import Sureness
from isotherm.radiometry.stored_estimates import StoredEstimates
from isotherm.radiometry.uncertainty import UncertaintySettings
from thermal_files import FlirFile, npy

SETTINGS = UncertaintySettings(draws=0)
PEAK, USUAL = (9, 5), (0, 0)


def picture(emissivity: float = 0.6) -> Thermogram:
    """Return a FLIR picture, 20 °C with one pixel of 60 °C."""
    base = read_bytes(FlirFile().jpeg())
    scene = base.scene.edited(SceneEdit(emissivity=emissivity, atmosphere_c=15.0))
    celsius = np.full((6, 10), 20.0)
    celsius[PEAK[::-1]] = 60
    counts = base.calibration.counts(celsius + 273.15, scene)  # type: ignore[union-attr]
    return replace(base, scene=scene, counts=counts, regions=(), notes=())


def of_measure(thermogram: Thermogram, text: str) -> float:
    """Return what `isotherm measure` says [K] of a difference between single pixels."""
    masks = {name: np.zeros(thermogram.size, dtype=np.bool_) for name in ("peak", "usual")}
    masks["peak"][PEAK[::-1]] = masks["usual"][USUAL[::-1]] = True
    areas = [whole(thermogram.size), *(Area(name, "mask", mask) for name, mask in masks.items())]
    measured = measure_areas(Pictures(thermogram), areas, SETTINGS)
    (found,) = Comparer(measured, SETTINGS).deltas(parse_delta(text, list(measured)))
    return found.uncertainty.standard_k


def sureness(thermogram: Thermogram, reference: Reference | None) -> tuple[float | None, float | None]:
    return Sureness(thermogram, thermogram.values(), reference, [PEAK], SETTINGS).of(PEAK)


@pytest.mark.parametrize("emissivity", [0.3, 0.95])
def test_a_difference_within_the_picture_is_as_sure_as_in_measure(emissivity: float) -> None:
    thermogram = picture(emissivity)
    value, difference = sureness(thermogram, Reference("median", 20.0, "similar"))
    assert difference == pytest.approx(of_measure(thermogram, "peak-usual"), rel=1e-3)
    assert value is not None
    assert difference is not None
    assert difference < value


def test_a_rise_over_the_air_is_as_sure_as_in_measure() -> None:
    thermogram = picture()
    _, difference = sureness(thermogram, ambient_reference(thermogram.scene))
    assert difference == pytest.approx(of_measure(thermogram, "peak-ambient"), rel=1e-3)


def test_estimates_add_what_both_colours_may_be_off() -> None:
    warm = np.full((6, 10), 20, np.float32)
    warm[PEAK[::-1]] = 40
    thermogram = replace(read_bytes(npy(warm)), calibration=StoredEstimates(2.0))
    assert sureness(thermogram, Reference("median", 20.0, "similar")) == pytest.approx((2, 2 * math.sqrt(2)))
    unknown = replace(thermogram, calibration=StoredEstimates(math.nan))
    assert sureness(unknown, Reference("median", 20.0, "similar")) == (None, None)


def test_where_nothing_is_compared_only_the_temperature_has_an_uncertainty() -> None:
    value, difference = sureness(picture(), None)
    assert value is not None
    assert difference is None


def findings(*areas_px: int) -> list[Finding]:
    return [Finding("hotspot", "otsu", Region(area, Box(0, 0, 3, 3), (0, 0))) for area in areas_px]


def test_cautions_about_findings_are_said_once() -> None:
    thermogram = picture(0.2)
    said = [item.code for item in finding_cautions(thermogram, findings(4, 5, 30))]
    assert said == ["low-emissivity", "small"]
    assert "2 of 3 regions are smaller than 3x3 px" in finding_cautions(thermogram, findings(4, 5, 30))[1].text
    assert finding_cautions(picture(), findings(30)) == []
    assert finding_cautions(replace(thermogram, calibration=None), findings(4)) == []


def test_a_drones_default_distance_and_saturation_are_said() -> None:
    thermogram = picture()
    far = replace(thermogram.scene.distance_m, value=5.0, source=Source.CAMERA_DEFAULT)
    camera = replace(thermogram.camera, maker="DJI")
    counts = thermogram.counts.copy()
    counts[0, 0] = 65535
    drone = replace(thermogram, camera=camera, scene=replace(thermogram.scene, distance_m=far), counts=counts)
    assert [item.code for item in finding_cautions(drone, [])] == ["default-distance", "saturated"]
    noted = replace(drone, notes=("1 px saturated: above the range",))
    assert [item.code for item in finding_cautions(noted, [])] == ["default-distance"]
