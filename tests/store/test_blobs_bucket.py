"""Stored files in a bucket keep the promises of stored files in a folder; what two machines may do to one another."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path
from typing import Any

import pytest
from store_rows import MOST, add_image, add_site, keep

from isotherm.core.errors import DataError, ForbiddenError, NotFoundError, OutputError, TooLargeError, UsageError
from isotherm.store import objects_s3
from isotherm.store.backup import back_up
from isotherm.store.blob_rows import collect, remember
from isotherm.store.blobs import Blobs, Flaw, Stored
from isotherm.store.blobs_bucket import LOOK_S, BucketBlobs
from isotherm.store.database import Database
from isotherm.store.folder import Store, blobs_of
from isotherm.store.objects_s3 import BucketObjects
from isotherm.store.restore import restore
from isotherm.store.verify import verify
from s3_servers import Bucket

ABSENT = "0" * 64
NOW = -1.0
"""An age that everything has reached."""


@pytest.fixture
def blobs(bucket: Bucket, tmp_path: Path) -> BucketBlobs:
    return made(bucket, tmp_path / "here")


def made(bucket: Bucket, folder: Path) -> BucketBlobs:
    return BucketBlobs(folder, BucketObjects.open(f"{bucket.url}/files"))


def left(blobs: BucketBlobs) -> list[Path]:
    return [path for path in blobs.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("content", [b"", b"a", bytes(6 << 20)], ids=["empty", "short", "in pieces"])
def test_content_comes_back(blobs: BucketBlobs, bucket: Bucket, content: bytes) -> None:
    stored = blobs.put(io.BytesIO(content), most_bytes=len(content))
    digest = hashlib.sha256(content).hexdigest()
    assert stored == Stored(digest, len(content))
    assert blobs.read(digest) == content
    with blobs.open(digest) as stream:
        assert stream.read() == content
    assert (blobs.has(digest), blobs.size(digest)) == (True, len(content))
    assert bucket.names() == [f"files/sha256/{digest[:2]}/{digest[2:4]}/{digest}"]
    assert left(blobs) == []


def test_another_machine_sees_it_at_once(blobs: BucketBlobs, bucket: Bucket, tmp_path: Path) -> None:
    digest = keep(blobs, b"seen").digest
    other = made(bucket, tmp_path / "there")
    assert other.read(digest) == b"seen"
    assert list(other.digests()) == [digest]


def test_what_is_not_there_is_said(blobs: BucketBlobs) -> None:
    assert (blobs.has(ABSENT), blobs.size(ABSENT)) == (False, None)
    for use in (blobs.read, blobs.open, blobs.fetched):
        with pytest.raises(NotFoundError, match=ABSENT):
            use(ABSENT)
        with pytest.raises(NotFoundError):
            use("../../etc/passwd")
    assert blobs.discard(ABSENT, NOW)


def test_wrong_content_is_refused_and_nothing_stays(blobs: BucketBlobs, bucket: Bucket) -> None:
    with pytest.raises(DataError, match="not 000"):
        blobs.put(b"x", most_bytes=MOST, digest=ABSENT)
    with pytest.raises(TooLargeError, match="longer than 3 bytes"):
        blobs.put(b"four", most_bytes=3)
    assert (bucket.names(), left(blobs)) == ([], [])


def test_damaged_content_is_told(blobs: BucketBlobs, bucket: Bucket) -> None:
    digest = keep(blobs, b"good").digest
    bucket.put(f"files/sha256/{digest[:2]}/{digest[2:4]}/{digest}", b"evil")
    with pytest.raises(DataError, match="damaged in the bucket"):
        blobs.read(digest)
    with pytest.raises(DataError, match="damaged in the bucket"):
        blobs.fetched(digest)
    assert blobs.verify() == [Flaw(f"file {digest}", "is damaged in the bucket")]
    keep(blobs, b"good")
    assert (blobs.read(digest), blobs.verify()) == (b"good", [])


def test_a_fetched_file_stays_for_a_day(blobs: BucketBlobs) -> None:
    path = blobs.fetched(keep(blobs, b"train").digest)
    assert path.read_bytes() == b"train"
    long_ago = time.time() - 90_000
    os.utime(path, (long_ago, long_ago))
    other = blobs.fetched(keep(blobs, b"other").digest)
    # Looked for once an hour.
    assert path.is_file()
    blobs._next_forgetting = 0.0
    blobs.fetched(other.name)
    assert (path.exists(), other.exists()) == (False, True)


def test_a_bucket_that_is_down_is_noticed_and_asked_now_and_then(
    blobs: BucketBlobs, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs.folder.mkdir()
    blobs._looked -= 2 * LOOK_S
    assert blobs.writable()
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setattr(blobs.objects, "_impatient", objects_s3._store(bucket.name, "files", 1, retries=0))
        assert blobs.writable()
        blobs._looked -= 2 * LOOK_S
        assert not blobs.writable()
    assert not blobs.writable()
    blobs._looked -= 2 * LOOK_S
    assert blobs.writable()


def test_young_content_is_not_discarded(blobs: BucketBlobs) -> None:
    digest = keep(blobs, b"young").digest
    assert not blobs.discard(digest)
    assert blobs.has(digest)
    assert blobs.discard(digest, NOW)


def test_discarded_content_goes_a_day_later(blobs: BucketBlobs, bucket: Bucket) -> None:
    digest = keep(blobs, b"unused").digest
    blobs.discard(digest, NOW)
    assert list(blobs.digests()) == []
    blobs.reconcile(lambda _: set())
    assert len(bucket.names()) == 1
    blobs.reconcile(lambda _: set(), NOW)
    assert bucket.names() == []
    assert not blobs.has(digest)


def test_content_that_is_put_again_while_it_is_discarded_is_not_lost(
    blobs: BucketBlobs, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine puts it between the look at the age and the removal, and writes its row after that."""
    digest, other = keep(blobs, b"wanted").digest, made(bucket, tmp_path / "there")
    remove = BucketObjects.remove

    def put_before(self: BucketObjects, name: str) -> None:
        keep(other, b"wanted")
        remove(self, name)

    with monkeypatch.context() as patch:
        patch.setattr(BucketObjects, "remove", put_before)
        assert blobs.discard(digest, NOW)
    assert list(blobs.digests()) == []
    assert other.read(digest) == b"wanted"
    assert other.has(digest)
    blobs.reconcile(lambda digests: digests, NOW)
    assert list(blobs.digests()) == [digest]
    assert len(bucket.names()) == 1


