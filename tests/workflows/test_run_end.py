"""The end of a run: what many results say is what few would say, and takes no more memory."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pyarrow import dataset

from isotherm.core.errors import OutputError
from isotherm.core.findings import ImageResult, Inspection
from isotherm.reports import REPORT_WRITERS, columns
from isotherm.reports.content import Gathering, build_report
from isotherm.reports.plain import dumps, from_plain
from isotherm.testing.reports import sample_reports
from isotherm.workflows import run_end, stored_results
from isotherm.workflows.columns_output import ColumnsTarget
from isotherm.workflows.run_end import RunEnd
from isotherm.workflows.run_folder import JOURNAL, journal_lines, write_journal
from isotherm.workflows.run_place import FolderPlace
from isotherm.workflows.stored_results import StoredResults

FRAME = sample_reports()["a model"].inspection
SAMPLES = [
    replace(result, panel="", mask="")
    for name in ("a model", "hotspots")
    for result in sample_reports()[name].inspection.results
]
FORMS = ("html", "json", "csv")


def rows(count: int) -> Iterator[str]:
    """Yield results of every kind, as a ledger or a journal holds them."""
    for number in range(count):
        yield dumps(replace(SAMPLES[number % len(SAMPLES)], image=f"{number:06}.jpg"))


Lines = Callable[[int], Iterator[str]]


def stored(count: int, lines: Lines = rows) -> StoredResults:
    return StoredResults(lambda: lines(count), count)


def ended(out: Path, count: int, look: Callable[[ImageResult], None] | None = None, lines: Lines = rows) -> Path:
    """Write the end of a run of so many results that are read from their lines."""
    out.mkdir()
    tables = ColumnsTarget.open(out / "tables")
    run = replace(FRAME, results=stored(count, lines))
    RunEnd(FolderPlace(out), run, FORMS, tables, look).write(lambda: {"images": count})
    return out


@pytest.fixture
def few_listed(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(run_end, "LISTED", 20)
    monkeypatch.setattr(stored_results, "LISTED", 20)
    return 20


def test_the_end_tells_how_far_it_is(tmp_path: Path) -> None:
    told = list[tuple[int, int, str]]()
    tmp_path.joinpath("out").mkdir()
    run = replace(FRAME, results=stored(7))
    end = RunEnd(FolderPlace(tmp_path / "out"), run, FORMS, progress=lambda *words: told.append(words))
    end.write(dict)
    assert [step for step in told if step[2] == "writing tables"] == [(n, 7, "writing tables") for n in range(1, 8)]
    assert [step[:2] for step in told if step[2] == "writing results.json"] == [(n, 7) for n in range(1, 8)]
    assert told[-1][:2] == (7, 7)
    assert (1, 1, "writing report.html") in told


@pytest.mark.slow
def test_memory_does_not_grow_with_the_results(
    tmp_path: Path, few_listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_LOOSE_ROWS", 32)
    monkeypatch.setattr(columns, "GROUP_ROWS", 96)

    def peak_bytes(do: Callable[[], object]) -> int:
        gc.collect()
        tracemalloc.start()
        kept = do()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del kept
        return most

    def cleared(count: int) -> Iterator[str]:
        """Take away what waits for Python's collector, which is no matter of ours."""
        for number, row in enumerate(rows(count)):
            if number % 10 == 0:
                gc.collect()
            yield row

    # The first one loads modules, too. What is there before is not looked through each time.
    ended(tmp_path / "first", 30)
    gc.collect()
    gc.freeze()
    few, many = (peak_bytes(partial(ended, tmp_path / f"{count}", count, lines=cleared)) for count in (200, 800))
    held = peak_bytes(lambda: tuple(stored(600)))
    gc.unfreeze()
    assert many - few < held / 4


def test_many_results_are_written_as_few_would_be(tmp_path: Path, few_listed: int) -> None:
    out, count = ended(tmp_path / "many", 100), 100
    report = build_report(replace(FRAME, results=tuple(stored(count))))
    assert (out / "results.csv").read_bytes() == REPORT_WRITERS.get("csv").render(report)
    found, whole = json.loads((out / "results.json").read_text()), json.loads(REPORT_WRITERS.get("json").render(report))
    assert found.pop("worst_first") == whole.pop("worst_first")[:few_listed]
    assert found == whole
    tables = dataset.dataset(out / "tables" / "results", format="parquet").to_table()
    assert tables.column("image").to_pylist() == [result.image for result in report.inspection.results]


