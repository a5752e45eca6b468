"""A service on disks of many sizes, each filled to the last byte; run below `unshare`, prints one line of JSON a disk.

unshare --map-root-user --mount python small_disks.py FOLDER KILOBYTES ...
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import select, text

from isotherm.core.errors import IsothermError
from isotherm.store.database import Database
from isotherm.store.folder import Store
from isotherm.store.migrate import set_up
from isotherm.store.tables import Image, Site
from isotherm.store.verify import verify
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.sites import create_site
from isotherm.workflows.service.taking import Upload, take_in

BALLAST_BYTES = 300_000
ROOM_FOR = 3


def picture(number: int) -> bytes:
    with io.BytesIO() as stream:
        np.save(stream, np.full((32, 48), 20 + number / 8, np.float32))
        return stream.getvalue()


def made(folder: Path) -> None:
    """Make a data folder with a site, on a disk that has room."""
    folder.mkdir(parents=True)
    database = Database.open(f"sqlite:///{folder / 'isotherm.db'}")
    set_up(database)
    with Service(database, folder, limits=Limits(children=0)) as service:
        create_site(service, LOCAL, "north")


def opened(folder: Path) -> Service:
    return Service(Database.open(f"sqlite:///{folder / 'isotherm.db'}"), folder, limits=Limits(children=0))


def site_of(service: Service) -> str:
    with service.database.read() as session:
        return session.scalars(select(Site.id)).one()


def take(service: Service, number: int) -> str:
    """Take a picture in and return its sha256; raises what was the problem."""
    (taken,) = take_in(service, LOCAL, site_of(service), [Upload(f"{number}.npy", picture(number))])
    if taken.problem is not None:
        raise taken.problem
    assert taken.image is not None
    return taken.image.digest


def fill(service: Service, taken: list[str]) -> str:
    """Take pictures in until that fails; returns the name of the error."""
    try:
        while True:
            taken.append(take(service, len(taken)))
    except IsothermError as error:
        return type(error).__name__


def flaws_of(service: Service, taken: list[str]) -> list[str]:
    """Return what is wrong: what was taken is not there or not as it was, or anything that `verify` finds."""
    with service.database.read() as session:
        found = [f"integrity: {said}" for said in session.scalars(text("PRAGMA integrity_check")) if said != "ok"]
        there = list(session.scalars(select(Image.digest).order_by(Image.id)))
    if there != taken:
        found.append(f"{len(taken)} were taken, {len(there)} are there")
    found += [str(flaw) for flaw in verify(Store(service.database, service.blobs)).flaws]
    return found + [digest for number, digest in enumerate(taken) if service.blobs.read(digest) != picture(number)]


def reopened(folder: Path) -> str:
    """Open the folder on the full disk, as a restart would; returns the name of the error, or nothing."""
    try:
        with opened(folder) as service:
            site_of(service)
    except IsothermError as error:
        return type(error).__name__
    return ""


def try_disk(folder: Path) -> dict[str, Any]:
    """Fill a disk, restart, make room and go on; returns what was seen."""
    taken: list[str] = []
    with opened(folder) as service:
        errors = [fill(service, taken) for _ in range(3)]
        flaws = flaws_of(service, taken)
    restart = reopened(folder)
    (folder / "ballast").unlink()
    with opened(folder) as service:
        before = len(taken)
        taken += [take(service, before + number) for number in range(ROOM_FOR)]
        flaws += flaws_of(service, taken)
    return {"taken": before, "errors": errors, "restart": restart, "flaws": flaws}


def main(folder: Path, sizes_kb: list[int]) -> None:
    template = folder / "template"
    made(template)
    for size_kb in sizes_kb:
        disk = folder / str(size_kb)
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", disk], check=True)
        try:
            shutil.copytree(template, disk / "data")
            (disk / "data" / "ballast").write_bytes(bytes(BALLAST_BYTES))
            sys.stdout.write(json.dumps({"size_kb": size_kb, **try_disk(disk / "data")}) + "\n")
            sys.stdout.flush()
        finally:
            subprocess.run(["umount", disk], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(size) for size in sys.argv[2:]])
