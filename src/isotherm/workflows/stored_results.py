"""Results of a run as it has written them down: they are read again whenever they are gone through."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

from isotherm.core.findings import ImageResult
from isotherm.reports.content import LISTED
from isotherm.reports.plain import from_plain


class StoredResults(Sequence[ImageResult]):
    """More results than should be in memory together, in input order.

    Going through them takes half a millisecond each; one that is asked for by its place is found by reading those
    before it.

    Parameters
    ----------
    lines
        Returns the results as JSON, one a line, from the first one on.
    count
        How many there are.
    """

    def __init__(self, lines: Callable[[], Iterable[str]], count: int) -> None:
        self._lines, self._count = lines, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ImageResult]:
        return map(_result, self._lines())

    @overload
    def __getitem__(self, index: int) -> ImageResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ImageResult, ...]: ...
    def __getitem__(self, index: int | slice) -> ImageResult | tuple[ImageResult, ...]:
        if isinstance(index, int):
            return _result(next(islice(self._lines(), range(self._count)[index], None)))
        wanted = range(self._count)[index]
        found = {place: line for place, line in enumerate(self._lines()) if place in wanted}
        return tuple(_result(found[place]) for place in wanted)


def stored_results(lines: Callable[[], Iterable[str]], count: int) -> Sequence[ImageResult]:
    """Return the results of a run: in memory, unless they are more than a report lists."""
    found = StoredResults(lines, count)
    return found if count > LISTED else tuple(found)


def _result(line: str) -> ImageResult:
    return from_plain(ImageResult, json.loads(line))
