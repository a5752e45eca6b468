"""Pieces of a Word document as XML: runs, tables with widths that suit their texts, page numbers, languages.

python-docx's own elements take ten times as long; a report of 300 faults has a hundred thousand of them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from isotherm.reports.document.layout import shown_text, units_kept

NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"
QUIET, LINE, MARK = "5D6672", "D5DAE0", "FFF0DB"
LANGUAGE_TAGS = {"en": "en-GB", "de": "de-DE", "es": "es-ES", "pt": "pt-PT", "zh": "en-GB"}
"""What proofreading and screen readers go by; Chinese letters have a tag of their own beside it."""
POINTS = 8.5
"""Size of the letters in a table [pt]."""
BOLD = 1.08
"""How much wider the letters of heads and of the marked row may be."""
CELL_MM = 2.8
"""What the margins of a cell take of its width [mm]."""
LONGEST_WORD_MM, SHORT_CHINESE = 42.0, 4
NAMES_SHARE = 0.45
"""The names of facts take at most this share of the width."""
_MM_PER_POINT = 25.4 / 72
_TWIPS_PER_MM = 1440 / 25.4


def element(tag: str) -> Any:
    """Return an empty element."""
    from lxml import etree  # type: ignore[import-untyped]

    return etree.Element(f"{{{NAMESPACE}}}{tag}", nsmap={"w": NAMESPACE})


def add(parent: Any, tag: str, **attributes: str) -> Any:
    """Append an element and return it."""
    from lxml import etree

    values = {f"{{{NAMESPACE}}}{name}": value for name, value in attributes.items()}
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}", values)


def run(text: str, *, quiet: bool = False, bold: bool = False, ink: str = "", points: float | None = None) -> Any:
    """Return text as an element; `quiet` is small and grey."""
    made = element("r")
    style = add(made, "rPr")
    if bold:
        add(style, "b")
    if quiet or ink:
        add(style, "color", val=ink or QUIET)
    if quiet or points is not None:
        add(style, "sz", val=str(round(2 * (8 if points is None else points))))
    for number, line in enumerate(units_kept(shown_text(text)).split("\n")):
        if number:
            add(made, "br")
        shown = add(made, "t")
        # The blanks at the ends of a text count.
        shown.set("{http://www.w3.org/XML/1998/namespace}space", "preserve")
        shown.text = line
    return made


def paragraph(style_id: str, *, new_page: bool = False, keep_next: bool = False, before_pt: float | None = None) -> Any:
    """Return an empty paragraph: at the top of a new page, on the page of the next one, or below that much space."""
    made = element("p")
    properties = add(made, "pPr")
    add(properties, "pStyle", val=style_id)
    if keep_next:
        add(properties, "keepNext")
    if new_page:
        add(properties, "pageBreakBefore")
    if before_pt is not None:
        add(properties, "spacing", before=str(round(20 * before_pt)))
    return made


def gap(points: float = 4.0) -> Any:
    """Return a paragraph that only keeps two tables apart."""
    made = element("p")
    height = str(round(20 * points))
    add(add(made, "pPr"), "spacing", before="0", after="0", line=height, lineRule="exact")
    return made


def text_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width_mm: float,
    marked: int | None = None,
    title: str = "",
    points: float = POINTS,
) -> Any:
    """Return a table; without a head, the first column holds names.

    Parameters
    ----------
    head, rows
        Its texts; at least one row or a head.
    width_mm
        The width of all columns together.
    marked
        The row that counts, from 0.
    title
        For those who do not see the table.
    points
        Size of its letters [pt].
    """
    widths = facts_widths(rows, width_mm, points) if not head else column_widths([head, *rows], width_mm, points)
    table = _table(widths, title=title, lines=True)
    if head:
        _row(table, head, widths, points, header=True)
    for place, row in enumerate(rows):
        _row(table, row, widths, points, mark=place == marked, names=not head)
    return table


def side_by_side(width_mm: float, count: int) -> tuple[Any, list[Any]]:
    """Return a table without lines that sets things side by side, and its empty cells."""
    widths = [width_mm / count] * count
    table = _table(widths, lines=False)
    row = add(table, "tr")
    return table, [_cell(row, width) for width in widths]


def _table(widths: Sequence[float], *, title: str = "", lines: bool) -> Any:
    table = element("tbl")
    properties = add(table, "tblPr")
    add(properties, "tblW", w=_twips(sum(widths)), type="dxa")
    if lines:
        borders = add(properties, "tblBorders")
        for side in ("bottom", "insideH"):
            add(borders, side, val="single", sz="4", color=LINE)
    add(properties, "tblLayout", type="fixed")
    margins = add(properties, "tblCellMar")
    add(margins, "left", w="30" if lines else "0", type="dxa")
    add(margins, "right", w="110", type="dxa")
    if title:
        add(properties, "tblCaption", val=shown_text(title)[:255])
    grid = add(table, "tblGrid")
    for width in widths:
        add(grid, "gridCol", w=_twips(width))
    return table


def _row(
    table: Any,
    cells: Sequence[str],
    widths: Sequence[float],
    points: float,
    *,
    header: bool = False,
    mark: bool = False,
    names: bool = False,
) -> None:
    row = add(table, "tr")
    properties = add(row, "trPr")
    add(properties, "cantSplit")
    if header:
        add(properties, "tblHeader")
    for column, (text, width) in enumerate(zip(cells, widths, strict=True)):
        cell = _cell(row, width)
        if mark:
            add(cell[0], "shd", val="clear", color="auto", fill=MARK)
        line = add(cell, "p")
        add(add(line, "pPr"), "spacing", before="10", after="10")
        ink = QUIET if header or (names and column == 0) else ""
        line.append(run(text, bold=header or mark, ink=ink, points=points))


def _cell(row: Any, width: float) -> Any:
    cell = add(row, "tc")
    add(add(cell, "tcPr"), "tcW", w=_twips(width), type="dxa")
    return cell


def _twips(width_mm: float) -> str:
    return str(round(width_mm * _TWIPS_PER_MM))


def facts_widths(rows: Sequence[Sequence[str]], width_mm: float, points: float = POINTS) -> list[float]:
    """Return the widths of names and values [mm]."""
    longest = max(text_width(name, points) for name, _ in rows) + CELL_MM
    names = min(longest, NAMES_SHARE * width_mm)
    return [names, width_mm - names]


def column_widths(rows: Sequence[Sequence[str]], width_mm: float, points: float = POINTS) -> list[float]:
    """Return the widths of columns [mm] so that long texts get more room and no word is broken without need."""
    columns = [list(map(units_kept, column)) for column in zip(*rows, strict=True)]
    least = [max(_longest_word(cell, points) for cell in column) + CELL_MM for column in columns]
    natural = [max(text_width(cell, points) for cell in column) + CELL_MM for column in columns]
    if sum(natural) <= width_mm:
        return [one * width_mm / sum(natural) for one in natural]
    if sum(least) >= width_mm:
        return [one * width_mm / sum(least) for one in least]
    wishes = [max(0.0, wish - need) for wish, need in zip(natural, least, strict=True)]
    spare = width_mm - sum(least)
    return [need + spare * wish / sum(wishes) for need, wish in zip(least, wishes, strict=True)]


def text_width(text: str, points: float) -> float:
    """Return about how long a line of Arial is [mm]."""
    return max((sum(map(_ems, line)) for line in text.split("\n")), default=0.0) * points * _MM_PER_POINT


def _longest_word(text: str, points: float) -> float:
    return min(LONGEST_WORD_MM, BOLD * max((text_width(word, points) for word in _words(text)), default=0.0))


def _words(text: str) -> Iterable[str]:
    """Yield what should stay on one line; Chinese may break behind each letter, but short words had better not."""
    for word in text.split(" "):
        yield word[:SHORT_CHINESE] if all(_ems(letter) >= 1 for letter in word) else word


@cache
def _ems(letter: str) -> float:
    """Return how wide a letter is, in its size."""
    if unicodedata.east_asian_width(letter) in "WF":
        return 1.0
    if letter in "iljtfrI.,;:'|!()[] /-":
        return 0.33
    return 0.8 if letter in "mwMW%@…" else 0.7 if letter.isupper() else 0.56


def field_run(instruction: str, shown: str) -> Any:
    """Return a field, such as the number of the page, with what it shows until it is computed."""
    made = element("fldSimple")
    made.set(f"{{{NAMESPACE}}}instr", instruction)
    made.append(run(shown, quiet=True))
    return made


def highest_shape(target: Any) -> int:
    """Return the highest number of a picture or drawing in a document; none may bear the number of another."""
    numbers = (shape.get("id", "") for shape in target.element.body.iter(f"{{{DRAWING}}}docPr"))
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def set_language(target: Any, language: str) -> None:
    """Say which language the text of a document is in."""
    defaults = target.styles.element.find(f"{{{NAMESPACE}}}docDefaults")
    properties = None if defaults is None else defaults.find(f"{{{NAMESPACE}}}rPrDefault/{{{NAMESPACE}}}rPr")
    if properties is None:
        return
    for old in properties.findall(f"{{{NAMESPACE}}}lang"):
        properties.remove(old)
    add(properties, "lang", val=LANGUAGE_TAGS[language], eastAsia="zh-CN", bidi="ar-SA")


def show_title(target: Any, title: str) -> None:
    """Put a title where the foot of the pages shows the document's own."""
    for section in target.sections:
        for made in section.footer._element.iter(f"{{{NAMESPACE}}}fldSimple"):
            if made.get(f"{{{NAMESPACE}}}instr", "").strip() == "TITLE":
                for text in list(made.iter(f"{{{NAMESPACE}}}t")):
                    text.text = shown_text(title)
