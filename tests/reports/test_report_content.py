from __future__ import annotations

from dataclasses import replace

import pytest

from isotherm.core.findings import AnomalyResult, ImageResult, TemperatureStats, Verdict
from isotherm.core.scene import Param, Source
from isotherm.reports.content import (
    GradeCount,
    ParameterUse,
    Report,
    build_report,
    cannot_judge,
    facts,
    foremost,
    is_anomaly,
    needs_attention,
    parameter_text,
    ranked,
    verdict_of,
)
from isotherm.testing.reports import sample_reports

REPORTS = sample_reports()


def result(report: Report, image: str) -> ImageResult:
    return next(item for item in report.inspection.results if item.image == image)


def test_totals_count_what_was_found() -> None:
    totals = REPORTS["hotspots"].totals

    assert (totals.images, totals.read, totals.failed) == (5, 4, 1)
    assert (totals.hotspots, totals.with_hotspots, totals.without_temperatures) == (3, 3, 1)
    assert not totals.judged
    assert REPORTS["a model"].totals.judged
    assert REPORTS["a model"].totals.anomalies == 2


def test_the_worst_comes_first() -> None:
    assert [item.image for item in REPORTS["hotspots"].ranked] == ["hot.jpg", "mild.jpg", "cold.jpg", "plain.png"]
    # The model decides before severity: mild is Normal, plain is an Anomaly without a grade.
    assert [item.image for item in REPORTS["a model"].ranked] == ["hot.jpg", "plain.png", "mild.jpg"]


def test_with_a_model_only_its_anomalies_are_judged() -> None:
    hot, mild = (result(REPORTS["a model"], name) for name in ("hot.jpg", "mild.jpg"))

    assert (finding := foremost(hot)) is not None
    assert finding.kind == "anomaly"
    assert (verdict := verdict_of(hot)) is not None
    assert verdict.grade == "1"
    assert (finding := foremost(mild)) is not None
    assert finding.kind == "hotspot"
    assert verdict_of(mild) is None
    assert not needs_attention(mild)


def test_a_hotspot_that_rules_have_judged_stands_before_regions_without_a_verdict() -> None:
    hot = result(REPORTS["a model"], "hot.jpg")
    verdict = verdict_of(hot)
    spot = replace(hot.hotspots[0], severity=verdict)
    regions = tuple(replace(each, severity=None) for each in hot.findings if each.kind == "anomaly")
    judged = replace(hot, findings=(spot, *regions))

    assert (foremost(judged), verdict_of(judged)) == (spot, verdict)
    assert is_anomaly(judged)
    unjudged = replace(hot, findings=(replace(spot, severity=None), *regions))
    assert foremost(unjudged) == regions[0]


def test_within_one_severity_the_model_decides_and_then_the_margin() -> None:
    base = replace(result(REPORTS["hotspots"], "cold.jpg"), findings=())

    def judged(image: str, score: float, threshold: float = 2.0) -> ImageResult:
        side = "Anomaly" if score > threshold else "Normal"
        return replace(base, image=image, anomaly=AnomalyResult(score, 50.0, threshold, side, 0))

    order = ranked([judged("a", 1.9), judged("b", 2.1), judged("c", 5.0), judged("d", 0.0)])

    assert [item.image for item in order] == ["c", "b", "a", "d"]


def test_equals_keep_their_order() -> None:
    cold = replace(result(REPORTS["hotspots"], "cold.jpg"), findings=())

    assert [item.image for item in ranked([replace(cold, image=name) for name in "xyz"])] == ["x", "y", "z"]


def test_grades_are_counted_worst_first() -> None:
    assert REPORTS["hotspots"].grades == (
        GradeCount("1", 3, "repair immediately", 1),
        GradeCount("4", 1, "repair immediately", 1),
        GradeCount("not applicable", 0, "", 1),
    )


def test_parameters_are_gathered_with_their_sources() -> None:
    report = REPORTS["hotspots"]

    assert report.parameters[0] == ParameterUse("emissivity", "0.95", "file", 3)
    assert ParameterUse("reflected temperature", "20.0 °C", "assumed", 3) in report.parameters
    changed = replace(report.inspection.results[0], scene={"emissivity": Param(0.8, "1", Source.USER)})
    again = build_report(replace(report.inspection, results=(changed, *report.inspection.results[1:])))
    assert [use for use in again.parameters if use.name == "emissivity"] == [
        ParameterUse("emissivity", "0.95", "file", 2),
        ParameterUse("emissivity", "0.8", "user", 1),
    ]


@pytest.mark.parametrize(
    ("name", "param", "expected"),
    [
        ("reflected_k", Param(293.15, "K", Source.FILE), ("reflected temperature", "20.0 °C")),
        ("humidity", Param(0.5, "1", Source.FILE), ("relative humidity", "50 %")),
        ("distance_m", Param(12.5, "m", Source.FILE), ("distance", "12.5 m")),
        ("something_new", Param(1.0, "1", Source.FILE), ("something new", "1")),
    ],
)
def test_parameters_are_written_as_people_write_them(name: str, param: Param, expected: tuple[str, str]) -> None:
    assert parameter_text(name, param) == expected


def test_facts_say_what_matters() -> None:
    assert facts(result(REPORTS["hotspots"], "hot.jpg")) == "max 80.0 °C · ΔT 55.0 K · severity 1 (neta-similar)"
    assert facts(result(REPORTS["hotspots"], "cold.jpg")) == "max 22.5 °C · no hotspot"
    assert facts(result(REPORTS["a model"], "plain.png")) == (
        "Anomaly: score 3, above threshold 2 · no temperatures in this picture · severity not applicable (neta-similar)"
    )
    assert facts(result(REPORTS["a model"], "mild.jpg")).startswith("Normal: score 1, not above threshold 2")


def test_attention_and_what_cannot_be_judged() -> None:
    report = REPORTS["hotspots"]
    read = {item.image: item for item in report.ranked}

    assert [name for name, item in read.items() if needs_attention(item)] == ["hot.jpg", "mild.jpg"]
    assert [name for name, item in read.items() if cannot_judge(item)] == ["plain.png"]
    harmless = read["hot.jpg"].findings[0]
    fine = replace(harmless, severity=Verdict("neta-similar", None, 0, "no action", "below the first interval"))
    assert not needs_attention(replace(read["hot.jpg"], findings=(fine,)))
    assert not cannot_judge(replace(read["hot.jpg"], findings=(fine,)))


def test_limits_say_what_the_model_never_saw() -> None:
    limits = REPORTS["a model"].limits

    assert "80 normal images" in limits[0]
    # hot.jpg reaches 80 °C and was learnt from 18 .. 60 °C; mild.jpg stays inside; plain.png has no temperature.
    assert limits[-1].startswith("Its normal images lie between 18.0 and 60.0 °C; 1 of 2 inspected pictures")
    assert REPORTS["hotspots"].limits == ()


def test_details_are_bounded() -> None:
    cold = result(REPORTS["hotspots"], "cold.jpg")
    many = tuple(replace(cold, image=str(i), temperatures=TemperatureStats(0, float(i), 0, 0)) for i in range(120))
    report = build_report(replace(REPORTS["hotspots"].inspection, results=many))

    assert len(report.ranked) == 120
    assert [item.image for item in report.detailed] == [str(i) for i in range(119, 69, -1)]
