"""Load, irradiance and rated rise: what they do to a difference, and to what a table says about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.config import settings_of
from isotherm.core.errors import ConfigError
from isotherm.core.findings import Verdict
from isotherm.measurement.operation import Operation
from isotherm.measurement.severity import SEVERITY_TABLES, SeverityTable, load_table, table_from_toml
from isotherm.reports.plain import dumps, from_plain

PIM, PV, TMAX = (SEVERITY_TABLES[name] for name in ("pim-similar", "pv-practice", "tmax-corrected"))
NETA = SEVERITY_TABLES["neta-similar"]


def test_the_worked_example_of_the_solar_source() -> None:
    # aerialaccuracy.com/resources/iec-62446-3-methodology: 68 °C, reference 52 °C, 860 W/m²: 18.6 K, class S2
    verdict = PV.judge(68.0 - 52.0, Operation(irradiance_w_m2=860.0))
    assert verdict.inputs["judged_c"] == pytest.approx(18.6, abs=0.05)
    assert verdict.grade == "S2"
    assert verdict.reason == "18.6 K at 1000 W/m²"
    assert verdict.inputs["irradiance_w_m2"] == 860


def test_solar_modules_are_not_judged_without_enough_sun() -> None:
    assert PV.judge(30).reason == "criterion not applicable: irradiance unknown"
    assert PV.judge(30, Operation(irradiance_w_m2=0.0)).reason == "criterion not applicable: irradiance unknown"
    dim = PV.judge(30, Operation(irradiance_w_m2=599.0))
    assert (dim.grade, dim.rank) == (None, 0)
    assert "599 W/m², is below the 600 W/m²" in dim.reason
    assert PV.judge(30, Operation(irradiance_w_m2=600.0)).grade == "S3"


def test_no_table_claims_limits_of_the_solar_specification() -> None:
    assert any("no limits of IEC TS 62446-3" in note for note in PV.notes)
    assert "practitioners" in PV.edition
    assert not any("IEC" in table.title or "IEC" in table.id for table in SEVERITY_TABLES.values())


def test_the_corrected_largest_temperature() -> None:
    # irinfo.org, 16 October 2023: (A/A_rated)^n * rated rise + ambient. Half the load, 60 K, n = 2: 15 K are allowed.
    half = Operation(load_percent=50, rated_rise_c=60.0)
    assert half.allowed_rise_c() == pytest.approx(15)
    over = TMAX.judge(15.1, half)
    assert over.grade == "over"
    assert over.inputs["judged_c"] == pytest.approx(0.1)
    assert over.inputs["load_exponent"] == 2
    assert over.reason == "at this load a rise of 15.0 K over ambient is allowed"
    assert TMAX.judge(14.9, half).action == "no action"
    assert Operation(load_percent=50, rated_rise_c=60.0, load_exponent=1.6).allowed_rise_c() == pytest.approx(
        19.79, abs=0.01
    )


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (Operation(rated_rise_c=60.0), "load unknown"),
        (Operation(load_percent=50), "rated temperature rise unknown"),
        (Operation(), "load unknown"),
    ],
)
def test_the_corrected_largest_temperature_says_what_is_missing(operation: Operation, why: str) -> None:
    assert TMAX.judge(50, operation).reason == f"criterion not applicable: {why}"


@pytest.mark.parametrize(
    ("load", "grade", "said"),
    [
        (None, "urgent", "load unknown: the table asks for at least 75 % of rating"),
        (80.0, "urgent", ""),
        (75.0, "urgent", ""),
        (74.9, "urgent", "the table is for at least 75 % of rating: at a load of 74.9 % it is too mild"),
        (50.0, "urgent", "the table is for at least 75 % of rating: at a load of 50 % it is too mild"),
        (49.9, None, "criterion not applicable: the load, 49.9 % of rating, is below the 50 % that the table asks for"),
    ],
)
def test_the_load_rule_of_pim(load: float | None, grade: str | None, said: str) -> None:
    verdict = PIM.judge(30, Operation(load_percent=load))
    assert (verdict.grade, verdict.reason) == (grade, said)


def test_a_rise_is_judged_at_the_rated_load_where_that_is_asked() -> None:
    half = Operation(load_percent=50, load_correction="rated")
    # 4 K at half the load are 16 K at the whole load, with n = 2.
    verdict = NETA.judge(4, half)
    assert verdict.inputs["judged_c"] == pytest.approx(16)
    assert verdict.grade == "1"
    assert verdict.reason == "16.0 K at the rated load, corrected from 50 % of rating with exponent 2"
    assert NETA.judge(4, Operation(load_percent=50)).grade == "3"
    assert NETA.judge(4, Operation(load_correction="rated")).reason == (
        "criterion not applicable: correction to the rated load needs a load above 0"
    )


@settings(deadline=None, max_examples=50)
@given(rise=st.floats(0.1, 200), load=st.floats(1, 200), exponent=st.floats(1.6, 2.0))
def test_correction_and_allowed_rise_agree(rise: float, load: float, exponent: float) -> None:
    operation = Operation(load_percent=load, load_exponent=exponent, rated_rise_c=rise)
    allowed = operation.allowed_rise_c()
    assert allowed is not None
    assert operation.at_rated_load(allowed) == pytest.approx(rise)


def test_exponents_outside_the_range_of_the_source_are_refused() -> None:
    for wrong in (1.5, 2.1):
        with pytest.raises(ConfigError):
            Operation(load_exponent=wrong)


def test_a_verdict_names_table_edition_source_and_inputs() -> None:
    verdict = NETA.judge(16, Operation(load_percent=80))
    assert (verdict.table, verdict.edition, verdict.source) == ("neta-similar", NETA.edition, NETA.source)
    assert verdict.inputs == {"delta_t_c": 16, "load_percent": 80, "judged_c": 16}
    assert from_plain(Verdict, json.loads(dumps(verdict))) == verdict


@pytest.mark.parametrize("name", sorted(SEVERITY_TABLES))
def test_every_verdict_can_be_written_down(name: str) -> None:
    for value in (-3.0, 0.0, 12.0, 1e9):
        for operation in (Operation(), Operation(load_percent=60, rated_rise_c=50.0, irradiance_w_m2=800)):
            verdict = SEVERITY_TABLES[name].judge(value, operation)
            assert from_plain(Verdict, json.loads(dumps(verdict))) == verdict
            assert (verdict.grade is None) == (verdict.rank == 0)
            assert verdict.source


@pytest.mark.parametrize(
    ("table", "comparison", "accepted"),
    [
        ("neta-similar", "similar", True),
        ("neta-similar", "ambient", False),
        ("military", "similar", True),
        ("military", "ambient", True),
        ("military", None, False),
        ("tmax-corrected", "similar", False),
        ("pv-practice", "similar", True),
    ],
)
def test_a_table_judges_only_its_own_comparison(table: str, comparison: str | None, accepted: bool) -> None:
    suited = Operation(load_percent=100, rated_rise_c=0.0, irradiance_w_m2=1000)
    verdict = SEVERITY_TABLES[table].judge_difference(50, comparison, "the other phase", suited)  # type: ignore[arg-type]
    assert (verdict.grade is not None) == accepted
    assert ("not over the other phase" in verdict.reason) != accepted


TOML = """
id = "cables"
edition = "2024"
source = "maintenance handbook, p. 12"
domain = "cables with PVC insulation"
comparison = "absolute"

