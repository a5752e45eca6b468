"""``report.docx``: the report as a document to edit further; a user's document gives styles, header and footer."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from isotherm.core.errors import MissingExtraError
from isotherm.core.files import sha256
from isotherm.reports.document.content import Badge, Document, Facts, Fault, FaultPictures, Figure, ReportSection, Table
from isotherm.reports.document.docx_parts import (
    NAMESPACE,
    POINTS,
    add,
    field_run,
    gap,
    highest_shape,
    paragraph,
    run,
    set_language,
    show_title,
    side_by_side,
    text_table,
)
from isotherm.reports.document.layout import (
    MOST_TEMPLATE_BYTES,
    Rendered,
    Template,
    TemplateError,
    check_built_in,
    shown_text,
)

MADE = datetime(1980, 1, 1)
MARGIN_MM, TOP_MM = 17.0, 15.0
WIDTH_MM = 210 - 2 * MARGIN_MM
"""Between the margins of our own page; one of a user's template may be narrower."""
PICTURE_MM = 54.0
"""The height of a fault's pictures: its page has to hold the rest."""
PLOT_MM = 50.0
"""The height of a figure of a section."""
FAULT_POINTS = 7.5
"""Size of the letters in the tables of a fault [pt]."""
CELL_GAP_MM = 2.0
"""What keeps things apart that stand side by side."""
COVER_PT = 100.0
"""Space above the title."""
STYLES = {
    "Normal": (9.0, 0.0, 3.0),
    "Title": (24.0, 6.0, 10.0),
    "Heading 1": (14.0, 12.0, 4.0),
    "Heading 2": (10.0, 6.0, 2.0),
    "List Bullet": (9.0, 0.0, 1.0),
    "Footer": (8.0, 0.0, 0.0),
}
"""Size of the letters, and the space above and below [pt]."""
_INK = "1C2026"
_INKS = {"high": "9C1026", "mid": "7A3F00", "low": "545000", "none": "24592F", "open": "4C5560"}


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
        notes = (
            ("pictures in SVG are left out of the document: its format cannot hold them",) if writer.left_out else ()
        )
        return Rendered(_bytes_of(target), notes)


def _docx() -> Any:
    try:
        import docx
    except ModuleNotFoundError as error:
        raise MissingExtraError("a report as DOCX", "docx") from error
    return docx


def _new() -> Any:
    """Return an empty document on A4 in our styles; its foot shows its title and the number of the page."""
    from docx.shared import Mm, Pt, RGBColor

    made = _docx().Document()
    page = made.sections[0]
    page.page_width, page.page_height = Mm(210), Mm(297)
    page.left_margin = page.right_margin = Mm(MARGIN_MM)
    page.top_margin = page.bottom_margin = Mm(TOP_MM)
    page.footer_distance = Mm(8)
    for name, (size, before, after) in STYLES.items():
        style = made.styles[name]
        style.font.name, style.font.size = "Arial", Pt(size)
        style.font.color.rgb = RGBColor.from_string(_INK)
        style.paragraph_format.space_before, style.paragraph_format.space_after = Pt(before), Pt(after)
        style.paragraph_format.line_spacing = 1.0
        _in_arial(style.element.get_or_add_rPr().get_or_add_rFonts())
    _foot(page.footer.paragraphs[0])
    return made


def _in_arial(fonts: Any) -> None:
    """Make a style use Arial, and for Chinese what Word has beside it."""
    for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(f"{{{NAMESPACE}}}{theme}", None)
    for script in ("ascii", "hAnsi", "cs"):
        fonts.set(f"{{{NAMESPACE}}}{script}", "Arial")
    fonts.set(f"{{{NAMESPACE}}}eastAsia", "Microsoft YaHei")


def _foot(line: Any) -> None:
    parts = [field_run("PAGE", "1"), run(" / ", quiet=True), field_run("NUMPAGES", "1"), run(" · ", quiet=True)]
    line._p.extend([*parts, field_run("TITLE", "")])


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


def _width_mm(section: Any) -> float:
    """Return what the margins of a page leave; ours where a template does not say."""
    sides = section.page_width, section.left_margin, section.right_margin
    return WIDTH_MM if None in sides else float((sides[0] - sides[1] - sides[2]) / 36_000)


