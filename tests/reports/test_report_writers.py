from __future__ import annotations

import base64
import csv
import io
import itertools
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.findings import ImageResult
from isotherm.reports import REPORT_WRITERS
from isotherm.reports.content import Report, build_report
from isotherm.reports.csv_writer import COLUMNS
from isotherm.reports.plain import dumps, from_plain
from isotherm.testing.reports import HOSTILE, check_report_writer, sample_reports

REPORTS = sample_reports()
CSV, HTML, JSON = (REPORT_WRITERS.get(name) for name in ("csv", "html", "json"))


@pytest.mark.parametrize("name", REPORT_WRITERS.names())
def test_every_writer_keeps_the_promises_of_the_seam(name: str) -> None:
    check_report_writer(REPORT_WRITERS.get(name))


@dataclass(frozen=True)
class Counting:
    """A writer that tells how often it was asked: not the same bytes twice."""

    name: str = "counting"
    filename: str = "counting.txt"
    asked: itertools.count[int] = field(default_factory=itertools.count)

    def render(self, report: Report) -> bytes:
        return str(next(self.asked)).encode()


@pytest.mark.parametrize(
    ("writer", "promise"),
    [
        (Counting(), "same bytes"),
        (Counting(name="Counting"), "lower-case"),
        (Counting(filename="../x"), "not a path"),
    ],
)
def test_the_check_finds_broken_writers(writer: Counting, promise: str) -> None:
    with pytest.raises(AssertionError, match=promise):
        check_report_writer(writer)


def table(report: Report) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(CSV.render(report).decode(), newline="")))


def test_csv_has_exactly_the_columns_in_their_order() -> None:
    first = CSV.render(REPORTS["hotspots"]).split(b"\r\n")[0].decode()

    assert first == (
        "image,status,error,score,percentile,threshold,prediction,anomaly_area_px,max_c,mean_c,std_c,hotspot_count,"
        "hotspot_area_px,hottest_x,hottest_y,delta_t_c,severity,severity_table,radiometric,estimated,uncertainty_k"
    )
    assert first == ",".join(COLUMNS)
    assert CSV.filename == "results.csv"


def test_csv_has_one_row_for_each_input_in_input_order() -> None:
    rows = table(REPORTS["hotspots"])

    assert [row["image"] for row in rows] == ["cold.jpg", "broken.jpg", "mild.jpg", "hot.jpg", "plain.png"]
    assert rows[3] | {"error": ""} == {
        "image": "hot.jpg", "status": "ok", "error": "", "score": "", "percentile": "", "threshold": "",
        "prediction": "", "anomaly_area_px": "", "max_c": "80.000", "mean_c": "24.250", "std_c": "1.500",
        "hotspot_count": "1", "hotspot_area_px": "20", "hottest_x": "5", "hottest_y": "6", "delta_t_c": "55.000",
        "severity": "1", "severity_table": "neta-similar", "radiometric": "true",
        "estimated": "false", "uncertainty_k": "",
    }  # fmt: skip


def test_csv_leaves_empty_what_is_not_known() -> None:
    cold, broken, _, _, plain = table(REPORTS["hotspots"])

    assert {name: value for name, value in broken.items() if value} == {
        "image": "broken.jpg", "status": "failed", "error": "the file is empty (0 bytes)",
    }  # fmt: skip
    assert (plain["max_c"], plain["delta_t_c"], plain["radiometric"]) == ("", "", "false")
    assert (plain["hotspot_count"], plain["severity"]) == ("1", "not applicable")
    assert (cold["hotspot_count"], cold["hottest_x"], cold["severity"]) == ("0", "", "")


def test_csv_holds_scores_exactly_and_predictions() -> None:
    mild, hot, _ = table(REPORTS["a model"])

    assert (mild["prediction"], hot["prediction"]) == ("Normal", "Anomaly")
    assert (hot["score"], hot["threshold"], hot["percentile"], hot["anomaly_area_px"]) == ("4", "2", "95", "20")
    score = 0.12345678806304932  # a float32
    report = REPORTS["a model"]
    first = report.inspection.results[0]
    assert first.anomaly is not None
    exact = replace(first, anomaly=replace(first.anomaly, score=score))
    (row,) = table(build_report(replace(report.inspection, results=(exact,))))
    assert np.float32(row["score"]) == np.float32(score)


def test_csv_gives_hostile_names_back_as_they_are() -> None:
    first, second = table(REPORTS["a hostile name"])

    assert first["image"] == HOSTILE
    assert second["error"] == HOSTILE


