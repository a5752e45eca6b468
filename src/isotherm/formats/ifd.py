"""TIFF directories, which EXIF uses too: read tag by tag without trust, and written again byte for byte (TIFF 6.0)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from isotherm.core.errors import FormatError
from isotherm.formats.cursor import Cursor, Order

BYTE, TEXT, SHORT, LONG, RATIONAL = 1, 2, 3, 4, 5
# Type of a value -> size of one item [bytes] and how to unpack it ("" for what is no number).
_TYPES = {
    BYTE: (1, "B"), TEXT: (1, ""), SHORT: (2, "H"), LONG: (4, "I"), RATIONAL: (8, "I"), 6: (1, "b"), 7: (1, ""),
    8: (2, "h"), 9: (4, "i"), 10: (8, "i"), 11: (4, "f"), 12: (8, "d"),
}  # fmt: skip
_MAX_ENTRIES = 512
_MAX_VALUE_BYTES = 64 * 1024


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


def order_of(block: bytes) -> Order | None:
    """Return the byte order of a classic TIFF structure; None where this is none."""
    return cast("Order | None", {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4]))


def read_directory(cursor: Cursor, offset: int) -> Directory:
    """Return the directory at `offset`; damaged, unknown and overlong values are left out."""
    found: Directory = {}
    try:
        for index in range(min(cursor.u16(offset), _MAX_ENTRIES)):
            place = offset + 2 + 12 * index
            entry = _entry(cursor, place)
            if entry is not None:
                found.setdefault(cursor.u16(place), entry)
    except FormatError:
        # The directory is cut short: what was read before the cut is still good.
        return found
    return found


def _entry(cursor: Cursor, place: int) -> Entry | None:
    kind, count = cursor.u16(place + 2), cursor.u32(place + 4)
    size = _TYPES.get(kind, (0, ""))[0] * count
    if not 0 < size <= _MAX_VALUE_BYTES:
        return None
    start = place + 8 if size <= 4 else cursor.u32(place + 8)
    return Entry(kind, count, cursor.take(start, size)) if start + size <= len(cursor) else None


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
