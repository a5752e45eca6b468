"""The doctor: what is told of an installation and a machine, and a self-test that can fail."""

from __future__ import annotations

import json
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli.main import main
from isotherm.core.errors import DataError
from isotherm.workflows import doctor_machine, doctor_trial
from isotherm.workflows.api import thermogram_of
from isotherm.workflows.doctor import Diagnosis, diagnose
from isotherm.workflows.doctor_features import BASE, PURPOSES, Need, parts
from isotherm.workflows.doctor_store import data_folder
from isotherm.workflows.doctor_trial import Trial, board, finds, reads, self_test, told_apart

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_every_optional_part_has_its_purpose() -> None:
    declared = set(tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["optional-dependencies"])
    assert set(PURPOSES) == declared - {"all", "dev", "dji"}


def test_parts_are_what_the_records_ask_for_and_what_is_here() -> None:
    records = [
        "numpy>=1.0",
        "no-such-package>=1; extra == 'pdf'",
        "numpy>=1.0; extra == 'docx'",
        'numpy>=1.0 ; extra == "train"',
        "no-such-package; extra == 'train'",
        "numpy>=999.1; extra == 'ocr'",
        "no-such-package>=1; (python_version >= '99.0') and extra == 's3'",
        "psycopg[binary]>=3.2; extra == 'postgres'",
        "not a requirement at all ((",
    ]
    found = {part.name: part for part in parts(records)}
    assert found[BASE].state == "installed"
    assert found["docx"].state == "installed"
    assert found["docx"].install == ""
    assert found["pdf"].state == "missing"
    assert found["pdf"].install == "pip install 'isotherm[pdf]'"
    assert found["train"].state == "partly"
    assert found["ocr"].state == "missing", "an older version than needed is none"
    assert found["ocr"].needs[0].here == np.__version__
    assert found["s3"].state == "unknown", "nothing is needed with this Python"
    assert found["postgres"].needs[0].package == "psycopg"


@pytest.mark.parametrize(
    ("least", "here", "met"),
    [
        ("2.13.0", "2.13.0+cpu", True),
        ("2.13", "2.13.0", True),
        ("2.10.0", "2.10", True),
        ("2.0.1", "2", False),
        ("2.13", "2.9.9", False),
        ("0.120", "0.99", False),
        ("1.5", "1.5rc1", True),
        ("", "1", True),
        ("1", "", False),
    ],
)
def test_versions_are_compared_by_their_numbers(least: str, here: str, met: bool) -> None:
    assert Need("x", least, here).met is met


