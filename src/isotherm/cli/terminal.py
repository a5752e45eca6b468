"""What may be written to a terminal: names and reasons come from files that others have named."""

from __future__ import annotations


def harmless(text: str) -> str:
    """Return text as one line that a terminal shows and does not obey."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
