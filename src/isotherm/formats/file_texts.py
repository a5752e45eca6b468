"""Texts that people and cameras write into files: descriptions and comments of EXIF, XMP and JPEG; FLIR's annotations.

A FLIR camera stores a free description as EXIF ImageDescription, and its *text annotations*, pairs of a label and a
value, in a record of its own (FLIR's user manuals, "Working with annotations"). None of these texts decides a
temperature, so that a damaged one is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import islice

from isotherm.core.capture import Annotation
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor, Order
from isotherm.formats.exif import DESCRIPTION, EXIF_IFD, MAKE, XP_TEXTS, Capture, read_capture
from isotherm.formats.float_tiff import CELSIUS

MOST, LONGEST = 64, 2000
"""So many texts of a file are kept, each of at most so many characters."""
FLIR = "FLIR text annotation"
_USER_COMMENT = 0x9286
_FLIR_HEAD, _FLIR_BYTES = 12, 64 * 1024
# `.0.label text "Equipment"`; in a `unicode` text a backslash and four digits are a letter (Exiftool's FLIR.pm).
_FLIR_LINE = re.compile(r'\.(\d{1,4})\.(label|value|param) (text|unicode) "(.*)"')
_ESCAPE = re.compile(r"\\([0-9a-fA-F]{4}|.)")
_XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_TEXTS = ("dc:title", "dc:description", "dc:subject")
_XMP_ITEM = re.compile(r"<rdf:li(?:\s[^<>]*)?>([^<>]*)</rdf:li>")


def texts_of_file(data: bytes, exif_block: bytes) -> tuple[Annotation, ...]:
    """Return the texts that stand in a file's EXIF, XMP and JPEG comments, none twice.

    Parameters
    ----------
    data
        The whole file.
    exif_block
        Its EXIF (TIFF structure); empty where it has none.
    """
    # A file can hold a hundred million comments of one letter.
    return kept([*_of_exif(exif_block), *islice(_of_segments(data), MOST)])


def texts_of_flir_record(record: Cursor) -> tuple[Annotation, ...]:
    """Return the pairs of label and value in a FLIR record of texts."""
    labels, values = dict[str, str](), dict[str, str]()
    for number, member, text in flir_lines(record.data):
        {"label": labels, "value": values}.get(member, {}).setdefault(number, text)
    return kept(Annotation(FLIR, text, labels.get(number, "")) for number, text in values.items())


def flir_lines(record: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield number, member and text of each line of a FLIR record of texts, behind its head of 12 bytes."""
    body = record[_FLIR_HEAD:_FLIR_BYTES].split(b"\0", 1)[0].decode("utf-8", "replace")
    for line in body.split("\n"):
        found = _FLIR_LINE.fullmatch(line.strip())
        if found:
            number, member, kind, text = found.groups()
            yield number, member, _unescaped(text) if kind == "unicode" else text


def _unescaped(text: str) -> str:
    letters = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if len(found[1]) == 4 else found[1], text)
    # Two escapes may be the halves of one letter.
    return letters.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def kept(found: Iterable[Annotation]) -> tuple[Annotation, ...]:
    """Return the texts that say something, printable, on one line and cut to length; none twice, and not too many."""
    cleaned = (Annotation(one.source, _line(one.text), _line(one.label), one.automatic) for one in found)
    return tuple(dict.fromkeys(one for one in cleaned if one.text))[:MOST]


def _line(text: str) -> str:
    words = "".join(letter if letter.isprintable() else " " for letter in text[: 2 * LONGEST]).split()
    return " ".join(words)[:LONGEST]


# --- EXIF -------------------------------------------------------------------------------------------------------------


def _of_exif(block: bytes) -> Iterator[Annotation]:
    capture = read_capture(block)
    maker = capture.main[MAKE].text() if MAKE in capture.main else ""
    # DJI's drones write the palette, the firmware's version and the kind of shot there.
    automatic = maker == "DJI"
    if DESCRIPTION in capture.main:
        text = capture.main[DESCRIPTION].text()
        yield Annotation("EXIF ImageDescription", text, automatic=automatic or text == CELSIUS)
    for tag, name in XP_TEXTS.items():
        if tag in capture.main:
            text = capture.main[tag].raw.decode("utf-16-le", "replace")
            yield Annotation(f"EXIF {name}", text.split("\0", 1)[0], automatic=automatic)
    yield Annotation("EXIF UserComment", _user_comment(capture))


def _user_comment(capture: Capture) -> str:
    """Return the user's comment: eight bytes say how its letters are coded (Exif 2.32, 4.6.5)."""
    entry = capture.nested.get(EXIF_IFD, {}).get(_USER_COMMENT)
    if entry is None:
        return ""
    coding, raw = entry.raw[:8].rstrip(b"\0 "), entry.raw[8:]
    match coding:
        case b"UNICODE":
            return _utf_16(raw, capture.order)
        case b"JIS":
            return raw.decode("iso2022_jp", "replace")
        case b"ASCII" | b"":
            return raw.split(b"\0", 1)[0].decode("utf-8", "replace")
    return ""


def _utf_16(raw: bytes, order: Order) -> str:
    marked = raw[:2] in (b"\xff\xfe", b"\xfe\xff")
    return raw.decode("utf-16" if marked else {"<": "utf-16-le", ">": "utf-16-be"}[order], "replace").split("\0", 1)[0]


# --- XMP and comments of a JPEG file ----------------------------------------------------------------------------------


def _of_segments(data: bytes) -> Iterator[Annotation]:
    for segment in jpeg.segments(data):
        if segment.marker == jpeg.APP1 and segment.payload.startswith(_XMP_PREFIX):
            yield from _of_xmp(segment.payload[len(_XMP_PREFIX) :].decode("utf-8", "replace"))
        elif segment.marker == jpeg.COMMENT:
            yield Annotation("JPEG comment", segment.payload.rstrip(b"\0").decode("utf-8", "replace"))


def _of_xmp(packet: str) -> Iterator[Annotation]:
    """Yield the items of Dublin Core's texts; like `isotherm.formats.xmp` without an XML parser, and in linear time."""
    for name in _XMP_TEXTS:
        start, end = packet.find(f"<{name}>"), packet.find(f"</{name}>")
        if 0 <= start < end:
            for text in _XMP_ITEM.findall(packet, start, end):
                yield Annotation(f"XMP {name}", unescape(text))
