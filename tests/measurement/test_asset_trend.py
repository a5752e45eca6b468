"""The trend of an asset from the results of its inspections."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from isotherm.core.findings import AnomalyResult, Finding, ImageResult, Region, TemperatureStats
from isotherm.core.scene import Param, Source
from isotherm.core.shapes import Box
from isotherm.measurement.asset_trend import Look, trend_of

START = datetime(2025, 1, 1, tzinfo=UTC)


def finding(delta_t_c: float) -> Finding:
    region = Region(area_px=9, box=Box(1, 1, 3, 3), peak=(2, 2))
    return Finding("hotspot", "otsu", region, delta_t_c=delta_t_c, delta_t_uncertainty_k=0.5)


def look(place: int, *deltas: float, max_c: float = 50.0, load: float | None = None, **more: Any) -> Look:
    stats = TemperatureStats(20, max_c, 30, 5)
    scene = {"atmosphere_k": Param(293.15, "K", more.pop("air", Source.FILE))}
    result = ImageResult(
        image=f"{place}.jpg", status="ok", temperatures=stats, uncertainty_k=1.0, scene=scene,
        findings=tuple(finding(delta) for delta in deltas), anomaly=more.pop("anomaly", None),
    )  # fmt: skip
    return Look(START + timedelta(days=30 * place), result, load, **more)


def test_the_largest_delta_of_each_inspection_is_followed() -> None:
    found = trend_of([look(1, 3.0, 9.0, 4.0), look(0, 5.0)])
    series = {one.name: [sample.value for sample in one.samples] for one in found.series}
    assert series == {"max_c": [50.0, 50.0], "delta_t_k": [5.0, 9.0]}
    assert [one.name for one in found.alarms] == ["delta_t_k"]
    assert [row.note for row in found.rows] == ["the load is not known"] * 2


def test_a_higher_load_is_no_alarm() -> None:
    # 4 K at 50 % and 16 K at 100 % are the same fault: both 16 K at the rated load.
    found = trend_of([look(0, 4.0, load=50), look(1, 16.0, load=100)])
    rated = next(one for one in found.series if one.name == "rated_delta_t_k")
    assert [sample.value for sample in rated.samples] == [16.0, 16.0]
    assert found.alarms == []


def test_a_fault_behind_a_lower_load_is_an_alarm() -> None:
    found = trend_of([look(0, 10.0, load=100), look(1, 10.0, load=50)])
    assert [one.name for one in found.alarms] == ["rated_delta_t_k"]


def test_where_one_load_is_missing_the_measured_ones_alarm_too() -> None:
    found = trend_of([look(0, 4.0), look(1, 16.0, load=100)])
    assert [one.name for one in found.alarms] == ["delta_t_k"]


def test_scores_of_two_models_are_not_compared() -> None:
    found = trend_of([look(0, model="a", score=0.1), look(1, model="b", score=5.0)])
    (score,) = [one for one in found.series if one.name == "score"]
    assert [sample.value for sample in score.samples] == [5.0]


def test_a_picture_without_a_score_leaves_the_scores_before_it() -> None:
    found = trend_of([look(0, model="a", score=0.1), look(1, model="b", score=5.0), look(2)])
    (score,) = (one for one in found.series if one.name == "score")
    assert [sample.value for sample in score.samples] == [5.0]


def test_the_score_of_an_anomaly_model_counts() -> None:
    anomaly = AnomalyResult(score=2.5, percentile=99, threshold=2, prediction="Anomaly", area_px=5)
    assert trend_of([look(0, anomaly=anomaly)]).rows[0].score is not None


def test_the_allowed_temperature_follows_the_formula() -> None:
    # Tmax,corr = (A_meas / A_rated)^n * rated rise + ambient = 0.5^2 * 60 + 20 = 35 °C.
    row = trend_of([look(0, max_c=38, load=50, rated_rise_k=60.0)]).rows[0]
    assert row.allowed_c == pytest.approx(35.0)
    assert row.above_allowed(2.0), "38 - 2 * 1.0 > 35"
    assert not row.above_allowed(3.5)


@pytest.mark.parametrize("more", [{"load": None}, {"rated_rise_k": None}, {"air": Source.ASSUMED}])
def test_without_load_rating_or_air_nothing_is_allowed_or_exceeded(more: dict[str, Any]) -> None:
    row = trend_of([look(0, max_c=500, **({"load": 50, "rated_rise_k": 60.0} | more))]).rows[0]
    assert row.allowed_c is None
    assert not row.above_allowed(2.0)


def test_pictures_without_temperatures_have_no_series() -> None:
    found = trend_of([Look(START, ImageResult(image="a.png", status="ok"))])
    assert found.series == ()
    assert len(found.rows) == 1
    assert not found.above_allowed
