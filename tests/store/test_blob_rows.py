"""Which stored files the database knows, and when they may go."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from store_rows import add_image, add_site, keep

from isotherm.store.blob_rows import Collected, collect, known, remember
from isotherm.store.blobs import KEEP_S, Blobs, Stored
from isotherm.store.database import Database
from isotherm.store.tables import Blob, Image, ModelVersion, Offer, now

DAY_AND_MORE = KEEP_S + 60


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def age(database: Database, blobs: Blobs, seconds: float = DAY_AND_MORE) -> None:
    """Make everything in the store older."""
    for digest in blobs.digests():
        path = blobs.path(digest)
        at = path.stat().st_mtime - seconds
        os.utime(path, (at, at))
    with database.write() as session:
        for row in [*session.scalars(select(Blob)), *session.scalars(select(Offer))]:
            row.created_at -= timedelta(seconds=seconds)
        for row in session.scalars(select(Blob).where(Blob.deleted_at.is_not(None))):
            row.deleted_at -= timedelta(seconds=seconds)


def deleted(database: Database) -> dict[str, bool]:
    with database.read() as session:
        return {row.digest: row.deleted_at is not None for row in session.scalars(select(Blob))}


def stored_image(database: Database, blobs: Blobs, content: bytes) -> Stored:
    stored = keep(blobs, content)
    with database.write() as session:
        add_image(session, add_site(session, content.hex()), stored)
    return stored


def test_what_is_used_stays(database: Database, blobs: Blobs) -> None:
    image, thumbnail, weights = (keep(blobs, content) for content in (b"image", b"thumbnail", b"weights"))
    with database.write() as session:
        site = add_site(session)
        add_image(session, site, image).thumbnail = thumbnail.digest
        for stored in (thumbnail, weights):
            remember(session, stored)
        session.add(ModelVersion(site_id=site.id, number=1, method="logistic", files={"model.json": weights.digest}))
    for _ in range(3):
        age(database, blobs)
        assert collect(database, blobs) == Collected(marked=0, removed=0, orphans=0, unfinished=0)
    assert deleted(database) == dict.fromkeys([image.digest, thumbnail.digest, weights.digest], False)
    assert all(blobs.has(digest) for digest in deleted(database))


def test_what_is_used_no_more_goes_a_day_later(database: Database, blobs: Blobs) -> None:
    stored = stored_image(database, blobs, b"image")
    with database.write() as session:
        session.execute(delete(Image))
    age(database, blobs)
    assert collect(database, blobs).marked == 1
    assert blobs.has(stored.digest)
    assert collect(database, blobs) == Collected(0, 0, 0, 0)
    age(database, blobs)
    assert collect(database, blobs).removed == 1
    assert not blobs.has(stored.digest)
    assert deleted(database) == {}


def test_what_is_sent_again_stays(database: Database, blobs: Blobs) -> None:
    stored = stored_image(database, blobs, b"image")
    with database.write() as session:
        session.execute(delete(Image))
    collect(database, blobs)
    age(database, blobs)
    # Sent again, and the row that refers to it comes a little later than the collector.
    keep(blobs, b"image")
    assert collect(database, blobs).removed == 0
    with database.write() as session:
        add_image(session, add_site(session, "south"), stored)
    assert blobs.read(stored.digest) == b"image"
    assert deleted(database) == {stored.digest: False}


def test_a_file_without_a_row_goes_when_it_is_old(database: Database, blobs: Blobs) -> None:
    stored = keep(blobs, b"orphan")
    assert collect(database, blobs).orphans == 0
    age(database, blobs)
    assert collect(database, blobs).orphans == 1
    assert not blobs.has(stored.digest)


def test_an_offer_keeps_a_file_for_a_day(database: Database, blobs: Blobs) -> None:
    stored = keep(blobs, b"offered")
    with database.write() as session:
        remember(session, stored)
        session.flush()
        session.add(Offer(digest=stored.digest, owner="ann", created_at=now()))
    assert collect(database, blobs) == Collected(0, 0, 0, 0)
    age(database, blobs)
    assert collect(database, blobs).marked == 1
    age(database, blobs)
    assert collect(database, blobs).removed == 1


def test_a_collector_killed_between_file_and_row_goes_on(database: Database, blobs: Blobs) -> None:
    stored = keep(blobs, b"image")
    with database.write() as session:
        remember(session, stored)
    collect(database, blobs)
    age(database, blobs)
    blobs.path(stored.digest).unlink()
    assert collect(database, blobs).removed == 1
    assert deleted(database) == {}


def test_unfinished_files_go(database: Database, blobs: Blobs) -> None:
    assert collect(database, blobs).unfinished == 0
    (blobs.folder / "incoming").mkdir(parents=True)
    for name, old in (("old.part", True), ("new.part", False)):
        path = blobs.folder / "incoming" / name
        path.write_bytes(b"half")
        if old:
            os.utime(path, (0, 0))
    assert collect(database, blobs).unfinished == 1
    assert [path.name for path in (blobs.folder / "incoming").iterdir()] == ["new.part"]


def test_known_says_which_are_kept(database: Database, blobs: Blobs) -> None:
    stored = keep(blobs, b"image")
    with database.write() as session:
        remember(session, stored)
        remember(session, stored)
    with database.read() as session:
        assert known(session, [stored.digest, "0" * 64]) == {stored.digest}
        assert known(session, []) == set()