def test_the_collector_brings_back_what_a_row_needs(database: Database, blobs: BucketBlobs) -> None:
    stored = keep(blobs, b"needed")
    blobs.discard(stored.digest, NOW)
    with database.write() as session:
        add_image(session, add_site(session), stored)
    collect(database, blobs)
    assert list(blobs.digests()) == [stored.digest]


def test_the_collector_removes_in_the_end(database: Database, blobs: BucketBlobs, bucket: Bucket) -> None:
    with database.write() as session:
        remember(session, keep(blobs, b"marked"))
    keep(blobs, b"orphan")
    for _ in range(3):
        collect(database, blobs, keep_s=NOW)
    assert bucket.names() == []


def test_backup_and_restore_between_folder_and_bucket(tmp_path: Path, sqlite_template: Path, bucket: Bucket) -> None:
    folder, url = tmp_path / "data", f"sqlite:///{tmp_path / 'data.db'}"
    (tmp_path / "data.db").write_bytes(sqlite_template.read_bytes())
    database = Database.open(url)
    store = Store(database, blobs_of(folder, f"{bucket.url}/server"))
    with database.write() as session:
        site = add_site(session)
        stored = keep(store.blobs, b"picture")
        site.images, site.bytes = 1, stored.size
        add_image(session, site, stored)
    assert verify(store).flaws == ()
    assert back_up(store, tmp_path / "backup").flaws == ()
    assert Blobs(tmp_path / "backup" / "blobs").read(stored.digest) == b"picture"
    there = tmp_path / "new"
    assert restore(tmp_path / "backup", there, f"sqlite:///{there / 'x.db'}", blobs=f"{bucket.url}/new").flaws == ()
    assert isinstance(blobs_of(there), BucketBlobs)
    assert blobs_of(there).read(stored.digest) == b"picture"
    database.close()


def test_a_folder_remembers_its_bucket(bucket: Bucket, tmp_path: Path) -> None:
    digest = keep(blobs_of(tmp_path, bucket.url), b"x").digest
    assert blobs_of(tmp_path).read(digest) == b"x"
    assert blobs_of(tmp_path, bucket.url).read(digest) == b"x"
    with pytest.raises(
        UsageError, match=f"keeps its files in {bucket.url}, not in s3://elsewhere; move them by isotherm"
    ):
        blobs_of(tmp_path, "s3://elsewhere")


def test_a_folder_with_files_is_not_given_to_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    keep(blobs_of(tmp_path), b"x")
    with pytest.raises(UsageError, match=f"keeps its files in {tmp_path / 'blobs'}, not in"):
        blobs_of(tmp_path, bucket.url)
    assert blobs_of(tmp_path).on_disk


@pytest.mark.parametrize(
    ("address", "message"), [("/srv/files", "--blobs must be s3://"), ("s3://absent-one", "no such bucket")]
)
def test_a_bucket_that_cannot_be_used_is_not_remembered(
    bucket: Bucket, tmp_path: Path, address: str, message: str
) -> None:
    assert bucket.names() == []
    with pytest.raises(UsageError, match=message):
        blobs_of(tmp_path, address)
    assert blobs_of(tmp_path).on_disk


def test_an_upload_that_the_bucket_refuses_is_not_acknowledged(
    blobs: BucketBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise ForbiddenError("s3://x: the credentials do not allow to write here")

    monkeypatch.setattr(BucketObjects, "write_file", refuse)
    # No ForbiddenError, which would tell the sender that they may not.
    with pytest.raises(OutputError, match=r"files of this server cannot be reached: .*do not allow to write"):
        keep(blobs, b"x")
    assert left(blobs) == []
