"""TIFF directories, which EXIF uses too: read tag by tag without trust, and written again byte for byte.

Layout: TIFF 6.0; 64-bit offsets: the BigTIFF design of the libtiff project.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from isotherm.core.errors import FormatError
from isotherm.formats.cursor import Cursor, Order

BYTE, TEXT, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5
# Type of a value -> size of one item [bytes] and how to unpack it ("" for what is no number).
_TYPES = {
    BYTE: (1, "B"), TEXT: (1, ""), SHORT: (2, "H"), LONG: (4, "I"), RATIONAL: (8, "I"), 6: (1, "b"), 7: (1, ""),
    8: (2, "h"), 9: (4, "i"), 10: (8, "i"), 11: (4, "f"), 12: (8, "d"), 13: (4, "I"), 16: (8, "Q"), 17: (8, "q"),
    18: (8, "Q"),
}  # fmt: skip
_MAX_ENTRIES = 512
_MAX_VALUE_BYTES = 256 * 1024
_MAX_DIRECTORIES = 1000


@dataclass(frozen=True)
class Entry:
    """One tag's value: its type, the number of items, and their bytes in the block's order."""

    kind: int
    count: int
    raw: bytes

    def text(self) -> str:
        """Return a text value without what cannot be printed; empty for any other type."""
        if self.kind != TEXT:
            return ""
        text = self.raw.split(b"\0", 1)[0].decode("utf-8", "replace")
        return "".join(letter for letter in text if letter.isprintable()).strip()

    def numbers(self, order: Order, most: int = 64) -> tuple[float, ...]:
        """Return at most `most` numbers; fractions as quotients, NaN where the denominator is 0."""
        size, code = _TYPES[self.kind]
        if not code:
            return ()
        count = min(self.count, most)
        if self.kind in (5, 10):
            parts = struct.unpack(f"{order}{2 * count}{code}", self.raw[: size * count])
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return tuple(above / below if below else float("nan") for above, below in pairs)
        return struct.unpack(f"{order}{count}{code}", self.raw[: size * count])


Directory = dict[int, Entry]


def text_entry(text: str) -> Entry:
    """Return a text value, ended by a zero byte."""
    raw = text.encode("utf-8") + b"\0"
    return Entry(TEXT, len(raw), raw)


def numbers_entry(order: Order, kind: int, *numbers: int) -> Entry:
    """Return a value of whole numbers; a rational takes two for each item."""
    size, code = _TYPES[kind]
    raw = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
    return Entry(kind, len(raw) // size, raw)


def swapped(directory: Directory) -> Directory:
    """Return a directory whose numbers are in the other byte order."""
    return {tag: Entry(entry.kind, entry.count, _swapped(entry)) for tag, entry in directory.items()}


def _swapped(entry: Entry) -> bytes:
    size, code = _TYPES[entry.kind]
    # A fraction is two numbers of half its size.
    width = size // 2 if entry.kind in (5, 10) else size
    if not code or width == 1:
        return entry.raw
    return b"".join(entry.raw[start : start + width][::-1] for start in range(0, len(entry.raw), width))


@dataclass(frozen=True)
class Layout:
    """How a TIFF structure is laid out: its byte order and the sizes [bytes] of counts, entries and offsets."""

    order: Order
    count_bytes: int = 2
    entry_bytes: int = 12
    offset_bytes: int = 4

    def unsigned(self, cursor: Cursor, place: int, size: int) -> int:
        """Return the unsigned number of `size` bytes at `place`."""
        return int.from_bytes(cursor.take(place, size), "little" if self.order == "<" else "big")

    def first(self, cursor: Cursor) -> int:
        """Return where the first directory lies."""
        return self.unsigned(cursor, self.offset_bytes, self.offset_bytes)

    def entries(self, cursor: Cursor, offset: int) -> Iterator[int]:
        """Yield where each entry of the directory at `offset` lies."""
        count = min(self.unsigned(cursor, offset, self.count_bytes), _MAX_ENTRIES)
        start = offset + self.count_bytes
        yield from range(start, start + count * self.entry_bytes, self.entry_bytes)

    def next(self, cursor: Cursor, offset: int) -> int:
        """Return where the directory behind the one at `offset` lies; 0 for none."""
        count = self.unsigned(cursor, offset, self.count_bytes)
        return self.unsigned(cursor, offset + self.count_bytes + count * self.entry_bytes, self.offset_bytes)

    def value_place(self, entry: int) -> int:
        """Return where the value field of the entry at `entry` lies."""
        return entry + 4 + self.offset_bytes


def layout_of(block: bytes) -> Layout | None:
    """Return the layout of a TIFF structure, classic or BigTIFF; None where this is none."""
    return {
        b"II*\0": Layout("<"),
        b"MM\0*": Layout(">"),
        b"II+\0": Layout("<", 8, 20, 8),
        b"MM\0+": Layout(">", 8, 20, 8),
    }.get(block[:4])


def read_directory(cursor: Cursor, layout: Layout, offset: int) -> Directory:
    """Return the directory at `offset`; damaged, unknown and overlong values are left out."""
    found: Directory = {}
    try:
        for place in layout.entries(cursor, offset):
            entry = _entry(cursor, layout, place)
            if entry is not None:
                found.setdefault(layout.unsigned(cursor, place, 2), entry)
    except FormatError:
        # The directory is cut short: what was read before the cut is still good.
        return found
    return found


def _entry(cursor: Cursor, layout: Layout, place: int) -> Entry | None:
    kind = layout.unsigned(cursor, place + 2, 2)
    count = layout.unsigned(cursor, place + 4, layout.offset_bytes)
    size = _TYPES.get(kind, (0, ""))[0] * count
    if not 0 < size <= _MAX_VALUE_BYTES:
        return None
    field = layout.value_place(place)
    start = field if size <= layout.offset_bytes else layout.unsigned(cursor, field, layout.offset_bytes)
    return Entry(kind, count, cursor.take(start, size)) if start + size <= len(cursor) else None


def directory_offsets(cursor: Cursor, layout: Layout) -> list[int]:
    """Return where the directories of the chain lie; it ends where it is damaged or goes in a circle."""
    found: list[int] = []
    try:
        offset = layout.first(cursor)
        while offset and offset not in found and len(found) < _MAX_DIRECTORIES:
            following = layout.next(cursor, offset)
            found.append(offset)
            offset = following
    except FormatError:
        return found
    return found


def encode(order: Order, main: Mapping[int, Entry], nested: Mapping[int, Directory], body: bytes = b"") -> bytes:
    """Return a TIFF structure: header, `body` (at byte 8), the main directory, and each nested one at its tag."""
    body += b"\0" * (len(body) % 2)
    start = 8 + len(body)
    pointers = {tag: Entry(LONG, 1, b"\0\0\0\0") for tag in nested}
    position = start + len(_directory(order, {**main, **pointers}, start))
    blocks = []
    for tag, directory in nested.items():
        pointers[tag] = numbers_entry(order, LONG, position)
        blocks.append(_directory(order, directory, position))
        position += len(blocks[-1])
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", start)
    return head + body + _directory(order, {**main, **pointers}, start) + b"".join(blocks)


def _directory(order: Order, entries: Mapping[int, Entry], start: int) -> bytes:
    """Return a directory that will lie at byte `start`, its values behind it."""
    table, values = [], b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag, entry in sorted(entries.items()):
        field = entry.raw.ljust(4, b"\0")
        if len(entry.raw) > 4:
            field = struct.pack(order + "I", behind + len(values))
            values += entry.raw + b"\0" * (len(entry.raw) % 2)
        table.append(struct.pack(order + "HHI", tag, entry.kind, entry.count) + field)
    return struct.pack(order + "H", len(table)) + b"".join(table) + b"\0\0\0\0" + values
