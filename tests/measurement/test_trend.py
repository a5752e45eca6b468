"""Loads, changes beyond their uncertainty, slopes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, DataError
from isotherm.measurement.trend import YEAR_S, Sample, TrendSettings, at_rated_load, series, student_t

START = datetime(2024, 1, 1, tzinfo=UTC)


def samples(*values: float, uncertainty: float | None = 1.0, days: float = 30) -> list[Sample]:
    return [Sample(START + timedelta(days=days * place), value, uncertainty) for place, value in enumerate(values)]


def test_a_rise_at_half_load_is_four_times_as_much_at_rated_load() -> None:
    # Joule's law: (100 / 50) ** 2 = 4.
    found, why = at_rated_load(Sample(START, 5.0, 0.5), 50, TrendSettings(load_uncertainty_percent=0))
    assert why == ""
    assert found == Sample(START, 20.0, 2.0)


def test_the_uncertainty_of_the_load_counts() -> None:
    found, _ = at_rated_load(Sample(START, 5.0, 0.5), 50, TrendSettings(load_uncertainty_percent=3))
    assert found is not None
    # 3 % of the load are 6 % of the rise; with the 2.0 K of the temperature.
    assert found.uncertainty == pytest.approx(math.hypot(2.0, 0.06 * 20.0))


@pytest.mark.parametrize(
    ("load", "why"),
    [(None, "the load is not known"), (39.9, "a load of 39.9 % is below 40 %"), (0.0, "below 40 %")],
)
def test_a_rise_without_a_sound_load_is_not_corrected(load: float | None, why: str) -> None:
    found, told = at_rated_load(Sample(START, 5.0, 0.5), load)
    assert found is None
    assert why in told


def test_a_rise_without_uncertainty_is_corrected_without() -> None:
    assert at_rated_load(Sample(START, 5.0), 50)[0] == Sample(START, 20.0)


def test_a_change_within_its_uncertainty_is_no_alarm() -> None:
    # U = 2 * sqrt(1 + 1) = 2.83
    found = series("delta_t", "K", samples(10, 12.8))
    assert found.last is not None
    assert found.last.difference == pytest.approx(2.8)
    assert found.last.expanded == pytest.approx(2 * math.sqrt(2))
    assert not found.alarm


def test_a_change_beyond_its_uncertainty_is_an_alarm() -> None:
    found = series("delta_t", "K", samples(10, 12.9))
    assert found.alarm
    assert found.last is not None
    assert found.last.since == START


def test_a_slow_rise_alarms_against_the_first_inspection() -> None:
    found = series("delta_t", "K", samples(10, 11, 12, 13))
    assert found.last is not None
    assert found.first is not None
    assert not found.last.alarm
    assert found.first.alarm
    assert found.alarm


def test_cooling_and_trifles_are_no_alarm() -> None:
    assert not series("max", "°C", samples(50, 20)).alarm
    assert not series("max", "°C", samples(50, 50.5, uncertainty=0.01), least=1.0).alarm


def test_values_in_any_order_are_sorted_by_time() -> None:
    found = series("max", "°C", list(reversed(samples(1, 2, 3))))
    assert [sample.value for sample in found.samples] == [1, 2, 3]


def test_without_a_stated_uncertainty_the_spread_of_the_earlier_ones_decides() -> None:
    # t(2) * s * sqrt(1 + 1/3) = 4.303 * 0.1 * 1.1547 = 0.4969
    calm = series("score", "", samples(1.0, 1.1, 0.9, 1.55, uncertainty=None))
    assert calm.last is not None
    assert calm.last.expanded == pytest.approx(4.303 * 0.1 * math.sqrt(4 / 3))
    assert calm.last.alarm
    assert not series("score", "", samples(1.0, 1.1, 0.9, 1.35, uncertainty=None)).alarm


def test_two_values_without_uncertainty_say_nothing() -> None:
    found = series("score", "", samples(1, 100, uncertainty=None))
    assert found.last is not None
    assert found.last.expanded is None
    assert not found.alarm


def test_a_single_value_has_no_change() -> None:
    found = series("max", "°C", samples(1))
    assert (found.last, found.first, found.slope, found.alarm) == (None, None, None, False)


def test_the_slope_of_a_line_is_its_rise_a_year() -> None:
    found = series("max", "°C", samples(*(10 + 2 * place for place in range(5)), days=365.25 / 4)).slope
    assert found is not None
    assert found.per_year == pytest.approx(8.0)
    # Formal: k * sigma / sqrt(sum (t - mean)^2), t = 0, .25, .5, .75, 1 years.
    assert found.expanded == pytest.approx(2 / math.sqrt(0.625))


def test_the_slope_agrees_with_a_fit_of_numpy() -> None:
    random = np.random.default_rng(3)
    values = random.normal(20, 3, 8)
    found = series("max", "°C", samples(*values.tolist(), uncertainty=None)).slope
    times = np.arange(8) * 30 * 86400 / YEAR_S
    (rise, _), covariance = np.polyfit(times, values, 1, cov=True)
    assert found is not None
    assert found.per_year == pytest.approx(rise)
    assert found.expanded == pytest.approx(student_t(6) * math.sqrt(covariance[0, 0]))


def test_inspections_of_one_month_have_no_slope() -> None:
    assert series("max", "°C", samples(1, 2, 3, days=0)).slope is None
    assert series("max", "°C", samples(1, 2, 3, days=14)).slope is None
    assert series("max", "°C", samples(1, 2, 3, days=16)).slope is not None


# From the table of the NIST/SEMATECH e-Handbook.
@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (5, 2.571), (11, 2.201), (30, 2.042), (100, 1.984)])
def test_quantiles_of_student(freedom: int, quantile: float) -> None:
    assert student_t(freedom) == pytest.approx(quantile, abs=0.003)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8), st.floats(0.01, 5))
def test_a_shift_of_all_values_changes_no_verdict(values: list[float], uncertainty: float) -> None:
    # Whole thousandths, so that adding 100 loses nothing that could flip a comparison.
    values = [round(value, 3) for value in values]
    low = series("max", "°C", samples(*values, uncertainty=uncertainty))
    high = series("max", "°C", samples(*(value + 100 for value in values), uncertainty=uncertainty))
    assert low.last is not None
    assert high.last is not None
    assert low.last.difference == pytest.approx(high.last.difference, abs=1e-9)
    margin = abs(low.last.difference - (low.last.expanded or 0))
    assert low.last.alarm == high.last.alarm or margin < 1e-9


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match=r"max: .* is no number"):
        series("max", "°C", samples(1.0, bad))


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="load_exponent"):
        TrendSettings(load_exponent=3.0)
