"""``isotherm db``, ``backup``, ``restore`` and ``verify``: what they print, their exit codes, their one-line errors."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from isotherm.cli.main import main
from isotherm.store.blob_rows import remember
from isotherm.store.blobs import Blobs
from isotherm.store.database import Database
from isotherm.store.migrate import newest
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.images import Upload, delete_image, image_bytes, list_images, take_in
from isotherm.workflows.service.inspections import inspect_image
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.sites import create_site, delete_site


@pytest.fixture(autouse=True)
def _no_database_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ISOTHERM_DATABASE", raising=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data folder with one stored file."""
    folder = tmp_path / "data"
    assert main(["db", "upgrade", "--data", str(folder)]) == 0
    blobs = Blobs(folder / "blobs")
    stored = blobs.put(b"content", most_bytes=100)
    database = Database.open(f"sqlite:///{folder / 'isotherm.db'}")
    with database.write() as session:
        remember(session, stored)
    database.close()
    return folder


def the_file(data: Path) -> Path:
    (path,) = [path for path in (data / "blobs" / "sha256").rglob("*") if path.is_file()]
    return path


def test_upgrade_makes_a_database_and_check_likes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--data", str(tmp_path / "data")]
    assert main(["db", "upgrade", *arguments]) == 0
    assert capsys.readouterr().out == f"schema none -> {newest()}\n"
    assert main(["db", "upgrade", *arguments]) == 0
    assert capsys.readouterr().out == f"schema {newest()}, as before\n"
    assert main(["db", "check", *arguments]) == 0
    assert capsys.readouterr().out == f"schema {newest()}, which is current\n"


def test_check_tells_what_differs(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(data / "isotherm.db")) as connection:
        connection.execute("DROP INDEX ix_image_digest")
    capsys.readouterr()
    assert main(["db", "check", "--data", str(data)]) == 1
    out = capsys.readouterr().out
    assert out.splitlines() == [
        "differs: add index: ix_image_digest",
        f"schema {newest()}, but the tables are not its tables",
    ]


def test_postgresql_by_url(database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "check", "--data", str(tmp_path), "--database", database_url]) == 0
    assert "which is current" in capsys.readouterr().out


