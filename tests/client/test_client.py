"""The Python client against a whole server in this process: upload, training, verdict, feedback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from starlette.testclient import TestClient

from compat_server import Compat, png
from isotherm.client import Client, RefusedError
from isotherm.client.api import JobFailedError
from isotherm.client.transport import Transport
from isotherm.core.errors import DataError
from isotherm.server.app import create_app
from isotherm.server.settings import ServerSettings
from isotherm.workflows.compat.config import below
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.tokens import issue_token


class Counting(httpx2.BaseTransport):
    """A transport that counts requests by method and last part of the path, and can break off after some."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.seen, self.left = inner, [], 10**9

    def handle_request(self, request: Any) -> Any:
        if self.left <= 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.seen.append((request.method, request.url.path))
        return self.inner.handle_request(request)

    def close(self) -> None:
        pass

    def count(self, method: str, part: str) -> int:
        return sum(seen == method and part in path for seen, path in self.seen)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compat]:
    folder = tmp_path_factory.mktemp("server")
    with Service.open(folder, limits=Limits(children=0)) as service:
        found = Compat(service, below(folder / "compat"), ServerSettings())
        found.http = TestClient(create_app(service, settings=ServerSettings()), base_url="http://127.0.0.1")
        yield found


@pytest.fixture
def wire(server: Compat) -> Counting:
    return Counting(server.http._transport)


@pytest.fixture
def client(wire: Counting) -> Iterator[Client]:
    with Client(transport=Transport("http://127.0.0.1", transport=wire)) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for number in range(4):
        (made / f"{number}.png").write_bytes(png(0, number))
    (made / "broken.png").write_bytes(b"no picture")
    (made / ".hidden").write_bytes(b"x")
    return made


def test_folder_is_taken_once_however_often_it_is_sent(client: Client, wire: Counting, folder: Path) -> None:
    site = client.create_site("uploads")
    said: list[tuple[int, int]] = []
    report = client.upload_folder(
        site["id"], folder, category="cold", split="train", progress=lambda done, total, _: said.append((done, total))
    )
    assert [each.path.name for each in report.failed] == ["broken.png"]
    assert report.sent == 5
    assert said[-1] == (5, 5)
    assert wire.count("PUT", "/blobs/") == 5
    again = client.upload_folder(site["id"], folder, category="cold", split="train")
    assert {each.image_id for each in again.results} == {each.image_id for each in report.results}
    assert len(list(client.rows("/images", {"site_id": site["id"]}))) == 4


def test_interrupted_upload_goes_on(client: Client, wire: Counting, folder: Path) -> None:
    site = client.create_site("interrupted")
    (folder / "broken.png").unlink()
    wire.left = 4
    with pytest.raises(KeyboardInterrupt):
        client.upload_folder(site["id"], folder, at_once=1)
    wire.left = 10**9
    report = client.upload_folder(site["id"], folder, at_once=2)
    assert not report.failed
    assert sorted(each["name"] for each in client.rows("/images", {"site_id": site["id"]})) == [
        "0.png", "1.png", "2.png", "3.png",
    ]  # fmt: skip


def test_from_pictures_to_feedback(client: Client, server: Compat, tmp_path: Path) -> None:
    site = client.create_site("whole way")
    for category, level in (("cold", 0), ("hot", 120)):
        for number in range(4):
            (tmp_path / f"{category}{number}.png").write_bytes(png(level, number + level))
        paths = sorted(tmp_path.glob(f"{category}*.png"))
        assert not client.upload(site["id"], paths, category=category, split="train").failed
    with server.worker():
        job = client.wait(client.train(site["id"], {"method": "logistic"}))
    assert job["result"]["activated"] is True
    new = tmp_path / "new.png"
    new.write_bytes(png(120, 999))
    (answer,) = client.predict(site["id"], [new])
    assert (answer["label"], answer["error"]) == ("hot", "")
    (sure,) = client.predict(site["id"], [new], min_confidence=1.0)
    assert sure["rejected"] is True
    (taken,) = client.upload(site["id"], [new]).results
    given = client.feedback(taken.inspection_id, "cold", note="by hand")
    assert given["inspection_id"] == taken.inspection_id


