"""What an inspection report says, in each language."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.capture import Annotation
from isotherm.core.errors import ConfigError, UnknownNameError
from isotherm.core.findings import Finding, ImageResult
from isotherm.measurement.severity import SEVERITY_TABLES, load_table
from isotherm.reports.document.building import DocumentSettings, build_document
from isotherm.reports.document.content import Document
from isotherm.reports.document.particulars import (
    ImageParticulars,
    NotInspected,
    Particulars,
    particulars_from_toml,
)
from isotherm.reports.document.pictures import Drawn, worded
from isotherm.reports.document.wording import LANGUAGES, Wording, wording
from isotherm.reports.plain import dumps, from_plain
from isotherm.testing.reports import sample_reports

SAMPLES = sample_reports()


def built(name: str = "hotspots", language: str = "en", **said: object) -> Document:
    particulars = Particulars(**said)  # type: ignore[arg-type]
    return build_document(SAMPLES[name].inspection, DocumentSettings(language, particulars))


def placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"\{\w*\}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_all_words_with_the_same_places(language: str) -> None:
    english, other = wording("en"), wording(language)

    assert other.words.keys() == english.words.keys()
    for key, text in english.words.items():
        assert placeholders(other.words[key]) == placeholders(text), key
        assert other.words[key] or key == "spaces"


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_language_has_the_same_phrases_with_as_many_places(language: str) -> None:
    found = wording(language).phrases

    assert found.keys() == wording("de").phrases.keys()
    for english, text in found.items():
        assert text.count("{}") == english.count("{}"), english


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_every_action_of_the_built_in_tables_is_translated(language: str) -> None:
    actions = {interval.action for name in SEVERITY_TABLES for interval in load_table(name).intervals}

    assert not [action for action in actions if wording(language).phrase(action) == action]


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown language of a report 'fr'; known: de, en, es, pt, zh"):
        wording("fr")


def test_numbers_have_the_comma_of_their_language() -> None:
    assert [wording(language).number(12.34) for language in ("en", "de", "es", "pt", "zh")] == [
        "12.3", "12,3", "12,3", "12,3", "12.3",
    ]  # fmt: skip
    assert wording("de").number(None) == ""


def test_phrases_keep_the_numbers_in_them() -> None:
    german = wording("de")

    assert german.sentences("load unknown: the table asks for at least 40 % of rating; load unknown") == (
        "Last unbekannt: die Tabelle verlangt mindestens 40 % der Nennlast; Last unbekannt"
    )
    assert german.phrase("something that nobody has translated") == "something that nobody has translated"


def test_numbers_in_phrases_have_the_comma_of_their_language() -> None:
    english = "emissivity 0.3 is below 0.5: mostly the reflection is seen; use tape or paint of known emissivity"

    assert wording("de").phrase(english).startswith("Emissionsgrad 0,3 liegt unter 0,5:")
    assert wording("zh").phrase(english).startswith("发射率 0.3 低于 0.5")
    assert "LINE.1" in wording("de").phrase("maximum of the region LINE.1"), "a name stays as it is"


@pytest.mark.parametrize(
    ("language", "moment"),
    [
        ("en", "2026-05-06 07:08:09 UTC"),
        ("de", "06.05.2026 07:08:09 UTC"),
        ("es", "06/05/2026 07:08:09 UTC"),
        ("pt", "06/05/2026 07:08:09 UTC"),
        ("zh", "2026-05-06 07:08:09 UTC"),
    ],
)
def test_moments_are_written_as_the_language_does(language: str, moment: str) -> None:
    w = wording(language)

    assert w.days("2026-05-06T07:08:09.250+00:00") == w.days("2026-05-06T07:08:09Z") == moment
    assert w.days("2026-05-06") == moment[:10]
    assert w.days("2026-05-06T07:08:09+02:00") == moment.replace("UTC", "UTC+02:00")
    assert w.days("order 2026-99-99, 12026-05-06") == "order 2026-99-99, 12026-05-06"


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_grades_and_titles_of_the_built_in_tables_are_translated(language: str) -> None:
    w, tables = wording(language), [load_table(name) for name in SEVERITY_TABLES]
    grades = {str(interval.grade) for table in tables for interval in table.intervals}

    # Numbers and the classes S1 to S3 are names.
    assert not [grade for grade in grades if w.phrase(grade) == grade and not grade[-1].isdigit()]
    assert not [table.title for table in tables if w.phrase(table.title) == table.title]


@settings(deadline=None, max_examples=40)
@given(st.text())
def test_any_text_passes_as_a_phrase(text: str) -> None:
    assert isinstance(wording("pt").sentences(text), str)


def test_the_words_are_those_that_are_used() -> None:
    folder = files("isotherm.reports.document")
    names = ["building.py", "overview.py", "faults.py", "docx_layout.py", "pictures.py", "plain_document.py"]
    code = "".join((folder / name).read_text() for name in names)
    others = ("../../workflows/report_pictures.py", "../../workflows/service/reporting.py", "../trend_section.py")
    code += "".join((folder / name).read_text() for name in others)
    code += "".join((folder / "templates" / name).read_text() for name in ("parts.typ", "parts.html", "standard.html"))
    words = set(wording("en").words)
    composed = {"disclaimer_1", "disclaimer_2", "disclaimer_3", "conditions", "remarks", "order", "reviewer"}

    unused = {word for word in words - composed if not re.search(rf"[\"']{word}[\"']|words\.{word}\b", code)}
    assert unused == set()


def test_the_faults_are_the_pictures_that_need_attention_worst_first() -> None:
    document = built()

    assert [fault.image for fault in document.faults] == ["hot.jpg", "mild.jpg"]
    first = document.faults[0]
    assert first.title == "Hot spot 80.0 °C, ΔT 55.0 K"
    assert (first.badge.text, first.badge.level, first.action) == ("class 1", "high", "repair immediately")
    assert ("Reference", "median of the picture: 25.0 °C") in first.facts
    assert first.criterion is not None
    assert first.criterion.rows[2] == ("(15, ∞) K", "1", "repair immediately")
    assert first.criterion.marked == 2
    assert "2003. Source: https://arpedon.com" in first.criterion_source


def test_parameters_stand_with_their_source_and_uncertainty() -> None:
    rows = built().faults[0].parameters.rows

    assert rows[0] == ("emissivity", "0.95", "file", "± 0.06")
    assert rows[1][:3] == ("reflected temperature", "20.0 °C", "assumed")
    assert rows[3][:3] == ("distance", "2 m", "rangefinder")


def test_what_people_wrote_into_the_file_stands_with_the_parameters() -> None:
    inspection = SAMPLES["hotspots"].inspection
    texts = (
        Annotation("FLIR text annotation", "Motor 7", "Equipment"),
        Annotation("EXIF UserComment", "x" * 400),
        Annotation("EXIF XPKeywords", "single", automatic=True),
    )
    results = tuple(replace(result, annotations=texts) for result in inspection.results)
    document = build_document(replace(inspection, results=results), DocumentSettings("de", Particulars()))

    assert document.faults[0].parameters.rows[-2:] == (
        ("Equipment", "Motor 7", "FLIR text annotation", ""),
        ("Text in der Datei", "x" * 300 + "…", "EXIF UserComment", ""),
    )
    assert from_plain(ImageResult, json.loads(dumps(results[0]))) == results[0]


def test_a_report_says_what_it_does_not_cover() -> None:
    document = built(not_inspected=(NotInspected("Panel 7", "locked"),))

    assert document.not_inspected.rows == (("Panel 7", "locked"),)
    assert document.unread.rows == (("broken.jpg", "the file is empty (0 bytes)"),)
    assert document.unjudged.rows == (("plain.png", "criterion not applicable: the picture holds no temperatures"),)
    assert [row[0] for row in document.without_fault.rows] == ["cold.jpg", "plain.png"]
    assert document.lead == (
        "Pictures that need attention: 2 of 4. In the most severe class: 1. "
        "Files that could not be read: 1. Not inspected: 1."
    )


def test_a_picture_without_temperatures_is_not_said_to_be_without_a_fault() -> None:
    inspection = SAMPLES["hotspots"].inspection
    results = tuple(replace(result, findings=()) for result in inspection.results)
    document = build_document(replace(inspection, results=results), DocumentSettings("en", Particulars()))

    reason = "The picture holds no temperatures, only colours or grey levels."
    assert document.unjudged.rows == (("plain.png", reason),)
    assert {row[0]: row[3] for row in document.without_fault.rows}["plain.png"] == "not judged"


def test_what_a_norm_asks_for_and_nobody_has_said_is_called_not_stated() -> None:
    cover = dict(built().cover)

    assert [cover[name] for name in ("Client", "Inspector", "Qualification", "Calibrated")] == ["not stated"] * 4
    assert cover["Camera"] == "FLIR B300"
    assert cover["Date of inspection"] == "2024-05-06"
    assert dict(built(inspector="E. Muster", company="Thermo").cover)["Inspector"] == "E. Muster, Thermo"


def test_the_inspector_states_cause_action_place_and_load() -> None:
    said = ImageParticulars(place="Panel 3", cause="Loose clamp", action="Tighten", load_percent=60)
    fault = built(images={"hot.jpg": said}).faults[0]

    assert (fault.place, fault.cause, fault.action) == ("Panel 3", "Loose clamp", "Tighten")
    assert ("Load (of rating)", "60 %") in fault.facts
    assert "Not stated by the inspector" in built().faults[0].cause


def test_a_load_below_the_table_takes_the_verdict_back() -> None:
    # mild.jpg: its finding has a verdict only in this sample's own words, so it gets one of the table.
    report = SAMPLES["hotspots"]
    table = load_table("neta-similar")
    results = tuple(
        replace(result, findings=tuple(judged(finding, table) for finding in result.findings))
        for result in report.inspection.results
    )
    inspection = replace(report.inspection, results=results, severity_table=table.describe())
    low = Particulars(images={"hot.jpg": ImageParticulars(load_percent=30)})

    document = build_document(inspection, DocumentSettings(particulars=low))

    assert "hot.jpg" not in [fault.image for fault in document.faults]
    assert (
        "hot.jpg",
        "criterion not applicable: the load, 30 % of rating, is below the 40 % that the table asks for",
    ) in (document.unjudged.rows)


def judged(finding: Finding, table: object) -> Finding:
    if finding.delta_t_c is None:
        return finding
    return replace(finding, severity=table.judge(finding.delta_t_c))  # type: ignore[attr-defined]


def test_each_region_can_be_a_fault_of_its_own() -> None:
    report = SAMPLES["hotspots"]
    (hot,) = (result for result in report.inspection.results if result.image == "hot.jpg")
    doubled = replace(hot, findings=hot.findings * 2)
    inspection = replace(report.inspection, results=(doubled,))

    assert len(build_document(inspection).faults) == 1
    assert len(build_document(inspection, DocumentSettings(per="region")).faults) == 2


def test_a_model_is_told_with_what_it_never_saw() -> None:
    document = built("a model", "de")
    fault = document.faults[0]

    assert ("Modellwert", "4, Schwelle 2") in fault.facts
    assert any("Es wurde mit 80 Normalbildern trainiert" in text for text in fault.confidence)
    assert any("Seine Normalbilder liegen zwischen 18,0 und 60,0 °C" in text for text in document.method.limits)
    assert dict(document.method.model)["method"] == "patchcore"


def test_nothing_at_all_is_a_report_too() -> None:
    assert built("nothing").lead == "None of the files could be read."
    assert built("nothing", "zh").lead == "没有任何文件可以读取。"


def test_particulars_are_read_from_toml() -> None:
    text = """
