"""The layouts of the inspection report: same bytes, tags, live temperatures, templates of users, hostile texts."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import subprocess
import zipfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import Any

import docx
import numpy as np
import pikepdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from isotherm.core.errors import ConfigError, IsothermError, MissingExtraError
from isotherm.core.findings import ImageResult
from isotherm.reports.document import LAYOUTS, fonts
from isotherm.reports.document.building import DocumentSettings, build_document
from isotherm.reports.document.content import Document, FaultPictures, Figure, ReportSection, Table
from isotherm.reports.document.html_layout import live_script
from isotherm.reports.document.layout import Layout, Template, TemplateError, shown_text
from isotherm.reports.document.particulars import ImageParticulars, Particulars
from isotherm.testing.reports import HOSTILE, sample_reports

SAMPLES = sample_reports()
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="red"/></svg>'


def jpeg(level: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((24, 32, 3), level, np.uint8)).save(stream, "JPEG")
    return stream.getvalue()


def figures(results: object) -> dict[str, FaultPictures]:
    thermal, photo = Figure(jpeg(), "jpeg", "thermal alt", "caption"), Figure(jpeg(30), "jpeg", "photo alt")
    return {result.image: FaultPictures(thermal, photo) for result in results}  # type: ignore[attr-defined]


def built(name: str = "hotspots", language: str = "en", said: Particulars | None = None) -> Document:
    section = ReportSection("Trend of pump 7", ("It rises.",), (Figure(SVG, "svg", "a red line"),),
                            (Table("Values", ("Day", "°C"), (("2026-05-06", "41.5"),)),))  # fmt: skip
    chosen = DocumentSettings(language, said or Particulars())
    return build_document(SAMPLES[name].inspection, chosen, pictures=figures, sections=[section])


def rendered(form: str, document: Document, template: Template | None = None) -> bytes:
    return LAYOUTS.get(form).render(document, template or Template()).data


def pdf_text(data: bytes, tmp_path: Path) -> str:
    if which("pdftotext") is None:
        pytest.skip("pdftotext (poppler) is not installed")
    (tmp_path / "x.pdf").write_bytes(data)
    return subprocess.run(["pdftotext", tmp_path / "x.pdf", "-"], capture_output=True, check=True).stdout.decode()


@pytest.mark.parametrize("form", LAYOUTS.names())
@pytest.mark.parametrize("name", SAMPLES)
def test_the_same_report_gives_the_same_bytes(form: str, name: str) -> None:
    layout = LAYOUTS.get(form)

    assert isinstance(layout, Layout)
    assert layout.name == form
    assert rendered(form, built(name)) == rendered(form, built(name))


@pytest.mark.parametrize("form", ["pdf", "html", "docx"])
def test_the_brief_template_is_shorter(form: str) -> None:
    whole, brief = rendered(form, built()), rendered(form, built(), Template("brief"))

    assert len(brief) < len(whole)


def test_the_pdf_is_tagged_for_screen_readers() -> None:
    document = pikepdf.open(io.BytesIO(rendered("pdf", built())))
    root = document.Root

    assert bool(root.MarkInfo.Marked)
    assert str(root.Lang) == "en"
    assert bool(root.ViewerPreferences.DisplayDocTitle)
    with document.open_metadata() as about:
        assert about["pdfuaid:part"] == "1"
        assert about["dc:title"] == "Thermal inspection report: cabinet 4"
    kinds, words = tags(root.StructTreeRoot)
    assert {"/H1", "/H2", "/Table", "/TR", "/TH", "/TD", "/Figure", "/L", "/LI"} <= kinds
    assert {"thermal alt", "photo alt", "a red line"} <= words


def tags(node: object) -> tuple[set[str], set[str]]:
    kinds, words, waiting = set(), set(), [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, pikepdf.Array):
            waiting += list(here)
        elif isinstance(here, pikepdf.Dictionary):
            kinds |= {str(here.S)} if "/S" in here else set()
            words |= {str(here.Alt)} if "/Alt" in here else set()
            waiting += [here.K] if "/K" in here else []
    return kinds, words


def test_each_fault_has_one_page_that_the_summary_names(tmp_path: Path) -> None:
    text = pdf_text(rendered("pdf", built()), tmp_path)
    pages = text.split("\f")

    first = next(place for place, page in enumerate(pages, start=1) if page.startswith("1. Hot spot"))
    second = next(place for place, page in enumerate(pages, start=1) if page.startswith("2. Hot spot"))
    assert second == first + 1
    assert pages[1].startswith("Summary")
    # What is left out takes no page of its own where there is room.
    assert "What this report does not cover" in pages[1]
    assert {str(first), str(second)} <= set(pages[1].split())


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from("#[]$*_@<>\\\"'`=~/{}ab. 7&;"), min_size=1, max_size=40))
def test_what_somebody_types_is_never_run(tmp_path: Path, text: str) -> None:
    said = Particulars(client=f"x{text}x", images={"hot.jpg": ImageParticulars(cause="#evil[*] $x$ #sys.inputs")})
    document = built(said=said)

    shown = re.sub(r"\s|\u200b|\u00ad", "", pdf_text(rendered("pdf", document), tmp_path))
    assert re.sub(r"\s", "", f"x{text}x") in shown.replace("\ufb01", "fi")
    assert "#evil[*]$x$#sys.inputs" in shown
    rendered("docx", document)
    assert b"<script>alert" not in rendered("html", document)


@settings(deadline=None, max_examples=12)
@given(st.text(max_size=60))
def test_any_text_can_be_set(text: str) -> None:
    result = ImageResult(text or "x", "failed", error=text)
    inspection = replace(SAMPLES["nothing"].inspection, results=(result,), title=text)
    document = build_document(inspection)

    for form in LAYOUTS.names():
        assert rendered(form, document)


def test_every_blank_is_a_space_and_a_control_is_shown_as_unknown() -> None:
    typed = "25\N{NO-BREAK SPACE}kV\N{IDEOGRAPHIC SPACE}a\tb\r\nc\x00"

    assert shown_text(typed) == "25 kV a b\nc\N{REPLACEMENT CHARACTER}"
    document = build_document(SAMPLES["nothing"].inspection, DocumentSettings(particulars=Particulars(remarks=typed)))
    with zipfile.ZipFile(io.BytesIO(rendered("docx", document))) as written:
        assert "25 kV a b" in written.read("word/document.xml").decode()


def test_a_template_that_includes_itself_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text('{% include "mine.html" %}')

    with pytest.raises(TemplateError, match="recursion"):
        rendered("html", built(), Template(path=tmp_path / "mine.html"))


def test_characters_that_no_font_has_are_replaced_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_system_fonts", tuple)
    found = LAYOUTS.get("pdf").render(built("a hostile name"), Template())

    assert found.notes == (
        "2 characters are in no font at hand and shown as \N{REPLACEMENT CHARACTER} (U+5EA6, U+6E29); see --fonts",
    )


def test_a_language_without_a_font_is_refused_with_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_system_fonts", tuple)

    with pytest.raises(ConfigError, match=r"no font at hand has the characters of this language .* --fonts"):
        rendered("pdf", built(language="zh"))
    assert "摘要" in rendered("html", built(language="zh")).decode()


def test_fonts_that_are_given_come_first(tmp_path: Path) -> None:
    (base,) = fonts.fonts_for("a").fonts
    found = fonts.fonts_for("a", [base.path])

    assert found.fonts[0].path == base.path
    assert found.missing == ""
    with pytest.raises(ConfigError, match="no font"):
        fonts.fonts_for("a", [tmp_path])


@pytest.mark.parametrize("language", ["en", "de", "es", "pt"])
def test_european_languages_need_no_further_font(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "_system_fonts", tuple)

    assert LAYOUTS.get("pdf").render(built("a model", language), Template()).notes == ()


def own(tmp_path: Path, name: str, text: str) -> Template:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return Template(path=tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("my.typ", '#import "parts.typ": *\n= Hello\n#let x =\n', "line 3: expected expression\n  3 | #let x ="),
        ("my.typ", '#import "parts.typ": *\n\n#report.nothing\n', "line 3: dictionary does not contain key"),
        ("my.typ", '#import "@preview/cetz:0.2.0"\n', "line 1: packages of the network are not fetched"),
        ("my.typ", '#read("/etc/passwd")\n', "line 1: file not found"),
        ("my.html", "<p>\n{% for x in report.faults %}\n", "line 2: Unexpected end of template"),
        ("my.html", "<p>\n{{ report.nothing }}\n", "line 2: 'dict object' has no attribute 'nothing'"),
        ("my.html", "<p>\n{{ report.__class__ }}\n", "line 2: access to attribute '__class__'"),
        ("my.html", '{% include "other.html" %}', "it includes other.html, which is not beside it"),
        ("my.html", "{{ 1 / 0 }}", "line 1: division by zero"),
        ("my.docx", "no document", "is no Word document"),
    ],
)
def test_a_template_with_an_error_says_the_line_and_offers_the_built_in_one(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    template = own(tmp_path, name, text)
    form = {"typ": "pdf"}.get(name[3:], name[3:])

    with pytest.raises(TemplateError, match=re.escape(message)) as caught:
        rendered(form, built(), template)
    assert str(caught.value).startswith(f"template {tmp_path / name}")
    assert str(caught.value).endswith("Without --template, the built-in one is used.")


def test_a_template_that_is_not_there_is_said(tmp_path: Path) -> None:
    for form, suffix in (("pdf", "typ"), ("html", "html"), ("docx", "docx")):
        with pytest.raises(TemplateError, match="cannot be read"):
            rendered(form, built(), Template(path=tmp_path / f"none.{suffix}"))


@pytest.mark.parametrize("form", ["pdf", "html", "docx"])
@pytest.mark.parametrize("name", ["standard", "brief"])
def test_a_copy_of_a_built_in_template_gives_a_report(tmp_path: Path, form: str, name: str) -> None:
    parts = LAYOUTS.get(form).template_files(name)
    for part, data in parts.items():
        (tmp_path / part).write_bytes(data)

    copied = rendered(form, built(), Template(path=tmp_path / next(iter(parts))))
    if form != "docx":
        assert copied == rendered(form, built(), Template(name))


def test_a_part_beside_a_template_fetches_nothing_from_the_network(tmp_path: Path) -> None:
    own(tmp_path, "mine.typ", '#import "@preview/cetz:0.2.0"\n')
    rendered("pdf", built(), own(tmp_path, "my.typ", '#import "parts.typ": *\n#show: layout\n= #report.title\n'))
    with pytest.raises(TemplateError, match="line 1: file not found"):
        rendered("pdf", built(), own(tmp_path, "my.typ", '#import "mine.typ": *\n'))


def test_a_template_has_its_logo_beside_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "logo.svg").write_bytes(SVG)
    text = '#import "parts.typ": *\n#show: layout\n= #report.title\n#image("logo.svg", alt: "our logo")\n'

    found = pikepdf.open(io.BytesIO(rendered("pdf", built(), own(tmp_path, "my.typ", text))))
    assert "our logo" in tags(found.Root.StructTreeRoot)[1]


def test_a_users_document_gives_header_and_styles(tmp_path: Path) -> None:
    made = docx.Document()
    made.sections[0].header.paragraphs[0].text = "Our letterhead"
    made.save(str(tmp_path / "my.docx"))

    found = docx.Document(io.BytesIO(rendered("docx", built(), Template(path=tmp_path / "my.docx"))))
    assert found.sections[0].header.paragraphs[0].text == "Our letterhead"
    assert "Summary" in [paragraph.text for paragraph in found.paragraphs if paragraph.style.name == "Heading 1"]


def test_a_users_document_without_the_styles_is_refused(tmp_path: Path) -> None:
    made = docx.Document()
    style = made.styles["Heading 2"].element
    style.getparent().remove(style)
    made.save(str(tmp_path / "my.docx"))

    with pytest.raises(TemplateError, match=r"lacks what a report needs: .*Heading 2"):
        rendered("docx", built(), Template(path=tmp_path / "my.docx"))


def level_1(paragraph: Any) -> bool:
    return str(paragraph.style.name) == "Heading 1"


def all_tables(place: Any) -> Iterator[Any]:
    for table in place.tables:
        yield table
        for row in table.rows:
            for cell in row.cells:
                yield from all_tables(cell)


def test_the_document_can_be_edited() -> None:
    found = LAYOUTS.get("docx").render(built(), Template())
    document = docx.Document(io.BytesIO(found.data))

    headings = [item.text.replace("\N{NO-BREAK SPACE}", " ") for item in document.paragraphs if level_1(item)]
    assert headings[:4] == [
        "Summary", "What this report does not cover", "1. Hot spot 80.0 °C, ΔT 55.0 K", "2. Hot spot 31.0 °C, ΔT 6.0 K",
    ]  # fmt: skip
    cells = [[cell.text for cell in row.cells] for table in all_tables(document) for row in table.rows]
    assert ["(15, ∞) K", "1", "repair immediately"] in cells
    assert ["2026-05-06", "41.5"] in cells
    assert b'descr="thermal alt"' in zipfile.ZipFile(io.BytesIO(found.data)).read("word/document.xml")
    assert found.notes == ("pictures in SVG are left out of the document: its format cannot hold them",)


def test_the_page_needs_nothing_else_and_allows_its_own_script_only() -> None:
    page = rendered("html", built()).decode()

    sha = b64encode(hashlib.sha256(live_script().encode()).digest()).decode()
    assert f"script-src 'sha256-{sha}'" in page.replace("&#39;", "'")
    assert f"<script>{live_script()}</script>" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)


def test_hostile_names_stay_text_in_the_page() -> None:
    page = rendered("html", built("a hostile name")).decode()

    assert HOSTILE not in page
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in page


def test_csv_has_one_row_a_fault() -> None:
    first, second = csv.DictReader(io.StringIO(rendered("csv", built()).decode()))

    assert {name: value for name, value in first.items() if value} == {
        "number": "1", "image": "hot.jpg", "kind": "hotspot", "severity": "1", "severity_rank": "3",
        "severity_table": "neta-similar", "max_c": "80.0", "delta_t_c": "55.0", "reference_c": "25.0", "area_px": "20",
        "x": "5", "y": "6", "estimated": "False", "sha256": "0" * 64, "action": "repair immediately",
        "cause": "Not stated by the inspector. A thermal picture shows where it is warm, not why.",
    }  # fmt: skip
    assert second["image"] == "mild.jpg"


@pytest.mark.parametrize("form", ["pdf", "docx"])
def test_a_missing_extra_is_said(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, {"pdf": "typst", "docx": "docx"}[form], None)

    with pytest.raises(MissingExtraError, match=f"pip install 'isotherm\\[{form}\\]'"):
        rendered(form, built())


def test_an_unknown_template_names_the_known_ones() -> None:
    for form in ("pdf", "html", "docx"):
        with pytest.raises(IsothermError, match="a template is standard or brief, or a file of your own; not 'x'"):
            rendered(form, built(), Template("x"))


def test_a_drawing_is_painted_for_the_document() -> None:
    png = io.BytesIO()
    Image.new("RGB", (40, 20)).save(png, "PNG")
    figure = Figure(SVG, "svg", "a red line", "Pressure [bar]", raster=png.getvalue)
    document = replace(built(), sections=(ReportSection("Trend", (), (figure,)),))

    found = LAYOUTS.get("docx").render(document, Template())
    assert found.notes == ()
    with zipfile.ZipFile(io.BytesIO(found.data)) as parts:
        assert png.getvalue() in [parts.read(name) for name in parts.namelist() if name.endswith(".png")]
        text = parts.read("word/document.xml").decode()
    assert 'descr="a red line"' in text
    assert "Pressure [bar]" in text
