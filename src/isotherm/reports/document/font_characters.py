"""Which characters a face of a font has, from its table ``cmap`` alone.

fontTools names each glyph when it reads that table, which takes a second or more for a Chinese font.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt16

_MOST = 0x110000
_UNICODE = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3), (0, 2), (0, 1), (0, 0))
"""Platforms and encodings of tables with Unicode's numbers, the most complete first; see OpenType, ``cmap``."""


def characters_of(cmap: bytes) -> frozenset[int]:
    """Return the code points in a table ``cmap``; none where it has no Unicode table of format 4, 12 or 13.

    Raises
    ------
    ValueError
        The table is damaged.
    """
    count = int(_words(cmap, 2, 1)[0])
    records = np.frombuffer(cmap, np.dtype([("key", ">u2", 2), ("offset", ">u4")]), count, 4)
    places = {(int(one["key"][0]), int(one["key"][1])): int(one["offset"]) for one in records}
    for key in _UNICODE:
        if key in places and (found := _of_table(cmap, places[key])) is not None:
            return found
    return frozenset()


def _of_table(cmap: bytes, start: int) -> frozenset[int] | None:
    match int(_words(cmap, start, 1)[0]):
        case 4:
            return _of_segments(cmap, start)
        case 12 | 13:
            return _of_groups(cmap, start)
        case _:
            return None


def _of_groups(cmap: bytes, start: int) -> frozenset[int]:
    """Return the characters of formats 12 and 13: groups of first, last and glyph; glyph 0 stands for a missing one."""
    count = int(np.frombuffer(cmap, ">u4", 1, start + 12)[0])
    groups = np.frombuffer(cmap, ">u4", 3 * count, start + 16).reshape(count, 3).astype(np.int64)
    if count and int((groups[:, 1] - groups[:, 0] + 1).clip(0).sum()) > _MOST:
        raise ValueError("a font with more characters than Unicode")
    found: set[int] = set()
    for first, last, glyph in groups.tolist():
        found.update(range(first + (glyph == 0), last + 1))
    return frozenset(found)


def _of_segments(cmap: bytes, start: int) -> frozenset[int]:
    """Return the characters of format 4: segments whose glyphs are computed, or looked up behind them."""
    segments = int(_words(cmap, start + 6, 1)[0]) // 2
    lasts, firsts, deltas, ranges = (
        _words(cmap, start + 14 + 2 * segments * place + (2 if place else 0), segments).astype(np.int64)
        for place in range(4)
    )
    offsets = start + 16 + 6 * segments + 2 * np.arange(segments)
    found: set[int] = set()
    for first, last, delta, shift, at in zip(firsts, lasts, deltas, ranges, offsets, strict=True):
        codes = np.arange(first, min(last, 0xFFFE) + 1)
        # The last segment, which holds 0xFFFF alone, leads nowhere in some fonts.
        if not codes.size:
            continue
        if shift:
            looked_up = _words(cmap, int(at + shift), len(codes)).astype(np.int64)
            there = (looked_up != 0) & ((looked_up + delta) % 0x10000 != 0)
        else:
            there = (codes + delta) % 0x10000 != 0
        found.update(codes[there].tolist())
    return frozenset(found)


def _words(data: bytes, start: int, count: int) -> UInt16[np.ndarray, " N"]:
    return np.frombuffer(data, ">u2", count, start).astype(np.uint16)
