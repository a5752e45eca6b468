"""Contents by name: the same promises of a folder and of buckets on two servers; what each failure says."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import (
    ConflictError,
    DataError,
    ForbiddenError,
    NotFoundError,
    StorageFullError,
    TooLargeError,
    UnreachableError,
    UsageError,
)
from isotherm.store.objects import LocalObjects, Objects, is_remote, open_objects
from s3_servers import Bucket, S3Server, read_only_server

AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_SKIP_SIGNATURE")
ODD = "a b/c#d%20e+ü日?.png"


@pytest.fixture(params=["folder", "moto", "juicefs"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    if request.param == "folder":
        return open_objects(tmp_path)
    bucket = Bucket.fresh(request.getfixturevalue(request.param))
    for name, value in bucket.server.environment().items():
        monkeypatch.setenv(name, value)
    return open_objects(f"{bucket.url}/some/prefix")


@pytest.mark.parametrize("name", ["a", "a/b/c.bin", ODD])
@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)) * 30_000])
def test_what_is_written_is_there_and_comes_back(objects: Objects, name: str, data: bytes) -> None:
    assert not objects.exists(name)
    objects.write(name, data)
    assert objects.exists(name)
    assert objects.read(name, len(data)) == data
    assert [(entry.name, entry.size) for entry in objects.entries()] == [(name, len(data))]


def test_a_listing_goes_by_the_bytes_of_the_whole_names(objects: Objects) -> None:
    names = ["a-b/x", "a/x", "a/y/z", "a.b", "b", "B", "ü"]
    for name in names:
        objects.write(name, b"")
    assert [entry.name for entry in objects.entries()] == sorted(names, key=os.fsencode)
    assert [entry.name for entry in objects.entries("a")] == ["a/x", "a/y/z"]
    assert list(objects.entries("absent")) == []


def test_a_new_content_has_another_version(objects: Objects) -> None:
    objects.write("x", b"1")
    (before,) = objects.entries()
    objects.write("x", b"22")
    (after,) = objects.entries()
    assert before.version
    assert after.version != before.version
    assert objects.read("x", 2) == b"22"


def test_a_new_name_must_not_be_taken(objects: Objects) -> None:
    objects.write("a/x", b"first", new=True)
    with pytest.raises(ConflictError, match="a/x is there already"):
        objects.write("a/x", b"second", new=True)
    assert objects.read("a/x", 10) == b"first"
    assert len(list(objects.entries())) == 1


def test_content_that_is_too_long_is_not_read(objects: Objects) -> None:
    objects.write("x", b"four")
    with pytest.raises(TooLargeError, match="x has 4 bytes, the most that is read is 3"):
        objects.read("x", 3)


def test_what_is_not_there_is_said_or_nothing(objects: Objects) -> None:
    with pytest.raises(NotFoundError, match="a/x"):
        objects.read("a/x", 1)
    assert not objects.exists("a/x")
    objects.remove("a/x")
    objects.write("a/x", b"")
    objects.remove("a/x")
    assert list(objects.entries()) == []


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/./b", "a\0b", "a\nb", "x" * 1025])
def test_a_name_never_leaves_its_address(objects: Objects, name: str) -> None:
    for use in (
        objects.exists,
        objects.remove,
        lambda found: objects.read(found, 1),
        lambda found: objects.write(found, b""),
    ):
        with pytest.raises(UsageError, match="name"):
            use(name)


def test_of_many_writers_of_a_new_name_one_succeeds(tmp_path: Path) -> None:
    _race(open_objects(tmp_path))


def test_of_many_writers_of_a_new_object_one_succeeds(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """On moto alone: the gateway of JuiceFS does not know the condition."""
    bucket = Bucket.fresh(moto)
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    _race(open_objects(bucket.url))


def _race(objects: Objects) -> None:
    won: list[bytes] = []

    def write(data: bytes) -> None:
        try:
            objects.write("x", data, new=True)
        except ConflictError:
            return
        won.append(data)

    threads = [Thread(target=write, args=(bytes([number]),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [objects.read("x", 1)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["a", "b/c", "b/d/e"]), st.none() | st.binary(max_size=5)), max_size=12))
def test_a_folder_is_a_mapping_of_names(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, bytes | None]]
) -> None:
    objects, known = open_objects(tmp_path_factory.mktemp("objects")), dict[str, bytes]()
    for name, data in steps:
        if data is None:
            objects.remove(name)
            known.pop(name, None)
        else:
            objects.write(name, data)
            known[name] = data
        assert {entry.name: objects.read(entry.name, 5) for entry in objects.entries()} == known


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = open_objects(tmp_path)
    objects.write("x", b"old")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFullError, match="no room left"):
        objects.write("x", b"new")
    assert objects.read("x", 3) == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_unfinished_files_and_links_to_folders_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_bytes(b"1")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ".isotherm-00.part").write_bytes(b"half")
    assert [entry.name for entry in open_objects(tmp_path).entries()] == ["real/x"]


def test_addresses_of_folders(tmp_path: Path) -> None:
    spaced = tmp_path / "with blank"
    assert isinstance(open_objects(f"file://{tmp_path}/with%20blank", create=True), LocalObjects)
    assert spaced.is_dir()
    assert open_objects(spaced).url == str(spaced)
    assert is_remote("s3://b/p")
    assert not is_remote(spaced)
    assert not is_remote("file:///x")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gs://bucket", "known: a folder, file:///folder, s3://bucket/prefix"),
        ("file://elsewhere/x", "folder of this machine"),
        ("file:///absent-folder", "there is no folder /absent-folder"),
        ("s3://", "must be s3://bucket/prefix"),
        ("s3://Up_Per/x", "must be s3://bucket/prefix"),
        ("s3://good-name/../x", "no name of a content"),
    ],
)
def test_an_address_that_cannot_be_used_is_explained(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_objects(url)


def test_missing_credentials_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AWS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_objects("s3://bucket")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    with pytest.raises(UsageError, match="but AWS_SECRET_ACCESS_KEY is not"):
        open_objects("s3://bucket")


def test_wrong_credentials_are_told_apart(juicefs: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket.fresh(juicefs)
    for name, value in juicefs.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(ForbiddenError, match="AWS_SECRET_ACCESS_KEY does not belong to"):
        open_objects(bucket.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    with pytest.raises(ForbiddenError, match="AWS_ACCESS_KEY_ID is not known there"):
        open_objects(bucket.url)


def test_a_bucket_that_is_not_there(bucket: Bucket) -> None:
    with pytest.raises(UsageError, match="s3://no-such-bucket: there is no such bucket; make it"):
        open_objects("s3://no-such-bucket")


def test_a_name_that_cannot_be_used_is_told(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket.fresh(moto)
    bucket.put("x//y", b"")
    for name, value in moto.environment().items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match=r"x//y.*empty path segment; rename it"):
        list(open_objects(bucket.url).entries())


@pytest.fixture
def read_only() -> Iterator[tuple[S3Server, str]]:
    """Give a server that lets its user read only, and a bucket of it."""
    with read_only_server("forbidden", {"x": b"1"}) as reader:
        yield reader, "s3://forbidden"


def test_a_bucket_that_forbids_writing(read_only: tuple[S3Server, str], monkeypatch: pytest.MonkeyPatch) -> None:
    server, url = read_only
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    objects = open_objects(url)
    assert [entry.name for entry in objects.entries()] == ["x"]
    for write in (lambda: objects.write("y", b""), lambda: objects.remove("x")):
        with pytest.raises(ForbiddenError, match="do not allow to write here; they need s3:PutObject"):
            write()
    assert objects.read("x", 1) == b"1"


def _refused() -> int:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return int(closed.getsockname()[1])


@pytest.fixture
def silent() -> Iterator[int]:
    """Give a port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found.getsockname()[1]


@pytest.mark.slow
def test_a_silent_server_is_given_up_within_15_s(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _gives_up(f"http://127.0.0.1:{silent}", monkeypatch)


@pytest.mark.parametrize("address", [lambda: f"http://127.0.0.1:{_refused()}", lambda: "http://host.invalid"])
def test_a_server_that_is_not_there_is_given_up(address: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    _gives_up(address(), monkeypatch)


def _gives_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (S3Server(address).environment() | {"NO_PROXY": "*", "no_proxy": "*"}).items():
        monkeypatch.setenv(name, value)
    begun = time.monotonic()
    with pytest.raises(
        UnreachableError, match=f"s3://bucket: {address} does not answer as it should .*AWS_ENDPOINT_URL"
    ):
        open_objects("s3://bucket")
    assert time.monotonic() - begun < 15
