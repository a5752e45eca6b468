"""From every schema that was ever released: upgraded, killed in between, restored; on both databases.

The backups were made by those versions themselves (`golden_backup.py`).
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from golden_backup import BACKUPS, IMAGES, picture
from sqlalchemy import MetaData, create_engine, insert, select
from sqlalchemy.orm import Session

from isotherm.store.database import Database
from isotherm.store.folder import opened
from isotherm.store.migrate import differences, downgrade, newest, upgrade, version_of, versions
from isotherm.store.restore import restore
from isotherm.store.tables import Image, Inspection, ModelVersion, Site, Table
from isotherm.store.verify import verify

Rows = dict[str, list[dict[str, object]]]
EARLIER = versions()[:-1]


@pytest.fixture(params=EARLIER)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def backup(version: str, tmp_path: Path) -> Path:
    """Return the backup of a server with an earlier schema."""
    with tarfile.open(BACKUPS / f"{version}.tar.xz") as archive:
        archive.extractall(tmp_path / "backup", filter="data")
    return tmp_path / "backup"


@pytest.fixture
def old(empty_url: str, version: str, backup: Path) -> Iterator[tuple[Database, Rows]]:
    """Give a database with an earlier schema and all the rows of that server, and the rows."""
    database = Database.open(empty_url)
    upgrade(database, version)
    rows = rows_of_file(backup / "isotherm.db")
    tables = MetaData()
    tables.reflect(database.engine)
    with database.write() as session:
        for table in tables.sorted_tables:
            if rows.get(table.name):
                session.execute(insert(table), rows[table.name])
    yield database, rows
    database.close()


def rows_of_file(path: Path) -> Rows:
    engine = create_engine(f"sqlite:///{path}")
    tables = MetaData()
    tables.reflect(engine)
    with Session(engine) as session:
        found = {
            table.name: [dict(row) for row in session.execute(select(table)).mappings()]
            for table in tables.sorted_tables
            if table.name != "alembic_version"
        }
    engine.dispose()
    return found


def rows_now(database: Database, like: Rows) -> Rows:
    """Return the rows of now, of the tables and columns that there were before."""
    tables = MetaData()
    tables.reflect(database.engine)
    with database.read() as session:
        return {
            name: [
                {key: plain(row[key]) for key in (rows[0] if rows else ())}
                for row in session.execute(
                    select(tables.tables[name]).order_by(*tables.tables[name].primary_key)
                ).mappings()
            ]
            for name, rows in like.items()
        }


def plain(value: object) -> object:
    """Return a time without its zone, as SQLite keeps it."""
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def assert_same(database: Database, rows: Rows) -> None:
    found = rows_now(database, rows)
    for name, before in rows.items():
        keys = [column.name for column in Table.metadata.tables[name].primary_key]
        ordered = sorted(before, key=lambda row: [str(row[key]) for key in keys])
        assert sorted(found[name], key=lambda row: [str(row[key]) for key in keys]) == ordered, name


def test_every_released_schema_has_its_backup() -> None:
    assert [path.name[:4] for path in sorted(BACKUPS.iterdir())][: len(EARLIER)] == EARLIER


def test_nothing_is_lost_on_the_way_up_and_down_again(old: tuple[Database, Rows], version: str) -> None:
    database, rows = old
    assert len(rows["image"]) == IMAGES + 1
    assert upgrade(database) == (version, newest())
    assert differences(database) == []
    assert_same(database, rows)
    with database.read() as session:
        for mapper in Table.registry.mappers:
            session.scalars(select(mapper.class_)).all()
    assert downgrade(database, version) == (newest(), version)
    assert_same(database, rows)
    assert upgrade(database) == (version, newest())
    assert_same(database, rows)


# Each child ends itself before its nth statement; the last one comes through.
KILLED = """
import os, signal, sys
from sqlalchemy import event
from isotherm.store import migrate
from isotherm.store.database import Database

def move(last):
    database = Database.open(sys.argv[1])
    statements = []
    def count(*_):
        statements.append(1)
        if len(statements) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    event.listen(database.engine, "before_cursor_execute", count)
    migrate.upgrade(database)

for last in range(1, 10**6, 3):
    child = os.fork()
    if not child:
        move(last)
        os._exit(0)
    done = os.waitpid(child, 0)[1] == 0
    database = Database.open(sys.argv[1])
    print(done, migrate.version_of(database), flush=True)
    database.close()
    if done:
        break
"""


def test_killed_anywhere_an_upgrade_is_not_begun_or_done(old: tuple[Database, Rows], version: str) -> None:
    database, rows = old
    url = database.engine.url.render_as_string(hide_password=False)
    done = subprocess.run([sys.executable, "-c", KILLED, url], capture_output=True, text=True, check=True, timeout=100)
    lines = done.stdout.splitlines()
    assert lines == [f"False {version}"] * (len(lines) - 1) + [f"True {newest()}"]
    assert len(lines) > 3
    assert version_of(database) == newest()
    assert_same(database, rows)


def test_a_backup_of_an_earlier_version_is_a_server_that_works(
    empty_url: str, backup: Path, version: str, tmp_path: Path
) -> None:
    from isotherm.workflows.service.access import LOCAL
    from isotherm.workflows.service.service import Limits, Service
    from isotherm.workflows.service.taking import Upload, take_in

    folder = tmp_path / "new"
    url = empty_url.replace("old.db", "new/isotherm.db")
    outcome = restore(backup, folder, url)
    assert outcome.flaws == ()
    assert outcome.manifest.schema == version
    with opened(folder, url) as store:
        assert verify(store).flaws == ()
        with store.database.read() as session:
            (site,) = session.scalars(select(Site))
            contents = [store.blobs.read(image.digest) for image in session.scalars(select(Image).order_by(Image.id))]
            (model,) = session.scalars(select(ModelVersion))
            judged = session.scalars(select(Inspection).order_by(Inspection.id.desc())).first()
    assert contents == [*map(picture, range(IMAGES)), picture(99)]
    assert site.active_model == model.id
    with Service(Database.open(url), folder, limits=Limits(children=0)) as service:
        (again,) = take_in(service, LOCAL, site.id, [Upload("again.npy", picture(99))])
    assert again.inspection is not None
    # The model that it learnt says the same as it did.
    assert judged is not None
    assert again.inspection.label == judged.label
    np.testing.assert_allclose(again.inspection.confidence, judged.confidence, atol=1e-6)