[[intervals]]
interval = "[60, 70)"
grade = "watch"
action = "look again in a month"

[[intervals]]
interval = "[70, inf)"
grade = "repair"
action = "repair this week"
"""


def test_a_table_in_toml_judges_temperatures_themselves(tmp_path: Path) -> None:
    path = tmp_path / "cables.TOML"
    path.write_text(TOML, encoding="utf-8")
    table = load_table(path)
    assert isinstance(table, SeverityTable)
    verdict = table.judge(70)
    assert (verdict.grade, verdict.inputs) == ("repair", {"temperature_c": 70, "judged_c": 70})
    assert "the table is for temperatures themselves" in table.judge_difference(80, "similar", "x", Operation()).reason
    assert table_from_toml(TOML, "x") == table


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id = ", r"own\.toml: not TOML"),
        ("[" * 100_000, r"own\.toml: not TOML"),
        (TOML.replace('id = "cables"', "id = 3"), "'id' must be a text, not 3"),
        (TOML.replace('id = "cables"', "id = 1979-05-27"), "'id' must be a text"),
        (TOML.replace('comparison = "absolute"', 'comparison = "absolute"\nload_required = "yes"'), "true or false"),
        (
            TOML.replace('comparison = "absolute"', 'comparison = "absolute"\nmin_irradiance_w_m2 = nan'),
            "from 0 to 2000",
        ),
    ],
)
def test_a_wrong_toml_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        table_from_toml(text, "own.toml")


def test_every_circumstance_has_a_help_line_with_its_unit() -> None:
    texts = {item.name: item.text for item in settings_of(Operation)}
    assert "[%" in texts["load_percent"]
    assert "[°C]" in texts["rated_rise_c"]
    assert "[W/m²]" in texts["irradiance_w_m2"]
