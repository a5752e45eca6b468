"""Runs in chunks: what is written is that of an ordinary run, after any death, and what cannot be is refused."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import dataset

from dying_runs import ENDS, Killed, die
from isotherm.cli.main import main
from isotherm.core.errors import BusyError, MissingExtraError, OutputError, UsageError
from isotherm.core.scene import SceneEdit
from isotherm.hotspots.measure import HotspotSettings
from isotherm.measurement.severity import SEVERITY_TABLES
from isotherm.scaleout import ledger as ledger_module
from isotherm.scaleout.ledger import Held, Ledger
from isotherm.scaleout.plan import LeaseLostError, Plan
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.run_folder import JOURNAL, LEDGER
from isotherm.workflows.scaled import RunFile, ScaleSettings
from isotherm.workflows.scaled_inspect import inspect_in_chunks
from isotherm.workflows.spans import SpanChoice
from small_pictures import write

HERE = ScaleSettings(executor="in-process", chunk=2)
PLAIN = InspectSettings(panels=False, reports=("csv",))


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = tmp_path / "shots"
    (folder / "site ß").mkdir(parents=True)
    write(folder, "joint", range(3))
    write(folder / "site ß", "plain", range(2))
    (folder / "broken.jpg").write_bytes(b"")
    return folder


def files(out: Path) -> dict[str, bytes]:
    """Return what a run has written, without what tells its time."""
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for name in ("run.json", "report.html", JOURNAL):
        text = found.get(name, b"").decode()
        for key in ("started_at", "inspect", "total", "images_per_s", "report.html"):
            text = re.sub(rf'"{key}": [^,}}\n]+', f'"{key}": 0', text)
        found[name] = re.sub(r"\d{4}-\d\d-\d\d[T ][^<\"]*", "TIME", text).encode()
    return {name: data for name, data in found.items() if data}


@pytest.mark.parametrize("executor", ["in-process", "pool"])
def test_what_is_written_is_that_of_an_ordinary_run(shots: Path, tmp_path: Path, executor: str) -> None:
    settings = InspectSettings(
        maps=True,
        reports=("html", "csv"),
        table=SEVERITY_TABLES["neta-ambient"],
        edit=SceneEdit(emissivity=0.9),
        hotspots=HotspotSettings(min_area_px=4),
        span=SpanChoice("set"),
        tables=str(tmp_path / "ordinary tables"),
    )
    ordinary = inspect(shots, tmp_path / "ordinary", settings=settings)
    chunks = InspectSettings(**{**vars(settings), "tables": str(tmp_path / "tables")})
    scaled = inspect_in_chunks(
        shots, tmp_path / "scaled", settings=chunks, scale=ScaleSettings(executor=executor, chunk=2, workers=2)
    )
    assert scaled.results == ordinary.results
    assert [result.status for result in scaled.results].count("failed") == 1
    before, after = files(tmp_path / "ordinary"), files(tmp_path / "scaled")
    assert before.keys() == after.keys()
    # Pages hold times in too many forms to take out.
    assert [name for name in before if before[name] != after[name]] in ([], ["report.html"])
    assert files(tmp_path / "ordinary tables") == files(tmp_path / "tables")


def test_the_ledger_may_be_postgresql(shots: Path, tmp_path: Path, database_url: str) -> None:
    scale = ScaleSettings(executor="in-process", chunk=2, ledger=database_url)
    inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=scale)
    assert not (tmp_path / "out" / LEDGER).exists()
    assert not RunFile(scale, tmp_path / "out" / LEDGER).begun()


@pytest.mark.parametrize("where", ENDS)
def test_a_run_that_dies_is_completed_by_the_same_command(
    shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*ENDS[where], die)
        # The dead cannot give their lease back.
        patch.setattr(Held, "release", lambda held: None)
        with pytest.raises(Killed):
            inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)
    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "has_died", lambda owner: True)
        inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)
    inspect(shots, tmp_path / "ordinary", settings=PLAIN)
    found = files(tmp_path / "out")
    assert LEDGER not in found
    assert found["results.csv"] == files(tmp_path / "ordinary")["results.csv"]


def dying_after(chunks: int) -> Callable[[Held, int, list[str]], None]:
    commit = Held.commit

    def die(held: Held, number: int, rows: list[str]) -> None:
        if len(held.done()) == chunks:
            raise Killed
        commit(held, number, rows)

    return die


@pytest.fixture
def half_done(shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with monkeypatch.context() as patch:
        patch.setattr(Held, "commit", dying_after(1))
        with pytest.raises(Killed):
            inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)
    return tmp_path / "out"


def test_a_run_that_was_begun_keeps_its_start_and_its_chunks(shots: Path, half_done: Path) -> None:
    with sqlite3.connect(half_done / LEDGER) as ledger:
        ((about,),) = ledger.execute("SELECT about FROM scaleout_runs")
    told = list[tuple[int, int, str]]()
    scale = ScaleSettings(executor="in-process", chunk=50)
    inspect_in_chunks(shots, half_done, settings=PLAIN, scale=scale, progress=lambda *said: told.append(said))
    assert [said[:2] for said in told if said[2] == "inspecting"] == [(2, 6), (4, 6), (6, 6)]
    assert [said[2] for said in told if said[0] == 6] == ["inspecting", "writing the journal", "writing tables"]
    assert json.loads((half_done / "run.json").read_text())["started_at"] == json.loads(about)["started_at"]


def test_what_killed_workers_left_half_written_goes(shots: Path, half_done: Path) -> None:
    (half_done / "masks" / ".isotherm-abc.part").write_bytes(b"half")
    inspect_in_chunks(shots, half_done, settings=PLAIN, scale=HERE)
    masks = [path.name for path in (half_done / "masks").iterdir()]
    assert len(masks) == 5
    assert all(name.endswith(".png") for name in masks)


def test_other_settings_are_refused_by_name(shots: Path, half_done: Path) -> None:
    other = InspectSettings(panels=False, reports=("csv",), edit=SceneEdit(emissivity=0.5))
    with pytest.raises(OutputError, match=r"begun with other input or settings \(emissivity\)"):
        inspect_in_chunks(shots, half_done, settings=other, scale=HERE)


def test_another_picture_in_the_folder_is_refused(shots: Path, half_done: Path) -> None:
    write(shots, "joint", range(7, 8))
    with pytest.raises(OutputError, match="input files"):
        inspect_in_chunks(shots, half_done, settings=PLAIN, scale=HERE)


def test_overwrite_forgets_what_was_begun(shots: Path, half_done: Path) -> None:
    other = InspectSettings(panels=False, reports=("csv",), edit=SceneEdit(emissivity=0.5), existing="overwrite")
    told = list[tuple[int, int, str]]()
    inspect_in_chunks(shots, half_done, settings=other, scale=HERE, progress=lambda *said: told.append(said))
    assert [done for done, _, stage in told if stage == "inspecting"] == [0, 2, 4, 6]


def test_overwrite_leaves_a_run_alone_that_somebody_works_on(
    shots: Path, half_done: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFile(HERE, half_done / LEDGER)
    before = files(half_done)
    with run.open() as ledger:
        held = ledger.hold(Plan(run.name, identity_of(half_done), {}, 6, 2))
        settings = InspectSettings(panels=False, reports=("csv",), existing="overwrite")
        with pytest.raises(BusyError):
            inspect_in_chunks(shots, half_done, settings=settings, scale=HERE)
        held.release()
    assert {name for name in files(half_done) if "ledger" not in name} == {
        name for name in before if "ledger" not in name
    }


def identity_of(out: Path) -> dict[str, object]:
    with sqlite3.connect(out / LEDGER) as ledger:
        ((identity,),) = ledger.execute("SELECT identity FROM scaleout_runs")
    return json.loads(identity)


def test_an_ordinary_run_does_not_touch_one_in_chunks(shots: Path, half_done: Path) -> None:
    with pytest.raises(OutputError, match="begun with --executor"):
        inspect(shots, half_done, settings=PLAIN)


def test_a_finished_run_is_refused(shots: Path, tmp_path: Path) -> None:
    inspect(shots, tmp_path / "out", settings=PLAIN)
    with pytest.raises(OutputError, match="finished or begun without --executor"):
        inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)
    assert not (tmp_path / "out" / LEDGER).exists()


def test_a_folder_of_something_else_is_refused(shots: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.csv").write_text("mine")
    with pytest.raises(OutputError, match="of something else than an inspection"):
        inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)


def test_two_drivers_do_not_work_on_one_run(shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "out").mkdir()
    run = RunFile(HERE, tmp_path / "out" / LEDGER)
    commit = Held.commit

    def second(held: Held, number: int, rows: list[str]) -> None:
        with pytest.raises(BusyError, match="another process works on this run"):
            inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)
        commit(held, number, rows)

    monkeypatch.setattr(Held, "commit", second)
    inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)
    assert not run.begun()


def test_a_driver_that_was_taken_over_stops_and_doubles_nothing(
    shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Held.commit
    out = tmp_path / "out"

    def late(held: Held, number: int, rows: list[str]) -> None:
        """Commit after somebody else has taken the run over and worked through it."""
        with monkeypatch.context() as patch:
            patch.setattr(Held, "commit", commit)
            patch.setattr(ledger_module, "has_died", lambda owner: True)
            inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE)
        commit(held, number, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Held, "commit", late)
        with pytest.raises((LeaseLostError, OutputError)):
            inspect_in_chunks(shots, out, settings=PLAIN, scale=HERE)
    inspect(shots, tmp_path / "ordinary", settings=PLAIN)
    assert files(out)["results.csv"] == files(tmp_path / "ordinary")["results.csv"]


def test_the_flags_that_belong_together_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--workers and --ledger go with --executor"):
        ScaleSettings(workers=2)
    with pytest.raises(UsageError, match="in-process, pool, ray-local or ray://HOST:PORT, not 'dask'"):
        ScaleSettings(executor="dask")
    assert ScaleSettings(chunk=5).executor_name == "pool"
    assert not ScaleSettings().asked


def test_without_the_database_library_the_extra_is_named(
    shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "isotherm.scaleout.ledger")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'isotherm\[scale\]'"):
        inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)


def test_a_network_file_system_is_refused_with_the_way_out(
    shots: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isotherm.store.filesystem.file_system", lambda folder: "nfs4")
    with pytest.raises(OutputError, match="--ledger postgresql://"):
        inspect_in_chunks(shots, tmp_path / "out", settings=PLAIN, scale=HERE)


def test_the_command_in_chunks(shots: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["hotspots", str(shots), "-o", str(out), "--no-panels", "--executor", "pool", "--chunk", "4"]) == 3
    said = capsys.readouterr()
    assert "5 of 6 pictures inspected" in said.out
    assert "inspecting: 6/6" in said.err
    assert main(["hotspots", str(shots), "-o", str(out), "--executor", "ray"]) == 2
    assert "--executor is in-process, pool" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["segment", "maps"])
def test_recordings_in_chunks_give_what_they_give_one_by_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    plates, size = tmp_path / "plates", ["--height-px", "32", "--width-px", "32", "--frames", "40"]
    assert main(["sequence", "dataset", "-o", str(plates), "--plates", "1", "--workers", "1", *size]) == 0
    (plates / "plate_0002.npz").write_bytes(b"no recording")
    (plates / "notes.txt").write_text("none either")
    (tmp_path / "scaled" / "plate_0001").mkdir(parents=True)
    (tmp_path / "scaled" / "plate_0001" / ".isotherm-abc.part").write_bytes(b"left by a killed worker")
    for name, more in (("ordinary", []), ("scaled", ["--executor", "in-process"])):
        capsys.readouterr()
        tables = ["--parquet", str(tmp_path / f"{name} tables")]
        assert main(["sequence", command, str(plates), "-o", str(tmp_path / name), *tables, *more]) in (0, 3)
    assert files(tmp_path / "ordinary") == files(tmp_path / "scaled")
    assert files(tmp_path / "ordinary tables") == files(tmp_path / "scaled tables")
    shown = list(csv.DictReader((tmp_path / "scaled" / "summary.csv").read_text().splitlines()))
    rows = dataset.dataset(tmp_path / "scaled tables" / "recordings", format="parquet").to_table()
    assert shown
    assert rows.schema.names == list(shown[0])
    assert [(row["recording"], row["status"], row["folder"] or "") for row in rows.to_pylist()] == [
        (row["recording"], row["status"], row["folder"]) for row in shown
    ]
    numbers = {name: str(rows.schema.field(name).type) for name in rows.schema.names if name not in TEXTS}
    assert set(numbers.values()) <= {"int64", "double"}
    assert numbers
    assert main(["sequence", command, str(plates), "-o", str(tmp_path / "again"), *tables]) == 1
    assert "holds tables already: remove them, or name another place" in capsys.readouterr().err
    assert not (tmp_path / "again" / "plate_0001").exists()


TEXTS = {"recording", "folder", "status", "reason"}


def test_a_ledger_of_another_plan_is_told_for_recordings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = tmp_path / "r.npy"
    import numpy as np

    np.save(recording, np.random.default_rng(1).normal(20, 1, (20, 16, 16)).astype(np.float32))
    out = tmp_path / "out"
    out.mkdir()
    ledger = Ledger.open(f"sqlite:///{out / LEDGER}")
    ledger.hold(Plan(str((out / LEDGER).resolve()), {"other": 1}, {}, 1, 1)).release()
    ledger.close()
    assert main(["sequence", "segment", str(recording), "-o", str(out), "--executor", "in-process"]) == 1
    assert "begun with other recordings or settings" in capsys.readouterr().err
