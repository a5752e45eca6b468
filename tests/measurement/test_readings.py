"""What regions read, how sure it is, and differences between them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from isotherm.core.errors import ConfigError, DataError
from isotherm.core.scene import Param, SceneEdit, Source, assumed_scene
from isotherm.core.shapes import Box, Marked, Spot
from isotherm.core.thermogram import Counts, Temperatures, Thermogram
from isotherm.formats import read_bytes
from isotherm.measurement.budgets import Term, combined, measure_areas, uncertainty_of
from isotherm.measurement.deltas import Comparer, Delta, parse_delta
from isotherm.measurement.operation import Operation
from isotherm.measurement.readings import Area, Pictures, area_of, halves, histogram, read_area, statistics_k, whole
from isotherm.measurement.severity import load_table
from isotherm.radiometry.linear import LinearCalibration, stored_temperatures
from isotherm.radiometry.uncertainty import UncertaintySettings
from thermal_files import FlirFile

SETTINGS = UncertaintySettings(draws=0)


def final(celsius: np.ndarray) -> Thermogram:
    """Return a picture of temperatures that nothing changes."""
    return Thermogram(
        counts=celsius.astype(np.float32), calibration=stored_temperatures("c"), scene=assumed_scene(), format="npy"
    )


def planck(celsius: np.ndarray, **scene: float) -> Thermogram:
    """Return a FLIR picture of an object at these temperatures, as its camera would record it."""
    base = read_bytes(FlirFile().jpeg())
    base = replace(base, scene=base.scene.edited(SceneEdit(**scene)), regions=(), notes=())
    counts = base.calibration.counts(celsius.astype(np.float64) + 273.15, base.scene)  # type: ignore[union-attr]
    return replace(base, counts=counts)


STEPS = np.array([[20.0, 20, 20, 30, 30, 30, 44, 44, 44]] * 4)
BOXES = (Marked("a", Box(0, 0, 3, 4)), Marked("b", Box(3, 0, 3, 4)), Marked("c", Box(6, 0, 3, 4)))


def areas_of(thermogram: Thermogram, *marked: Marked) -> list[Area]:
    return [whole(thermogram.size), *(area_of(item, thermogram.size) for item in marked or BOXES)]


def comparer(thermogram: Thermogram, *marked: Marked, chosen: UncertaintySettings = SETTINGS) -> Comparer:
    return Comparer(measure_areas(Pictures(thermogram), areas_of(thermogram, *marked), chosen), chosen)


def delta(text: str, thermogram: Thermogram, *marked: Marked, chosen: UncertaintySettings = SETTINGS) -> Delta:
    found = comparer(thermogram, *marked, chosen=chosen)
    (only,) = found.deltas(parse_delta(text, list(found.measured)))
    return only


def test_a_region_reads_its_pixels() -> None:
    values = np.array([[1, 2, 3, 4], [5, 9, 7, 8], [9, 0, 1, np.nan]])
    pictures = Pictures(final(values))
    found = read_area(pictures, area_of(Marked("a", Box(1, 0, 2, 2)), (3, 4)))
    assert found.temperatures is not None
    assert (found.area_px, found.missing_px, found.min_at, found.max_at) == (4, 0, (1, 0), (1, 1))
    assert found.temperatures.mean_c == pytest.approx(np.mean([2, 3, 9, 7]), abs=1e-4)
    assert found.temperatures.std_c == pytest.approx(np.std([2, 3, 9, 7]), abs=1e-4)
    assert found.median_c == pytest.approx(5, abs=1e-4)
    everything = read_area(pictures, whole((3, 4)))
    # The first of equal extremes in raster order; the gap counts for nothing.
    assert (everything.missing_px, everything.max_at) == (1, (1, 1))


def test_a_region_of_gaps_reads_nothing() -> None:
    thermogram = final(np.full((3, 4), np.nan))
    measured = measure_areas(Pictures(thermogram), [whole((3, 4))], UncertaintySettings(draws=10))["image"]
    assert measured.reading.temperatures is None
    assert math.isnan(measured.reading.celsius("max"))
    assert uncertainty_of(measured, "max", SETTINGS).monte_carlo is None
    assert histogram(np.full(3, np.nan)) is None


@settings(deadline=None, max_examples=40)
@given(arrays.arrays(np.float32, 12, elements=st.floats(-80, 400, width=32)))
def test_statistics_are_numpys_and_the_histogram_counts_every_pixel(values: np.ndarray) -> None:
    kelvin = values + np.float32(273.15)
    low, high, mean, median = statistics_k(kelvin)
    assert (low, high) == (kelvin.min(), kelvin.max())
    assert mean == pytest.approx(kelvin.astype(np.float64).mean())
    assert median == pytest.approx(np.median(kelvin.astype(np.float64)))
    found = histogram(values)
    assert found is not None
    assert found.counts.sum() == 12


def test_a_region_has_its_own_emissivity() -> None:
    thermogram = planck(np.full((6, 8), 60.0), emissivity=0.9)
    own = Marked("a", Box(0, 0, 4, 4), edit=SceneEdit(emissivity=0.5))
    pictures = Pictures(thermogram)
    plain, changed = (read_area(pictures, area).celsius("max") for area in areas_of(thermogram, own))
    assert plain == pytest.approx(60, abs=0.01)
    assert changed > 75
    assert changed == pytest.approx(thermogram.edited(SceneEdit(emissivity=0.5)).celsius().max(), abs=1e-4)


def test_halves_leave_the_middle_column_of_an_odd_number_out() -> None:
    area = area_of(Marked("a", Box(1, 0, 5, 2)), (2, 8))
    left, right = halves(area)
    assert np.flatnonzero(left.mask[0]).tolist() == [1, 2]
    assert np.flatnonzero(right.mask[0]).tolist() == [4, 5]
    assert left.label == "a (left half)"
    with pytest.raises(DataError, match="one pixel wide"):
        halves(area_of(Marked("a", Box(1, 0, 1, 2)), (2, 8)))


def test_a_region_outside_the_picture_is_said() -> None:
    with pytest.raises(DataError, match="'far' has no pixel in the picture, which is 8x6 px"):
        area_of(Marked("far", Spot(80, 60)), (6, 8))


def test_a_picture_without_temperatures_cannot_be_measured() -> None:
    with pytest.raises(DataError, match="holds no temperatures"):
        Pictures(replace(final(np.ones((2, 2))), calibration=None))


def test_final_temperatures_have_the_cameras_budget_and_say_what_is_missing() -> None:
    found = measure_areas(Pictures(final(STEPS)), areas_of(final(STEPS)), SETTINGS)
    budget = uncertainty_of(found["c"], "max", SETTINGS)
    assert [item.name for item in budget.contributions] == ["camera", "noise"]
    assert budget.standard_k == pytest.approx(math.hypot(2 / math.sqrt(3), 0.05))
    assert "not included" in budget.caveat
    # The noise of a mean of 12 pixels is smaller by the root of 12.
    assert uncertainty_of(found["c"], "mean", SETTINGS).contributions[1].effect_k == pytest.approx(0.05 / math.sqrt(12))


def test_monte_carlo_agrees_with_the_budget() -> None:
    thermogram = planck(STEPS + 30, emissivity=0.9)
    chosen = UncertaintySettings(draws=3000)
    found = measure_areas(Pictures(thermogram), areas_of(thermogram), chosen)
    for label in ("a", "b", "c", "image"):
        for statistic in ("min", "max", "mean"):
            budget = uncertainty_of(found[label], statistic, chosen)
            assert budget.monte_carlo is not None
            assert budget.monte_carlo.std_k == pytest.approx(budget.standard_k, rel=0.06)
            assert budget.monte_carlo.mean_c == pytest.approx(found[label].reading.celsius(statistic), abs=0.15)


def test_a_low_emissivity_is_where_the_linear_form_fails_and_monte_carlo_says_so() -> None:
    thermogram = planck(np.full((4, 4), 80.0), emissivity=0.1)
    chosen = UncertaintySettings(draws=2000)
    (measured,) = measure_areas(Pictures(thermogram), [whole((4, 4))], chosen).values()
    budget = uncertainty_of(measured, "max", chosen)
    assert budget.monte_carlo is not None
    above, below = budget.monte_carlo.high_c - 80, 80 - budget.monte_carlo.low_c
    # A normal distribution would be even: here the hot side is longer.
    assert above > 1.1 * below
    assert budget.standard_k > 10


def test_many_regions_are_checked_alike() -> None:
    thermogram = planck(STEPS)
    chosen = UncertaintySettings(draws=40)
    many = [Marked(f"r{number}", Box(0, 0, 3, 4)) for number in range(70)]
    found = measure_areas(Pictures(thermogram), areas_of(thermogram, *many), chosen)
    # The same scenes are drawn for all of them; only the noise differs.
    spreads = [measured.draws["mean"].std_k for label, measured in found.items() if label != "image"]  # type: ignore[union-attr]
    assert len(spreads) == 70
    assert max(spreads) - min(spreads) < 0.05


def test_the_same_seed_gives_the_same_check() -> None:
    thermogram = planck(STEPS)
    chosen = UncertaintySettings(draws=50)
    first, second = (
        measure_areas(Pictures(thermogram), areas_of(thermogram), chosen)["a"].draws["max"] for _ in range(2)
    )
    assert first == second


def test_offset_of_the_camera_cancels_in_a_difference_and_emissivities_do_not() -> None:
    thermogram = planck(STEPS + 30, emissivity=0.9)
    found = {item.name: item.effect_k for item in delta("c-a", thermogram).uncertainty.contributions}
    assert abs(found.get("camera, offset", 0)) < 0.02
    assert {"emissivity of a", "emissivity of c"} <= set(found)
    # What the reflection does to both cancels nearly.
    (reading,) = (
        item.effect_k
        for item in uncertainty_of(comparer(thermogram).measured["c"], "max", SETTINGS).contributions
        if item.name == "reflected_k"
    )
    assert abs(found["reflected_k"]) < 0.5 * abs(reading)


def test_a_maximum_has_the_uncertainty_of_its_pixel_whatever_lies_around_it() -> None:
    thermogram = planck(np.linspace(10, 90, 60).reshape(6, 10), emissivity=0.3)
    hottest = np.zeros((6, 10), dtype=np.bool_)
    hottest[5, 9] = True
    areas = [whole((6, 10)), Area("peak", "mask", hottest)]
    measured = measure_areas(Pictures(thermogram), areas, SETTINGS)
    image, peak = (uncertainty_of(measured[area.label], "max", SETTINGS) for area in areas)
    assert image.standard_k == pytest.approx(peak.standard_k, rel=1e-6)
    assert measured["image"].factor("min") > 1.2 * measured["image"].factor("max")


def test_identical_parts_share_the_error_of_their_emissivity() -> None:
    thermogram = planck(np.where(STEPS > 40, 80.0, 79.0), emissivity=0.9)
    apart = delta("c-a", thermogram)
    same = delta("c-a", thermogram, chosen=UncertaintySettings(draws=0, same_surface=True))
    assert apart.value_k == pytest.approx(1.0, abs=0.01)
    assert not apart.significant
    assert apart.note.startswith("smaller than its expanded uncertainty")
    assert same.significant
    assert same.note == ""


def test_a_changed_emissivity_stays_a_regions_own_even_on_one_surface() -> None:
    own = (replace(BOXES[0], edit=SceneEdit(emissivity=0.8)), BOXES[2])
    found = delta("c-a", planck(STEPS + 40), *own, chosen=UncertaintySettings(draws=0, same_surface=True))
    names = {item.name for item in found.uncertainty.contributions}
    assert {"emissivity", "emissivity of a"} <= names


@pytest.mark.parametrize(
    ("text", "value", "comparison"),
    [
        ("c.max - a.max", 24, "similar"),
        ("c-a", 24, "similar"),
        ("c.min-b.mean", 14, "similar"),
        ("b - ambient", 10, "ambient"),
        ("ambient-b", -10, "ambient"),
        ("c-21.5", 22.5, None),
        ("c - -10", 54, None),
        ("c-median(a,b)", 19, "similar"),
        ("c-median(a, b, image).min", 24, "similar"),
        ("left-right(image)", -14, "similar"),
        ("left-right(image).min", -10, "similar"),
    ],
)
def test_differences_are_what_they_say(text: str, value: float, comparison: str | None) -> None:
    thermogram = final(STEPS)
    areas = areas_of(thermogram)
    asked = parse_delta(text, [area.label for area in areas])
    for label in asked.halved:
        areas += halves(next(area for area in areas if area.label == label))
    found = Comparer(measure_areas(Pictures(thermogram), areas, SETTINGS), SETTINGS)
    (only,) = found.deltas(asked)
    assert only.value_k == pytest.approx(value, abs=1e-3)
    assert only.comparison == comparison
    assert only.value_k == pytest.approx(only.left_c - only.right_c)


def test_three_phases_are_compared_with_the_coolest() -> None:
    found = comparer(final(STEPS))
    deltas = found.deltas(parse_delta("phases(b,c,a)", list(found.measured)))
    assert [item.text for item in deltas] == ["c - a", "b - a"]
    assert [round(item.value_k) for item in deltas] == [24, 10]


def test_labels_may_look_like_words_of_the_language() -> None:
    marked = (Marked("left", Box(0, 0, 3, 4)), Marked("right", Box(6, 0, 3, 4)), Marked("max", Box(3, 0, 3, 4)))
    assert delta("right-left", final(STEPS), *marked).value_k == pytest.approx(24, abs=1e-3)
    assert delta("left-right", final(STEPS), *marked).value_k == pytest.approx(-24, abs=1e-3)
    assert delta("max.max-left", final(STEPS), *marked).value_k == pytest.approx(10, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is missing"),
        ("a", "'-' is missing"),
        ("a-", "is missing"),
        ("a-d", "is missing"),
        ("a.top-b", "a statistic is one of min, max, mean, median"),
        ("a-b-c", "'-c' is too much"),
        ("phases(a,b)", "3 or more different regions"),
        ("phases(a,b,b)", "3 or more different regions"),
        ("a-median(b)", "2 or more different regions"),
        ("left-right(a,b)", "1 different regions"),
        ("left-right(x)", "no region at 'x\\)'"),
        ("phases(a,b,c", "'\\)' is missing"),
    ],
)
def test_a_difference_that_is_none_is_said(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_delta(text, ["a", "b", "c"])
    assert "regions among: a, b, c" in str(caught.value)


@settings(deadline=None, max_examples=150)
@given(st.text("ab.c-(),m 1", max_size=14))
def test_no_text_breaks_the_reader_of_differences(text: str) -> None:
    try:
        found = parse_delta(text, ["a", "b", "c"])
    except ConfigError:
        return
    assert found.text == text


def test_two_known_temperatures_are_no_difference_of_a_picture() -> None:
    with pytest.raises(ConfigError, match="holds no region"):
        delta("30-20", final(STEPS))


def test_ambient_air_counts_once_with_both_of_its_effects() -> None:
    thermogram = planck(STEPS + 30, emissivity=0.9, distance_m=50)
    found = delta("c-ambient", thermogram)
    (air,) = (item for item in found.uncertainty.contributions if item.name == "atmosphere_k")
    # Warmer air means a smaller difference by its own warmth, and a reading that is a little higher.
    measured = comparer(thermogram).measured["c"]
    on_reading = measured.effect_k("atmosphere_k", "max")
    assert on_reading != 0
    assert air.effect_k == pytest.approx(on_reading - air.sigma)
    guessed = replace(thermogram, scene=replace(thermogram.scene, atmosphere_k=Param(293.15, "K", Source.ASSUMED)))
    assert "assumed, not measured" in delta("c-ambient", guessed).note
    # Final temperatures do not depend on the air, the difference does.
    (air,) = (
        item for item in delta("c-ambient", final(STEPS)).uncertainty.contributions if item.name == "atmosphere_k"
    )
    assert air.effect_k == -5.0


def test_differences_are_judged_by_the_table_of_their_kind() -> None:
    thermogram = final(STEPS)
    measured = measure_areas(Pictures(thermogram), areas_of(thermogram), SETTINGS)
    similar = Comparer(measured, SETTINGS, load_table("neta-similar"), Operation(load_percent=80.0))
    (found,) = similar.deltas(parse_delta("c-a", list(measured)))
    assert found.verdict is not None
    assert found.verdict.grade == "1"
    (other,) = similar.deltas(parse_delta("c-ambient", list(measured)))
    assert other.verdict is not None
    assert other.verdict.grade is None
    assert "not applicable" in other.verdict.reason
    over_air = replace(similar, table=load_table("neta-ambient"))
    (guessed,) = over_air.deltas(parse_delta("c-ambient", list(measured)))
    assert guessed.verdict is not None
    assert "air temperature not known (20 °C is assumed" in guessed.verdict.reason


class Colours(LinearCalibration):
    """A calibration that knows its own uncertainty, as estimated ones do."""

    def sigma_k(self, counts: Counts) -> Temperatures:
        return np.where(counts > 40, np.float32(3), np.float32(1))


def test_estimates_state_the_uncertainty_of_their_colours_alone() -> None:
    thermogram = replace(final(STEPS), calibration=Colours(1.0, 273.15))
    measured = measure_areas(Pictures(thermogram), areas_of(thermogram), UncertaintySettings(draws=20))
    budget = uncertainty_of(measured["image"], "max", SETTINGS)
    assert [item.name for item in budget.contributions] == ["colours of image"]
    assert (budget.standard_k, budget.monte_carlo) == (3.0, None)
    assert "estimated" in budget.caveat
    both = combined([Term(measured["c"], "max"), Term(measured["a"], "max", -1.0)], SETTINGS)
    assert both.standard_k == pytest.approx(math.hypot(3, 1))


class Program(LinearCalibration):
    """A calibration that starts a program for each scene."""

    calls = 0

    @property
    def supports(self) -> frozenset[str]:
        return frozenset({"emissivity", "distance_m"})

    def kelvin(self, counts: Counts, scene: object) -> Temperatures:
        Program.calls += 1
        return super().kelvin(counts, scene) / np.float32(scene.emissivity.value)  # type: ignore[arg-type,attr-defined]


def test_a_vendors_program_runs_once_for_each_parameter() -> None:
    thermogram = replace(final(STEPS), calibration=Program(1.0, 273.15, kind="vendor"))
    Program.calls = 0
    measured = measure_areas(Pictures(thermogram), areas_of(thermogram), UncertaintySettings(draws=1000))
    assert Program.calls == 1 + 2
    budget = uncertainty_of(measured["a"], "max", SETTINGS)
    assert budget.monte_carlo is None
    assert {"emissivity", "camera"} <= {item.name for item in budget.contributions}
