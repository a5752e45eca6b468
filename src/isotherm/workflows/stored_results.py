"""Results of a run as it has written them down: they are read again whenever they are gone through."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, starmap
from typing import overload

from isotherm.core.findings import ImageResult
from isotherm.reports.content import LISTED
from isotherm.reports.plain import from_plain
from isotherm.workflows.run_folder import NOT_WRITTEN, damaged


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
    journal
        The journal that they are in from its second line on, for errors; empty for none.
    """

    def __init__(self, lines: Callable[[], Iterable[str]], count: int, journal: str = "") -> None:
        self._lines, self._count, self._journal = lines, count, journal

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[ImageResult]:
        return starmap(self._result, enumerate(self._lines()))

    @overload
    def __getitem__(self, index: int) -> ImageResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[ImageResult, ...]: ...
    def __getitem__(self, index: int | slice) -> ImageResult | tuple[ImageResult, ...]:
        if isinstance(index, int):
            place = range(self._count)[index]
            return self._result(place, next(islice(self._lines(), place, None)))
        wanted = range(self._count)[index]
        found = {place: line for place, line in enumerate(self._lines()) if place in wanted}
        return tuple(self._result(place, found[place]) for place in wanted)

    def _result(self, place: int, line: str) -> ImageResult:
        try:
            return from_plain(ImageResult, json.loads(line))
        except NOT_WRITTEN as error:
            if not self._journal:
                raise
            raise damaged(self._journal, place + 2, error) from error


def stored_results(lines: Callable[[], Iterable[str]], count: int, journal: str = "") -> Sequence[ImageResult]:
    """Return the results of a run: in memory, unless they are more than a report lists; see `StoredResults`."""
    found = StoredResults(lines, count, journal)
    return found if count > LISTED else tuple(found)
