"""Two servers behind one PostgreSQL with their files in one bucket: each sees all, jobs are done once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select

from databases import PostgreSQL
from isotherm.client.api import Client
from isotherm.store.database import Database
from isotherm.store.folder import blobs_of
from isotherm.store.tables import Inspection, Job, JobItem
from s3_servers import Bucket
from thermal_files import FlirFile, ramp

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
IMAGES, JOBS = 6, 6


@dataclass
class Server:
    process: subprocess.Popen[str]
    client: Client


@contextmanager
def serving(folder: Path, database_url: str, bucket: Bucket) -> Iterator[Server]:
    flags = ["--port", "0", "--data", str(folder), "--database", database_url, "--blobs", f"{bucket.url}/files"]
    environment = os.environ | bucket.server.environment() | {"OMP_NUM_THREADS": "1", "ISOTHERM_DJI_READER": "none"}
    with (folder.parent / f"{folder.name}.log").open("w+", encoding="utf-8") as log:
        command = [sys.executable, "-m", "isotherm", "serve", *flags]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        try:
            assert process.stdout is not None
            found = _ADDRESS.search(process.stdout.readline())
            log.seek(0)
            assert found, log.read()
            with Client(found.group()) as client:
                yield Server(process, client)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


@pytest.fixture
def bucket(juicefs: object) -> Bucket:
    return Bucket.fresh(juicefs)  # type: ignore[arg-type]


@pytest.fixture
def url(postgresql: PostgreSQL) -> Iterator[str]:
    with postgresql.database() as found:
        yield found


@pytest.fixture
def servers(tmp_path: Path, url: str, bucket: Bucket) -> Iterator[tuple[Server, Server]]:
    with ExitStack() as stack:
        yield tuple(stack.enter_context(serving(tmp_path / name, url, bucket)) for name in ("one", "two"))  # type: ignore[misc]


def pictures(folder: Path, first: int, count: int) -> Path:
    folder.mkdir()
    for number in range(first, first + count):
        (folder / f"{number}.jpg").write_bytes(FlirFile(counts=ramp(high=24_000 + 10 * number)).jpeg())
    return folder


def wait_for(condition: object, within_s: float = 90) -> None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.02)
    raise AssertionError("it has not come")


@pytest.mark.slow
def test_two_servers_share_files_and_jobs_and_one_may_die(
    servers: tuple[Server, Server], url: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    site = one.client.create_site("plant")["id"]
    for number, server in enumerate(servers):
        folder = pictures(tmp_path / f"pictures {number}", number * IMAGES // 2, IMAGES // 2)
        assert server.client.upload_folder(site, folder).failed == ()
    _both_see_everything(servers, site, bucket)
    jobs = [servers[number % 2].client._json("POST", f"/sites/{site}/inspect", json={})["id"] for number in range(JOBS)]
    database = Database.open(url)

    def ended() -> bool:
        with database.read() as session:
            return all(session.get(Job, job).state == "succeeded" for job in jobs)  # type: ignore[union-attr]

    owners = set[str]()

    def both_at_work() -> bool:
        with database.read() as session:
            owners.update(session.scalars(select(Job.owner).where(Job.owner.is_not(None))))
        return len(owners) == 2

    wait_for(both_at_work)
    two.process.send_signal(signal.SIGKILL)
    wait_for(ended)
    with database.read() as session:
        items = Counter((item.job_id, item.item) for item in session.scalars(select(JobItem)))
        inspections = Counter(
            (found.job_id, found.image_id) for found in session.scalars(select(Inspection)) if found.job_id in jobs
        )
    database.close()
    images = [image["id"] for image in one.client.rows("/images", {"site_id": site})]
    assert items == inspections == {(job, image): 1 for job in jobs for image in images}
    _nothing_is_lost(bucket, tmp_path, monkeypatch)


def _both_see_everything(servers: tuple[Server, Server], site: str, bucket: Bucket) -> None:
    seen = [list(server.client.rows("/images", {"site_id": site})) for server in servers]
    assert seen[0] == seen[1]
    assert len(seen[0]) == IMAGES
    for server in servers:
        for image in seen[0]:
            content = server.client.transport.send("GET", f"/api/v1/images/{image['id']}/content").content
            assert content.startswith(b"\xff\xd8")
    # Small pictures may be equal.
    assert IMAGES < len([name for name in bucket.names() if name.startswith("files/sha256/")]) <= 2 * IMAGES


def _nothing_is_lost(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    assert blobs_of(tmp_path / "one").verify() == []