client = "Stadtwerke"
date = 2026-05-06
[[not_inspected]]
place = "Panel 7"
reason = "locked"
[images."a b.jpg"]
cause = "Loose clamp"
load_percent = 55
"""
    said = particulars_from_toml(text, "about.toml")

    assert (said.client, said.date) == ("Stadtwerke", "2026-05-06")
    assert said.not_inspected == (NotInspected("Panel 7", "locked"),)
    assert said.of("a b.jpg") == ImageParticulars(cause="Loose clamp", load_percent=55.0)
    assert said.of("other.jpg") == ImageParticulars()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("client = 5", "about.toml: client must be a text of at most 4000 characters, not '5'"),
        ("clint = 'x'", "about.toml: unknown clint; known: address"),
        ("x = [", "about.toml: Invalid value"),
        ("[[not_inspected]]\nreason = 'x'", "about.toml: not_inspected 1: place is missing"),
        ("not_inspected = 'x'", "not_inspected must be at most 5000 tables"),
        ("[images.a]\nload_percent = 'x'", "images.a: load_percent must be a number from 0 to 1000"),
        ("[images.a]\nload_percent = nan", "images.a: load_percent must be a number from 0 to 1000"),
        ("[images.a]\ncuase = 'x'", "images.a: unknown cuase; known: action, cause, load_percent, place, remark"),
        (f"client = '{'x' * 4001}'", "client must be a text of at most 4000"),
    ],
)
def test_wrong_particulars_say_where_and_what_would_be_right(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        particulars_from_toml(text, "about.toml")


def test_language_files_are_plain_json() -> None:
    for language in LANGUAGES:
        found = json.loads((files("isotherm.reports.document") / "languages" / f"{language}.json").read_text("utf-8"))
        assert set(found) == {"words", "phrases"}
        assert isinstance(wording(language), Wording)


def test_a_models_regions_are_called_the_same_in_picture_and_table() -> None:
    result = next(r for r in SAMPLES["a model"].inspection.results if r.image == "hot.jpg")
    (fault, *_) = build_document(replace(SAMPLES["a model"].inspection, results=(result,))).faults
    shown = worded(Drawn(b"", 20.0, 80.0, True), result, wording("en"))

    assert [row[0] for row in fault.regions.rows] == ["Anomaly A1", "Hot spot 1"]
    assert shown.thermal is not None
    assert "A1 …: unlike normal; Score of the model: 4, threshold 2" in shown.thermal.caption


def test_bright_spots_without_temperatures_do_not_cover_what_a_model_finds_strange() -> None:
    inspection = SAMPLES["a model"].inspection
    hot = next(result for result in inspection.results if result.image == "hot.jpg")
    bare = tuple(replace(found, temperatures=None, delta_t_c=None, severity=None) for found in hot.findings)
    grey = replace(hot, radiometric=False, findings=bare)

    (fault,) = build_document(replace(inspection, results=(grey,))).faults
    assert [row[0] for row in fault.regions.rows] == ["Anomaly A1"]
    assert "not listed" not in fault.regions.title
    assert fault.criterion is None
    assert wording("en")("load") not in dict(fault.facts)


def test_a_picture_that_a_model_calls_usual_needs_no_rule() -> None:
    inspection = SAMPLES["a model"].inspection
    plain = next(result for result in inspection.results if result.image == "plain.png")
    assert plain.anomaly is not None
    usual = replace(plain, anomaly=replace(plain.anomaly, prediction="Normal", score=1.0))

    document = build_document(replace(inspection, results=(usual,)))
    assert document.unjudged.rows == ()
    assert document.without_fault.rows[0][-1] == wording("en")("like_normal")
    # Without temperatures a picture stands out as a whole, not by a hot spot.
    (strange,) = build_document(replace(inspection, results=(plain,))).faults
    assert strange.title == wording("en")("title_anomaly")


def test_what_only_a_model_calls_strange_is_of_no_class() -> None:
    inspection = SAMPLES["a model"].inspection
    plain = next(result for result in inspection.results if result.image == "plain.png")

    assert build_document(replace(inspection, results=(plain,))).lead == "Pictures that need attention: 1 of 1."


def test_a_hot_picture_that_a_model_calls_usual_is_said_to_be_so() -> None:
    inspection = SAMPLES["a model"].inspection
    hot = next(result for result in inspection.results if result.image == "hot.jpg")
    assert hot.anomaly is not None
    usual = replace(
        hot,
        anomaly=replace(hot.anomaly, prediction="Normal", score=1.0),
        findings=tuple(replace(finding, severity=None) for finding in hot.findings if finding.kind == "hotspot"),
    )

    rows = build_document(replace(inspection, results=(usual,))).without_fault.rows
    assert rows == (("hot.jpg", "", "80.0", "like normal"),)


def test_no_doubts_are_known_only_where_the_load_is() -> None:
    inspection = SAMPLES["hotspots"].inspection
    hot = next(result for result in inspection.results if result.image == "hot.jpg")
    sure = tuple(replace(finding, uncertainty_k=0.5) for finding in hot.findings)
    inspection = replace(inspection, results=(replace(hot, findings=sure, notes=()),))
    said = Particulars(images={"hot.jpg": ImageParticulars(load_percent=80.0)})

    (unknown,) = build_document(inspection).faults
    assert unknown.confidence == (wording("en")("load_doubt"),)
    (known,) = build_document(inspection, DocumentSettings("en", said)).faults
    assert known.confidence == ()
