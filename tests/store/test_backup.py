"""Backups, restored, on both databases and from one to the other; made while others write; damaged."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select
from store_rows import add_image, add_site, keep

from isotherm.core.errors import DataError, OutputError
from isotherm.core.progress import silent
from isotherm.store import audit
from isotherm.store.backup import MANIFEST, Outcome, back_up, read_manifest
from isotherm.store.blobs import Blobs, Flaw
from isotherm.store.database import Database
from isotherm.store.folder import Store, opened
from isotherm.store.restore import restore
from isotherm.store.tables import Blob, Image, ModelVersion, Site, Table, Token, now
from isotherm.store.verify import verify


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Store:
    """Give a store with images, a model, a token and an audit trail."""
    found = Store(database, Blobs(tmp_path / "blobs"))
    found.blobs.folder.mkdir()
    images = [keep(found.blobs, f"image {number}".encode()) for number in range(5)]
    weights, old = keep(found.blobs, b"weights"), keep(found.blobs, b"marked for removal")
    with database.write() as session:
        site = add_site(session, "Nord\u2013S\u00fcd \U0001f525")
        for stored in images:
            add_image(session, site, stored)
            site.images += 1
            site.bytes += stored.size
        for stored, marked in ((weights, None), (old, now())):
            session.add(Blob(digest=stored.digest, size=stored.size, deleted_at=marked))
        session.add(ModelVersion(site_id=site.id, number=1, method="logistic", files={"model.json": weights.digest}))
        session.add(Token(name="all", secret_sha256="0" * 64, sites=None, scopes=["read"]))
        session.add(Token(name="one", secret_sha256="1" * 64, sites=[site.id], expires_at=now()))
        audit.append(session, "ann", "site.created", site.id, {"number": 0.5})
    return found


def rows_of(database: Database) -> dict[str, list[dict[str, object]]]:
    with database.read() as session:
        return {
            table.name: [dict(row) for row in session.execute(select(table).order_by(*table.primary_key)).mappings()]
            for table in Table.metadata.sorted_tables
        }


def assert_same(outcome: Outcome, folder: Path, url: str, expected: dict[str, list[dict[str, object]]]) -> None:
    assert outcome.flaws == ()
    with opened(folder, url) as found:
        assert rows_of(found.database) == expected
        verification = verify(found)
        assert verification.flaws == ()
        assert verification.orphans == ()
        assert len(list(found.blobs.digests())) == outcome.manifest.files == 6


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_what_was_backed_up_is_restored(
    store: Store, tmp_path: Path, target: str, request: pytest.FixtureRequest
) -> None:
    expected = rows_of(store.database)
    outcome = back_up(store, tmp_path / "backup")
    assert outcome.flaws == ()
    assert read_manifest(tmp_path / "backup") == outcome.manifest
    folder = tmp_path / "new"
    if target == "sqlite":
        url = f"sqlite:///{folder / 'isotherm.db'}"
        assert_same(restore(tmp_path / "backup", folder, url), folder, url, expected)
        names = {path.name for path in folder.iterdir()}
    else:
        with request.getfixturevalue("postgresql").database(template="template0") as url:
            assert_same(restore(tmp_path / "backup", folder, url), folder, url, expected)
        names = {path.name for path in folder.iterdir()} | {"isotherm.db"}
    assert names == {"blobs", "isotherm.db"}


def test_an_empty_store(database: Database, tmp_path: Path) -> None:
    back_up(Store(database, Blobs(tmp_path / "blobs")), tmp_path / "backup")
    url = f"sqlite:///{tmp_path / 'new' / 'isotherm.db'}"
    restore(tmp_path / "backup", tmp_path / "new", url)
    with opened(tmp_path / "new", url) as found:
        assert verify(found).flaws == ()


def test_files_are_linked_on_one_disk_and_copied_to_another(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_disk(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    (digest,) = {row["digest"] for row in rows_of(store.database)["image"][:1]}
    back_up(store, tmp_path / "linked")
    assert Blobs(tmp_path / "linked" / "blobs").path(str(digest)).samefile(store.blobs.path(str(digest)))
    monkeypatch.setattr(os, "link", other_disk)
    outcome = back_up(store, tmp_path / "copied")
    assert outcome.flaws == ()
    copied = Blobs(tmp_path / "copied" / "blobs")
    assert not copied.path(str(digest)).samefile(store.blobs.path(str(digest)))
    assert len(list(copied.digests())) == 6
    assert copied.verify() == []


def test_a_backup_tells_which_files_are_missing_or_damaged(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isotherm.store.blobs.Blobs.link", lambda *_: False)
    first, second, *_ = sorted({str(row["digest"]) for row in rows_of(store.database)["image"]})
    store.blobs.path(first).unlink()
    store.blobs.path(second).write_bytes(b"changed")
    outcome = back_up(store, tmp_path / "backup")
    assert outcome.flaws == (Flaw(f"file {first}", "is missing"), Flaw(f"file {second}", "is damaged"))
    assert outcome.manifest.files == 4
    restored = restore(tmp_path / "backup", tmp_path / "new", f"sqlite:///{tmp_path / 'new' / 'isotherm.db'}")
    assert restored.flaws == (Flaw(f"file {first}", "is missing"), Flaw(f"file {second}", "is missing"))


def test_nothing_is_overwritten(store: Store, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").touch()
    with pytest.raises(OutputError, match="is not empty"):
        back_up(store, full)
    back_up(store, tmp_path / "backup")
    with pytest.raises(OutputError, match="is not empty"):
        restore(tmp_path / "backup", full, f"sqlite:///{full / 'isotherm.db'}")
    other = tmp_path / "other.db"
    other.touch()
    with pytest.raises(DataError, match="is there already"):
        restore(tmp_path / "backup", tmp_path / "new", f"sqlite:///{other}")
    if store.database.dialect == "postgresql":
        url = store.database.engine.url.render_as_string(hide_password=False)
        with pytest.raises(DataError, match="holds tables of isotherm already"):
            restore(tmp_path / "backup", tmp_path / "new", url)
    assert [path.name for path in full.iterdir()] == ["mine"]


def edit_manifest(folder: Path, **changes: object) -> None:
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / MANIFEST).unlink(), "is no backup, or one that was not finished"),
    "no JSON": (lambda folder: (folder / MANIFEST).write_text("{", "utf-8"), "cannot be read"),
    "other JSON": (lambda folder: (folder / MANIFEST).write_text("[]", "utf-8"), "not the manifest of a backup"),
    "other kind": (lambda folder: edit_manifest(folder, kind="isotherm backup 2"), "not the manifest of a backup"),
    "other type": (lambda folder: edit_manifest(folder, files="6"), "is damaged: it should have"),
    "other field": (lambda folder: edit_manifest(folder, more=1), "is damaged: it should have"),
    "cut audit": (lambda folder: edit_manifest(folder, audit_rows=2), "its audit trail does not end"),
    "no database": (lambda folder: (folder / "isotherm.db").unlink(), "isotherm.db is missing"),
    "changed database": (
        lambda folder: os.truncate(folder / "isotherm.db", 8192),
        "is not the database that was backed up",
    ),
}


def test_a_backup_that_an_older_verify_has_opened_is_restored(store: Store, tmp_path: Path) -> None:
    expected, backup = rows_of(store.database), tmp_path / "backup"
    back_up(store, backup)
    before = (backup / "isotherm.db").read_bytes()
    touched = Database.open(f"sqlite:///{backup / 'isotherm.db'}")
    verify(Store(touched, Blobs(backup / "blobs")))
    assert (backup / "isotherm.db-wal").exists()
    # As it is while the log lies beside it, and when that has gone.
    for folder in ("with", "without"):
        assert (backup / "isotherm.db").read_bytes() != before
        url = f"sqlite:///{tmp_path / folder / 'isotherm.db'}"
        assert_same(restore(backup, tmp_path / folder, url), tmp_path / folder, url, expected)
        touched.close()
    assert (tmp_path / "without" / "isotherm.db").is_file()


def test_a_backup_that_was_written_to_is_refused_and_can_be_looked_at(store: Store, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(store, backup)
    touched = Database.open(f"sqlite:///{backup / 'isotherm.db'}")
    with touched.write() as session:
        audit.append(session, "ann", "site.changed", "x", {})
    touched.close()
    wanted = (
        r"isotherm.db is not the database that was backed up .* take another copy .* remove manifest.json from the copy"
    )
    with pytest.raises(DataError, match=wanted):
        restore(backup, tmp_path / "new", f"sqlite:///{tmp_path / 'new' / 'isotherm.db'}")
    (backup / "manifest.json").unlink()
    with opened(backup, f"sqlite:///{backup / 'isotherm.db'}") as found:
        assert verify(found).flaws == ()


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_backup_is_refused(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, name: str
) -> None:
    database = Database.open(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'a.db')}")
    back_up(Store(database, Blobs(tmp_path / "blobs")), tmp_path / "backup")
    database.close()
    damage, message = DAMAGES[name]
    damage(tmp_path / "backup")
    for _ in range(2):
        with pytest.raises(DataError, match=message):
            restore(tmp_path / "backup", tmp_path / "new", f"sqlite:///{tmp_path / 'new' / 'isotherm.db'}")


WRITER = """
import sys
from pathlib import Path
from isotherm.store import audit
from isotherm.store.blob_rows import remember
from isotherm.store.blobs import Blobs
from isotherm.store.database import Database
from isotherm.store.tables import Image, Site
database, blobs = Database.open(sys.argv[1]), Blobs(Path(sys.argv[2]))
with database.write() as session:
    site = Site(name="busy")
    session.add(site)
