"""Long lists of ids or digests, a question of the database at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

NAMED = 500
"""How many values one question names."""


def in_pieces(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield all values in their order, as many at a time as one question names."""
    for start in range(0, len(values), NAMED):
        yield values[start : start + NAMED]
