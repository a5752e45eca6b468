"""House-keeping of a data folder."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from isotherm.jobs import queue
from isotherm.jobs.running import work_off
from isotherm.store import idempotency
from isotherm.store.idempotency import Answer
from isotherm.store.tables import Idempotency, now
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.images import take_in
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site
from isotherm.workflows.service.taking import Upload
from small_pictures import hot_csv

TWO_DAYS_S = 2 * 86_400


def make_old(path: Path) -> None:
    then = time.time() - TWO_DAYS_S
    os.utime(path, (then, then))


def test_what_nobody_needs_goes_after_a_day_and_nothing_else(service: Service) -> None:
    site = create_site(service, LOCAL, "plant")
    (taken,) = take_in(service, LOCAL, site.id, [Upload("hot.csv", hot_csv())])
    orphan = service.blobs.put(b"killed before its row was written", most_bytes=100)
    scratch = service.folder / "scratch"
    for name in ("train-old", "train-young"):
        (scratch / name).mkdir()
        (scratch / name / "model.bin").write_bytes(b"x")
    for name in ("old", "young"):
        (scratch / name).write_bytes(b"x")
    for path in (scratch / "old", scratch / "train-old", *service.blobs.folder.rglob("*")):
        make_old(path)
    with service.database.write() as session:
        job = queue.enqueue(session, "tidy", payload={})
        idempotency.keep(session, "me", "old", Answer("a" * 64, 201, {}, "{}"))
        session.execute(update(Idempotency).values(created_at=now() - timedelta(days=2)))
    assert work_off(service.database, KINDS(service)) == 1
    with service.database.read() as session:
        ended = queue.get(session, job.id)
    assert ended.state == "succeeded", ended.error
    assert ended.result["files_without_row_removed"] == 1
    assert ended.result["old_answers_removed"] == 1
    assert ended.result["scratch_entries_removed"] == 2
    assert {path.name for path in scratch.iterdir()} >= {"young", "train-young"}
    assert not (scratch / "old").exists()
    assert not (scratch / "train-old").exists()
    assert not service.blobs.has(orphan.digest)
    assert taken.image is not None
    assert service.blobs.has(taken.image.digest)
