"""Tables of Parquet: the same numbers as results.csv, on a folder and on servers of S3, and what a taken place says."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import dataset

from isotherm.core.errors import ForbiddenError, OutputError, UsageError
from isotherm.core.findings import ImageResult
from isotherm.reports import columns
from isotherm.reports.columns import FINDINGS, RESULTS, Column, cells_of, columns_of, encode, finding_rows, result_row
from isotherm.reports.csv_writer import COLUMNS, row
from isotherm.store.objects import LocalObjects, open_objects
from isotherm.testing.reports import sample_reports
from isotherm.workflows.columns_output import MARKER, ColumnsTarget
from s3_servers import Bucket

SAMPLES = [result for report in sample_reports().values() for result in report.inspection.results]
NUMBERED = [replace(result, image=f"{number} {result.image}") for number, result in enumerate(SAMPLES)]


def rows_of(folder: Path) -> list[dict[str, object]]:
    return dataset.dataset(folder, format="parquet").to_table().to_pylist()


def parts(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))


def test_every_column_of_the_csv_is_there() -> None:
    assert set(COLUMNS) <= {column.name for column in RESULTS}


@pytest.mark.parametrize("result", SAMPLES, ids=lambda result: result.image[:20])
def test_the_cells_are_those_of_the_csv(result: ImageResult) -> None:
    known, shown = result_row(result), row(result)
    for name in COLUMNS:
        cell, text = known.get(name), shown.get(name, "")
        if isinstance(cell, bool):
            assert text == str(cell).lower()
        elif isinstance(cell, float):
            assert float(text) == pytest.approx(cell, abs=6e-4)
        else:
            assert text == ("" if cell is None else str(cell))


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    ColumnsTarget.open(tmp_path / "tables").write(iter(NUMBERED), rows_per_part=2)
    results, findings = rows_of(tmp_path / "tables" / "results"), rows_of(tmp_path / "tables" / "findings")
    names = [column.name for column in RESULTS]
    assert results == [{name: result_row(result).get(name) for name in names} for result in NUMBERED]
    expected = [cells for result in NUMBERED for cells in finding_rows(result)]
    assert findings == [{column.name: cells.get(column.name) for column in FINDINGS} for cells in expected]
    assert len(expected) > 2
    count = -(-len(NUMBERED) // 2)
    assert len(parts(tmp_path / "tables")) == 2 * count


def test_types_are_those_that_the_columns_say(tmp_path: Path) -> None:
    ColumnsTarget.open(tmp_path).write(NUMBERED)
    schema = pq.read_schema(tmp_path / "results" / "part-00000.parquet")
    assert {name: str(schema.field(name).type) for name in ("image", "height_px", "max_c", "radiometric")} == {
        "image": "string",
        "height_px": "int64",
        "max_c": "double",
        "radiometric": "bool",
    }


def test_no_rows_are_tables_with_columns(tmp_path: Path) -> None:
    ColumnsTarget.open(tmp_path).write([])
    assert parts(tmp_path) == ["findings/part-00000.parquet", "results/part-00000.parquet"]
    assert pq.read_schema(tmp_path / "results" / "part-00000.parquet").names == [column.name for column in RESULTS]


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = [result_row(result) for result in NUMBERED]
    assert encode(RESULTS, rows) == encode(RESULTS, rows)


def test_any_table_can_be_written(tmp_path: Path) -> None:
    columns = [Column("name", "text"), Column("p_open", "number")]
    ColumnsTarget.open(tmp_path).write_table("answers", columns, ({"name": str(n), "p_open": n / 4} for n in range(3)))
    assert rows_of(tmp_path / "answers") == [{"name": str(n), "p_open": n / 4} for n in range(3)]


def test_tables_that_are_there_are_replaced_only_when_asked(tmp_path: Path) -> None:
    ColumnsTarget.open(tmp_path).write(NUMBERED, rows_per_part=1)
    with pytest.raises(OutputError, match=r"holds tables already: replace them \(--overwrite\), or name another place"):
        ColumnsTarget.open(tmp_path)
    ColumnsTarget.open(tmp_path, overwrite=True).write(NUMBERED[:1])
    assert parts(tmp_path) == ["findings/part-00000.parquet", "results/part-00000.parquet"]
    assert len(rows_of(tmp_path / "results")) == 1


def test_what_others_keep_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "part-00000.parquet").write_bytes(b"of another program")
    with pytest.raises(OutputError, match=r"other things than tables of isotherm \(results/part-00000.parquet\)"):
        ColumnsTarget.open(tmp_path, overwrite=True)
    (tmp_path / MARKER).write_text(json.dumps({"format": "isotherm tables", "complete": True}))
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(OutputError, match=r"other things than tables of isotherm \(diary.txt\)"):
        ColumnsTarget.open(tmp_path, overwrite=True)


def test_an_interrupted_writing_is_marked_and_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = LocalObjects.write, list[str]()

    def fail_late(self: LocalObjects, name: str, data: bytes, *, new: bool = False) -> None:
        if len(written) == 4:
            raise OutputError("no more")
        written.append(name)
        write(self, name, data, new=new)

    with monkeypatch.context() as patch:
        patch.setattr(LocalObjects, "write", fail_late)
        with pytest.raises(OutputError, match="no more"):
            ColumnsTarget.open(tmp_path).write(NUMBERED, rows_per_part=1)
    assert json.loads((tmp_path / MARKER).read_text())["complete"] is False
    assert len(parts(tmp_path)) == 3
    ColumnsTarget.open(tmp_path).write(NUMBERED[:2])
    assert len(rows_of(tmp_path / "results")) == 2
    assert json.loads((tmp_path / MARKER).read_text())["complete"] is True


def test_the_marker_tells_rows_and_digests(tmp_path: Path) -> None:
    ColumnsTarget.open(tmp_path).write(NUMBERED)
    told = json.loads((tmp_path / MARKER).read_text())["parts"]["results/part-00000.parquet"]
    assert told["rows"] == len(NUMBERED)
    assert len(told["sha256"]) == 64


def test_tables_in_a_bucket(bucket: Bucket) -> None:
    url = f"{bucket.url}/run 1"
    ColumnsTarget.open(url).write(NUMBERED, rows_per_part=3)
    objects = open_objects(f"{url}/results")
    found = [pq.read_table(io.BytesIO(objects.read(entry.name, 1 << 20))).to_pylist() for entry in objects.entries()]
    assert [cells["image"] for rows in found for cells in rows] == [result.image for result in NUMBERED]
    with pytest.raises(OutputError, match=f"{url} holds tables already"):
        ColumnsTarget.open(url)
    ColumnsTarget.open(url, overwrite=True).write(NUMBERED[:1])
    parts_of_one = ("findings/part-00000.parquet", "results/part-00000.parquet")
    assert sorted(bucket.names()) == [f"run 1/{name}" for name in (MARKER, *parts_of_one)]


def test_an_address_that_cannot_be_used_is_told_before_the_work() -> None:
    with pytest.raises(UsageError, match="known: a folder"):
        ColumnsTarget.open("ftp://somewhere/x")


def test_a_place_that_must_not_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbid(self: LocalObjects, name: str, data: bytes, *, new: bool = False) -> None:
        raise ForbiddenError("not here")

    ColumnsTarget.open(tmp_path / "old").write(NUMBERED[:1])
    monkeypatch.setattr(LocalObjects, "write", forbid)
    with pytest.raises(ForbiddenError, match="not here"):
        ColumnsTarget.open(tmp_path / "new")
    ColumnsTarget.open(tmp_path / "old", overwrite=True)
    assert json.loads((tmp_path / "old" / MARKER).read_text())["complete"] is True


def test_numbers_of_the_csv_are_samples_of_all_kinds() -> None:
    """The samples hold failed inputs, findings and inputs without temperatures: else the tests above say little."""
    text = [dict(row(result)) for result in SAMPLES]
    assert {cells["status"] for cells in text} == {"ok", "failed"}
    assert any("delta_t_c" in cells for cells in text)
    assert any(cells.get("radiometric") == "false" for cells in text)


@dataclass(frozen=True)
class Row:
    """A row of every kind of cell."""

    recording: str
    defects: int | None = None
    largest_mm: float | None = None
    sure: bool = False
    reason: str = ""


def test_columns_and_cells_of_a_dataclass(tmp_path: Path) -> None:
    target = ColumnsTarget.open(tmp_path / "tables")
    target.write_table("rows", columns_of(Row), map(cells_of, [Row("a", 2, 1.5, sure=True), Row("b", reason="torn")]))
    table = dataset.dataset(tmp_path / "tables" / "rows", format="parquet").to_table()
    assert [str(kind) for kind in table.schema.types] == ["string", "int64", "double", "bool", "string"]
    assert table.to_pylist() == [
        {"recording": "a", "defects": 2, "largest_mm": 1.5, "sure": True, "reason": None},
        {"recording": "b", "defects": None, "largest_mm": None, "sure": False, "reason": "torn"},
    ]


def test_groups_of_rows_do_not_change_what_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [result_row(result) for result in NUMBERED]
    whole = pq.read_table(io.BytesIO(encode(RESULTS, cells)))
    monkeypatch.setattr(columns, "_LOOSE_ROWS", 2)
    monkeypatch.setattr(columns, "GROUP_ROWS", 4)
    parted = encode(RESULTS, cells)
    assert pq.read_table(io.BytesIO(parted)).equals(whole)
    assert pq.ParquetFile(io.BytesIO(parted)).num_row_groups == -(-len(cells) // 4)


def test_tables_that_nobody_may_replace_say_so(tmp_path: Path) -> None:
    ColumnsTarget.open(tmp_path).write(NUMBERED[:1])
    with pytest.raises(OutputError, match="holds tables already: remove them, or name another place"):
        ColumnsTarget.open(tmp_path, overwrite=None)
