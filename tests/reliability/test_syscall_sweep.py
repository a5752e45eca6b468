"""Every call of the system that the store makes fails once, or is the last before kill -9: nothing is ever half done.

The calls are those of the store and of SQLite alike: opening, writing, flushing, cutting, renaming, linking, removing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest
from faulty_operations import EMPTY, OPERATIONS, WHEN, content, make_store, upload, url_of
from sqlalchemy import select, text
from syscall_faults import KILL, FaultServer, Outcome, fault_server

from isotherm.core.errors import DataError
from isotherm.scaleout.ledger import CHUNKS, Ledger
from isotherm.store.backup import read_manifest
from isotherm.store.database import Database
from isotherm.store.folder import Store, opened
from isotherm.store.migrate import differences, newest, upgrade, version_of
from isotherm.store.tables import Image
from isotherm.store.verify import verify

EVERY = bool(os.environ.get("ISOTHERM_EVERY_CALL"))
FIRST, STRIDE, MOST = 4, 1 if EVERY else 31, WHEN - 10
"""The first calls of a kind all go wrong, of the many behind them some; all with ISOTHERM_EVERY_CALL=1."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a small store and its backup, to be copied."""
    folder = tmp_path_factory.mktemp("made")
    make_store(folder)
    OPERATIONS["backup"](folder)
    return folder


def numbers() -> Iterator[int]:
    return chain(range(1, FIRST), range(FIRST, MOST, STRIDE))


def sweep(
    server: FaultServer, operation: str, made: Path, check: Callable[[Path, Outcome], None], work: Path
) -> dict[str, int]:
    """Let each call go wrong in turn, and check each time; returns how many faults of each kind were met."""
    met = dict.fromkeys(EMPTY, 0)
    for call in EMPTY:
        for number in numbers():
            folder = work / f"{call}-{number}"
            shutil.copytree(made, folder)
            if operation == "backup":
                shutil.rmtree(folder / "backup")
            outcome = server.attempt(operation, folder, call=call, number=number)
            if not outcome.met:
                break
            met[call] += 1
            assert outcome.error != "foreign" or any(part in outcome.value for part in OF_THE_PROGRAM), outcome.value
            check(folder, outcome)
            shutil.rmtree(folder)
        else:
            pytest.fail(f"{operation} makes {MOST} calls of {call} and more: raise WHEN in faulty_operations")
    return met


OF_THE_PROGRAM = ("Can't locate revision", ".py'\n")
"""How it ends where the installed package cannot be listed (Alembic), or read: no fault of the data folder's disk."""


def digests(store: Store) -> list[str]:
    with store.database.read() as session:
        assert session.scalar(text("PRAGMA integrity_check")) == "ok"
        return list(session.scalars(select(Image.digest).order_by(Image.id)))


def assert_sound(folder: Path, *, images: set[int]) -> None:
    """Check a store as it was left: whole, with what it had, and with one of these numbers of images."""
    with opened(folder, url_of(folder)) as store:
        found = digests(store)
        assert len(found) in images
        assert verify(store).flaws == ()
        assert [store.blobs.read(digest) for digest in found[:2]] == [content(0), content(1)]


def uploaded(folder: Path, outcome: Outcome) -> None:
    """What was acknowledged is there; what was refused is there whole or not at all; and it can be done again."""
    assert_sound(folder, images={2, 3} if outcome.error else {3})
    if not outcome.error:
        with opened(folder, url_of(folder)) as store:
            assert digests(store)[2] == outcome.value
    upload(folder)
    assert_sound(folder, images={3, 4} if outcome.error else {4})


def collected(folder: Path, outcome: Outcome) -> None:
    """Only what nobody refers to is gone."""
    assert_sound(folder, images={2})
    assert outcome.error or outcome.value == 1
    OPERATIONS["collect"](folder)
    with opened(folder, url_of(folder)) as store:
        assert len(list(store.blobs.digests())) == 2


def backed_up(folder: Path, outcome: Outcome) -> None:
    """A backup that has a manifest can be restored, whatever its maker has said."""
    assert_sound(folder, images={2})
    try:
        manifest = read_manifest(folder / "backup")
    except DataError:
        assert outcome.error
        return
    assert manifest.files == OPERATIONS["restored"](folder) == 3
    assert_sound(folder / "new", images={2})


def restored(folder: Path, outcome: Outcome) -> None:
    """A folder that was restored is whole; one that was not has no database, and is refused."""
    assert_sound(folder, images={2})
    if (folder / "new" / "isotherm.db").exists():
        assert_sound(folder / "new", images={2})
        return
    assert outcome.error
    with pytest.raises(DataError), opened(folder / "new", url_of(folder / "new")):
        pass


def made_or_not(folder: Path, outcome: Outcome) -> None:
    """All tables are there or none, and the rest comes by doing it again."""
    database = Database.open(f"sqlite:///{folder / 'fresh.db'}")
    try:
        assert version_of(database) in (("", newest()) if outcome.error else (outcome.value,))
        upgrade(database)
        assert differences(database) == []
    finally:
        database.close()


def entered(folder: Path, outcome: Outcome) -> None:
    """Each chunk is there whole or not at all, and the same call goes on; what was counted was there."""
    assert outcome.error or outcome.value == 6
    book = Ledger.open(f"sqlite:///{folder / 'ledger.db'}")
    try:
        if book.plan_of("run"):
            with book._database.read() as session:
                rows = dict(session.execute(select(CHUNKS.c.number, CHUNKS.c.count)).all())
            assert rows == dict.fromkeys(range(len(rows)), 2)
    finally:
        book.close()
    # The process that held the run is not there any more, so nobody waits for its lease.
    assert OPERATIONS["ledger"](folder) == 6


CHECKS = {
    "upload": uploaded,
    "collect": collected,
    "backup": backed_up,
    "restored": restored,
    "schema": made_or_not,
    "ledger": entered,
}


def test_every_operation_is_checked() -> None:
    assert CHECKS.keys() == OPERATIONS.keys()


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest) -> Iterator[FaultServer]:
    """Give a server of one kind of fault."""
    with fault_server(request.param) as found:
        yield found


# A disk that fails is refused by the same lines as one that is full, and steps of the schema are killed statement by
# statement elsewhere; with ISOTHERM_EVERY_CALL=1 all of it is tried here.
USUAL = [operation for operation in CHECKS if operation != "schema"]
SWEEPS = [(fault, operation) for fault in ("ENOSPC", KILL) for operation in USUAL] + [("EIO", "upload")]
if EVERY:
    SWEEPS = [(fault, operation) for fault in ("ENOSPC", "EIO", KILL) for operation in CHECKS]


@pytest.mark.slow
@pytest.mark.parametrize(("server", "operation"), SWEEPS, indirect=["server"])
def test_whatever_call_goes_wrong(server: FaultServer, operation: str, made: Path, tmp_path: Path) -> None:
    met = sweep(server, operation, made, CHECKS[operation], tmp_path)
    assert sum(met.values()) > 10
    assert met["openat"] >= 3
    assert met["pwrite64"] >= 3
