"""Reports of a server: every form, in every language, from the latest verdicts of a site or one inspection."""

from __future__ import annotations

import io
import re

import docx
import pikepdf
import pytest
from api_cases import Caller

from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.html_layout import policy
from small_pictures import csv


def site_with_a_fault(call: Caller, name: str = "joint.csv") -> str:
    site = call.site()
    call.upload(site, (name, csv("joint", 1)))
    return str(site)


@pytest.mark.parametrize("form", LAYOUTS.names())
def test_a_site_is_reported_in_every_form(call: Caller, form: str) -> None:
    site = site_with_a_fault(call)
    answer = call("GET", f"sites/{site}/report.{form}", 200)

    assert answer.headers["content-type"] == LAYOUTS.get(form).media_type
    assert answer.content
    again = call("GET", f"sites/{site}/report.{form}", 200)
    assert again.content == answer.content


def test_the_pdf_says_what_somebody_typed_and_is_tagged(call: Caller) -> None:
    site = site_with_a_fault(call)
    said = "client=%23evil%5B*%5D&inspector=E.%20Muster&lang=de"
    document = pikepdf.open(io.BytesIO(call("GET", f"sites/{site}/report.pdf?{said}", 200).content))

    assert str(document.Root.Lang) == "de"
    assert bool(document.Root.MarkInfo.Marked)
    assert len(document.pages) > len(
        pikepdf.open(io.BytesIO(call("GET", f"sites/{site}/report.pdf?template=brief", 200).content)).pages
    )


def test_the_page_has_live_temperatures_and_runs_only_its_own_script(call: Caller) -> None:
    site = site_with_a_fault(call, "<b>joint</b>.csv")
    answer = call("GET", f"sites/{site}/report.html?client=%3Cscript%3Ealert(1)%3C/script%3E", 200)

    assert f"script-src '{policy()}'" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in answer.text
    assert '<figure class="live"' in answer.text
    assert "&lt;b&gt;joint&lt;/b&gt;.csv" in answer.text


def test_the_document_of_one_inspection(call: Caller) -> None:
    site = site_with_a_fault(call)
    (inspection,) = call.json("GET", f"inspections?site_id={site}")["items"]
    answer = call("GET", f"inspections/{inspection['id']}/report.docx?lang=es", 200)

    texts = [paragraph.text for paragraph in docx.Document(io.BytesIO(answer.content)).paragraphs]
    assert "Resumen" in texts
    assert any(re.match(r"1\. Punto caliente \d+,\d\s°C", text) for text in texts)


@pytest.mark.parametrize("query", ["lang=fr", "template=x", "template=../x", "client=" + "x" * 501])
def test_a_wrong_choice_is_refused(call: Caller, query: str) -> None:
    site = call.site()

    call.problem("GET", f"sites/{site}/report.pdf?{query}", 422)


def test_a_language_without_a_font_is_a_problem_that_says_what_helps(
    call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isotherm.reports.document.fonts._system_fonts", tuple)
    site = site_with_a_fault(call)

    problem = call.problem("GET", f"sites/{site}/report.pdf?lang=zh", 422)
    assert "no font at hand" in problem["detail"]
    assert "摘要" in call("GET", f"sites/{site}/report.html?lang=zh", 200).text


def test_an_empty_site_is_reported(call: Caller) -> None:
    site = call.site()

    assert "None of the files could be read." in call("GET", f"sites/{site}/report.html", 200).text


def test_no_two_images_have_one_name_in_a_report(call: Caller) -> None:
    site = call.site()
    for seed, name in enumerate(("joint.csv", "joint.csv", "joint.csv (1)")):
        call.upload(site, (name, csv("joint", seed)))

    lines = call("GET", f"sites/{site}/report.csv", 200).text.splitlines()[1:]
    assert {line.split(",")[0] for line in lines} == {"joint.csv (1)", "joint.csv (2)", "joint.csv (3)"}
