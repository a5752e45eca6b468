"""FLIR's FFF container: a header, a directory, and records (Exiftool's FLIR.pm documents the layout).

The directory is walked; nothing is searched for, because pixel data may hold any bytes, the magic among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from isotherm.core.errors import FormatError
from isotherm.formats import jpeg
from isotherm.formats.cursor import Cursor, Order
from isotherm.formats.mapped import MappedFile

MAGICS = (b"FFF\0", b"AFF\0")
RAW, CAMERA, GPS = 0x01, 0x20, 0x2B
_NEEDED = {RAW: "raw pixels (record 0x01)", CAMERA: "camera data (record 0x20)"}
_SEGMENT_MAGIC = b"FLIR\0"
_SEGMENT_HEAD = 8
_HEADER, _ENTRY, _MAX_RECORDS = 64, 32, 1024


class Container(Mapping[int, Cursor]):
    """One frame: its records by type (the first of each), cut out when they are asked for, for some are large."""

    def __init__(self, frame: Cursor, places: dict[int, tuple[int, int]]) -> None:
        self._frame, self._places = frame, places

    def __getitem__(self, kind: int) -> Cursor:
        start, length = self._places[kind]
        return self._frame.part(start, length, f"FLIR record 0x{kind:02x}")

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def record(self, kind: int, what: str) -> Cursor:
        """Return the record of a type; raises FormatError where there is none."""
        if kind not in self._places:
            found = ", ".join(f"0x{kind:02x}" for kind in sorted(self._places)) or "none"
            raise FormatError(f"FLIR file without {what} (record 0x{kind:02x}); records found: {found}")
        return self[kind]

    def split(self, kind: int, head: int) -> tuple[Cursor, Cursor] | None:
        """Return the first `head` bytes of a record, and what follows them; None where there are no more."""
        start, length = self._places.get(kind, (0, 0))
        if length <= head:
            return None
        what = f"FLIR record 0x{kind:02x}"
        return self._frame.part(start, head, what), self._frame.part(start + head, length - head, what)


def holds(data: bytes) -> bool:
    """Say whether a file has a container: it is one, or a JPEG with FLIR segments."""
    return data.startswith(MAGICS) or any(map(_is_piece, _segments(data)))


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


def _pieces(data: bytes) -> list[tuple[int, memoryview]]:
    """Return (offset in the file, bytes) of the FLIR segments, in the order of their part numbers."""
    parts: dict[int, tuple[int, memoryview]] = {}
    for segment in _segments(data):
        if _is_piece(segment):
            start, end = segment.offset + _SEGMENT_HEAD, segment.offset + len(segment.payload)
            parts.setdefault(segment.payload[6], (start, memoryview(data)[start:end]))
    return [parts[number] for number in sorted(parts)]


def _segments(data: bytes) -> Iterator[jpeg.Segment]:
    """Yield the segments of a JPEG, the one in which a file that is cut short ends among them."""
    yield from jpeg.segments(data)
    torn = jpeg.torn(data)
    if torn is not None:
        yield torn


def _is_piece(segment: jpeg.Segment) -> bool:
    payload = segment.payload
    return segment.marker == jpeg.APP1 and payload.startswith(_SEGMENT_MAGIC) and len(payload) > _SEGMENT_HEAD


def read_container(cursor: Cursor) -> Container:
    """Return the records of the frame at the start of `cursor`.

    Raises
    ------
    FormatError
        The header or the directory is damaged. A single record that begins outside the file is left out.
    """
    head = _head(cursor)
    table = cursor.part(head.start, head.count * _ENTRY, "FLIR directory", order=head.order)
    frame = Cursor(cursor.data, head.order, cursor.what, origins=cursor.origins)
    return Container(frame, _places(_entries(table, len(cursor))))


@dataclass(frozen=True)
class FrameLayout:
    """Where in a file a frame and its records lie (type -> offset in the frame and length), and its byte order."""

    offset: int
    length: int
    order: Order
    places: dict[int, tuple[int, int]]

    def record(self, file: MappedFile, kind: int) -> Cursor | None:
        """Return the record of a type; None where the frame has none."""
        if kind not in self.places:
            return None
        start, length = self.places[kind]
        start += self.offset
        return Cursor(file.read(start, length), self.order, f"FLIR record 0x{kind:02x}", origins=((0, start),))


def frame_layout(file: MappedFile, offset: int) -> FrameLayout:
    """Return where the frame at `offset` of a sequence ends, from its header and directory alone.

    Raises
    ------
    FormatError
        No frame begins there, or its directory is damaged.
    """
    what = "FLIR frame"
    head = _head(Cursor(file.read(offset, _HEADER), ">", what, origins=((0, offset),)))
    start = offset + head.start
    table = Cursor(file.read(start, head.count * _ENTRY), head.order, what, origins=((0, start),))
    entries = _entries(table, len(file) - offset)
    return FrameLayout(offset, _end(head, entries), head.order, _places(entries))


@dataclass(frozen=True)
class _Head:
    """Where the directory is, how many entries it has, and the byte order of both."""

    order: Order
    start: int
    count: int


@dataclass(frozen=True)
class _Entry:
    """One record of the directory: its type, and where in the frame it lies."""

    kind: int
    offset: int
    length: int


def _head(cursor: Cursor) -> _Head:
    if cursor.take(0, 4) not in MAGICS:
        raise cursor.error("does not begin with FFF or AFF", 0)
    cursor = cursor.part(0, _HEADER, cursor.what, order=_order(cursor))
    start, count = cursor.u32(0x18), cursor.u32(0x1C)
    if count > _MAX_RECORDS:
        raise cursor.error(f"a directory of {count} records; at most {_MAX_RECORDS} make sense", 0x1C)
    return _Head(cursor.order, start, count)


def _entries(table: Cursor, length: int) -> list[_Entry]:
    """Return the entries that are used and begin inside a frame of at most `length` bytes.

    A record that reaches over the end is as long as what is there of it: some files lack their last bytes, which
    nothing needs. Where something needs them, the record's own bounds say so.
    """
    used = [entry for entry in _declared(table) if entry.offset < length]
    return [replace(entry, length=min(entry.length, length - entry.offset)) for entry in used]


def _declared(table: Cursor) -> list[_Entry]:
    places = range(0, len(table) - _ENTRY + 1, _ENTRY)
    found = [_Entry(table.u16(place), table.u32(place + 12), table.u32(place + 16)) for place in places]
    return [entry for entry in found if entry.kind and entry.length]


def cut_short(cursor: Cursor) -> str:
    """Return what of a frame that was declared lies behind the end of its bytes; empty where nothing needed does.

    Raises
    ------
    FormatError
        The header is damaged.
    """
    if len(cursor) < _HEADER:
        return f"{len(cursor)} of the header's {_HEADER} bytes are there"
    head = _head(cursor)
    needed = head.start + head.count * _ENTRY
    if needed > len(cursor):
        return f"its directory reaches to byte {needed} of {len(cursor)}"
    table = cursor.part(head.start, head.count * _ENTRY, "FLIR directory", order=head.order)
    for entry in _declared(table):
        if entry.kind in _NEEDED and entry.offset + entry.length > len(cursor):
            return f"its {_NEEDED[entry.kind]} reach to byte {entry.offset + entry.length} of {len(cursor)}"
    return ""


def _places(entries: list[_Entry]) -> dict[int, tuple[int, int]]:
    # Of several records of one type the first counts: it comes last here.
    return {entry.kind: (entry.offset, entry.length) for entry in reversed(entries)}


def _end(head: _Head, entries: list[_Entry]) -> int:
    return max(_HEADER, head.start + head.count * _ENTRY, *(entry.offset + entry.length for entry in entries))


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
        return Cursor(record.data, "<", record.what, origins=record.origins)
    if int.from_bytes(head, "big") == mark:
        return Cursor(record.data, ">", record.what, origins=record.origins)
    raise record.error(f"begins with {head.hex()}, not with {mark} in either byte order", 0)