def test_backup_restore_verify(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backup, new = tmp_path / "backup", tmp_path / "new"
    capsys.readouterr()
    assert main(["backup", "--data", str(data), "-o", str(backup)]) == 0
    out, err = capsys.readouterr()
    assert out == f"backed up to {backup}: 1 files of 0.0 MB, 0 audit rows\n"
    assert "files copied: 1/1" in err
    assert main(["restore", str(backup), "--data", str(new)]) == 0
    assert capsys.readouterr().out == f"restored to {new}: 1 files of 0.0 MB, 0 audit rows\n"
    assert main(["verify", "--data", str(new)]) == 0
    out, err = capsys.readouterr()
    assert out == "1 files; audit trail ends with row 0, sha256 none\nall is whole\n"
    assert "files checked: 1/1" in err


def test_a_backup_is_checked_without_being_changed_and_is_no_data_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    backup, new = tmp_path / "backup", tmp_path / "new"
    assert main(["backup", "--data", str(data), "-o", str(backup)]) == 0
    monkeypatch.setenv("ISOTHERM_DATABASE", "sqlite:////absent/that-of-the-server.db")
    capsys.readouterr()
    assert main(["verify", "--data", str(backup)]) == 0
    assert capsys.readouterr().out.endswith("all is whole\n")
    for command in (["db", "check"], ["db", "upgrade"], ["backup", "-o", str(new)], ["serve", "--port", "0"]):
        assert main([*command, "--data", str(backup)]) == 1
        assert f"{backup} is a backup; isotherm restore makes a data folder of it" in capsys.readouterr().err
    monkeypatch.delenv("ISOTHERM_DATABASE")
    assert main(["restore", str(backup), "--data", str(new)]) == 0
    the_file(backup).unlink()
    capsys.readouterr()
    assert main(["verify", "--data", str(backup)]) == 1
    assert capsys.readouterr().out.endswith("1 flaws\n")
    with (backup / "isotherm.db").open("ab") as stream:
        stream.write(b"damage")
    assert main(["verify", "--data", str(backup)]) == 1
    assert "is not the database that was backed up" in capsys.readouterr().err


def test_verify_fails_for_damage_and_backup_for_what_is_missing(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = the_file(data)
    path.write_bytes(b"changed")
    capsys.readouterr()
    assert main(["verify", "--data", str(data)]) == 1
    out = capsys.readouterr().out
    assert f"file {path.name}: is damaged" in out
    assert out.endswith("1 flaws\n")
    path.unlink()
    assert main(["backup", "--data", str(data), "-o", str(tmp_path / "backup")]) == 1
    assert f"file {path.name} is missing" in capsys.readouterr().out


def test_verify_lists_orphans_without_failing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(25):
        Blobs(data / "blobs").put(f"{number}".encode(), most_bytes=100)
    capsys.readouterr()
    assert main(["verify", "--data", str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("has no row" in line for line in lines) == 20
    assert "note: and 5 more" in lines


def picture(hot_c: float) -> bytes:
    """Return temperatures with one hot spot, as text."""
    rows = [[hot_c if 10 <= y < 14 and 10 <= x < 14 else 20.0 + 0.01 * (x + y) for x in range(24)] for y in range(24)]
    return "\n".join(",".join(f"{value:.2f}" for value in row) for row in rows).encode()


def test_what_is_done_with_images_leaves_a_whole_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, backup, new = (tmp_path / name for name in ("data", "backup", "new"))
    with Service.open(folder, None, Limits(children=0)) as service:
        sites = [create_site(service, LOCAL, name) for name in ("north", "south")]
        uploads = [Upload(f"{number}.csv", picture(60.0 + number % 2)) for number in range(3)]
        taken = [image for site in sites for image in take_in(service, LOCAL, site.id, uploads)]
        assert [one.error for one in taken] == [""] * 6
        assert main(["backup", "--data", str(folder), "-o", str(backup)]) == 0
        delete_image(service, LOCAL, taken[0].image.id)
        inspect_image(service, LOCAL, taken[1].image.id)
        delete_site(service, LOCAL, sites[1].id)
        assert main(["verify", "--data", str(folder)]) == 0, capsys.readouterr().out
    assert main(["restore", str(backup), "--data", str(new)]) == 0
    assert main(["verify", "--data", str(new)]) == 0
    with Service.open(new, None, Limits(children=0)) as service:
        images = list_images(service, LOCAL).items
        assert {image.id for image in images} == {one.image.id for one in taken}
        assert image_bytes(service, LOCAL, taken[0].image.id) == picture(60.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["db", "check", "--data", "absent"], "there is no database"),
        (["verify", "--data", "absent"], "is no data folder of isotherm"),
        (["backup", "--data", "absent", "-o", "backup"], "is no data folder of isotherm"),
        (["backup", "--data", "data", "-o", "data"], "is not empty"),
        (["restore", "absent", "--data", "new"], "is no backup"),
        (["restore", "data", "--data", "new"], "is no backup"),
        (["db", "upgrade", "--database", "sqlite:///text"], "cannot be opened"),
        (["db", "upgrade", "--database", "sqlite:///folder"], "cannot be opened"),
        (["db", "check", "--database", "postgresql://127.0.0.1:1/x?connect_timeout=2"], "cannot be opened"),
    ],
)
def test_errors_are_one_line(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no database " * 100, "utf-8")
    capsys.readouterr()
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("isotherm: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("url", ["mysql://localhost/x", "nonsense"])
def test_a_wrong_url_is_wrong_usage(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "upgrade", "--database", url]) == 2
    assert "postgresql://" in capsys.readouterr().err


def test_an_older_and_a_newer_schema(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(data / "isotherm.db", isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for command in (["verify"], ["db", "check"], ["db", "upgrade"]):
        assert main([*command, "--data", str(data)]) == 1
        assert "made by a newer isotherm" in capsys.readouterr().err


def test_help_stays_light() -> None:
    names = ("db_upgrade", "db_check", "backup", "restore", "verify")
    script = "import sys\n" + "".join(f"import isotherm.cli.{name}\n" for name in names)
    script += "print([name for name in ('sqlalchemy', 'alembic', 'torch', 'fastapi') if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"