for number in range(10**6):
    stored = blobs.put(f"{number}".encode() * 500, most_bytes=10**6)
    with database.write() as session:
        remember(session, stored)
        found = session.get(Site, site.id, with_for_update=True)
        found.images += 1
        found.bytes += stored.size
        session.add(Image(site_id=site.id, digest=stored.digest, name=str(number), size=stored.size))
        audit.append(session, "ann", "image.added", stored.digest, {})
    print(stored.digest, flush=True)
"""


def test_a_backup_under_load_has_all_that_was_acknowledged_before(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    store = Store(database, Blobs(tmp_path / "blobs"))
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, database_url, tmp_path / "blobs"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged: list[str] = []
    for turn in range(3):
        acknowledged += [process.stdout.readline().strip() for _ in range(20)]
        back_up(store, tmp_path / f"backup {turn}")
        folder = tmp_path / f"new {turn}"
        url = f"sqlite:///{folder / 'isotherm.db'}"
        assert restore(tmp_path / f"backup {turn}", folder, url, silent).flaws == ()
        with opened(folder, url) as found:
            assert verify(found).flaws == ()
            with found.database.read() as session:
                assert set(acknowledged) <= set(session.scalars(select(Image.digest)))
    assert process.poll() is None
    process.kill()
    process.stdout.close()
    process.wait()
    assert verify(store).flaws == ()


def add_name(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(Site(name=name))


def test_the_snapshot_holds_still_while_pages_change(tmp_path: Path, sqlite_template: Path) -> None:
    database = Database.open(f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'a.db')}")
    for number in range(200):
        add_name(database, f"{number:04d} {'x' * 100}")
    seen: list[str] = []

    def busy(done: int, total: int, message: str) -> None:
        seen.append(message)
        add_name(database, f"later {len(seen)}")

    from isotherm.store import copying

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copying, "_PAGES_AT_ONCE", 4)
        copying.snapshot(database, tmp_path / "copy.db", busy)
    copying.settle(tmp_path / "copy.db")
    assert len(seen) > 5
    copy = Database.open(f"sqlite:///{tmp_path / 'copy.db'}")
    with copy.read() as session:
        assert len(session.scalars(select(Site.name)).all()) == 200
    for one in (copy, database):
        one.close()
