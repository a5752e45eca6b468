"""Backups while files are taken in, corrected and removed: all that was acknowledged before is in them, and sound."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import numpy as np
from sqlalchemy import select

from isotherm.store import blob_rows
from isotherm.store.backup import back_up
from isotherm.store.folder import Store, opened
from isotherm.store.restore import restore
from isotherm.store.tables import Feedback, Image
from isotherm.store.verify import verify
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.feedback import give_feedback
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site
from isotherm.workflows.service.taking import Upload, take_in

WRITERS, BACKUPS = 3, 3
LEAST = 15
"""So many files are acknowledged before each backup begins."""


def picture(writer: int, number: int) -> bytes:
    with io.BytesIO() as stream:
        np.save(stream, np.full((8, 8), 20 + writer + number / 100, np.float32))
        return stream.getvalue()


@dataclass
class Writer(Thread):
    """Takes files in and corrects what is said of them, and notes what was acknowledged."""

    service: Service
    site: str
    number: int
    stop: Event
    images: list[str] = field(default_factory=list)
    feedback: list[str] = field(default_factory=list)
    error: BaseException | None = None

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = Thread.__hash__

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.turn(len(self.images))
        except BaseException as error:  # noqa: BLE001 (shown by the test)
            self.error = error

    def turn(self, turn: int) -> None:
        (taken,) = take_in(self.service, LOCAL, self.site, [Upload(f"{turn}.npy", picture(self.number, turn))])
        assert taken.image is not None, taken.error
        assert taken.inspection is not None
        self.images.append(taken.image.id)
        if turn % 5 == 0:
            said = give_feedback(self.service, LOCAL, taken.inspection.id, category="hot")
            self.feedback.append(said.id)


@contextmanager
def load(service: Service) -> Iterator[list[Writer]]:
    """Let threads write, and one remove what nobody refers to."""
    site = create_site(service, LOCAL, "north").id
    stop = Event()
    writers = [Writer(service, site, number, stop) for number in range(WRITERS)]

    def tidy() -> None:
        while not stop.wait(0.05):
            service.blobs.put(f"nobody's {len(writers[0].images)}".encode(), most_bytes=100)
            blob_rows.collect(service.database, service.blobs)

    threads: list[Thread] = [*writers, Thread(target=tidy)]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [writer.error for writer in writers] == [None] * WRITERS


def acknowledged(writers: list[Writer]) -> tuple[set[str], set[str]]:
    """Return the images and the corrections that are acknowledged by now."""
    return {one for each in writers for one in list(each.images)}, {
        one for each in writers for one in list(each.feedback)
    }


def test_all_that_was_acknowledged_before_is_in_the_backup(service: Service, tmp_path: Path) -> None:
    before: list[tuple[set[str], set[str]]] = []
    with load(service) as writers:
        for number in range(BACKUPS):
            while len(acknowledged(writers)[0]) < LEAST * (number + 1) and all(each.is_alive() for each in writers):
                pass
            before.append(acknowledged(writers))
            outcome = back_up(Store(service.database, service.blobs), tmp_path / f"backup {number}")
            assert outcome.flaws == ()
    for number, (images, corrections) in enumerate(before):
        new = tmp_path / f"new {number}"
        url = f"sqlite:///{new / 'isotherm.db'}"
        assert restore(tmp_path / f"backup {number}", new, url).flaws == ()
        with opened(new, url) as store:
            assert verify(store).flaws == ()
            with store.database.read() as session:
                assert images <= set(session.scalars(select(Image.id)))
                assert corrections <= set(session.scalars(select(Feedback.id)))
            store_digests = set(store.blobs.digests())
            with store.database.read() as session:
                assert set(session.scalars(select(Image.digest))) <= store_digests
    assert len(before[-1][0]) >= LEAST * BACKUPS
    assert before[-1][1]
