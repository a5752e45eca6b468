"""Reports of runs whose pictures, whose results, or both lie in a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from isotherm.cli.main import main
from isotherm.core.errors import DataError
from isotherm.store.objects_s3 import BucketObjects
from isotherm.workflows import remote_inputs
from isotherm.workflows.inspect import InspectSettings, inspect
from isotherm.workflows.report import read_inspection, report
from s3_servers import Bucket
from small_pictures import csv

pytestmark = pytest.mark.parametrize("bucket", ["moto"], indirect=True)


@pytest.fixture
def pictures(tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of pictures that are in the bucket, too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    remote_inputs._opened.cache_clear()
    folder = tmp_path / "pictures"
    (folder / "a ü").mkdir(parents=True)
    for number, name in enumerate(("a ü/joint0.csv", "joint1.csv")):
        (folder / name).write_bytes(csv("joint", number))
        bucket.put(f"pictures/{name}", (folder / name).read_bytes())
    return folder


@pytest.fixture
def plain(pictures: Path, tmp_path: Path) -> str:
    """Give the report of the same inspection where all is in folders."""
    inspect(pictures, tmp_path / "plain")
    return report(tmp_path / "plain", "html").data.decode()


def figures(page: str) -> list[str]:
    """Return the pictures of a page, with their temperatures."""
    return [part.partition("</figure>")[0] for part in page.split("<figure")[1:]]


def test_a_run_from_a_bucket_has_its_pictures_read_again(
    pictures: Path, plain: str, bucket: Bucket, tmp_path: Path
) -> None:
    inspect(Path(f"{bucket.url}/pictures"), tmp_path / "out")
    page = report(tmp_path / "out", "html").data.decode()
    assert page.count('<figure class="live"') == 2
    assert figures(page) == figures(plain)


def test_a_run_in_a_bucket_is_read_from_there(
    pictures: Path, plain: str, bucket: Bucket, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"{bucket.url}/runs/one"
    inspect(Path(f"{bucket.url}/pictures"), Path(out), settings=InspectSettings(reports=("json",)))
    assert main(["report", out, "-o", str(tmp_path / "r.html")]) == 0
    assert figures((tmp_path / "r.html").read_text("utf-8")) == figures(plain)
    assert main(["report", f"{out}/results.json", "-o", f"{bucket.url}/reports/r.csv"]) == 0
    assert f"written   {bucket.url}/reports/r.csv" in capsys.readouterr().out
    assert "reports/r.csv" in bucket.names()
    assert main(["report", out, "-o", f"{bucket.url}/reports/r.csv"]) == 1
    assert "reports/r.csv is there already" in capsys.readouterr().err


def test_only_pictures_with_faults_are_fetched(pictures: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put("pictures/plain.csv", csv("plain", 0))
    out = Path(f"{bucket.url}/runs/one")
    inspect(Path(f"{bucket.url}/pictures"), out)
    fetched, read = list[str](), BucketObjects.read_into

    def seen(objects: BucketObjects, name: str, *words: Any, **more: Any) -> None:
        fetched.append(name)
        read(objects, name, *words, **more)

    monkeypatch.setattr(BucketObjects, "read_into", seen)
    report(out, "docx")
    assert sorted(name for name in fetched if name.endswith(".csv")) == [
        "pictures/a ü/joint0.csv",
        "pictures/joint1.csv",
    ]
    assert not any(name.startswith("panels/") for name in fetched)


def test_the_panel_is_fetched_where_the_picture_has_gone(pictures: Path, bucket: Bucket) -> None:
    out = Path(f"{bucket.url}/runs/one")
    inspect(pictures, out)
    (pictures / "joint1.csv").unlink()
    page = report(out, "html").data.decode()
    assert page.count('<figure class="live"') == 1
    assert "Panel of joint1.csv" in page


def test_the_panels_are_shown_where_the_bucket_of_the_pictures_has_gone(
    pictures: Path, bucket: Bucket, tmp_path: Path
) -> None:
    inspect(Path(f"{bucket.url}/pictures"), tmp_path / "out")
    for name in bucket.names():
        bucket.server.client().delete_object(Bucket=bucket.name, Key=name)
    bucket.server.client().delete_bucket(Bucket=bucket.name)
    remote_inputs._opened.cache_clear()
    page = report(tmp_path / "out", "html").data.decode()
    assert page.count("there is no such bucket; make it, or mend the address") == 2
    assert "Panel of joint1.csv" in page


def test_what_is_no_finished_run_is_said(pictures: Path, bucket: Bucket) -> None:
    with pytest.raises(DataError, match=f"^{bucket.url}/nothing holds no inspection"):
        read_inspection(Path(f"{bucket.url}/nothing"))
    with pytest.raises(DataError, match=r"results\.json: it is not there"):
        read_inspection(Path(f"{bucket.url}/nothing/results.json"))
    bucket.put("begun/journal.jsonl", b"{}\n")
    with pytest.raises(DataError, match="was not finished"):
        read_inspection(Path(f"{bucket.url}/begun"))
