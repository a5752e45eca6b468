"""The Word document: widths that suit the texts, a page for each fault, its foot, its language."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import docx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.reports.document import LAYOUTS
from isotherm.reports.document.building import DocumentSettings, build_document
from isotherm.reports.document.content import Figure, ReportSection
from isotherm.reports.document.docx_parts import DRAWING, NAMESPACE, column_widths, facts_widths, text_width
from isotherm.reports.document.layout import Template
from isotherm.reports.png import encode_png
from isotherm.testing.reports import sample_reports

W = f"{{{NAMESPACE}}}"


def written(name: str = "hotspots", language: str = "en", template: str = "standard") -> bytes:
    document = build_document(sample_reports()[name].inspection, DocumentSettings(language))
    return LAYOUTS.get("docx").render(document, Template(template)).data


def opened(**chosen: str) -> Any:
    return docx.Document(io.BytesIO(written(**chosen)))


def test_the_width_of_a_line_is_about_that_of_arial() -> None:
    # Widths of Arial by its metrics (Liberation Sans, 1/2048 em): hamburgefonstiv 15141, 0123456789 11390.
    assert text_width("hamburgefonstiv", 10) == pytest.approx(15141 / 2048 * 10 * 25.4 / 72, rel=0.1)
    assert text_width("0123456789", 10) == pytest.approx(11390 / 2048 * 10 * 25.4 / 72, rel=0.05)
    assert text_width("严重程度", 10) == pytest.approx(4 * 10 * 25.4 / 72)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.text(max_size=60), min_size=3, max_size=3), min_size=1, max_size=5))
def test_columns_fill_the_width_and_none_vanishes(rows: list[list[str]]) -> None:
    widths = column_widths(rows, 176.0)

    assert sum(widths) == pytest.approx(176.0)
    assert min(widths) > 2
    names, values = facts_widths([row[:2] for row in rows], 80.0)
    assert names + values == pytest.approx(80.0)
    assert names <= 0.45 * 80 + 1e-9


def test_long_texts_get_more_room_and_short_words_are_not_broken() -> None:
    number, place, action = column_widths(
        [("No.", "Place", "Recommended action"), ("1", "x" * 90, "look " * 40)], 176.0
    )

    assert number > text_width("No.", 8.5)
    assert number < 15
    assert action > place > 30


def test_a_head_is_not_broken_within_a_word() -> None:
    # Arial Bold by its metrics (Liberation Sans Bold, 1/2048 em): Schweregrad 12860; the margins take 140 twips.
    row = ("Hotspot 261,5 °C, ΔT 271,1 K", "Klasse 1", "sofort instand setzen, sobald zeitlich möglich " * 2)
    _, severity, _ = column_widths([("Befund", "Schweregrad", "Empfohlene Maßnahme"), row], 120.0)

    assert severity >= (12860 / 2048 * 8.5 / 72 + 140 / 1440) * 25.4


def test_each_part_and_each_fault_begins_a_page() -> None:
    body = opened().element.body
    begins = ["".join(t.text for t in p.iter(f"{W}t")).replace("\N{NO-BREAK SPACE}", " ")
              for p in body.iter(f"{W}p") if p.find(f"{W}pPr/{W}pageBreakBefore") is not None]  # fmt: skip

    assert begins == [
        "Summary", "1. Hot spot 80.0 °C, ΔT 55.0 K",
        "2. Hot spot 31.0 °C, ΔT 6.0 K", "Inspected, no fault found",
    ]  # fmt: skip
    assert not [p for p in body.iter(f"{W}br") if p.get(f"{W}type") == "page"]


def test_the_foot_shows_the_page_and_the_title_of_the_report() -> None:
    fields = {
        field.get(f"{W}instr"): "".join(t.text for t in field.iter(f"{W}t"))
        for field in opened().sections[0].footer._element.iter(f"{W}fldSimple")
    }

    assert fields == {"PAGE": "1", "NUMPAGES": "1", "TITLE": "Thermal inspection report: cabinet 4"}


@pytest.mark.parametrize(("language", "tag"), [("en", "en-GB"), ("de", "de-DE"), ("zh", "en-GB")])
def test_the_language_of_the_text_is_said(language: str, tag: str) -> None:
    found = opened(language=language)
    said = found.styles.element.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr/{W}lang")

    assert (said.get(f"{W}val"), said.get(f"{W}eastAsia")) == (tag, "zh-CN")
    assert found.core_properties.language == language


def test_tables_of_texts_have_a_head_that_is_repeated_and_a_name() -> None:
    tables = [t for t in opened().element.body.iter(f"{W}tbl") if t.find(f"{W}tr/{W}trPr/{W}tblHeader") is not None]

    captions = [table.find(f"{W}tblPr/{W}tblCaption") for table in tables]
    assert len(captions) >= 6
    assert all(caption is not None and caption.get(f"{W}val") for caption in captions)


def test_the_parts_of_a_table_come_in_the_order_of_the_standard() -> None:
    # ECMA-376, CT_TblPr and CT_PPr: Word refuses another order.
    text = zipfile.ZipFile(io.BytesIO(written())).read("word/document.xml").decode()
    table = ["tblW", "tblBorders", "tblLayout", "tblCellMar", "tblCaption"]
    places = [text.index(f"<w:{name}") for name in table]

    assert places == sorted(places)
    assert text.index("<w:pStyle") < text.index("<w:pageBreakBefore")


def test_every_cell_ends_with_a_paragraph() -> None:
    # Word calls a document damaged where one does not.
    for name in ("hotspots", "a model", "nothing"):
        for cell in opened(name=name).element.body.iter(f"{W}tc"):
            assert cell[-1].tag == f"{W}p"


def with_pictures(template: Template | None = None) -> bytes:
    """Return a report with three trends, two of which look the same."""
    document = build_document(sample_reports()["nothing"].inspection, DocumentSettings())
    pictures = [encode_png(np.full((4, 4), grey, np.uint8)) for grey in (1, 2, 1)]
    section = ReportSection("Trend", (), tuple(Figure(picture, "png", "a trend") for picture in pictures))
    return LAYOUTS.get("docx").render(replace(document, sections=(section,)), template or Template()).data


def test_an_earlier_report_as_template_keeps_its_pictures_and_no_number_is_given_twice(tmp_path: Path) -> None:
    # Word calls a document damaged that holds two files of one name.
    (tmp_path / "earlier.docx").write_bytes(with_pictures())
    data = with_pictures(Template(path=tmp_path / "earlier.docx"))

    with zipfile.ZipFile(io.BytesIO(data)) as files:
        names = [name for name in files.namelist() if "media" in name]
    assert len(names) == len(set(names)) == 4
    shapes = [shape.get("id") for shape in docx.Document(io.BytesIO(data)).element.body.iter(f"{{{DRAWING}}}docPr")]
    assert len(shapes) == len(set(shapes)) == 6