def test_a_quota_of_the_container_counts_as_cores(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert doctor_machine.usable_cores(tmp_path) == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert doctor_machine.usable_cores(tmp_path) >= 1
    assert doctor_machine.usable_cores(tmp_path / "none") >= 1


def test_a_place_that_is_not_there_yet_is_on_the_disk_above_it(tmp_path: Path) -> None:
    found = doctor_machine.disk("data", tmp_path / "a" / "b")
    assert found.path == str(tmp_path / "a" / "b")
    assert 0 < found.free_bytes <= found.size_bytes
    assert found.flush_ms is not None
    assert not list(tmp_path.iterdir()), "nothing is left behind, nothing is made"


def test_cards_are_those_that_the_driver_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559, 570.86.15'\necho 'not three cells'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(doctor_machine, "_of_torch", dict)
    cards = doctor_machine.graphics()["cards"]
    assert cards == [{"name": "NVIDIA H100 80GB HBM3", "memory_mib": "81559", "driver": "570.86.15"}]


def test_all_trials_pass_here_and_take_about_ten_seconds() -> None:
    started = time.process_time()
    found = self_test()
    assert [f"{trial.name}: {trial.says}" for trial in found if not trial.passed] == []
    assert {"read", "find", "score", "report", "serve"} <= {trial.name for trial in found}
    assert time.process_time() - started < 15


def test_a_reader_that_is_wrong_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = thermogram_of(board(0) + np.float32(0.5))
    monkeypatch.setattr("isotherm.formats.read", lambda _: off)
    with pytest.raises(DataError, match=r"TIFF: temperatures differ by 0\.5"):
        reads(tmp_path / "read")


def test_a_hot_spot_that_is_not_found_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotherm.hotspots.measure.find_hotspots", lambda *_, **__: ())
    with pytest.raises(DataError, match="was not found among 0 hot spots"):
        finds()


def test_scores_that_do_not_tell_faulty_from_healthy_are_noticed() -> None:
    apart = {"faulty-1": 9.0, "faulty-2": 8.0, "faulty-3": 7.0, "healthy-1": 1.0, "healthy-2": 2.0, "healthy-3": 3.0}
    assert told_apart(apart) == "faulty boards score 7.0 and more, healthy ones 3.0 and less"
    with pytest.raises(DataError, match=r"a faulty board scores 7\.0, a healthy one 7\.5"):
        told_apart({**apart, "healthy-3": 7.5})
    with pytest.raises(DataError, match="5 of 6 pictures have a score"):
        told_apart({name: score for name, score in apart.items() if name != "faulty-2"})


def test_a_report_without_an_inspection_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        doctor_trial.reports(tmp_path / "nothing")


def test_an_error_in_one_trial_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("no luck\ntoday")

    monkeypatch.setattr(doctor_trial, "_trials", lambda _: [("one", broken), ("two", lambda: "fine")])
    one, two = self_test()
    assert (one.passed, one.says) == (False, "RuntimeError: no luck today")
    assert (two.passed, two.says) == (True, "fine")


def test_the_data_of_a_server_is_looked_at_and_not_made(tmp_path: Path) -> None:
    assert data_folder(tmp_path / "data", None) == []
    assert not (tmp_path / "data").exists()
    url = f"sqlite:///{tmp_path / 'other.db'}"
    assert [each.sound for each in data_folder(tmp_path / "data", url)] == [True, True]
    assert not (tmp_path / "other.db").exists()


@pytest.mark.usefixtures("roomy_disk")
def test_a_database_of_an_older_isotherm_is_a_problem(tmp_path: Path) -> None:
    import sqlite3

    (tmp_path / "data").mkdir()
    with sqlite3.connect(tmp_path / "data" / "isotherm.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
    connection.close()
    database, folder = data_folder(tmp_path / "data", None)
    assert not database.sound
    assert "run isotherm db upgrade" in database.says
    assert folder.sound


def test_a_database_that_does_not_answer_is_a_problem(tmp_path: Path) -> None:
    database, _ = data_folder(tmp_path, "postgresql://nobody:secret@127.0.0.1:1/none")
    assert not database.sound
    assert "secret" not in database.says


@pytest.mark.usefixtures("roomy_disk")
def test_what_is_wrong_is_a_problem_and_what_is_not_installed_is_none(tmp_path: Path) -> None:
    found = diagnose(tmp_path, test=False)
    assert found.problems == []
    failed = Diagnosis(**{**vars(found), "trials": (Trial("read", passed=False, says="no", seconds=1.0),)})
    assert failed.problems == ["self-test read: no"]
    absent = parts(["no-such-package>=1"])
    assert Diagnosis(**{**vars(found), "parts": tuple(absent)}).problems == ["no-such-package is missing"]


@pytest.mark.usefixtures("roomy_disk")
def test_the_command_prints_json_and_says_by_its_status_whether_all_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json", "--no-test", "--data", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["problems"] == []
    assert found["processor"]["usable_cores"] >= 0.01
    assert found["trials"] == []
    (tmp_path / "isotherm.db").write_bytes(b"no database" * 100)
    assert main(["doctor", "--no-test", "--data", str(tmp_path)]) == 1
    shown = capsys.readouterr().out
    assert "problem: database:" in shown
    assert max(map(len, shown.splitlines())) <= 200
