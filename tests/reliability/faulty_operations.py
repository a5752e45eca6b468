"""A process whose nth call of the system fails, or kills it: run by `syscall_faults.FaultServer` below strace.

It imports everything first, says its number, and from then on answers one line of JSON each, in a child of its own:
``{"operation": "upload", "folder": "...", "call": "fsync", "number": 3}``. strace lets call number `WHEN` of each kind
in each process fail. So the child makes WHEN - number calls that do nothing before the operation, and afterwards finds
out by more of them whether the fault was met.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from sqlalchemy.orm import Session

from isotherm.core.errors import IsothermError
from isotherm.scaleout.ledger import Ledger
from isotherm.scaleout.plan import Plan
from isotherm.store import blob_rows, migrate, restore
from isotherm.store.backup import back_up
from isotherm.store.blobs import Blobs, Stored
from isotherm.store.database import Database
from isotherm.store.folder import opened
from isotherm.store.tables import Image, Site

MOST = 1 << 20
WHEN = 400
"""Which call of a kind, counted from the start of a process, strace lets fail.

Must be more than any operation makes (the schema: 267 of pwrite64), or calls of another kind than the one that is meant
go wrong.
"""
NO_FILE = 1 << 20
LONGEST = 1 << 16
"""Of a wish and of an answer [bytes]."""
EMPTY: dict[str, Callable[[], object]] = {
    "openat": lambda: os.open("", os.O_RDONLY),
    "write": lambda: os.write(NO_FILE, b""),
    "pwrite64": lambda: os.pwrite(NO_FILE, b"", 0),
    "fsync": lambda: os.fsync(NO_FILE),
    "fdatasync": lambda: os.fdatasync(NO_FILE),
    "ftruncate": lambda: os.ftruncate(NO_FILE, 0),
    "rename": lambda: os.rename("", ""),  # noqa: PTH104 (the call itself)
    "link": lambda: os.link("", ""),
    "mkdir": lambda: os.mkdir(""),  # noqa: PTH102
    "unlink": lambda: os.unlink(""),  # noqa: PTH108
}
"""A call of each kind that does nothing but fail, with ENOENT or EBADF."""


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'isotherm.db'}"


def content(number: int) -> bytes:
    return f"content {number} ".encode() * 700


def add_image(session: Session, site: Site, stored: Stored) -> None:
    blob_rows.remember(session, stored)
    session.add(Image(site_id=site.id, digest=stored.digest, name="a.jpg", size=stored.size))
    site.images, site.bytes = site.images + 1, site.bytes + stored.size


def make_store(folder: Path) -> None:
    """Make a small store: a site with two images, and a file that nobody refers to."""
    database, blobs = Database.open(url_of(folder)), Blobs(folder / "blobs")
    migrate.upgrade(database)
    stored = [blobs.put(content(number), most_bytes=MOST) for number in range(3)]
    with database.write() as session:
        site = Site(name="north")
        session.add(site)
        session.flush()
        for one in stored[:2]:
            add_image(session, site, one)
        blob_rows.remember(session, stored[2])
    database.close()


def upload(folder: Path) -> str:
    """Keep a new image and return its sha256."""
    with opened(folder, url_of(folder)) as store:
        stored = store.blobs.put(content(9), most_bytes=MOST)
        with store.database.write() as session:
            add_image(session, session.query(Site).one(), stored)
    return stored.digest


def collect(folder: Path) -> int:
    """Mark what nobody refers to, and remove it, which otherwise happens a day later."""
    with opened(folder, url_of(folder)) as store:
        blob_rows.collect(store.database, store.blobs)
        return blob_rows.collect(store.database, store.blobs, keep_s=-1).removed


def backup(folder: Path) -> int:
    with opened(folder, url_of(folder)) as store:
        return back_up(store, folder / "backup").manifest.files


def restored(folder: Path) -> int:
    """Restore the backup of the store into a new folder."""
    return restore.restore(folder / "backup", folder / "new", url_of(folder / "new")).manifest.files


def schema(folder: Path) -> str:
    """Make all tables in a new database."""
    database = Database.open(f"sqlite:///{folder / 'fresh.db'}")
    try:
        return migrate.upgrade(database)[1]
    finally:
        database.close()


def ledger(folder: Path) -> int:
    """Begin a run of three chunks and commit them; returns how many rows there are in the end."""
    book = Ledger.open(f"sqlite:///{folder / 'ledger.db'}")
    try:
        held = book.hold(Plan("run", {}, {}, items=6, chunk=2))
        done = held.done()
        for number in range(held.plan.chunks):
            if number not in done:
                held.commit(number, [f"row {place}" for place in held.plan.places(number)])
        rows = list(held.rows())
        held.release()
        return len(rows)
    finally:
        book.close()


OPERATIONS: dict[str, Callable[[Path], Any]] = {
    "upload": upload,
    "collect": collect,
    "backup": backup,
    "restored": restored,
    "schema": schema,
    "ledger": ledger,
}


def _met(empty: Callable[[], object], code: int) -> bool:
    """Say whether an empty call is the one that strace lets fail with `code`."""
    try:
        empty()
    except OSError as error:
        return error.errno == code
    return False


def attempt(wish: dict[str, Any]) -> dict[str, Any]:
    """Do one operation with one fault, and return what came of it."""
    empty = EMPTY[wish["call"]]
    for _ in range(WHEN - wish["number"]):
        _met(empty, 0)
    try:
        value, error = OPERATIONS[wish["operation"]](Path(wish["folder"])), ""
    except IsothermError as caught:
        value, error = str(caught), type(caught).__name__
    # Who should have been killed is asked for a sign of life only.
    unmet = wish["code"] == 0 or any(_met(empty, wish["code"]) for _ in range(WHEN))
    return {"error": error, "value": value, "met": not unmet}


def warm_up() -> None:
    """Load all that operations load late: the program itself is not on the disk that fails."""
    versions = migrate.versions()
    migrate.versions = lambda: versions
    with tempfile.TemporaryDirectory() as folder:
        make_store(Path(folder))
        for operation in OPERATIONS.values():
            operation(Path(folder))


def serve(line: socket.socket) -> None:
    """Answer wishes until the line is closed; by `sendto`, which never fails here."""
    warm_up()
    line.send(str(os.getpid()).encode())
    while wish := line.recv(LONGEST):
        child = os.fork()
        if not child:
            _answer(line, json.loads(wish))
        if os.waitpid(child, 0)[1] == signal.SIGKILL:
            line.send(b'{"error": "killed", "value": null, "met": true}')
        line.send(b"gone")


def _answer(line: socket.socket, wish: dict[str, Any]) -> NoReturn:
    try:
        answer = attempt(wish)
    except BaseException:  # noqa: BLE001 (what is no error of isotherm is a finding)
        answer = {"error": "foreign", "value": traceback.format_exc(), "met": True}
    line.send(json.dumps(answer).encode()[:LONGEST])
    os._exit(0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