def test_failed_training_is_an_error(client: Client, server: Compat) -> None:
    site = client.create_site("nothing to learn")
    with pytest.raises(RefusedError, match="categor"):
        client.train(site["id"])


def test_cancelled_job_is_told(client: Client, tmp_path: Path) -> None:
    site = client.create_site("cancelled")
    for category, level in (("cold", 0), ("hot", 120)):
        path = tmp_path / f"{category}.png"
        path.write_bytes(png(level))
        client.upload(site["id"], [path], category=category, split="train")
    job_id = client.train(site["id"])
    client.transport.send("POST", f"/api/v1/jobs/{job_id}/cancel")
    with pytest.raises(JobFailedError, match="is cancelled"):
        client.wait(job_id)


def test_sites_are_found_by_name(client: Client) -> None:
    made = client.create_site("named")
    found = client.site_named("named")
    assert found is not None
    assert found["id"] == made["id"]
    assert client.site_named("not there") is None
    with pytest.raises(RefusedError, match="409"):
        client.create_site("named")


def matrix(level: float) -> bytes:
    """Return a text matrix of temperatures [°C] with a hot spot."""
    values = 20 + 5 * np.sin(np.arange(32)) + 5 * np.cos(np.arange(24))[:, None]
    values[8:12, 10:14] += level
    return "\n".join(",".join(f"{value:.2f}" for value in row) for row in values).encode()


def test_an_asset_over_time(client: Client, tmp_path: Path) -> None:
    site = client.create_site("register")
    asset = client.create_asset(site["id"], "motor 7", kind="motor", name_rule="motor7_*", rated_current_a=200.0)
    with pytest.raises(RefusedError, match=r"409.*motor 7"):
        client.create_asset(site["id"], "motor 7")
    assert [one["name"] for one in client.assets(site["id"])] == ["motor 7"]
    paths = [tmp_path / name for name in ("motor7_1.csv", "motor7_2.csv", "other.csv")]
    for level, path in zip((30, 40, 20), paths, strict=True):
        path.write_bytes(matrix(level))
    first, second, other = (each.image_id for each in client.upload(site["id"], paths, at_once=1).results)
    assert [one["id"] for one in client.images_of_asset(asset["id"])] == [second, first]
    assert client.assign_asset(other, asset["id"])["matched_by"] == "hand"
    assert client.assign_asset(other, None)["asset_id"] is None
    assert client.set_load(first, current_a=100.0)["load_percent"] == 50.0
    assert client.match_again(site["id"])["changed"] == 0
    rows = client.trend(asset["id"], coverage=3.0)["rows"]
    assert [row["load_percent"] for row in rows] == [50.0, None]
    (earlier,) = client.same_views(asset["id"], box=(10, 8, 4, 4))["earlier"]
    assert earlier["same"] is True
    assert client.drift(site["id"])["state"] == "unknown"
    assert client.drift_checks(site["id"]) == []


def test_reports_come_as_files(client: Client, tmp_path: Path) -> None:
    site = client.create_site("reported")
    path = tmp_path / "motor.csv"
    path.write_bytes(matrix(40))
    (taken,) = client.upload(site["id"], [path]).results
    assert b"motor.csv" in client.site_report(site["id"], "csv")
    page = client.inspection_report(taken.inspection_id, "html", {"lang": "de", "inspector": "E. Müller"})
    assert "E. Müller".encode() in page
    with pytest.raises(RefusedError, match="422"):
        client.site_report(site["id"], "html", {"lang": "xx"})


@pytest.mark.parametrize("where", ["missing", "empty"])
def test_folder_without_files_is_told(client: Client, tmp_path: Path, where: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"cannot be read|holds no files"):
        client.upload_folder("x", tmp_path / where)


def test_token_without_the_scope_ends_the_upload(server: Compat, wire: Counting, folder: Path) -> None:
    _, text = issue_token(server.service, LOCAL, "reader", scopes=["read"])
    with (
        Client(transport=Transport("http://127.0.0.1", token=text, transport=wire)) as client,
        pytest.raises(RefusedError, match="403"),
    ):
        client.upload_folder("0" * 36, folder)
