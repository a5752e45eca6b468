"""Pictures in a bucket are inspected as those in a folder are; a bucket that fails is no fault of a picture."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from isotherm.cli.main import main
from isotherm.core.errors import DataError, ForbiddenError, UnreachableError
from isotherm.store import objects_s3
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows import remote_inputs
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.reading import fingerprint, list_images, list_inputs, read_inputs
from isotherm.workflows.remote_inputs import here, is_remote, settled
from s3_servers import Bucket
from thermal_files import FlirFile, ramp

MOTO = pytest.mark.parametrize("bucket", ["moto"], indirect=True)
QUICK = InspectSettings(panels=False, reports=("csv",))


@pytest.fixture(autouse=True)
def _nothing_is_open() -> None:
    remote_inputs._opened.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/IR_10.jpg", "a/IR_9.jpg", "b ü/1.jpg", "broken.jpg"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FlirFile(counts=ramp(high=20_000 + 37 * len(name))).jpeg() if "IR" in name else b"no picture")
    return tmp_path / "pictures"


@pytest.fixture
def remote(folder: Path, bucket: Bucket) -> Path:
    for path in folder.rglob("*.jpg"):
        bucket.put(f"in/{path.relative_to(folder).as_posix()}", path.read_bytes())
    bucket.put("in/.hidden.jpg", b"x")
    bucket.put("in/IR_1.jpg.isotherm.json", b"{}")
    bucket.put("elsewhere/x.jpg", b"x")
    return Path(f"{bucket.url}/in")


def names(path: Path) -> list[str]:
    return [item.name for item in list_inputs([path])]


def test_a_bucket_is_listed_as_the_folder(remote: Path, folder: Path) -> None:
    assert is_remote(remote)
    assert names(remote) == names(folder)
    assert names(remote / "a" / "IR_9.jpg") == ["IR_9.jpg"]


def test_nothing_there_is_said(bucket: Bucket) -> None:
    with pytest.raises(DataError, match=f"{bucket.url}/in: there is no file"):
        list_images(Path(f"{bucket.url}/in"))


def test_an_object_is_a_file_for_as_long_as_it_is_read(remote: Path, folder: Path) -> None:
    with here(remote / "b ü" / "1.jpg") as path:
        assert path.read_bytes() == (folder / "b ü" / "1.jpg").read_bytes()
        assert path.name == "1.jpg"
    assert not path.exists()
    with here(folder / "broken.jpg") as path:
        assert path == folder / "broken.jpg"


def test_paths_are_settled_without_the_folder_of_work(tmp_path: Path) -> None:
    assert settled(Path("s3://bucket/x")) == Path("s3:/bucket/x")
    assert settled(tmp_path / ".." / "x") == tmp_path.parent.resolve() / "x"


def test_a_changed_object_changes_the_fingerprint(remote: Path, bucket: Bucket) -> None:
    def found() -> str:
        return fingerprint((path.name, path) for path in list_images(remote))

    before = found()
    assert found() == before
    bucket.put("in/a/IR_9.jpg", b"another")
    assert found() != before


def test_the_fingerprint_takes_objects_of_several_buckets(remote: Path, bucket: Bucket) -> None:
    other = f"{bucket.name}-other"
    bucket.server.client().create_bucket(Bucket=other)
    bucket.server.client().put_object(Bucket=other, Key="x.jpg", Body=b"x")
    files = [("a", remote / "a" / "IR_9.jpg"), ("x", Path(f"s3://{other}/x.jpg"))]
    before = fingerprint(files)
    bucket.server.client().put_object(Bucket=other, Key="x.jpg", Body=b"other")
    assert fingerprint(files) != before


def test_results_may_go_to_the_folder_of_work(remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    assert len(inspect(remote, Path(), settings=QUICK).results) == 4


def test_results_are_those_of_the_folder(remote: Path, folder: Path, tmp_path: Path) -> None:
    inspect(folder, tmp_path / "local", settings=QUICK)
    inspect(remote, tmp_path / "remote", settings=QUICK)
    local, there = ((tmp_path / name / "results.csv").read_text("utf-8") for name in ("local", "remote"))
    assert there == local
    assert there.count(",ok,") == 2
    told = json.loads((tmp_path / "remote" / "run.json").read_text("utf-8"))
    assert (told["source"], told["title"]) == (str(remote), "in")


@pytest.mark.slow
def test_the_command_in_chunks_from_bucket_to_bucket(remote: Path, bucket: Bucket, tmp_path: Path) -> None:
    out, flags = tmp_path / "out", ["--no-panels", "--report", "csv", "--executor", "pool", "--chunk", "2"]
    address = f"{bucket.url}/in"
    assert main(["hotspots", address, "-o", str(out), *flags, "--parquet", f"{bucket.url}/tables"]) == 3
    inspect(remote, tmp_path / "plain", settings=QUICK)
    assert (out / "results.csv").read_bytes() == (tmp_path / "plain" / "results.csv").read_bytes()
    assert "tables/results/part-00000.parquet" in bucket.names()


def test_a_bucket_that_fails_meanwhile_ends_the_run_and_marks_no_picture(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_self: BucketObjects, name: str, *_: object, **_more: object) -> None:
        raise UnreachableError(f"s3://x/{name}: does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(BucketObjects, "read_into", gone)
        patch.setattr(BucketObjects, "check", lambda objects: gone(objects, ""))
        with pytest.raises(
            UnreachableError, match=r"does not answer; what was done is kept: .* goes on with --resume$"
        ):
            inspect(remote, tmp_path / "out", settings=QUICK)
    resumed = InspectSettings(panels=False, reports=("csv",), existing="resume")
    results = inspect(remote, tmp_path / "out", settings=resumed).results
    assert [result.status for result in results].count("ok") == 2


def test_an_object_that_is_replaced_after_it_was_listed_is_one_failed_picture(remote: Path, bucket: Bucket) -> None:
    inputs = list_inputs([remote])
    bucket.put("in/a/IR_9.jpg", FlirFile(counts=ramp(high=30_000)).jpeg() + b"more")
    found = {outcome.name: outcome.error for outcome in read_inputs(inputs)}
    assert found["a/IR_10.jpg"] == ""
    assert re.match(
        r"s3://test-\w+/in/a/IR_9.jpg was replaced after it was listed .*run the command anew", found["a/IR_9.jpg"]
    )
    assert [outcome.error for outcome in read_inputs(list_inputs([remote / "a"]))] == ["", ""]


def test_a_long_object_comes_in_pieces_and_all_of_one_version(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects_s3, "PIECE_BYTES", 100_000)
    data = bytes(range(241)) * 12_000
    for size in (0, 99_999, 100_000, 100_001, len(data)):
        bucket.put("long.bin", data[:size])
        with here(Path(f"{bucket.url}/long.bin")) as path:
            assert path.read_bytes() == data[:size]

    def replace(_: int) -> None:
        bucket.put("long.bin", b"y" * (len(data) + 1))

    wanted = rf"long.bin was replaced .* while it was read \(now {len(data) + 1} bytes\)"
    with (tmp_path / "copy").open("wb") as stream, pytest.raises(DataError, match=wanted):
        BucketObjects.open(bucket.url).read_into("long.bin", stream, ready=replace)


@MOTO
def test_what_does_not_fit_the_disk_is_one_failed_picture(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    found = {outcome.name: outcome.error for outcome in read_inputs(list_inputs([remote]))}
    size = len(FlirFile(counts=ramp(high=20_000 + 37 * len("a/IR_9.jpg"))).jpeg())
    wanted = rf"s3://.*/IR_9.jpg has {size} bytes and is kept in \S+ while it is read, where 100 are free; .* TMPDIR"
    assert re.match(wanted, found["a/IR_9.jpg"])
    assert "no known format" in found["broken.jpg"]


@MOTO
def test_a_name_that_no_file_can_have_is_one_failed_picture(remote: Path, bucket: Bucket) -> None:
    bucket.put("in/" + "long" * 64 + ".jpg", b"x")
    errors = [outcome.error for outcome in read_inputs(list_inputs([remote])) if "rename" in outcome.error]
    assert len(errors) == 1
    assert "has 260 bytes, and a file's may have 255" in errors[0]


@MOTO
def test_a_bucket_that_is_removed_meanwhile_ends_the_run_and_marks_no_picture(
    remote: Path, folder: Path, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3, read = bucket.server.client(), BucketObjects.read_into
    kept = {name: s3.get_object(Bucket=bucket.name, Key=name)["Body"].read() for name in bucket.names()}

    def removed(objects: BucketObjects, name: str, *words: Any, **more: Any) -> None:
        if name == "in/a/IR_10.jpg":
            for other in kept:
                s3.delete_object(Bucket=bucket.name, Key=other)
            s3.delete_bucket(Bucket=bucket.name)
        read(objects, name, *words, **more)

    one = InspectSettings(panels=False, reports=("csv",), jobs=1)
    with monkeypatch.context() as patch:
        patch.setattr(BucketObjects, "read_into", removed)
        with pytest.raises(UnreachableError, match=r"there is no such bucket; .*what was done is kept: .* --resume$"):
            inspect(remote, tmp_path / "out", settings=one)
    with pytest.raises(UnreachableError, match="there is no such bucket"), here(remote / "broken.jpg"):
        pass
    s3.create_bucket(Bucket=bucket.name)
    for name, data in kept.items():
        bucket.put(name, data)
    results = inspect(remote, tmp_path / "out", settings=replace(one, existing="resume")).results
    assert [result.status for result in results].count("ok") == 2


@MOTO
def test_an_object_that_the_bucket_denies_or_cannot_give_is_one_failed_picture(
    remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, read, tried = list_inputs([remote]), BucketObjects.read_into, list[str]()

    def denied(objects: BucketObjects, name: str, *words: Any, **more: Any) -> None:
        tried.append(name)
        if name == "in/a/IR_9.jpg":
            raise ForbiddenError(f"{name}: the credentials do not allow it")
        if name == "in/a/IR_10.jpg" and tried.count(name) == 1:
            raise UnreachableError("a moment without an answer")
        if name == "in/broken.jpg":
            raise UnreachableError(f"{name}: it says InternalError")
        read(objects, name, *words, **more)

    monkeypatch.setattr(BucketObjects, "read_into", denied)
    found = {outcome.name: outcome.error for outcome in read_inputs(inputs)}
    assert found["a/IR_9.jpg"] == "in/a/IR_9.jpg: the credentials do not allow it (of other names the bucket answers)"
    assert found["broken.jpg"].startswith("in/broken.jpg: it says InternalError")
    assert found["a/IR_10.jpg"] == ""


@MOTO
def test_names_that_show_folders_are_no_pictures(bucket: Bucket) -> None:
    for name in ("in/", "in/sub/", "in/void/", "in/empty.jpg", "in/sub/A.jpg", "in/sub/a.jpg", "mark/"):
        bucket.put(name, b"x" if name.endswith("A.jpg") else b"")
    assert names(Path(f"{bucket.url}/in")) == ["empty.jpg", "sub/A.jpg", "sub/a.jpg"]
    with pytest.raises(DataError, match="/mark: there is no file"):
        names(Path(f"{bucket.url}/mark"))


@MOTO
def test_an_object_that_has_others_below_it_is_refused_as_an_address(bucket: Bucket) -> None:
    bucket.put("in/both", b"x")
    bucket.put("in/both/a.jpg", b"x")
    with pytest.raises(DataError, match="/in/both is an object, and others lie below it"):
        names(Path(f"{bucket.url}/in/both"))
    assert names(Path(f"{bucket.url}/in")) == ["both", "both/a.jpg"]


@MOTO
def test_a_name_that_no_path_can_have_is_told_with_its_place(bucket: Bucket) -> None:
    bucket.put("in/ok.jpg", b"x")
    bucket.put("in/../x.jpg", b"x")
    wanted = r'^s3://test-\w+/in: .*"in/../x.jpg".*; rename it, or name a prefix without it$'
    with pytest.raises(DataError, match=wanted):
        names(Path(f"{bucket.url}/in"))


def test_an_object_that_has_gone_is_one_failed_picture(remote: Path, tmp_path: Path, bucket: Bucket) -> None:
    paths = list_images(remote)
    bucket.server.client().delete_object(Bucket=bucket.name, Key="in/a/IR_9.jpg")
    with pytest.raises(Exception, match=r"there is no object 's3://.*IR_9.jpg'"), here(paths[0]):
        pass