def test_the_page_of_many_says_what_it_leaves_out(tmp_path: Path, few_listed: int) -> None:
    page = (ended(tmp_path / "many", 200) / "report.html").read_text()
    failed = sum(result.status == "failed" for result in stored(200))
    assert f"The worst 20 of {200 - failed} pictures, worst first; results.csv has all" in page
    assert f"The first 20 of {failed} files; results.csv has the reason of each" in page
    assert page.count("<tr>") < 200
    worst = Gathering(FRAME.model, most=1)
    for result in stored(200):
        worst.add(result)
    assert worst.ranked[0].image in page


def test_the_page_of_few_lists_all(tmp_path: Path) -> None:
    page = (ended(tmp_path / "few", 60) / "report.html").read_text()
    read = sum(result.status == "ok" for result in stored(60))
    assert f"{read} pictures, in input order" in page
    assert f"The worst {read}" not in page
    assert all(json.loads(row)["image"] in page for row in rows(60))


def test_run_json_is_laid_out_as_ever(tmp_path: Path) -> None:
    text = (ended(tmp_path / "few", 30) / "run.json").read_text()
    run = json.loads(text)
    assert text == json.dumps(run, indent=1, ensure_ascii=False) + "\n"
    assert run["inputs"] == {result.image: result.digest for result in stored(30)}
    assert list(run["outputs"]) == ["report.html", "results.json", "results.csv"]
    assert (run["totals"]["images"], run["images"]) == (30, 30)


def test_the_files_are_those_that_run_json_tells(tmp_path: Path) -> None:
    from isotherm.core.files import sha256

    out = ended(tmp_path / "few", 30)
    for name, digest in json.loads((out / "run.json").read_text())["outputs"].items():
        assert sha256((out / name).read_bytes()) == digest


def test_each_result_is_shown_once_in_order(tmp_path: Path) -> None:
    seen = list[str]()
    ended(tmp_path / "few", 30, lambda result: seen.append(result.image))
    assert seen == [f"{number:06}.jpg" for number in range(30)]


def test_the_bounded_gathering_holds_the_worst_in_the_same_order() -> None:
    results = list(stored(300))
    bounded = Gathering(FRAME.model, most=37)
    for result in results:
        bounded.add(result)
    report, whole = bounded.report(FRAME), build_report(replace(FRAME, results=results))
    assert report.ranked == whole.ranked[:37]
    assert report.failed == whole.failed[:37]
    assert not report.complete
    assert whole.complete
    for name in ("totals", "grades", "parameters", "limits", "attention", "unjudged", "hottest_c"):
        assert getattr(report, name) == getattr(whole, name)


def test_stored_results_are_a_sequence() -> None:
    found, expected = stored(25), [from_plain(ImageResult, json.loads(row)) for row in rows(25)]
    assert list(found) == list(found) == expected
    assert (len(found), found[0], found[-1]) == (25, expected[0], expected[-1])
    assert found[3:9:2] == tuple(expected[3:9:2])
    assert found[-3:] == tuple(expected[-3:])
    assert found[::-6] == tuple(expected[::-6])
    with pytest.raises(IndexError):
        found[25]


def test_few_results_are_in_memory(few_listed: int) -> None:
    assert isinstance(stored_results.stored_results(lambda: rows(20), 20), tuple)
    assert isinstance(stored_results.stored_results(lambda: rows(21), 21), StoredResults)


def test_results_are_read_again_from_the_journal(tmp_path: Path) -> None:
    place = FolderPlace(tmp_path)
    write_journal(place, {"identity": {}}, rows(12))
    assert [json.loads(line) for line in journal_lines(place)] == [json.loads(row) for row in rows(12)]
    (tmp_path / JOURNAL).unlink()
    with pytest.raises(OutputError, match=r"cannot read .*journal.jsonl"):
        next(journal_lines(place))


def test_no_results_are_files_all_the_same(tmp_path: Path) -> None:
    out = ended(tmp_path / "none", 0)
    assert json.loads((out / "run.json").read_text())["inputs"] == {}
    assert json.loads((out / "results.json").read_text())["results"] == []
    assert Inspection((), "", "").results == ()