@settings(deadline=None, max_examples=40)
@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_any_name_and_reason_survive_csv_and_json(name: str, reason: str) -> None:
    report = build_report(replace(REPORTS["nothing"].inspection, results=(ImageResult(name, "failed", error=reason),)))

    # csv cannot hold NUL in this Python's reader; everything else comes back.
    if "\0" not in name + reason:
        assert [(row["image"], row["error"]) for row in table(report)] == [(name, reason)]
    (found,) = json.loads(JSON.render(report))["results"]
    assert (found["image"], found["error"]) == (name, reason)
    assert HTML.render(report)


def test_names_that_are_no_unicode_are_written_readably() -> None:
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    report = build_report(replace(REPORTS["nothing"].inspection, results=(ImageResult(name, "failed", error="x"),)))

    for writer in REPORT_WRITERS:
        assert b"caf\\udce9.jpg" in writer.render(report)


def test_json_holds_everything() -> None:
    report = REPORTS["a model"]
    found = json.loads(JSON.render(report))

    scenes = [item.pop("scene") for item in found["results"]]
    bare = [replace(result, scene={}) for result in report.inspection.results]
    assert [from_plain(ImageResult, item) for item in found["results"]] == bare
    # As `isotherm info --json` has them: the names and units of flags, never kelvin.
    reflected = next(scene["reflected_c"] for scene in scenes if scene)
    assert (reflected["value"], reflected["unit"], reflected["source"]) == (20, "°C", "assumed")
    assert reflected["sigma"] == 5
    assert found["worst_first"] == ["hot.jpg", "plain.png", "mild.jpg"]
    assert found["summary"]["totals"]["anomalies"] == 2
    assert found["model"] == report.inspection.model
    assert found["severity_table"] == report.inspection.severity_table
    assert JSON.filename == "results.json"


@pytest.mark.parametrize("name", REPORTS)
def test_plain_values_survive_json_and_back(name: str) -> None:
    for result in REPORTS[name].inspection.results:
        assert from_plain(ImageResult, json.loads(dumps(result))) == result


def test_json_refuses_what_it_cannot_hold() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps({"a": float("nan")})
    with pytest.raises(TypeError, match="complex"):
        dumps({"a": 1j})


class Page(HTMLParser):
    """Collects tags with their attributes, and the text that a reader sees."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.text += data


def test_page_is_self_contained_and_runs_nothing() -> None:
    for report in REPORTS.values():
        page = HTML.render(report)
        tags = Page(page).tags

        assert page.startswith(b"<!DOCTYPE html>")
        assert not {tag for tag, _ in tags} & {"script", "link", "iframe", "object", "base", "form"}
        links = [attributes.get("href") or attributes.get("src") for _, attributes in tags]
        assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in links if link)
        assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
        assert b"url(" not in page
        assert b"@import" not in page


def test_page_escapes_names() -> None:
    page = HTML.render(REPORTS["a hostile name"])

    assert b"<script" not in page
    assert b"&lt;script&gt;" in page
    assert "温度" in page.decode()


def test_page_says_things_in_the_order_of_reading() -> None:
    text = Page(HTML.render(REPORTS["a model"])).text
    order = [
        "2 of 3 pictures need attention",
        "Worst first",
        "Findings",
        "1. hot.jpg",
        "2. plain.png",
        "Thresholds and criteria",
        "What it never saw",
        "Parameters of the measurement",
        "What could not be inspected",
    ]
    places = [text.index(words) for words in order]

    assert places == sorted(places)
    assert "99th percentile of the scores of 20 held-out normal images" in text
    assert "NETA Table 100.18" in text
    assert re.search(r"emissivity\s*0\.95\s*file\s*2", text)


def test_page_shows_pictures_and_names_what_failed() -> None:
    page = HTML.render(REPORTS["hotspots"])
    sources = [attributes["src"] for tag, attributes in Page(page).tags if tag == "img"]

    assert sources == ["data:image/jpeg;base64," + base64.b64encode(b"\xff\xd8").decode()]
    assert "the file is empty (0 bytes)" in Page(page).text
    assert "1 of 5 files could not be inspected" in Page(page).text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "None of the files could be inspected."),
        ("nothing readable", "None of the files could be inspected."),
        ("no severity table", "1 hot region in 1 picture, judged by no table of severity."),
        ("hotspots", "2 of 4 pictures need attention. 1 picture has hot regions that the severity table cannot judge."),
    ],
)
def test_page_opens_with_the_verdict(name: str, words: str) -> None:
    assert words in Page(HTML.render(REPORTS[name])).text


def test_a_page_of_thousands_stays_small() -> None:
    hot = REPORTS["hotspots"].ranked[0]
    many = tuple(replace(hot, image=f"{i}.jpg") for i in range(2000))
    page = HTML.render(build_report(replace(REPORTS["hotspots"].inspection, results=many)))
    tags = Page(page).tags

    assert len(page) < 1_500_000
    assert sum(tag == "article" for tag, _ in tags) == 50
    assert "1999.jpg" in page.decode()
    assert ("details", {}) in tags  # closed
