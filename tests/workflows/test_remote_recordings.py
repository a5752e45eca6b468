"""Recordings in a bucket give what they give in a folder, and their results may go to a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from isotherm.cli.main import main
from isotherm.core.errors import ForbiddenError, FormatError, UnreachableError
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows import remote_inputs
from isotherm.workflows.reading import fingerprint
from isotherm.workflows.remote_inputs import recording_here
from isotherm.workflows.run_place import state_folder
from isotherm.workflows.sequence_batch import places_of
from s3_servers import Bucket

TIMES_S = np.arange(14) / 10
MOTO = pytest.mark.parametrize("bucket", ["moto"], indirect=True)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    remote_inputs._opened.cache_clear()
    # Figures take most of the time, and are tested elsewhere.
    monkeypatch.setattr("isotherm.workflows.sequence_maps.maps_sheet", lambda *_: b"drawn")
    monkeypatch.setattr("isotherm.workflows.sequence_segment.defects_figure", lambda *_, **__: b"drawn")


def frames(seed: int) -> np.ndarray:
    """Return a plate (T H W) [°C] that cools behind a flash, with a warmer spot."""
    random = np.random.default_rng(seed)
    heat = np.where(TIMES_S > 0.1, 8 / np.sqrt(np.maximum(TIMES_S, 0.05)), 0)[:, None, None]
    y, x = np.mgrid[:12, :16]
    spot = 1 + 0.4 * np.exp(-((x - 8) ** 2 + (y - 6) ** 2) / 5)
    return 20 + heat * spot + 0.02 * random.standard_normal((len(TIMES_S), 12, 16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give two recordings, the labels of one, a folder of frames, a damaged one, and a text that is none."""
    root = tmp_path / "recordings"
    (root / "deep ü" / "frames").mkdir(parents=True)
    np.save(root / "plate_2.npy", frames(2))
    np.savez(root / "plate_10.npz", frames=frames(10), times_s=TIMES_S)
    (root / "plate_2.json").write_text("{}")
    (root / "plate_2_mask.png").write_bytes(b"labels")
    for number, frame in enumerate(frames(3)):
        np.savetxt(root / "deep ü" / "frames" / f"f_{number}.csv", frame, fmt="%.3f", delimiter=",")
    (root / "torn.npy").write_bytes((root / "plate_2.npy").read_bytes()[:2000])
    (root / "notes.txt").write_text("no recording")
    return root


