"""What `verify` finds, for each kind of damage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from store_rows import add_image, add_site, keep

from isotherm.store import audit
from isotherm.store.blobs import Blobs, Stored
from isotherm.store.database import Database
from isotherm.store.folder import Store
from isotherm.store.tables import Audit, Blob, Image, ModelVersion, Site, now
from isotherm.store.verify import verify


@pytest.fixture
def store(database: Database, tmp_path: Path) -> Store:
    found = Store(database, Blobs(tmp_path / "blobs"))
    stored = keep(found.blobs, b"image")
    with database.write() as session:
        site = add_site(session)
        image = add_image(session, site, stored)
        image.thumbnail = keep(found.blobs, b"thumbnail").digest
        session.add(Blob(digest=image.thumbnail, size=len(b"thumbnail")))
        site.images, site.bytes = 1, stored.size
        for action in ("a", "b"):
            audit.append(session, "ann", action, "", {})
    return found


def change(store: Store, statement: object) -> None:
    with store.database.write() as session:
        session.execute(statement)


def path_of(store: Store, column: object = Image.digest) -> Path:
    with store.database.read() as session:
        return store.blobs.path(str(session.scalars(select(column)).one()))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def sentences(store: Store) -> list[str]:
    return [f"{flaw.subject.split()[0]} {flaw.reason}" for flaw in verify(store).flaws]


def test_a_whole_store(store: Store) -> None:
    steps: list[int] = []
    found = verify(store, lambda done, total, message: steps.append(done))
    assert (found.flaws, found.orphans, found.files, found.audit_rows) == ((), (), 2, 2)
    assert steps == [1, 2]


DAMAGES: dict[str, tuple[Callable[[Store], object], list[str]]] = {
    "missing file": (lambda store: path_of(store).unlink(), ["file is missing"]),
    "missing thumbnail": (lambda store: path_of(store, Image.thumbnail).unlink(), ["file is missing"]),
    "short file": (
        lambda store: os.truncate(path_of(store), 3),
        [
            "file has 3 bytes, not 5",
            "file is damaged: its sha256 is e46c28a5d1f7a3b5dfbd2a5ad3ab6b8d0ce8c3f2c35c3da3d7fe4ad3a0dcaf02",
        ],
    ),
    "flipped bit": (lambda store: flip(path_of(store)), ["file is damaged: its sha256 is ..."]),
    "no row": (
        lambda store: change(store, text("DELETE FROM blob WHERE digest IN (SELECT thumbnail FROM image)")),
        ["file is used, and no row tells of it"],
    ),
    "counter": (lambda store: change(store, update(Site).values(images=2)), ["site counts 2 images and has 1"]),
    "bytes": (lambda store: change(store, update(Site).values(bytes=6)), ["site counts 6 bytes and has 5"]),
    "findings": (lambda store: change(store, update(Site).values(findings=1)), ["site counts 1 findings and has 0"]),
    "model": (
        lambda store: change(store, update(Site).values(active_model="m")),
        ["site judges with the classifier model m, which it does not have"],
    ),
    "anomaly model": (
        lambda store: change(store, update(Site).values(active_anomaly_model="m")),
        ["site judges with the anomaly model m, which it does not have"],
    ),
    "inspection": (
        lambda store: change(store, update(Image).values(latest_inspection="i")),
        ["image has a latest inspection that is not there"],
    ),
    "audit": (
        lambda store: change(store, update(Audit).where(Audit.number == 1).values(actor="bob")),
        ["audit audit row 1 was changed"],
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_found(store: Store, name: str) -> None:
    damage, expected = DAMAGES[name]
    damage(store)
    found = sentences(store)
    assert [sentence.partition(" sha256 ")[0] for sentence in found] == [
        sentence.partition(" sha256 ")[0] for sentence in expected
    ]


def test_what_is_no_flaw(store: Store) -> None:
    orphan = keep(store.blobs, b"orphan")
    with store.database.write() as session:
        session.add(Blob(digest="0" * 64, size=1, deleted_at=now()))
        site = session.scalars(select(Site)).one()
        model = ModelVersion(site_id=site.id, number=1, method="logistic", files={})
        session.add(model)
        session.flush()
        site.active_model = model.id
    found = verify(store)
    assert found.flaws == ()
    assert found.orphans == (orphan.digest,)


def test_a_model_of_the_other_kind_does_not_judge(store: Store) -> None:
    with store.database.write() as session:
        site = session.scalars(select(Site)).one()
        model = ModelVersion(site_id=site.id, number=1, method="patchcore", kind="anomaly", files={})
        session.add(model)
        session.flush()
        site.active_model = site.active_anomaly_model = model.id
    assert sentences(store) == [f"site judges with the classifier model {model.id}, which it does not have"]


def test_a_model_of_another_site_is_no_model(store: Store) -> None:
    with store.database.write() as session:
        model = ModelVersion(site_id=add_site(session, "south").id, number=1, method="logistic", files={"a": "0" * 64})
        session.add(model)
        session.flush()
        session.execute(update(Site).where(Site.name == "north").values(active_model=model.id))
    assert sentences(store) == [
        f"site judges with the classifier model {model.id}, which it does not have",
        "file is used, and no row tells of it",
    ]


@pytest.fixture
def file(tmp_path: Path, sqlite_template: Path) -> Path:
    return Path(shutil.copy(sqlite_template, tmp_path / "isotherm.db"))


def test_a_row_that_refers_to_none(file: Path, tmp_path: Path) -> None:
    import sqlite3

    with sqlite3.connect(file) as connection:
        # The keys are watched only where a connection asks for it.
        connection.execute("INSERT INTO job_item VALUES ('absent', 'item', '', '{}')")
    connection.close()
    database = Database.open(f"sqlite:///{file}")
    assert sentences(Store(database, Blobs(tmp_path / "blobs"))) == [
        "job_item refers to a row of job that is not there"
    ]
    database.close()


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7])
def test_a_damaged_database(file: Path, tmp_path: Path, part: float) -> None:
    database = Database.open(f"sqlite:///{file}")
    with database.write() as session:
        session.add_all(Site(name=f"{number:05d} {'x' * 100}") for number in range(2000))
    database.close()
    data = bytearray(file.read_bytes())
    # Not the schema, whose pages come first.
    place = int(part * len(data))
    data[place : place + 40_000] = bytes(40_000)
    file.write_bytes(data)
    database = Database.open(f"sqlite:///{file}")
    keep(Blobs(tmp_path / "blobs"), b"content")
    found = verify(Store(database, Blobs(tmp_path / "blobs")))
    assert found.flaws
    assert {flaw.subject for flaw in found.flaws} == {"database"}
    assert found.files == 1
    database.close()


def test_the_size_in_a_row_is_that_of_the_file(store: Store) -> None:
    change(store, update(Blob).where(Blob.digest == Stored(path_of(store).name, 5).digest).values(size=7))
    assert sentences(store) == ["file has 5 bytes, not 7"]
