"""Identifiers: UUID version 7 as text, so that sorting by id sorts by the time of making.

Reference: RFC 9562, section 5.7.
"""

from __future__ import annotations

import secrets
import time
import uuid


def new_id() -> str:
    """Return a fresh identifier of 36 characters."""
    stamp = time.time_ns() // 1_000_000
    bits = (stamp & (1 << 48) - 1) << 80 | secrets.randbits(80)
    version, variant = 0x7 << 76, 0x2 << 62
    return str(uuid.UUID(int=bits & ~(0xF << 76) & ~(0x3 << 62) | version | variant))


def first_id(at_ms: int) -> str:
    """Return the identifier that sorts before all that are made from a moment on [ms since 1970]."""
    return str(uuid.UUID(int=at_ms << 80 | 0x7 << 76 | 0x2 << 62))


def is_id(text: str) -> bool:
    """Say whether a text is written exactly as `new_id` writes one; nothing else reaches a query or a path."""
    try:
        found = uuid.UUID(text)
    except ValueError:
        return False
    return str(found) == text and found.version == 7
