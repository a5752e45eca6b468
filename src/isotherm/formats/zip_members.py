"""The members of a ZIP archive, found through its central directory and unpacked within bounds.

Layout: PKWARE's APPNOTE 6.3. Sizes are checked before anything is unpacked, and again while it is: the sizes that an
archive declares are claims, not facts.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from isotherm.core.errors import FormatError, TooLargeError
from isotherm.formats.cursor import Cursor

SIGNATURE = b"PK\3\4"
MAX_MEMBERS = 4096
_END, _ENTRY = b"PK\5\6", b"PK\1\2"
_END_BYTES, _LONGEST_COMMENT = 22, 0xFFFF
_STORED, _DEFLATED = 0, 8
# Deflate cannot pack better than this (a stored length of 258 bytes in 2 bits), so that more is a lie.
_MOST_RATIO = 1040


@dataclass(frozen=True)
class Member:
    """One packed file: ``packed`` and ``size`` [bytes] are what the directory declares, ``offset`` its local header."""

    name: str
    method: int
    encrypted: bool
    check: int
    packed: int
    size: int
    offset: int


def members(data: bytes, what: str) -> list[Member]:
    """Return the members in the order of the directory.

    Raises
    ------
    FormatError
        The directory is absent or damaged.
    TooLargeError
        It has more than `MAX_MEMBERS` members.
    """
    cursor = Cursor(data, "<", what)
    # The directory's end is the one thing of a ZIP that must be searched for: a comment of any length may follow it.
    end = data.rfind(_END, max(0, len(data) - _END_BYTES - _LONGEST_COMMENT))
    if end < 0:
        raise cursor.error("no directory at its end: cut short", len(data))
    count, place = cursor.u16(end + 10), cursor.u32(end + 16)
    if count > MAX_MEMBERS:
        raise TooLargeError(f"{what}: {count} members; at most {MAX_MEMBERS} are read", end)
    found = []
    for _ in range(count):
        found.append(_member(cursor, place))
        place += 46 + cursor.u16(place + 28) + cursor.u16(place + 30) + cursor.u16(place + 32)
    return found


def _member(cursor: Cursor, place: int) -> Member:
    if cursor.take(place, 4) != _ENTRY:
        raise cursor.error("the directory is damaged", place)
    return Member(
        name=cursor.text(place + 46, cursor.u16(place + 28)),
        method=cursor.u16(place + 10),
        encrypted=bool(cursor.u16(place + 8) & 1),
        check=cursor.u32(place + 16),
        packed=cursor.u32(place + 20),
        size=cursor.u32(place + 24),
        offset=cursor.u32(place + 42),
    )


def beginning(data: bytes, member: Member, what: str, most: int) -> bytes:
    """Return the first bytes of a member, at most `most`; raises FormatError where it is damaged."""
    return _unpacked(data, member, what, min(most, member.size))


def unpacked(data: bytes, member: Member, what: str, most: int) -> bytes:
    """Return a whole member.

    Raises
    ------
    TooLargeError
        It declares more than `most` bytes; nothing was unpacked.
    FormatError
        It is damaged, encrypted, packed in another way, or not of the size that it declares.
    """
    if member.size > most:
        raise TooLargeError(f"{what}: {member.name!r} of {member.size} bytes; at most {most} are unpacked")
    if member.size > _MOST_RATIO * (member.packed + 1):
        raise FormatError(f"{what}: {member.name!r} cannot hold {member.size} bytes in {member.packed}", member.offset)
    raw = _unpacked(data, member, what, member.size)
    if len(raw) != member.size or zlib.crc32(raw) != member.check:
        raise FormatError(f"{what}: {member.name!r} is damaged (size or check sum)", member.offset)
    return raw


def _unpacked(data: bytes, member: Member, what: str, most: int) -> bytes:
    cursor = Cursor(data, "<", what)
    if cursor.take(member.offset, 4) != SIGNATURE:
        raise cursor.error(f"{member.name!r} is not where the directory says", member.offset)
    start = member.offset + 30 + cursor.u16(member.offset + 26) + cursor.u16(member.offset + 28)
    raw = cursor.take(start, member.packed)
    if member.encrypted or member.method not in (_STORED, _DEFLATED):
        how = "encrypted" if member.encrypted else f"packed by method {member.method}"
        raise cursor.error(f"{member.name!r} is {how}, which is not read", member.offset)
    if member.method == _STORED:
        return raw[:most]
    try:
        # A limit of 0 would mean none.
        return zlib.decompressobj(-15).decompress(raw, most) if most else b""
    except zlib.error as error:
        raise cursor.error(f"{member.name!r}: damaged deflate data ({error})", start) from error
