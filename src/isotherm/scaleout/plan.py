"""A run: its items and chunks, and the errors of who may work on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isotherm.core.errors import ConflictError


class LeaseLostError(ConflictError):
    """Another process has taken the run over; what this one still does is of no use."""


@dataclass(frozen=True)
class Plan:
    """What a run is: its name, what its rows depend on, what it says about itself, its items and their chunks.

    Parameters
    ----------
    identity
        Plain values; a run is only continued where they are the same.
    about
        Plain values that are kept from its beginning (when it was started).
    items, chunk
        How many items there are, and how many make a chunk.
    """

    name: str
    identity: Mapping[str, Any]
    about: Mapping[str, Any]
    items: int
    chunk: int

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return -(-self.items // self.chunk)

    def places(self, number: int) -> range:
        """Return the places of a chunk's items."""
        return range(number * self.chunk, min(self.items, (number + 1) * self.chunk))


class OtherRunError(ConflictError):
    """A run of this name was begun with another identity.

    Attributes
    ----------
    stored
        The identity that it was begun with.
    """

    def __init__(self, stored: Mapping[str, Any]) -> None:
        super().__init__("the run was begun with other input or settings")
        self.stored = stored
