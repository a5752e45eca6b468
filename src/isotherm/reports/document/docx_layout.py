"""``report.docx``: the report as a document to edit further; a user's document gives styles and header."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from isotherm.core.errors import MissingExtraError
from isotherm.core.files import sha256
from isotherm.reports.document.content import Badge, Document, Facts, Fault, Figure, ReportSection, Table
from isotherm.reports.document.layout import (
    MOST_TEMPLATE_BYTES,
    Rendered,
    Template,
    TemplateError,
    check_built_in,
    shown_text,
)

MADE = datetime(1980, 1, 1)
WIDTH_MM, PAIR_MM = 174.0, 84.0
HEIGHT_MM = 62.0
FIRST_SHAPE = 10_000
"""Numbers of pictures begin above those of a template."""
_INKS = {"high": "9C1026", "mid": "7A3F00", "low": "545000", "none": "24592F", "open": "4C5560"}
_QUIET, _LINE, _MARK = "5D6672", "D5DAE0", "FFF0DB"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


@dataclass(frozen=True)
class DocxLayout:
    """The document."""

    name: str = "docx"
    media_type: str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    template_suffixes: Sequence[str] = (".docx",)

    def template_files(self, name: str) -> Mapping[str, bytes]:
        """Return an empty document with the styles of a report."""
        return {f"{check_built_in(name)}.docx": _bytes_of(_new())}

    def render(self, document: Document, template: Template) -> Rendered:
        """Return the document; pictures in SVG are left out, which a note says."""
        target = _new() if template.path is None else _opened(template.path)
        writer = _Writer(target, document)
        try:
            writer.brief() if check_built_in(template.name) == "brief" else writer.standard()
        except KeyError as error:
            if template.path is None:
                raise
            raise TemplateError(template.path, f"the document lacks what a report needs: {error.args[0]}") from error
        left_out = ("pictures in SVG are left out of the document: its format cannot hold them",) if writer.svg else ()
        return Rendered(_bytes_of(target), left_out)


def _docx() -> Any:
    try:
        import docx
    except ModuleNotFoundError as error:
        raise MissingExtraError("a report as DOCX", "docx") from error
    return docx


def _new() -> Any:
    """Return an empty document on A4 in our styles."""
    from docx.shared import Mm, Pt, RGBColor

    made = _docx().Document()
    page = made.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = Mm(18)
    page.top_margin = page.bottom_margin = Mm(17)
    for name, size in (("Normal", 9.5), ("Title", 24), ("Heading 1", 15), ("Heading 2", 12), ("Heading 3", 10)):
        style = made.styles[name]
        style.font.name, style.font.size = "Arial", Pt(size)
        style.font.color.rgb = RGBColor.from_string("1C2026")
        fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
        for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
            fonts.attrib.pop(f"{{{_W}}}{theme}", None)
        for script in ("ascii", "hAnsi", "cs"):
            fonts.set(f"{{{_W}}}{script}", "Arial")
    made.styles["Normal"].paragraph_format.space_after = Pt(3)
    return made


def _opened(path: Path) -> Any:
    docx = _docx()
    try:
        if path.stat().st_size > MOST_TEMPLATE_BYTES:
            raise TemplateError(path, f"a template has at most {MOST_TEMPLATE_BYTES} bytes")
        return docx.Document(str(path))
    except OSError as error:
        raise TemplateError(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, zipfile.BadZipFile, docx.opc.exceptions.OpcError, SyntaxError) as error:
        raise TemplateError(path, f"is no Word document (.docx): {error}") from error


def _bytes_of(target: Any) -> bytes:
    """Return a document as bytes that depend on nothing but its content: the ZIP says when nothing was written."""
    properties = target.core_properties
    properties.created = properties.modified = MADE
    properties.revision = 1
    stream, fixed = io.BytesIO(), io.BytesIO()
    target.save(stream)
    with zipfile.ZipFile(stream) as written, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as again:
        for name in written.namelist():
            entry = zipfile.ZipInfo(name, MADE.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_STORED if name.endswith((".jpeg", ".jpg", ".png")) else 8
            again.writestr(entry, written.read(name))
    return fixed.getvalue()


class _Writer:
    """Appends a report to a document."""

    def __init__(self, target: Any, document: Document) -> None:
        self.target, self.document, self.w = target, document, document.wording
        self.svg = False
        self.styles: dict[str, str] = {}
        self.links: dict[str, tuple[str, Any]] = {}
        self.end = target.element.body.get_or_add_sectPr()
        target.core_properties.title = shown_text(f"{self.w('report_kind')}: {document.title}")[:255]
        target.core_properties.author = "isotherm"
        target.core_properties.language = document.wording.language

    def standard(self) -> None:
        """Write all of the report."""
        document = self.document
        self.cover()
        self.page_break()
        self.summary()
        self.page_break()
        self.not_covered()
        for fault in document.faults:
            self.page_break()
            self.fault(fault)
        for section in document.sections:
            self.page_break()
            self.section(section)
        self.page_break()
        if document.without_fault.rows:
            self.titled(document.without_fault, 1)
        self.method()
        self.disclaimer()

    def brief(self) -> None:
        """Write what those need who decide."""
        self.cover()
        self.summary()
        for section in self.document.sections:
            self.section(section)
        self.not_covered()
        self.disclaimer()

    def heading(self, text: str, level: int) -> None:
        self.paragraph("Title" if level == 0 else f"Heading {level}").append(_run(text))

    def text(self, text: str, *, quiet: bool = False, bold: bool = False, style: str = "Normal") -> None:
        self.paragraph(style).append(_run(text, quiet=quiet, bold=bold))

    def paragraph(self, style: str = "Normal") -> Any:
        """Append an empty paragraph and return its XML; raises KeyError where the document has no such style."""
        if style not in self.styles:
            self.styles[style] = self.target.styles[style].style_id
        made = _element("p")
        _add(_add(made, "pPr"), "pStyle", val=self.styles[style])
        self.put(made)
        return made

    def put(self, element: Any) -> None:
        """Append XML to the text; what describes the last section stays at its end."""
        self.end.addprevious(element)

    def page_break(self) -> None:
        _add(_add(self.paragraph(), "r"), "br", type="page")

    def cover(self) -> None:
        self.text(self.w("report_kind").upper(), quiet=True)
        self.heading(self.document.title, 0)
        for row in self.document.grades:
            self.badge(row.badge, f": {row.count}")
        self.facts((*self.document.cover, *self.document.remarks))
        self.text(f"{self.w('signature')}: ______________________________", quiet=True)

    def badge(self, badge: Badge, after: str = "") -> None:
        self.paragraph().extend([_run(badge.text, ink=_INKS[badge.level], bold=True), _run(after)])

    def summary(self) -> None:
        w, document = self.w, self.document
        self.heading(w("summary"), 1)
        self.text(document.lead, bold=True)
        self.facts(document.counts)
        if document.grades:
            head = (w("severity"), w("faults"), w("action"))
            rows = tuple((row.badge.text, str(row.count), row.action) for row in document.grades)
            self.titled(Table(w("summary_by_severity"), head, rows), 2)
        if document.faults:
            names = ("number", "finding", "place", "severity", "action")
            faults = tuple((str(f.number), f.title, f.place, f.badge.text, f.action) for f in document.faults)
            self.titled(Table(w("summary_table"), tuple(map(w, names)), faults), 2)
        elif document.read:
            self.text(w("no_faults"))

    def not_covered(self) -> None:
        w, document = self.w, self.document
        self.heading(w("not_covered"), 1)
        for table, nothing in ((document.not_inspected, "none_left_out"), (document.unread, "all_read")):
            self.heading(table.title, 2)
            self.table(table) if table.rows else self.text(w(nothing))
        if document.unjudged.rows:
            self.titled(document.unjudged, 2)

    def fault(self, fault: Fault) -> None:
        w = self.w
        self.heading(f"{fault.number}. {fault.title}", 1)
        self.badge(fault.badge, f" · {fault.place}" + (f" · {fault.image}" if fault.place != fault.image else ""))
        self.pictures([fault.pictures.thermal, fault.pictures.photo])
        if fault.pictures.missing:
            self.text(fault.pictures.missing, quiet=True)
        self.heading(w("finding"), 2)
        self.facts(fault.facts)
        self.heading(w("cause"), 2)
        self.text(fault.cause)
        self.heading(w("action"), 2)
        self.text(fault.action, bold=True)
        self.criterion(fault)
        if fault.regions.rows:
            self.titled(fault.regions, 2)
        self.heading(fault.parameters.title, 2)
        self.table(fault.parameters) if fault.parameters.rows else self.text(w("no_parameters"))
        self.heading(w("confidence"), 2)
        self.items(fault.confidence or (w("nothing_more_known"),))
        self.heading(w("origin"), 2)
        self.facts(fault.origin)

    def criterion(self, fault: Fault) -> None:
        self.heading(self.w("criterion"), 2)
        if fault.criterion is not None:
            self.text(fault.criterion.title)
            self.table(fault.criterion)
        for text in (fault.criterion_source, *fault.criterion_remarks):
            self.text(text, quiet=True)

    def section(self, section: ReportSection) -> None:
        self.heading(section.title, 1)
        for text in section.paragraphs:
            self.text(text)
        for figure in section.figures:
            if figure.kind == "svg":
                self.svg = True
                self.text(f"{figure.alt} {figure.caption}".strip(), quiet=True)
            else:
                self.picture(self.paragraph(), figure, WIDTH_MM, 2 * HEIGHT_MM)
                self.text(figure.caption, quiet=True)
        for table in section.tables:
            self.titled(table, 2)

    def method(self) -> None:
        w, method = self.w, self.document.method
        self.heading(w("method"), 1)
        for text in method.paragraphs:
            self.text(text)
        if method.criteria is not None:
            self.titled(method.criteria, 2)
            for note in method.criteria_notes:
                self.text(note, quiet=True)
        if method.model:
            self.heading(w("model_card"), 2)
            self.facts(method.model)
            self.heading(w("limits"), 2)
            self.items(method.limits)
        self.heading(w("settings"), 2)
        self.facts(method.settings)

    def disclaimer(self) -> None:
        w = self.w
        self.heading(w("disclaimer"), 1)
        self.items(self.document.disclaimer)
        if w.language != "en":
            self.text(w("quoted"), quiet=True)
        self.text(f"{w('made_with')}: {self.document.method.versions}", quiet=True)

    def items(self, texts: Iterable[str]) -> None:
        for text in texts:
            self.text(text, style="List Bullet")

    def facts(self, rows: Facts) -> None:
        if rows:
            self.put(_table_element([], rows, None))
            self.paragraph()

    def titled(self, table: Table, level: int) -> None:
        self.heading(table.title, level)
        self.table(table)

    def table(self, table: Table) -> None:
        self.put(_table_element(table.head, table.rows, table.marked))
        self.paragraph()

    def pictures(self, figures: Sequence[Figure | None]) -> None:
        shown = [figure for figure in figures if figure is not None]
        if not shown:
            return
        paragraph = self.paragraph()
        for figure in shown:
            self.picture(paragraph, figure, PAIR_MM if len(shown) > 1 else WIDTH_MM / 1.5, HEIGHT_MM)
            paragraph.append(_run(" "))
        self.text(" · ".join(figure.caption for figure in shown), quiet=True)

    def picture(self, paragraph: Any, figure: Figure, width_mm: float, height_mm: float) -> None:
        """Add a picture as large as fits into width and height, with its words for those who do not see it."""
        from docx.oxml.shape import CT_Inline
        from docx.shared import Mm

        link, image = self.linked(figure)
        width, height = image.scaled_dimensions(Mm(width_mm), None)
        if height > Mm(height_mm):
            width, height = round(width * Mm(height_mm) / height), Mm(height_mm)
        inline = CT_Inline.new_pic_inline(FIRST_SHAPE + len(self.links), link, image.filename, width, height)
        inline.docPr.set("descr", shown_text(figure.alt))
        _add(_add(paragraph, "r"), "drawing").append(inline)

    def linked(self, figure: Figure) -> tuple[str, Any]:
        """Return the link to a picture that is kept in the document once, and the picture.

        python-docx would compare each with all before it, and look through the whole document for a free number.
        """
        from docx.image.image import Image
        from docx.opc.constants import RELATIONSHIP_TYPE
        from docx.opc.packuri import PackURI
        from docx.parts.image import ImagePart

        digest = sha256(figure.data)
        if digest not in self.links:
            image = Image.from_blob(figure.data)
            part = ImagePart.from_image(image, PackURI(f"/word/media/isotherm{len(self.links) + 1}.{figure.kind}"))
            self.links[digest] = self.target.part.relate_to(part, RELATIONSHIP_TYPE.IMAGE), image
        return self.links[digest]


def _element(tag: str) -> Any:
    from lxml import etree  # type: ignore[import-untyped]

    return etree.Element(f"{{{_W}}}{tag}", nsmap={"w": _W})


def _add(parent: Any, tag: str, **attributes: str) -> Any:
    """Append an element: python-docx's own take ten times as long."""
    from lxml import etree

    return etree.SubElement(parent, f"{{{_W}}}{tag}", {f"{{{_W}}}{name}": value for name, value in attributes.items()})


