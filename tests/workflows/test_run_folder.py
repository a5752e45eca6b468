from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from isotherm.core.errors import OutputError
from isotherm.core.findings import ImageResult
from isotherm.reports.plain import dumps
from isotherm.testing.reports import sample_reports
from isotherm.workflows.going_on import telling_how
from isotherm.workflows.run_folder import (
    JOURNAL,
    DamagedJournalError,
    Existing,
    Journal,
    journal_lines,
    open_run,
    run_results,
    write_journal,
)
from isotherm.workflows.run_place import FolderPlace
from isotherm.workflows.stored_results import StoredResults

HEADER: dict[str, Any] = {"started_at": "now", "identity": {"scene": {"emissivity": 0.9}, "input_files": "ab"}}
RESULTS = [result for result in sample_reports()["a model"].inspection.results if not (result.panel or result.mask)] + [
    ImageResult(f"{number}.jpg", "failed", error="ß") for number in range(5)
]


def begun(out: Path, count: int = 3) -> None:
    journal = open_run(FolderPlace(out), HEADER, "refuse")
    journal.append(RESULTS[:count])
    journal.close()


def again(out: Path, existing: Existing, header: dict[str, Any] = HEADER) -> Journal:
    journal = open_run(FolderPlace(out), header, existing)
    journal.close()
    return journal


def kept(out: Path, existing: Existing) -> list[ImageResult]:
    """Open a run once more, and return what of it is kept."""
    done = again(out, existing).done
    found = list(run_results(FolderPlace(out)))
    assert len(found) == done
    return found


def test_a_journal_gives_back_what_was_appended(tmp_path: Path) -> None:
    begun(tmp_path / "new" / "run")
    journal = again(tmp_path / "new" / "run", "resume")

    assert journal.done == 3
    assert list(run_results(FolderPlace(tmp_path / "new" / "run"))) == RESULTS[:3]
    assert journal.header["started_at"] == "now"


def test_a_line_that_was_being_written_is_cut_off(tmp_path: Path) -> None:
    begun(tmp_path)
    path = tmp_path / JOURNAL
    whole = path.read_bytes()
    for cut in (1, 10, len(whole.splitlines(keepends=True)[-1]) - 1):
        path.write_bytes(whole[:-cut])
        assert kept(tmp_path, "resume") == RESULTS[:2]
        assert path.read_bytes() == b"".join(whole.splitlines(keepends=True)[:3])
        path.write_bytes(whole)


def test_what_follows_a_cut_is_appended_behind_it(tmp_path: Path) -> None:
    begun(tmp_path)
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-5])
    journal = open_run(FolderPlace(tmp_path), HEADER, "resume")
    journal.append(RESULTS[2:5])
    journal.close()

    assert kept(tmp_path, "resume") == RESULTS[:5]


def test_a_run_killed_before_its_header_was_written_starts_anew(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b'{"format_ver')

    assert kept(tmp_path, "resume") == []
    assert json.loads((tmp_path / JOURNAL).read_bytes())["identity"] == HEADER["identity"]


def test_resuming_nothing_is_starting(tmp_path: Path) -> None:
    assert kept(tmp_path / "new", "resume") == []


def test_changed_settings_are_named_and_refused(tmp_path: Path) -> None:
    begun(tmp_path)
    changed = {**HEADER, "identity": {"scene": {"emissivity": 0.95}, "input_files": "cd"}}

    with pytest.raises(OutputError, match=r"other input or settings \(emissivity, input files\)"):
        again(tmp_path, "resume", changed)
    assert kept(tmp_path, "resume") == RESULTS[:3]