class _Writer:
    """Appends a report to a document."""

    def __init__(self, target: Any, document: Document) -> None:
        self.target, self.document, self.w = target, document, document.wording
        self.left_out = False
        self.styles: dict[str, str] = {}
        self.links: dict[str, tuple[str, Any]] = {}
        # A template may be an earlier report, and hold pictures.
        self.parts = {str(part.partname) for part in target.part.package.iter_parts()}
        self.shapes = count(highest_shape(target) + 1)
        self.end = target.element.body.get_or_add_sectPr()
        self.cell: Any = None
        self.points = POINTS
        self.width_mm = _width_mm(target.sections[-1])
        title = shown_text(f"{self.w('report_kind')}: {document.title}")[:255]
        target.core_properties.title = title
        target.core_properties.author = "isotherm"
        target.core_properties.language = self.w.language
        set_language(target, self.w.language)
        show_title(target, title)

    def standard(self) -> None:
        """Write all of the report."""
        document = self.document
        self.cover()
        self.summary(new_page=True)
        self.not_covered()
        for fault in document.faults:
            self.fault(fault)
        for section in document.sections:
            self.section(section, new_page=True)
        clear = document.without_fault
        if clear.rows:
            self.titled(clear, 1, new_page=True)
        self.method(new_page=not clear.rows)
        self.disclaimer()

    def brief(self) -> None:
        """Write what those need who decide."""
        self.cover(brief=True)
        self.summary()
        for section in self.document.sections:
            self.section(section)
        self.not_covered()
        self.disclaimer()

    def heading(self, text: str, level: int, *, new_page: bool = False) -> None:
        made = self.paragraph("Title" if level == 0 else f"Heading {level}", new_page=new_page)
        made.append(run(text))

    def text(self, text: str, *, quiet: bool = False, bold: bool = False, style: str = "Normal") -> None:
        points = self.points if self.cell is not None else None
        self.paragraph(style).append(run(text, quiet=quiet, bold=bold, points=points))

    def paragraph(self, style: str = "Normal", **placed: Any) -> Any:
        """Append an empty paragraph and return its XML; raises KeyError where the document has no such style."""
        if style not in self.styles:
            self.styles[style] = self.target.styles[style].style_id
        made = paragraph(self.styles[style], **placed)
        self.put(made)
        return made

    def put(self, made: Any) -> None:
        """Append XML to the cell that is being filled, or to the text; what describes the section stays at its end."""
        if self.cell is not None:
            self.cell.append(made)
        else:
            self.end.addprevious(made)

    def beside(self, *parts: Callable[[], None]) -> None:
        """Write parts side by side."""
        table, cells = side_by_side(self.width_mm, len(parts))
        self.put(table)
        for cell, part in zip(cells, parts, strict=True):
            with self._inside(cell, self.width_mm / len(parts) - CELL_GAP_MM):
                part()
        self.put(gap(2))

    @contextmanager
    def _inside(self, cell: Any, width_mm: float) -> Iterator[None]:
        before = self.cell, self.width_mm
        self.cell, self.width_mm = cell, width_mm
        try:
            yield
        finally:
            self.cell, self.width_mm = before

    def cover(self, *, brief: bool = False) -> None:
        kind = self.paragraph(before_pt=None if brief else COVER_PT)
        kind.append(run(self.w("report_kind").upper(), quiet=True))
        self.heading(self.document.title, 0)
        for row in self.document.grades:
            self.badge(row.badge, f": {row.count}")
        self.put(gap(8))
        self.facts((*self.document.cover, *self.document.remarks))
        signature = self.paragraph(before_pt=24)
        signature.append(run(f"{self.w('signature')}: ______________________________", quiet=True))

    def badge(self, badge: Badge, after: str = "") -> None:
        self.paragraph().extend([run(badge.text, ink=_INKS[badge.level], bold=True), run(after)])

    def summary(self, *, new_page: bool = False) -> None:
        w, document = self.w, self.document
        self.heading(w("summary"), 1, new_page=new_page)
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
        """Write the page of a fault, as the PDF does."""
        w = self.w
        self.heading(f"{fault.number}. {fault.title}", 1, new_page=True)
        self.badge(fault.badge, f" · {fault.place}" + (f" · {fault.image}" if fault.place != fault.image else ""))
        self.points = FAULT_POINTS
        self.pictures(fault.pictures)
        self.beside(partial(self.finding, fault), partial(self.criterion, fault))
        self.beside(
            partial(self.said, w("cause"), fault.cause), partial(self.said, w("action"), fault.action, bold=True)
        )
        if fault.regions.rows:
            self.titled(fault.regions, 2)
        self.beside(partial(self.parameters, fault.parameters), partial(self.confidence, fault.confidence))
        self.heading(w("origin"), 2)
        self.facts(fault.origin)
        self.points = POINTS

    def finding(self, fault: Fault) -> None:
        self.heading(self.w("finding"), 2)
        self.facts(fault.facts)

    def said(self, title: str, text: str, *, bold: bool = False) -> None:
        self.heading(title, 2)
        self.text(text, bold=bold)

    def criterion(self, fault: Fault) -> None:
        self.heading(self.w("criterion"), 2)
        if fault.criterion is not None:
            self.text(fault.criterion.title)
            self.table(fault.criterion)
        for text in (fault.criterion_source, *fault.criterion_remarks):
            self.text(text, quiet=True)

    def parameters(self, table: Table) -> None:
        self.heading(table.title, 2)
        self.table(table) if table.rows else self.text(self.w("no_parameters"))

    def confidence(self, texts: Sequence[str]) -> None:
        self.heading(self.w("confidence"), 2)
        self.items(texts or (self.w("nothing_more_known"),))

    def section(self, section: ReportSection, *, new_page: bool = False) -> None:
        self.heading(section.title, 1, new_page=new_page)
        for text in section.paragraphs:
            self.text(text)
        for figure in section.figures:
            self.plot(figure)
        for table in section.tables:
            self.titled(table, 2)

    def plot(self, figure: Figure) -> None:
        """Write a figure of a section; of a drawing, what it looks like, or its words where nobody can tell."""
        if figure.kind == "svg" and figure.raster is None:
            self.left_out = True
            self.text(f"{figure.alt} {figure.caption}".strip(), quiet=True)
            return
        shown = figure if figure.raster is None else replace(figure, data=figure.raster(), kind="png")
        if figure.caption:
            caption = self.paragraph(keep_next=True)
            caption.append(run(figure.caption, quiet=True))
        self.picture(self.paragraph(), shown, self.width_mm, PLOT_MM)

    def method(self, *, new_page: bool = False) -> None:
        w, method = self.w, self.document.method
        self.heading(w("method"), 1, new_page=new_page)
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
            self.put(text_table([], rows, width_mm=self.width_mm, points=self.points))
            self.put(gap())

    def titled(self, table: Table, level: int, *, new_page: bool = False) -> None:
        self.heading(table.title, level, new_page=new_page)
        self.table(table)

    def table(self, table: Table) -> None:
        self.put(
            text_table(
                table.head,
                table.rows,
                width_mm=self.width_mm,
                marked=table.marked,
                title=table.title,
                points=self.points,
            )
        )
        self.put(gap())

    def pictures(self, pictures: FaultPictures) -> None:
        """Write the thermal picture and the photo side by side, each with its words below."""
        if pictures.thermal is not None:
            self.beside(partial(self.shown, pictures.thermal), partial(self.photo, pictures.photo))
        if pictures.missing:
            self.text(pictures.missing, quiet=True)

    def photo(self, photo: Figure | None) -> None:
        if photo is None:
            self.text(self.w("no_photo"), quiet=True)
        else:
            self.shown(photo)

    def shown(self, figure: Figure) -> None:
        self.picture(self.paragraph(), figure, self.width_mm, PICTURE_MM)
        if figure.caption:
            self.text(figure.caption, quiet=True)

    def picture(self, paragraph: Any, figure: Figure, width_mm: float, height_mm: float) -> None:
        """Add a picture as large as fits into width and height, with its words for those who do not see it."""
        from docx.oxml.shape import CT_Inline
        from docx.shared import Mm

        link, image = self.linked(figure)
        width, height = image.scaled_dimensions(Mm(width_mm), None)
        if height > Mm(height_mm):
            width, height = round(width * Mm(height_mm) / height), Mm(height_mm)
        inline = CT_Inline.new_pic_inline(next(self.shapes), link, image.filename, width, height)
        inline.docPr.set("descr", shown_text(figure.alt))
        for side in ("distT", "distB", "distL", "distR"):
            inline.set(side, "0")
        add(add(paragraph, "r"), "drawing").append(inline)

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
            names = (f"/word/media/isotherm{number}.{figure.kind}" for number in count(len(self.links) + 1))
            name = next(name for name in names if name not in self.parts)
            self.parts.add(name)
            part = ImagePart.from_image(image, PackURI(name))
            self.links[digest] = self.target.part.relate_to(part, RELATIONSHIP_TYPE.IMAGE), image
        return self.links[digest]


LAYOUT = DocxLayout()
