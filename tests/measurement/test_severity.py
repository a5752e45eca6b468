"""Severity tables: the built-in ones, the user's own, and what they say."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.measurement.operation import Operation
from isotherm.measurement.severity import SEVERITY_TABLES, load_table, table_from_json

TABLES = sorted(SEVERITY_TABLES)


def loaded(percent: float) -> Operation:
    return Operation(load_percent=percent)


SUITED = Operation(load_percent=100, rated_rise_c=0.0, irradiance_w_m2=1000)
"""Circumstances under which each table judges a difference as it is."""


def test_the_built_in_tables_name_their_source() -> None:
    assert TABLES == [
        "experience",
        "military",
        "motor-cores",
        "neta-ambient",
        "neta-similar",
        "pim-ambient",
        "pim-similar",
        "pv-practice",
        "tmax-corrected",
        "tuv-sud",
    ]
    for name, table in SEVERITY_TABLES.items():
        assert table.id == name
        assert table.source.startswith("https://")
        assert table.edition
        assert table.title
    for name in ("neta-ambient", "neta-similar"):
        assert "100.18" in SEVERITY_TABLES[name].edition
        assert SEVERITY_TABLES[name].min_load_percent == 40


@pytest.mark.parametrize(
    ("table", "delta_t_c", "grade"),
    [
        # NETA Table 100.18, similar components: 1-3, 4-15, > 15; read as [1,4) [4,15] (15,..)
        ("neta-similar", 0.999, None),
        ("neta-similar", 1.0, "4"),
        ("neta-similar", 3.4, "4"),
        ("neta-similar", 3.999, "4"),
        ("neta-similar", 4.0, "3"),
        ("neta-similar", 15.0, "3"),
        ("neta-similar", 15.001, "1"),
        # over ambient air: 1-10, 11-20, 21-40, > 40; read as [1,11) [11,21) [21,40] (40,..)
        ("neta-ambient", 0.999, None),
        ("neta-ambient", 1.0, "4"),
        ("neta-ambient", 10.6, "4"),
        ("neta-ambient", 11.0, "3"),
        ("neta-ambient", 20.999, "3"),
        ("neta-ambient", 21.0, "2"),
        ("neta-ambient", 40.0, "2"),
        ("neta-ambient", 40.001, "1"),
        ("neta-ambient", 1e6, "1"),
        # arpedon.com/tools/delta-t-criteria: 10 to 25, 25 to 40, 40 to 70, 70 and above
        ("military", 9.99, None),
        ("military", 10.0, "4"),
        ("military", 25.0, "3"),
        ("military", 40.0, "2"),
        ("military", 69.99, "2"),
        ("military", 70.0, "1"),
        # the same page: 1 to 10, >10 to 20, >20 to 40, >40; motor cores 1 to 10, >10 to 20, >20
        ("experience", 0.99, None),
        ("experience", 10.0, "4"),
        ("experience", 10.01, "3"),
        ("experience", 20.01, "2"),
        ("experience", 40.0, "2"),
        ("experience", 40.01, "1"),
        ("motor-cores", 10.0, "3"),
        ("motor-cores", 20.0, "2"),
        ("motor-cores", 20.01, "1"),
        # tuvsud.com, Understanding infrared findings: 1-10, 10-35, 35-75, 75 or greater
        ("tuv-sud", 1.0, "minor"),
        ("tuv-sud", 10.0, "immediate"),
        ("tuv-sud", 35.0, "serious"),
        ("tuv-sud", 75.0, "critical"),
        # pim-ltd.hu: over ambient < 20 okay, < 40 check, > 40 urgent, > 60 critical; between phases 5, 20, 40
        ("pim-ambient", 19.99, None),
        ("pim-ambient", 39.99, "check"),
        ("pim-ambient", 40.01, "urgent"),
        ("pim-ambient", 60.01, "critical"),
        ("pim-similar", 4.99, None),
        ("pim-similar", 19.99, "check"),
        ("pim-similar", 20.01, "urgent"),
        ("pim-similar", 40.01, "critical"),
        # aerialaccuracy.com: S1 < 10, S2 10 up to 20, S3 from 20
        ("pv-practice", 9.99, "S1"),
        ("pv-practice", 10.0, "S2"),
        ("pv-practice", 19.99, "S2"),
        ("pv-practice", 20.0, "S3"),
        ("tmax-corrected", 0.0, None),
        ("tmax-corrected", 0.01, "over"),
    ],
)
def test_the_ends_of_the_intervals(table: str, delta_t_c: float, grade: str | None) -> None:
    assert SEVERITY_TABLES[table].judge(delta_t_c, SUITED).grade == grade


def test_the_words_of_the_table() -> None:
    verdict = SEVERITY_TABLES["neta-similar"].judge(16, loaded(80))
    assert (verdict.table, verdict.rank, verdict.reason) == ("neta-similar", 3, "")
    assert verdict.action == "major discrepancy; repair immediately"


@pytest.mark.parametrize("name", TABLES)
@settings(deadline=None, max_examples=60)
@given(delta_t_c=st.floats(-100, 1e6))
def test_every_difference_has_one_interval_from_the_first_end_up(name: str, delta_t_c: float) -> None:
    table = SEVERITY_TABLES[name]
    first = table.intervals[0].low_c
    below = delta_t_c < first or (delta_t_c == first and not table.intervals[0].low_closed)
    assert sum(interval.holds(delta_t_c) for interval in table.intervals) == (not below)
    verdict = table.judge(delta_t_c, SUITED)
    assert (verdict.grade is None) == (verdict.rank == 0) == below


@pytest.mark.parametrize("name", TABLES)
def test_no_hole_and_no_overlap_next_to_the_ends(name: str) -> None:
    table = SEVERITY_TABLES[name]
    for interval in table.intervals:
        for value in (interval.low_c, math.nextafter(interval.low_c, math.inf)):
            is_open_start = value == table.intervals[0].low_c and not table.intervals[0].low_closed
            assert sum(other.holds(value) for other in table.intervals) == (not is_open_start)
    below = math.nextafter(table.intervals[0].low_c, -math.inf)
    assert not any(other.holds(below) for other in table.intervals)


@pytest.mark.parametrize("name", TABLES)
@settings(deadline=None, max_examples=60)
@given(one=st.floats(-10, 100), other=st.floats(-10, 100))
def test_a_larger_difference_is_never_milder(name: str, one: float, other: float) -> None:
    table = SEVERITY_TABLES[name]
    low, high = sorted((one, other))
    assert table.judge(low, SUITED).rank <= table.judge(high, SUITED).rank


def test_below_the_first_interval_there_is_nothing_to_do() -> None:
    verdict = SEVERITY_TABLES["neta-similar"].judge(0.3, loaded(50))
    assert (verdict.grade, verdict.rank, verdict.action) == (None, 0, "no action")
    assert verdict.reason == "below the table's first interval [1, 4) K"


def test_unknown_load_is_judged_and_said() -> None:
    verdict = SEVERITY_TABLES["neta-similar"].judge(20)
    assert verdict.grade == "1"
    assert verdict.reason == "load unknown: the table asks for at least 40 % of rating"


def test_a_load_below_the_least_is_not_judged() -> None:
    table = SEVERITY_TABLES["neta-similar"]
    verdict = table.judge(20, loaded(39.9))
    assert (verdict.grade, verdict.rank, verdict.action) == (None, 0, "")
    assert verdict.reason.startswith("criterion not applicable: the load, 39.9 % of rating")
    assert table.judge(20, loaded(40)).grade == "1"


def test_not_a_number_is_not_judged() -> None:
    assert "not applicable" in SEVERITY_TABLES["neta-similar"].judge(math.nan).reason


def own_table(**changes: Any) -> dict[str, Any]:
    table = {
        "id": "plant-7",
        "edition": "2024",
        "source": "maintenance handbook, p. 12",
        "domain": "motors",
        "comparison": "ambient",
        "intervals": [
            {"interval": "[10, 20)", "grade": "watch", "action": "look again in a month"},
            {"interval": "[20, inf)", "grade": "repair", "action": "repair this week"},
        ],
    }
    return {name: value for name, value in (table | changes).items() if value != "absent"}


def test_a_table_of_the_user(tmp_path: Path) -> None:
    path = tmp_path / "plant.json"
    path.write_text(json.dumps(own_table(min_load_percent=50, load_required=True)), encoding="utf-8")
    table = load_table(path)
    assert table.id == "plant-7"
    assert table.judge(15).reason == "criterion not applicable: load unknown"
    assert table.judge(15, loaded(60)).grade == "watch"
    assert load_table(str(path)) == table


@pytest.mark.parametrize("name", TABLES)
def test_describe_is_the_form_of_the_file(name: str) -> None:
    table = load_table(name)
    assert table_from_json(json.dumps(table.describe()), "copy") == table


def test_unknown_names_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'neta-similar'.*neta-ambient, neta-similar, pim-ambient"):
        load_table("neta-simlar")
    with pytest.raises(UnknownNameError):
        load_table(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_table("x" * 5000)
    (tmp_path / "latin.json").write_bytes(b'{"id": "\xe4"}')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_table(tmp_path / "latin.json")


def with_intervals(*written: str) -> dict[str, Any]:
    return own_table(intervals=[{"interval": item, "grade": "g", "action": "a"} for item in written])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "must be a JSON object or TOML table, not list"),
        (own_table(source="absent"), "'source' is missing; it must be a text"),
        (own_table(source=" "), "'source' must not be empty"),
        (own_table(id=7), "'id' must be a text, not 7"),
        (
            own_table(comparison="phase"),
            "must be one of similar, ambient, any, irradiance, rated, absolute, not 'phase'",
        ),
        (own_table(min_load_percent="40"), "must be a number or null, not '40'"),
        (own_table(min_load_percent=True), "must be a number or null, not True"),
        (own_table(min_load_percent=10**400), "must be from 0 to 1000"),
        (own_table(load_required=1), "must be true or false"),
        (own_table(notes=[1]), r"notes\[0\]: must be a text"),
        (own_table(limit=3), "unknown 'limit'"),
        (own_table(intervals=[]), "at least one interval"),
        (own_table(intervals=[3]), r"intervals\[0\]: must be a JSON object or"),
        (own_table(intervals=[{"interval": "[1, inf)", "grade": "1"}]), r"intervals\[0\]: 'action' is missing"),
        (with_intervals("1-4"), r"intervals\[0\]: an interval is written like"),
        (with_intervals("[4, 1)", "[1, inf)"), "must end above its start"),
        (with_intervals("[1, 4)", "[5, inf)"), "leave a hole or overlap"),
        (with_intervals("[1, 4)", "(4, inf)"), "leave a hole or overlap"),
        (with_intervals("[1, 4]", "[4, inf)"), "leave a hole or overlap"),
        (with_intervals("[1, 4]", "[3, inf)"), "leave a hole or overlap"),
        (with_intervals("[1, 4)"), "the last interval must end with 'inf\\)'"),
    ],
)
def test_a_wrong_table_says_what_is_wrong(table: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        table_from_json(json.dumps(table), "own.json")


def test_a_wrong_table_names_its_file() -> None:
    with pytest.raises(ConfigError, match=r"own\.json: not JSON"):
        table_from_json("{", "own.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(own_table())), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(own_table())), json_values)
def test_any_json_is_a_table_or_a_clear_error(name: str, value: object) -> None:
    with contextlib.suppress(ConfigError):
        table_from_json(json.dumps(own_table() | {name: value}), "own.json")
