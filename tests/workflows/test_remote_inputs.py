"""Pictures in a bucket are inspected as those in a folder are; a bucket that fails is no fault of a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isotherm.cli.main import main
from isotherm.core.errors import DataError, UnreachableError
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows import remote_inputs
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.reading import fingerprint, list_images, list_inputs
from isotherm.workflows.remote_inputs import here, is_remote, settled
from s3_servers import Bucket
from thermal_files import FlirFile, ramp

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
    def gone(_self: BucketObjects, name: str, _most: int) -> bytes:
        raise UnreachableError(f"s3://x/{name}: does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(BucketObjects, "read", gone)
        with pytest.raises(
            UnreachableError, match=r"does not answer; what was done is kept: .* goes on with --resume$"
        ):
            inspect(remote, tmp_path / "out", settings=QUICK)
    resumed = InspectSettings(panels=False, reports=("csv",), existing="resume")
    results = inspect(remote, tmp_path / "out", settings=resumed).results
    assert [result.status for result in results].count("ok") == 2


def test_an_object_that_has_gone_is_one_failed_picture(remote: Path, tmp_path: Path, bucket: Bucket) -> None:
    paths = list_images(remote)
    bucket.server.client().delete_object(Bucket=bucket.name, Key="in/a/IR_9.jpg")
    with pytest.raises(Exception, match=r"there is no object 's3://.*IR_9.jpg'"), here(paths[0]):
        pass
