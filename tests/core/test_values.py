"""Scene, edits, thermograms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.findings import Contour
from isotherm.core.scene import Param, SceneEdit, Source, assumed_scene
from isotherm.core.thermogram import Calibration, Camera, Thermogram
from isotherm.radiometry.linear import linear


def thermogram(counts: np.ndarray, **changes) -> Thermogram:
    return Thermogram(counts=counts, scene=assumed_scene(), format="test", **{"calibration": None, **changes})


def test_an_edit_changes_what_it_names_and_marks_it() -> None:
    scene = assumed_scene().edited(SceneEdit(emissivity=0.8, reflected_c=30, humidity_percent=40))
    assert scene.emissivity == Param(0.8, "1", Source.USER)
    assert scene.reflected_k == Param(303.15, "K", Source.USER)
    assert scene.humidity == Param(0.4, "1", Source.USER)
    assert scene.distance_m == assumed_scene().distance_m
    assert assumed_scene().edited(SceneEdit(distance_m=12.9), Source.RANGEFINDER).distance_m.source == "rangefinder"


def test_an_edit_forgets_the_old_uncertainty() -> None:
    scene = assumed_scene()
    known = Param(0.95, "1", Source.FILE, sigma=0.02)
    assert (
        type(scene)(**{**scene.params(), "emissivity": known}).edited(SceneEdit(emissivity=0.9)).emissivity.sigma
        is None
    )


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"emissivity": 0.0}, "emissivity must be at least 0.01"),
        ({"emissivity": 1.2}, "emissivity must be at most 1"),
        ({"humidity_percent": 101.0}, "humidity_percent must be at most 100"),
        ({"distance_m": -1.0}, "distance_m must be at least 0"),
        ({"reflected_c": float("nan")}, "reflected_c must be a finite number"),
        ({"window_transmission": 0.0}, "window_transmission must be at least 0.01"),
    ],
)
def test_values_outside_their_bounds_are_refused(edit: dict[str, float], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        SceneEdit(**edit)


def test_counts_and_colour_are_read_only() -> None:
    found = thermogram(np.zeros((2, 3), np.uint8), colour=np.zeros((2, 3, 3), np.uint8))
    assert found.colour is not None
    for array in (found.counts, found.colour):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


def test_a_picture_has_grey_levels_and_no_temperatures() -> None:
    found = thermogram(np.array([[0, 128, 255]], np.uint8))
    assert (found.radiometric, found.size) == (False, (1, 3))
    np.testing.assert_array_equal(found.values(), np.array([[0, 128, 255]], np.float32))
    with pytest.raises(DataError, match="holds no temperatures"):
        found.celsius()
    assert found.display_span_c() is None


def test_grey_levels_of_sixteen_bits_keep_their_steps() -> None:
    levels = thermogram(np.arange(65536, dtype=np.uint16).reshape(256, 256)).values()
    assert (levels.min(), levels.max(), levels.dtype) == (0.0, 255.0, np.float32)
    assert np.unique(levels).size == 65536


def test_temperatures_follow_the_calibration() -> None:
    found = thermogram(
        np.array([[29315, 30315]], np.uint16), calibration=linear(0.01, 0, "k"), display_span=(0.0, 30000.0)
    )
    assert isinstance(found.calibration, Calibration)
    np.testing.assert_allclose(found.kelvin(), [[293.15, 303.15]], atol=1e-3)
    np.testing.assert_allclose(found.celsius(), [[20, 30]], atol=1e-3)
    np.testing.assert_array_equal(found.values(), found.celsius())
    low, high = found.display_span_c() or (0, 0)
    assert np.isnan(low)
    assert high == pytest.approx(26.85, abs=1e-3)


def test_edits_that_a_file_cannot_honour_are_said_and_change_no_temperature() -> None:
    found = thermogram(np.array([[29315]], np.uint16), calibration=linear(0.01, 0, "k"))
    edited = found.edited(SceneEdit(emissivity=0.5, atmosphere_c=40.0))
    np.testing.assert_array_equal(edited.kelvin(), found.kelvin())
    assert edited.notes == (
        "--emissivity, --atmosphere-c: not used by test files, no temperature changes; "
        "a delta-T over ambient air is over the given one",
    )
    camera = replace(edited, camera=Camera(maker="DJI", model="M3T"), notes=())
    assert camera.edited(SceneEdit(emissivity=0.5)).notes[0].startswith("--emissivity: not used by DJI M3T, no")
    # The air is also the reference of a delta-T over ambient.
    assert edited.scene.atmosphere_k.value == pytest.approx(313.15)
    assert edited.scene.atmosphere_k.source == "user"
    assert found.edited(SceneEdit()) is found


def test_a_contour_holds_half_pixels_exactly_and_compares_like_a_tuple() -> None:
    points = ((2.5, 3.5), (6.0, -0.5), (1e4 + 0.5, 8.0))
    contour = Contour(points)
    assert (len(contour), tuple(contour), contour) == (3, points, points)
    assert (contour[1], contour[-1], contour[:2]) == (points[1], points[-1], points[:2])
    assert not Contour()
    assert contour != Contour(points[:2])
    with pytest.raises(IndexError):
        contour[3]
