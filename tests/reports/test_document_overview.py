"""Reports of many pictures: everything is counted, the worst are shown, and little is held."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ConfigError
from isotherm.core.findings import ImageResult
from isotherm.reports.content import badness, needs_attention
from isotherm.reports.document import building, overview
from isotherm.reports.document.building import DocumentSettings, build_document
from isotherm.reports.document.content import Document
from isotherm.reports.document.overview import MOST_LISTED
from isotherm.reports.plain import dumps, from_plain
from isotherm.testing.reports import sample_reports

SAMPLE = sample_reports()["hotspots"].inspection
FRAME = replace(SAMPLE, results=())
COLD, BROKEN, MILD, HOT, PLAIN = SAMPLE.results


def many(each: ImageResult, count: int) -> Iterator[ImageResult]:
    # From JSON, as results come from a run: nothing is shared.
    line = dumps(each)
    for number in range(count):
        yield replace(from_plain(ImageResult, json.loads(line)), image=f"{number:06}.jpg")


def built(results: Iterator[ImageResult] | list[ImageResult], **chosen: object) -> Document:
    return build_document(FRAME, DocumentSettings(**chosen), results=results)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(SAMPLE.results), max_size=30), st.sampled_from(["picture", "region"]))
def test_results_one_by_one_give_the_same_report_as_all_at_once(results: list[ImageResult], per: str) -> None:
    named = [replace(result, image=f"{number}.jpg") for number, result in enumerate(results)]
    whole = build_document(replace(FRAME, results=tuple(named)), DocumentSettings(per=per))  # type: ignore[arg-type]

    streamed = built(iter(named), per=per)
    assert vars(streamed) == {**vars(whole), "faults": streamed.faults}
    assert [fault.numbers for fault in streamed.faults] == [fault.numbers for fault in whole.faults]
    # The order of verdicts is that of the faults.
    assert [row.badge for row in whole.grades] == [badge for badge, _ in groupby(fault.badge for fault in whole.faults)]


def test_every_picture_is_counted_where_the_worst_are_shown() -> None:
    results = [*many(MILD, 7), replace(HOT, image="hot.jpg"), *many(COLD, 3)]
    document = built(results, worst=2)

    assert [fault.image for fault in document.faults] == ["hot.jpg", "000000.jpg"]
    assert document.total == 8
    assert dict(document.counts)["faults"] == "8"
    assert sum(row.count for row in document.grades) == 8
    assert "This report shows the worst faults: 2 of 8." in document.lead
    assert "worst faults" not in built(results).lead


def test_too_many_pages_are_refused_with_what_to_do_before_a_picture_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MOST_PAGES", 20)
    results = list(many(MILD, 21))

    def drawn(_: object) -> dict[str, object]:
        raise AssertionError("nothing is drawn")

    with pytest.raises(ConfigError, match=r"21 faults would have a page each; .*--worst 100.*report\.csv.*brief"):
        build_document(FRAME, results=results, pictures=drawn)  # type: ignore[arg-type]
    assert len(built(results).faults) == 21
    with pytest.raises(ConfigError, match="at least 1 fault"):
        DocumentSettings(worst=0)


@pytest.mark.parametrize(("each", "table"), [(COLD, "without_fault"), (PLAIN, "unjudged"), (BROKEN, "unread")])
def test_what_has_no_page_is_listed_up_to_a_length_and_then_counted(each: ImageResult, table: str) -> None:
    rows = getattr(built(many(each, MOST_LISTED + 12)), table).rows

    assert len(rows) == MOST_LISTED + 1
    assert rows[0][0] == "000000.jpg"
    assert rows[-1][0] == "and 12 more"


def test_what_needs_no_attention_is_never_ranked_before_what_does() -> None:
    ranked = sorted((result for result in SAMPLE.results if result.status == "ok"), key=badness, reverse=True)
    needed = [needs_attention(result) for result in ranked]

    assert needed == sorted(needed, reverse=True)


def most_bytes(make: Callable[[Iterator[ImageResult]], object], count: int) -> int:
    """Return the most memory that is taken with so many pictures, one in ten of them with a fault."""
    quiet = replace(MILD, findings=tuple(replace(finding, severity=None) for finding in MILD.findings))
    results = (HOT if number % 10 == 0 else result for number, result in enumerate(many(quiet, count)))
    tracemalloc.start()
    try:
        make(results)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_report_of_all_faults_holds_no_other_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_LISTED", 20)

    def reported(results: Iterator[ImageResult]) -> Document:
        return built(result for result in results if result is not HOT)

    most_bytes(reported, 30)
    assert most_bytes(reported, 300) - most_bytes(reported, 100) < 0.1 * most_bytes(list, 200)


def test_memory_does_not_grow_with_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "MOST_LISTED", 20)

    def reported(results: Iterator[ImageResult]) -> Document:
        return built(results, worst=3)

    most_bytes(reported, 30)
    # Not none at all: the interpreter keeps small tuples for others.
    assert most_bytes(reported, 300) - most_bytes(reported, 100) < 0.1 * most_bytes(list, 200)
