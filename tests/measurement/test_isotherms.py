"""Isotherms, dew point, materials and cautions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.capture import Pose
from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.core.scene import Param, SceneEdit, Source, assumed_scene
from isotherm.core.shapes import Box, Line, Marked, Spot
from isotherm.core.thermogram import Camera, Thermogram
from isotherm.formats import read_bytes
from isotherm.measurement.isotherms import dew_point_c, find_isotherm, parse_isotherm
from isotherm.measurement.materials import find_material, materials
from isotherm.measurement.quality import cautions, saturated_px
from isotherm.measurement.readings import area_of, whole
from thermal_files import FlirFile, ramp

RAMP = np.linspace(10, 30, 21, dtype=np.float32).reshape(3, 7)


@pytest.mark.parametrize(
    ("text", "pixels"),
    [(">20", 11), (">=20", 11), ("< 12", 3), ("20..22", 3), ("20 .. 22", 3), ("-5..5", 0), (">-3.5", 21)],
)
def test_above_below_and_between_count_their_ends(text: str, pixels: int) -> None:
    found = find_isotherm(parse_isotherm(text), RAMP, assumed_scene())
    assert found.area_px == pixels
    assert found.share == pytest.approx(pixels / 21)


def test_an_isotherm_can_look_inside_a_region_and_leaves_gaps_out() -> None:
    values = RAMP.copy()
    values[2, 6] = np.nan
    region = np.zeros((3, 7), dtype=np.bool_)
    region[2] = True
    isotherm = parse_isotherm(">20 in b1", {"b1": None})
    assert isotherm.region == "b1"
    found = find_isotherm(isotherm, values, assumed_scene(), region)
    assert (found.area_px, found.considered_px, found.share) == (6, 6, 1.0)
    assert find_isotherm(parse_isotherm(">0"), np.full((2, 2), np.nan, np.float32), assumed_scene()).share == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("60", "an isotherm is written"),
        (">", "an isotherm is written"),
        ("22..20", "must end above"),
        ("humidity:0", "above 0"),
        ("insulation:1.2,20,0", "between 0 and 1"),
        ("insulation:0.7,20,20", "different air"),
        (">20 in b2", "known regions: b1"),
    ],
)
def test_what_is_no_isotherm_is_said(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parse_isotherm(text, {"b1": None})


# Golden values: the dew point tables of building physics (DIN 4108-3 prints 9.3, 16.7 and 12.0 °C), rounded to 0.1 K.
@pytest.mark.parametrize(("air", "humidity", "dew"), [(20, 0.5, 9.3), (25, 0.6, 16.7), (20, 0.6, 12.0), (0, 1.0, 0.0)])
def test_the_dew_point_is_the_tables(air: float, humidity: float, dew: float) -> None:
    assert dew_point_c(air, humidity) == pytest.approx(dew, abs=0.06)


@settings(deadline=None, max_examples=50)
@given(st.floats(-30, 50), st.floats(0.01, 1))
def test_the_dew_point_lies_below_the_air_and_inverts_the_magnus_formula(air: float, humidity: float) -> None:
    dew = dew_point_c(air, humidity)
    assert dew <= air + 1e-9
    pressure = [6.112 * math.exp(17.62 * t / (243.12 + t)) for t in (air, dew)]
    assert pressure[1] / pressure[0] == pytest.approx(humidity, rel=1e-9)


def test_dew_and_mould_take_the_air_of_the_scene() -> None:
    scene = replace(
        assumed_scene(), atmosphere_k=Param(293.15, "K", Source.USER), humidity=Param(0.5, "1", Source.USER)
    )
    dew = find_isotherm(parse_isotherm("dewpoint"), RAMP, scene)
    mould = find_isotherm(parse_isotherm("humidity:80"), RAMP, scene)
    # 20 °C, 50 %: dew below 9.3 °C, 80 % at the surface below 12.6 °C (critical surface humidity of mould).
    assert dew.high_c == pytest.approx(9.26, abs=0.02)
    assert mould.high_c == pytest.approx(12.6, abs=0.1)
    assert (dew.area_px, mould.area_px) == (0, 3)
    assert not any("not measured" in note for note in dew.notes)
    assert any(
        "not measured" in note for note in find_isotherm(parse_isotherm("dewpoint"), RAMP, assumed_scene()).notes
    )


def test_dry_air_has_no_dew_point() -> None:
    assert dew_point_c(20, 0) == -math.inf
    scene = replace(assumed_scene(), humidity=Param(0.0, "1", Source.USER))
    assert find_isotherm(parse_isotherm("dewpoint"), RAMP, scene).area_px == 0


def test_insulation_is_the_temperature_factor() -> None:
    # f = (T - outside) / (inside - outside): 0.7 of -2..21 °C is 14.1 °C.
    found = find_isotherm(parse_isotherm("insulation:0.7,21,-2"), RAMP, assumed_scene())
    assert found.high_c == pytest.approx(14.1)
    assert found.area_px == 5
    warm_outside = find_isotherm(parse_isotherm("insulation:0.7,21,40"), RAMP, assumed_scene())
    assert warm_outside.low_c == pytest.approx(26.7)
    assert any("says little" in note for note in parse_isotherm("insulation:0.7,21,15").notes)


def test_every_material_has_a_source_and_a_sensible_emissivity() -> None:
    rows = materials()
    assert len(rows) > 40
    for row in rows.values():
        assert 0 < row.low <= row.emissivity <= row.high <= 1
        assert 0.02 <= row.sigma < 0.2
        assert len(row.source) > 20
    assert rows["paint, oil, all colours"].emissivity == 0.94


def test_a_material_is_found_by_its_words() -> None:
    assert find_material("Copper, Oxidised").emissivity == 0.76
    assert find_material("tape 33+").emissivity == 0.96
    with pytest.raises(ConfigError, match="copper, polished"):
        find_material("copper")
    with pytest.raises(UnknownNameError, match="unknown material 'kryptonite'"):
        find_material("kryptonite")
    with pytest.raises(UnknownNameError):
        find_material("  ")


def picture(**changes: object) -> Thermogram:
    return replace(read_bytes(FlirFile().jpeg()), **changes)  # type: ignore[arg-type]


def codes(thermogram: Thermogram, *marked: Marked, judged: bool = False, load: float | None = None) -> set[str]:
    areas = [whole(thermogram.size), *(area_of(item, thermogram.size) for item in marked)]
    return {item.code for item in cautions(thermogram, areas, judged=judged, load_percent=load)}


def test_a_sound_reading_has_no_caution() -> None:
    assert codes(picture(), Marked("a", Spot(5, 5)), Marked("l", Line(0, 0, 9, 0)), judged=True, load=80) == set()


def test_each_caution_has_its_cause() -> None:
    base = picture()
    dim = replace(base, scene=base.scene.edited(SceneEdit(emissivity=0.3)))
    assert codes(dim) == {"low-emissivity"}
    assert codes(base, Marked("a", Spot(5, 5), edit=SceneEdit(emissivity=0.2))) == {"low-emissivity"}
    assert codes(base, Marked("a", Spot(5, 5, 1))) == {"small"}
    assert codes(base, Marked("a", Spot(0, 5, 5))) == {"cut"}
    assert codes(base, judged=True) == {"unknown-load"}
    enlarged = replace(base, sensor_size=(6, 8))
    assert codes(enlarged) == {"upsampled"}
    # 3x3 px of an array twice as fine as the sensor are 2 px of the sensor.
    assert codes(enlarged, Marked("a", Spot(5, 5))) == {"upsampled", "small"}
    assert codes(enlarged, Marked("a", Box(2, 2, 6, 6))) == {"upsampled"}


def test_a_default_distance_counts_on_a_drone_only() -> None:
    drone = picture(camera=Camera(maker="DJI", model="XT2"))
    assert codes(drone) == {"default-distance"}
    assert codes(picture(pose=Pose(relative_altitude_m=40.0, target_distance_m=12.9))) == {"default-distance"}
    known = replace(drone, scene=drone.scene.edited(SceneEdit(distance_m=5), Source.RANGEFINDER))
    assert codes(known) == set()
    (caution,) = cautions(
        picture(pose=Pose(relative_altitude_m=40.0, target_distance_m=12.9)),
        [whole((12, 16))],
        judged=False,
        load_percent=None,
    )
    assert "the rangefinder says 12.9 m" in str(caution)


def test_saturation_is_counted_in_its_region() -> None:
    thermogram = read_bytes(FlirFile(counts=ramp(low=17000, high=60000), raw_range=(8000, 59000)).jpeg())
    last, first = area_of(Marked("a", Box(8, 10, 8, 2)), (12, 16)), area_of(Marked("b", Box(0, 0, 8, 2)), (12, 16))
    assert saturated_px(thermogram, last.mask) == np.count_nonzero(thermogram.counts >= 59000)
    assert saturated_px(thermogram, first.mask) == 0
    found = cautions(thermogram, [whole((12, 16)), last], judged=False, load_percent=None)
    assert [item.label for item in found if item.code == "saturated"] == ["", "a"]