def _run(text: str, *, quiet: bool = False, bold: bool = False, ink: str = "", half_points: str = "") -> Any:
    run = _element("r")
    style = _add(run, "rPr")
    if bold:
        _add(style, "b")
    if quiet or ink:
        _add(style, "color", val=ink or _QUIET)
    if quiet or half_points:
        _add(style, "sz", val=half_points or "16")
    for number, line in enumerate(shown_text(text).split("\n")):
        if number:
            _add(run, "br")
        shown = _add(run, "t")
        # The blanks at the ends of a text count.
        shown.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
        shown.text = line
    return run


def _table_element(head: Sequence[str], rows: Sequence[Sequence[str]], marked: int | None) -> Any:
    """Return a table as XML."""
    table = _element("tbl")
    properties = _add(table, "tblPr")
    _add(properties, "tblW", w="5000", type="pct")
    borders = _add(properties, "tblBorders")
    for side in ("bottom", "insideH"):
        _add(borders, side, val="single", sz="4", color=_LINE)
    grid = _add(table, "tblGrid")
    for _ in head or rows[0]:
        _add(grid, "gridCol")
    if head:
        _row(table, head, bold=True, header=True)
    for place, row in enumerate(rows):
        _row(table, row, bold=place == marked, mark=place == marked, names=not head)
    return table


def _row(
    table: Any,
    cells: Sequence[str],
    *,
    bold: bool = False,
    header: bool = False,
    mark: bool = False,
    names: bool = False,
) -> None:
    row = _add(table, "tr")
    properties = _add(row, "trPr")
    _add(properties, "cantSplit")
    if header:
        _add(properties, "tblHeader")
    for column, text in enumerate(cells):
        cell = _add(row, "tc")
        if mark:
            _add(_add(cell, "tcPr"), "shd", val="clear", color="auto", fill=_MARK)
        paragraph = _add(cell, "p")
        _add(_add(paragraph, "pPr"), "spacing", after="0")
        ink = _QUIET if header or (names and column == 0) else ""
        paragraph.append(_run(text, bold=bold, ink=ink, half_points="17"))


LAYOUT = DocxLayout()