@pytest.fixture
def remote(folder: Path, bucket: Bucket) -> Path:
    for path in folder.rglob("*"):
        if path.is_file():
            bucket.put(f"in/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return Path(f"{bucket.url}/in")


def in_folder(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def in_bucket(bucket: Bucket, prefix: str) -> dict[str, bytes]:
    s3 = bucket.server.client()
    names = [name for name in bucket.names() if name.startswith(prefix)]
    return {name.removeprefix(prefix): s3.get_object(Bucket=bucket.name, Key=name)["Body"].read() for name in names}


def test_the_recordings_of_a_bucket_are_those_of_the_folder(remote: Path, folder: Path) -> None:
    found = [(place.name, place.named) for place in places_of([remote])]
    assert found == [(place.name, place.named) for place in places_of([folder])]
    assert "deep ü/frames" in dict(found)
    assert "plate_2_mask.png" not in dict(found)
    (one,) = places_of([remote / "plate_2.npy"])
    assert (one.name, one.named) == ("plate_2.npy", True)


@pytest.mark.parametrize(
    ("bucket", "command", "flags"),
    [("moto", "segment", ["--executor", "in-process"]), ("juicefs", "maps", [])],
    indirect=["bucket"],
)
def test_results_are_those_of_the_folder(
    remote: Path, folder: Path, tmp_path: Path, bucket: Bucket, command: str, flags: list[str]
) -> None:
    words = ["sequence", command, "--frame-rate-hz", "10", *(["--methods", "pct"] if command == "maps" else [])]
    assert main([*words, str(folder), "-o", str(tmp_path / "plain")]) == 3
    assert main([*words, f"{bucket.url}/in", "-o", f"{bucket.url}/out/{command}", *flags]) == 3
    local, there = in_folder(tmp_path / "plain"), in_bucket(bucket, f"out/{command}/")
    assert there.keys() == local.keys()
    assert "deep ü__frames/maps.npz" in there
    # The reason names the place of the recording, and nothing of this machine.
    assert there["summary.csv"].replace(f"{bucket.url}/in".encode(), str(folder).encode()) == local["summary.csv"]
    assert {name for name in local if local[name] != there[name]} <= {"summary.csv"}
    assert not state_folder().exists() or list(state_folder().iterdir()) == []


@MOTO
def test_one_recording_is_written_without_a_folder_of_its_own(
    remote: Path, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{bucket.url}/out/one"
    assert main(["sequence", "segment", f"{bucket.url}/in/plate_10.npz", "-o", address]) == 0
    assert "mask.png" in in_bucket(bucket, "out/one/")
    assert f"written   {address}/defects.csv" in capsys.readouterr().out


def test_a_copy_goes_and_errors_name_the_address(remote: Path, folder: Path) -> None:
    with recording_here(remote / "deep ü" / "frames") as here:
        assert in_folder(here) == in_folder(folder / "deep ü" / "frames")
        assert here.name == "frames"
    assert not here.exists()
    with (
        pytest.raises(FormatError, match=r"^s3://test-\w+/in/torn.npy: damaged"),
        recording_here(remote / "torn.npy") as here,
    ):
        raise FormatError(f"{here}: damaged", 7)


@MOTO
def test_a_changed_frame_changes_the_fingerprint(remote: Path, bucket: Bucket) -> None:
    def found() -> str:
        return fingerprint((place.name, place.path) for place in places_of([remote]))

    before = found()
    assert found() == before
    bucket.put("in/deep ü/frames/f_3.csv", b"1,2\n3,4\n")
    assert found() != before


@MOTO
def test_a_bucket_that_fails_meanwhile_ends_the_run_and_marks_no_recording(
    remote: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = places_of([remote])

    def gone(_self: BucketObjects, name: str, *_: object, **_more: object) -> None:
        raise UnreachableError(f"s3://x/{name}: does not answer")

    monkeypatch.setattr("isotherm.cli.sequence_segment.places_of", lambda paths: places)
    monkeypatch.setattr(BucketObjects, "read_into", gone)
    monkeypatch.setattr(BucketObjects, "check", lambda objects: gone(objects, ""))
    for flags in ([], ["--executor", "in-process"]):
        assert main(["sequence", "segment", "x", "-o", str(tmp_path / "out"), *flags]) == 1
        assert "does not answer" in capsys.readouterr().err
    assert not (tmp_path / "out" / "summary.csv").exists()


@MOTO
def test_a_recording_that_the_bucket_denies_is_one_failed_row(
    remote: Path, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("in/plate_10.npz/inside.txt", b"an object, and a folder")
    entry = BucketObjects.entry

    def denied(objects: BucketObjects, name: str) -> Any:
        if name == "in/plate_2.npy":
            raise ForbiddenError(f"{objects.url}/{name}: the credentials do not allow it")
        return entry(objects, name)

    monkeypatch.setattr(BucketObjects, "entry", denied)
    words = ["sequence", "maps", f"{bucket.url}/in", "-o", str(tmp_path), "--methods", "pct", "--frame-rate-hz", "10"]
    assert main(words) == 3
    rows = {row.split(",")[0]: row for row in (tmp_path / "summary.csv").read_text("utf-8").splitlines()}
    assert rows["plate_2.npy"].startswith("plate_2.npy,,failed,,the credentials do not allow it")
    assert "others lie below it" in rows["plate_10.npz"]
    assert "deep ü/frames,deep ü__frames,done" in rows["deep ü/frames"]


@MOTO
def test_who_empties_the_bucket_begins_anew(folder: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["sequence", "maps", str(folder / "plate_2.npy"), "-o", f"{bucket.url}/out"]
    words += ["--methods", "pct", "--frame-rate-hz", "10", "--executor", "in-process"]

    def die(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("isotherm.workflows.recordings_output.Summary.write", die)
        assert main(words) not in (0, 3)
    assert len(list(state_folder().iterdir())) == 1
    for name in bucket.names():
        bucket.server.client().delete_object(Bucket=bucket.name, Key=name)
    assert main(words) == 0
    assert "out/plate_2/maps.npz" in bucket.names()