@pytest.mark.parametrize(
    ("line", "change", "words"),
    [
        (
            2,
            b"{]\n",
            r"line 3 \(no JSON from character 1 on\): cut the file off before it \(head -n 2\), and --resume",
        ),
        (2, b'{"image": 1}\n', "in line 3 "),
        (1, b"\xff\n", r"in line 2 \(UnicodeDecodeError"),
        (1, b"[" * 200_000 + b"\n", r"in line 2 \(RecursionError"),
        (0, b"[]\n", r"in line 1 .* nothing goes on without it; replace the run \(--overwrite\)"),
        (0, b'{"format_version": 99}\n', "another version"),
    ],
)
def test_a_damaged_journal_is_refused(tmp_path: Path, line: int, change: bytes, words: str) -> None:
    begun(tmp_path)
    lines = (tmp_path / JOURNAL).read_bytes().splitlines(keepends=True)
    lines[line] = change
    (tmp_path / JOURNAL).write_bytes(b"".join(lines))

    # Going on by the same command is what cannot help.
    with pytest.raises(OutputError, match=words) as told, telling_how("the same command goes on"):
        again(tmp_path, "resume")
    assert "the same command" not in str(told.value) or "another version" in words
    if line:
        with pytest.raises(DamagedJournalError, match=f"line {line + 1}"):
            list(StoredResults(lambda: journal_lines(FolderPlace(tmp_path)), 3, str(tmp_path / JOURNAL)))
        (tmp_path / JOURNAL).write_bytes(b"".join(lines[:line]))
        assert kept(tmp_path, "resume") == RESULTS[: line - 1]
    assert kept(tmp_path, "overwrite") == []


def test_an_earlier_inspection_is_neither_mixed_nor_lost(tmp_path: Path) -> None:
    begun(tmp_path)

    with pytest.raises(
        OutputError, match=r"holds an inspection already: continue it \(--resume\), replace it \(--overwrite\)"
    ):
        again(tmp_path, "refuse")
    assert kept(tmp_path, "resume") == RESULTS[:3]


@pytest.mark.parametrize("existing", ["refuse", "resume", "overwrite"])
@pytest.mark.parametrize("name", ["results.csv", "masks", "report.html"])
def test_what_no_inspection_has_written_is_left_alone(tmp_path: Path, existing: Existing, name: str) -> None:
    (tmp_path / name).mkdir()

    with pytest.raises(OutputError, match=f"holds {name} of something else"):
        again(tmp_path, existing)


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")

    assert kept(tmp_path, "refuse") == []


def test_overwriting_removes_what_a_run_wrote_and_nothing_else(tmp_path: Path) -> None:
    begun(tmp_path)
    for name in ("panels", "masks", "maps"):
        (tmp_path / name).mkdir()
    for name in ("panels/a.png", "masks/a.png", "maps/a.npz", "results.csv", "run.json", "mine.txt", "masks/mine.txt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    again(tmp_path, "overwrite")

    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == [JOURNAL, "masks/mine.txt", "mine.txt"]


def test_results_whose_pictures_have_gone_are_done_again(tmp_path: Path) -> None:
    journal = open_run(FolderPlace(tmp_path), HEADER, "refuse")
    whole = ImageResult("a.jpg", "ok", mask="masks/a.png")
    gone = ImageResult("b.jpg", "ok", mask="masks/b.png")
    journal.append([whole, gone, RESULTS[0]])
    journal.close()
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "a.png").write_bytes(b"x")

    assert kept(tmp_path, "resume") == [whole]


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x", encoding="utf-8")

    with pytest.raises(OutputError, match="not a folder"):
        again(tmp_path / "out", "refuse")
    with pytest.raises(OutputError, match="cannot create the folder"):
        again(tmp_path / "out" / "below", "refuse")


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / "masks").mkdir()
    modes: tuple[Existing, ...] = ("resume", "overwrite")
    for existing in modes:
        (tmp_path / "masks" / ".isotherm-abc.part").write_bytes(b"half")
        again(tmp_path, existing)
        assert not list((tmp_path / "masks").glob(".*"))
        (tmp_path / "masks").mkdir(exist_ok=True)


def test_going_on_takes_no_more_memory_for_more_results(tmp_path: Path) -> None:
    def peak_bytes(count: int) -> int:
        place = FolderPlace(tmp_path / str(count))
        place.prepare()
        rows = (dumps(replace(RESULTS[-1], image=f"{number}.jpg", error="ß" * 500)) for number in range(count))
        write_journal(place, HEADER, rows)
        tracemalloc.start()
        found = again(place.path, "resume")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert found.done == count
        return most

    peak_bytes(10)
    assert peak_bytes(2000) < peak_bytes(500) + 100_000


def test_who_goes_on_is_told_how_much_was_read(tmp_path: Path) -> None:
    begun(tmp_path)
    told = list[tuple[int, int, str]]()
    open_run(FolderPlace(tmp_path), HEADER, "resume", progress=lambda *words: told.append(words), total=9).close()
    assert told == [(number, 9, "reading what is done") for number in (1, 2, 3)]
