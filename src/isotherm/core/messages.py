"""Text from outside as it may stand in one line of a log or an answer."""

from __future__ import annotations

import unicodedata

LONGEST = 500
"""Letters that one message may have."""


def clean(text: str) -> str:
    """Return a message without control letters, cut to what one line may have."""
    shown = "".join(letter if unicodedata.category(letter)[0] != "C" else " " for letter in text[: 2 * LONGEST])
    shown = " ".join(shown.split())
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
