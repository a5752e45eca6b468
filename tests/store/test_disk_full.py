"""A disk without room: an error that says so, nothing corrupt, and on it goes once there is room again."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import select, text
from store_rows import MOST, add_image, add_site

from isotherm.core.errors import DataError, StorageFullError
from isotherm.store.backup import back_up, read_manifest
from isotherm.store.blobs import Blobs
from isotherm.store.database import Database
from isotherm.store.folder import Store
from isotherm.store.migrate import upgrade
from isotherm.store.restore import restore
from isotherm.store.tables import Image, Site


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[None]:
    """Put a small disk at a folder; skips the test where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder]
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs root to mount a small disk")
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("may not mount a small disk here")
    try:
        yield
    finally:
        # Something on the machine may just look at it.
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def small_files(most_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def store(folder: Path) -> Iterator[tuple[Database, Blobs]]:
    database = Database.open(f"sqlite:///{folder / 'isotherm.db'}")
    upgrade(database)
    yield database, Blobs(folder / "blobs")
    database.close()


def site_of(database: Database) -> Site:
    with database.write() as session:
        return add_site(session)


def take_in(database: Database, blobs: Blobs, site: Site, number: int) -> str:
    stored = blobs.put(os.urandom(15_000), most_bytes=MOST)
    with database.write() as session:
        add_image(session, site, stored, f"{number} {'x' * 400}")
    return stored.digest


def fill(database: Database, blobs: Blobs, site: Site) -> list[str]:
    """Take images in until there is no room; returns those that were acknowledged."""
    acknowledged: list[str] = []
    try:
        while True:
            acknowledged.append(take_in(database, blobs, site, len(acknowledged)))
    except StorageFullError:
        return acknowledged


def assert_whole(database: Database, blobs: Blobs, acknowledged: list[str]) -> None:
    with database.read() as session:
        assert session.scalars(select(Image.digest).order_by(Image.id)).all() == acknowledged
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
    assert set(acknowledged) <= set(blobs.digests())
    assert blobs.verify() == []
    assert list((blobs.folder / "incoming").iterdir()) == []


@pytest.mark.parametrize("kilobytes", [1200, 1500, 2003])
def test_a_full_disk(tmp_path: Path, kilobytes: int) -> None:
    folder = tmp_path / "small"
    with small_disk(folder, kilobytes), store(folder) as (database, blobs):
        site = site_of(database)
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(400_000))
        acknowledged = fill(database, blobs, site)
        assert len(acknowledged) > 3
        for _ in range(3):
            assert_whole(database, blobs, acknowledged)
            with pytest.raises(StorageFullError):
                take_in(database, blobs, site, 0)
        ballast.unlink()
        acknowledged += [take_in(database, blobs, site, number) for number in range(5)]
        assert_whole(database, blobs, acknowledged)


@pytest.mark.parametrize("there_already", [False, True])
def test_a_database_without_room_to_be_opened_says_so(tmp_path: Path, there_already: bool) -> None:
    url = f"sqlite:///{tmp_path / 'isotherm.db'}"
    if there_already:
        with store(tmp_path) as (database, _):
            site_of(database)
    # Less than the first page of a new file, and than the memory beside an old one.
    with small_files(1000), pytest.raises(StorageFullError, match=r"cannot be opened: .*; free some room"):
        Database.open(url)
    with store(tmp_path) as (database, _), database.read() as session:
        assert len(session.scalars(select(Site)).all()) == there_already


@pytest.mark.parametrize("left_bytes", [0, 12_000, 30_000])
def test_a_disk_that_is_full_when_a_server_starts(tmp_path: Path, left_bytes: int) -> None:
    folder = tmp_path / "small"
    with small_disk(folder, 2000):
        with store(folder) as (database, _):
            site_of(database)
        ballast = folder / "ballast"
        with suppress(OSError), ballast.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
        os.truncate(ballast, ballast.stat().st_size - left_bytes)
        with pytest.raises(StorageFullError), store(folder) as (database, _):
            write_much(database, site_of(database), [])
        ballast.unlink()
        with store(folder) as (database, _), database.read() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"


def write_much(database: Database, site: Site, names: list[str]) -> None:
    """Write rows until there is no room; `names` gets those that were acknowledged."""
    while True:
        name = f"{len(names)} {'x' * 20_000}"
        with database.write() as session:
            found = session.get_one(Site, site.id)
            found.note = name
            add_site(session, f"{len(names)}").note = name
        names.append(name)


@pytest.mark.parametrize("most_bytes", [500_000, 700_001, 1_000_000])
def test_a_database_that_may_not_grow(tmp_path: Path, most_bytes: int) -> None:
    with store(tmp_path) as (database, _):
        site = site_of(database)
        names: list[str] = []
        with small_files(most_bytes):
            for _ in range(3):
                with pytest.raises(StorageFullError):
                    write_much(database, site, names)
                with database.read() as session:
                    assert session.get_one(Site, site.id).note == names[-1]
        with database.write() as session:
            session.get_one(Site, site.id).note = "room again"
        with database.read() as session:
            assert session.scalar(text("PRAGMA integrity_check")) == "ok"
            assert session.scalars(select(Site.note).order_by(Site.id)).all() == ["room again", *names]


def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    with small_files(10_000), pytest.raises(StorageFullError, match="there is no room left"):
        blobs.put(bytes(20_000), most_bytes=MOST)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_backup_that_does_not_fit(tmp_path: Path) -> None:
    with store(tmp_path) as (database, blobs), small_disk(tmp_path / "small", 150):
        site = site_of(database)
        take_in(database, blobs, site, 0)
        with pytest.raises(StorageFullError):
            back_up(Store(database, blobs), tmp_path / "small" / "backup")
        with pytest.raises(DataError, match="is no backup, or one that was not finished"):
            read_manifest(tmp_path / "small" / "backup")


@pytest.mark.parametrize("kilobytes", [150, 400])
def test_a_backup_that_cannot_be_restored_for_want_of_room(tmp_path: Path, kilobytes: int) -> None:
    with store(tmp_path) as (database, blobs):
        site = site_of(database)
        for number in range(20):
            take_in(database, blobs, site, number)
        back_up(Store(database, blobs), tmp_path / "backup")
    new = tmp_path / "small" / "new"
    with small_disk(tmp_path / "small", kilobytes):
        with pytest.raises(StorageFullError):
            restore(tmp_path / "backup", new, f"sqlite:///{new / 'isotherm.db'}")
        assert not list(new.glob("isotherm*"))
