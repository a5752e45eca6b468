"""FLIR's FFF container: a header, a directory, and records (Exiftool's FLIR.pm documents the layout).

The directory is walked; nothing is searched for, because pixel data may hold any bytes, the magic among them.
"""

from __future__ import annotations

from dataclasses import dataclass

from isotherm.core.errors import FormatError
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor, Order

MAGICS = (b"FFF\0", b"AFF\0")
RAW, CAMERA, GPS = 0x01, 0x20, 0x2B
_SEGMENT_MAGIC = b"FLIR\0"
_SEGMENT_HEAD = 8
_HEADER, _ENTRY, _MAX_RECORDS = 64, 32, 1024


@dataclass(frozen=True, eq=False)
class Container:
    """One frame: its records by type (the first of each), and the length of the frame in bytes."""

    records: dict[int, Cursor]
    length: int

    def record(self, kind: int, what: str) -> Cursor:
        """Return the record of a type; raises FormatError where there is none."""
        if kind not in self.records:
            found = ", ".join(f"0x{kind:02x}" for kind in sorted(self.records)) or "none"
            raise FormatError(f"FLIR file without {what} (record 0x{kind:02x}); records found: {found}")
        return self.records[kind]


def block(data: bytes) -> Cursor | None:
    """Return the container's bytes in a file: the file itself, or the joined FLIR segments of a JPEG; else None."""
    if data.startswith(MAGICS):
        return Cursor(data, ">", "FLIR file")
    pieces = _pieces(data)
    if not pieces:
        return None
    origins, start = [], 0
    for offset, piece in pieces:
        origins.append((start, offset))
        start += len(piece)
    return Cursor(b"".join(piece for _, piece in pieces), ">", "FLIR block", origins=tuple(origins))


def _pieces(data: bytes) -> list[tuple[int, bytes]]:
    """Return (offset in the file, bytes) of the FLIR segments, in the order of their part numbers."""
    parts: dict[int, tuple[int, bytes]] = {}
    for segment in jpeg.segments(data):
        if segment.marker == jpeg.APP1 and segment.payload.startswith(_SEGMENT_MAGIC) and len(segment.payload) > 8:
            number = segment.payload[6]
            parts.setdefault(number, (segment.offset + _SEGMENT_HEAD, segment.payload[_SEGMENT_HEAD:]))
    return [parts[number] for number in sorted(parts)]


def read_container(cursor: Cursor) -> Container:
    """Return the records of the frame at the start of `cursor`.

    Raises
    ------
    FormatError
        The header or the directory is damaged. A single record that lies outside the file is left out.
    """
    if cursor.take(0, 4) not in MAGICS:
        raise cursor.error("does not begin with FFF or AFF", 0)
    cursor = cursor.part(0, len(cursor), cursor.what, order=_order(cursor))
    start, count = cursor.u32(0x18), cursor.u32(0x1C)
    if count > _MAX_RECORDS:
        raise cursor.error(f"a directory of {count} records; at most {_MAX_RECORDS} make sense", 0x1C)
    records: dict[int, Cursor] = {}
    end = max(_HEADER, start + count * _ENTRY)
    for index in range(count):
        entry = cursor.part(start + index * _ENTRY, _ENTRY, "FLIR directory")
        kind, offset, length = entry.u16(0), entry.u32(12), entry.u32(16)
        if kind == 0 or length == 0 or offset + length > len(cursor):
            continue
        end = max(end, offset + length)
        records.setdefault(kind, cursor.part(offset, length, f"FLIR record 0x{kind:02x}"))
    return Container(records, end)


def _order(cursor: Cursor) -> Order:
    """Return the byte order in which the version is 100..199."""
    version = cursor.take(0x14, 4)
    if 100 <= int.from_bytes(version, "big") < 200:
        return ">"
    if 100 <= int.from_bytes(version, "little") < 200:
        return "<"
    raise cursor.error("version of the container is not 100..199 in either byte order", 0x14)


def marked(record: Cursor, mark: int) -> Cursor:
    """Return the record in the byte order in which its first number is `mark`; raises FormatError where in neither."""
    head = record.take(0, 2)
    if int.from_bytes(head, "little") == mark:
        return record.part(0, len(record), record.what, order="<")
    if int.from_bytes(head, "big") == mark:
        return record.part(0, len(record), record.what, order=">")
    raise record.error(f"begins with {head.hex()}, not with {mark} in either byte order", 0)
