"""What lies beside pictures in a bucket changes them as it does in a folder, and is found by listing alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from isotherm.cli.main import main
from isotherm.core.errors import OutputError
from isotherm.store.objects import Entry
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows import remote_inputs, visual
from isotherm.workflows.beside import Sidecars
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.reading import find_images, list_inputs, read_inputs, read_many
from isotherm.workflows.remote_inputs import sidecars_beside
from isotherm.workflows.report import report
from s3_servers import Bucket
from small_pictures import csv
from thermal_files import FlirFile, encoded, ramp

MOTO = pytest.mark.parametrize("bucket", ["moto"], indirect=True)
QUICK = InspectSettings(panels=False, reports=("csv", "json"))
OWN = {"isotherm_sidecar": 1, "scene": {"emissivity": 0.4}, "regions": []}
SITE = {"isotherm_sidecar": 1, "scene": {"reflected_c": 45.0}}
OTHERS = {"isotherm_sidecar": 1, "image_sha256": "0" * 64, "scene": {"emissivity": 0.4}}


@pytest.fixture(autouse=True)
def _nothing_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    remote_inputs._opened.cache_clear()
    remote_inputs._sidecar.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give pictures with a sidecar of the folder, one of their own, one of another file, and a damaged one."""
    root = tmp_path / "pictures"
    files = {
        f"{name}.jpg": FlirFile(counts=ramp()).jpeg() for name in ("plain", "a/IR_1", "a/IR_2", "b/IR_1", "b/IR_2")
    }
    beside = {"a/site": SITE, "a/IR_2.jpg": OWN, "b/IR_1.jpg": OTHERS, "b/IR_2.jpg": {"scene": {}}, "gone.jpg": OWN}
    files |= {f"{name}.isotherm.json": json.dumps(values).encode() for name, values in beside.items()}
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def remote(folder: Path, bucket: Bucket) -> Path:
    for path in folder.rglob("*.*"):
        bucket.put(f"in/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return Path(f"{bucket.url}/in")


def rows(out: Path, source: object) -> list[dict[str, object]]:
    """Return the rows of ``results.json``, with the source of the pictures taken out of reasons."""
    text = (out / "results.json").read_text("utf-8").replace(f"{source}/", "")
    return list(json.loads(text)["results"])


def figures(page: str) -> list[str]:
    """Return the pictures of a page, with their temperatures."""
    return [part.partition("</figure>")[0] for part in page.split("<figure")[1:]]


def test_rows_are_those_of_the_folder(remote: Path, folder: Path, bucket: Bucket, tmp_path: Path) -> None:
    inspect(folder, tmp_path / "local", settings=QUICK)
    inspect(remote, tmp_path / "there", settings=QUICK)
    local = rows(tmp_path / "local", folder)
    assert rows(tmp_path / "there", f"{bucket.url}/in") == local
    hottest = {row["image"]: row["temperatures"] and row["temperatures"]["max_c"] for row in local}
    assert len({hottest["plain.jpg"], hottest["a/IR_1.jpg"], hottest["a/IR_2.jpg"]}) == 3
    reasons = {row["image"]: row["error"] for row in local}
    assert str(reasons["b/IR_1.jpg"]).startswith("b/IR_1.jpg.isotherm.json: made for another file")
    assert str(reasons["b/IR_2.jpg"]).startswith("b/IR_2.jpg.isotherm.json: no sidecar of isotherm")


@MOTO
@pytest.mark.slow
def test_workers_of_a_pool_get_the_sidecars_with_their_pictures(
    remote: Path, folder: Path, bucket: Bucket, tmp_path: Path
) -> None:
    flags = ["--no-panels", "--report", "json", "--executor", "pool", "--workers", "1", "--chunk", "2"]
    assert main(["hotspots", f"{bucket.url}/in", "-o", str(tmp_path / "there"), *flags]) == 3
    inspect(folder, tmp_path / "local", settings=QUICK)
    assert rows(tmp_path / "there", f"{bucket.url}/in") == rows(tmp_path / "local", folder)


def requests_seen(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    """Write down what a bucket is asked for."""
    for name in ("entry", "entries", "files", "read", "read_into"):
        done = getattr(BucketObjects, name)

        def seen(
            self: BucketObjects, *words: object, _name: str = name, _done: object = done, **more: object
        ) -> object:
            asked.append(f"{_name} {words[0]}")
            return _done(self, *words, **more)  # type: ignore[operator]

        monkeypatch.setattr(BucketObjects, name, seen)


@MOTO
def test_one_listing_finds_them_and_each_is_fetched_once(remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    requests_seen(monkeypatch, asked)
    outcomes = list(read_inputs(list_inputs([remote]), jobs=1))
    assert [outcome.thermogram is not None for outcome in outcomes] == [True, True, False, False, True]
    pictures = [f"read_into in/{name}.jpg" for name in ("a/IR_1", "a/IR_2", "b/IR_1", "b/IR_2", "plain")]
    sidecars = [f"read in/{name}.isotherm.json" for name in ("a/site", "a/IR_2.jpg", "b/IR_1.jpg", "b/IR_2.jpg")]
    assert sorted(asked) == sorted(["entries in", "entry in", *pictures, *sidecars])


@MOTO
def test_reports_show_the_photos_beside_pictures_after_one_listing_a_folder(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By FLIR's rule for names the photo of IR_1 is DC_2."""
    files = {f"IR_{number}.csv": csv("joint", number) for number in (1, 5)}
    files |= {f"DC_{n}.jpg": encoded(np.full((48, 64, 3), 30 * n, np.uint8), "JPEG") for n in (2, 6)}
    (tmp_path / "pictures").mkdir()
    for name, data in files.items():
        (tmp_path / "pictures" / name).write_bytes(data)
        bucket.put(f"in/{name}", data)
    inspect(tmp_path / "pictures", tmp_path / "local")
    inspect(Path(f"{bucket.url}/in"), tmp_path / "there")
    listed, right_there = list[str](), BucketObjects.files

    def seen(self: BucketObjects, folder: str) -> list[Entry]:
        listed.append(folder)
        return right_there(self, folder)

    monkeypatch.setattr(BucketObjects, "files", seen)
    there, local = (report(tmp_path / name, "html").data.decode() for name in ("there", "local"))
    assert figures(there) == figures(local)
    assert [there.count(f"Photo of the same view as IR_{number}.csv") for number in (1, 5)] == [1, 1]
    assert listed == ["in"]


@MOTO
def test_what_is_too_large_for_a_photo_is_not_fetched(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = encoded(np.zeros((48, 64, 3), np.uint8), "JPEG")
    files = {"IR_1.csv": csv("joint", 1), "DC_2.jpg": photo}
    for name, data in files.items():
        bucket.put(f"in/{name}", data)
    monkeypatch.setattr(visual, "MAX_FILE_BYTES", len(photo) - 1)
    (outcome,) = (one for one in read_many([Path(f"{bucket.url}/in/IR_1.csv")]))
    assert outcome.thermogram is not None

    found, note = visual.photo_of(outcome.thermogram, outcome.path)
    assert found is None
    assert f"the most that is read is {len(photo) - 1}" in note


@MOTO
def test_a_single_object_has_its_sidecar_too(remote: Path, folder: Path) -> None:
    for source in (remote, folder):
        (outcome,) = read_inputs(list_inputs([source / "a" / "IR_2.jpg"]))
        assert outcome.thermogram is not None
        assert outcome.thermogram.scene.emissivity.value == 0.4
        assert outcome.thermogram.scene.reflected_k.value == pytest.approx(318.15)


@MOTO
def test_a_run_of_one_object_looks_at_nothing_else(
    remote: Path, tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, resumed = list[str](), InspectSettings(panels=False, reports=("csv",), existing="resume")
    with monkeypatch.context() as patch:
        requests_seen(patch, asked)
        inspect(remote / "a" / "IR_1.jpg", tmp_path / "out", settings=QUICK)
    assert {words.split(" ", 1)[1] for words in asked} == {
        *("in/a/IR_1.jpg", "in/a/IR_1.jpg.isotherm.json", "in/a/site.isotherm.json"),
    }
    assert not any(words.startswith("files") for words in asked)
    bucket.put("in/a/IR_2.jpg.isotherm.json", b"{}")
    inspect(remote / "a" / "IR_1.jpg", tmp_path / "out", settings=resumed)
    bucket.put("in/a/site.isotherm.json", b"{}")
    with pytest.raises(OutputError, match="begun with other input"):
        inspect(remote / "a" / "IR_1.jpg", tmp_path / "out", settings=resumed)


@MOTO
def test_who_reads_without_a_listing_makes_one(remote: Path) -> None:
    found = find_images(remote)
    again = sidecars_beside(found.pictures)
    assert again.of_all(found.pictures) == found.sidecars.of_all(found.pictures)
    assert all(again.of(picture) == found.sidecars.of(picture) for picture in found.pictures)
    changed = [outcome for outcome in read_many(found.pictures) if outcome.thermogram and outcome.thermogram.notes]
    assert [outcome.name for outcome in changed] == ["IR_1.jpg", "IR_2.jpg"]


def test_a_sidecar_that_changes_between_two_goes_is_noticed(folder: Path, tmp_path: Path) -> None:
    resumed = InspectSettings(panels=False, reports=("csv",), existing="resume")
    inspect(folder, tmp_path / "out", settings=QUICK)
    inspect(folder, tmp_path / "out", settings=resumed)
    (folder / "a" / "site.isotherm.json").write_text(json.dumps(SITE | {"scene": {"reflected_c": 46.5}}))
    with pytest.raises(Exception, match="begun with other input or settings \\(input files\\)"):
        inspect(folder, tmp_path / "out", settings=resumed)


def test_a_picture_has_its_own_sidecar_and_that_of_its_folder_alone() -> None:
    picture = Path("s3:/b/in/a/IR_1.jpg")
    known = {picture.with_name("site.isotherm.json"): "1", Path("s3:/b/in/site.isotherm.json"): "2"}
    known |= {picture.with_name("IR_1.jpg.isotherm.json"): "3", picture.with_name("IR_11.jpg.isotherm.json"): "4"}
    assert Sidecars(known).of(picture) == (("site.isotherm.json", "1"), ("IR_1.jpg.isotherm.json", "3"))
    assert Sidecars(known).of_all([picture]) == sorted(place for place in known if known[place] in "13")
    assert Sidecars().of(picture) == ()
