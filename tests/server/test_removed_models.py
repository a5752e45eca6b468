"""Files of model versions that nobody needs any more: they go, and what verdicts refer to stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_cases import Caller

from isotherm.client.api import Client
from isotherm.client.transport import Transport
from isotherm.runtime.bundle import ARRAYS, MANIFEST
from isotherm.store.blob_rows import collect
from isotherm.store.folder import Store
from isotherm.store.verify import verify
from isotherm.workflows.service.service import Service
from isotherm.workflows.train import TrainSettings, train
from small_pictures import hot_csv


@pytest.fixture
def versions(call: Caller, tmp_path: Path) -> list[dict[str, Any]]:
    """Give two versions of a site: the first has scored an image, the second is at work."""
    (tmp_path / "healthy").mkdir()
    for seed in range(3):
        (tmp_path / "healthy" / f"{seed}.csv").write_bytes(hot_csv(20.1, seed=seed))
    site, made = call.site(), []
    for number in (0, 1):
        folder = tmp_path / f"model{number}"
        train(
            tmp_path / "healthy", folder, method_name="statistics", settings=TrainSettings(image_size=64 + 32 * number)
        )
        files = [("files", (name, (folder / name).read_bytes())) for name in (MANIFEST, ARRAYS)]
        path, fields = f"sites/{site}/models/anomaly", {"activate": "true"}
        made.append(call.json("POST", path, 201, files=files, data=fields))
        if not number:
            call.upload(site, ("hot.csv", hot_csv(95.0, seed=41)))
    return made


def test_files_go_and_the_numbers_of_a_version_stay(
    call: Caller, folder: Service, versions: list[dict[str, Any]]
) -> None:
    first, second = versions
    gone = call.json("DELETE", f"models/{first['id']}/files")
    assert (gone["state"], gone["metrics"]) == ("removed", first["metrics"])
    assert "its files were deleted by local" in gone["reason"]
    assert call.json("DELETE", f"models/{first['id']}/files")["reason"] == gone["reason"]
    whole = call.json("GET", f"models/{first['id']}")
    assert (whole["files"], whole["card"]["removed"]["files"]) == ({}, first["files"])
    collect(folder.database, folder.blobs, keep_s=0)
    collect(folder.database, folder.blobs, keep_s=0)
    only = set(first["files"].values()) - set(second["files"].values())
    assert only
    assert not any(folder.blobs.has(digest) for digest in only)
    assert all(folder.blobs.has(digest) for digest in second["files"].values())
    assert verify(Store(folder.database, folder.blobs)).flaws == ()
    (image,) = call.json("GET", f"images?site_id={first['site_id']}")["items"]
    inspection = call.json("GET", f"inspections/{image['latest_inspection']}")
    assert (inspection["anomaly_model_id"], inspection["score"] is not None) == (first["id"], True)
    report = call("GET", f"inspections/{image['latest_inspection']}/report.html", 200).text
    assert "anomaly model version 1" in report
    (line,) = call.json("GET", "audit?action=model.removed")["items"]
    assert (line["subject"], line["details"]["number"]) == (first["id"], 1)


def test_a_version_without_files_is_asked_for_nothing(call: Caller, versions: list[dict[str, Any]]) -> None:
    first, second = versions
    site = first["site_id"]
    (image,) = call.json("GET", f"images?site_id={site}")["items"]
    call("GET", f"images/{image['id']}/heatmap", 200)
    call("DELETE", f"models/{first['id']}/files", 200)
    told = "its files were deleted by local"
    for method, path, parts in (
        ("POST", f"models/{first['id']}/activate", {"headers": {"if-match": "*"}}),
        ("GET", f"models/{first['id']}/folder.zip", {}),
        ("GET", f"images/{image['id']}/heatmap", {}),
        ("POST", f"models/{first['id']}/threshold", {"json": {"threshold": 9.0}}),
    ):
        assert told in call.problem(method, path, 409, **parts)["detail"], path
    problem = call.problem("POST", f"sites/{site}/models/rollback?kind=anomaly", 409, headers={"if-match": "*"})
    assert "no other model of this site was active before" in problem["detail"]
    assert call.json("GET", f"sites/{site}/models/active?kind=anomaly")["id"] == second["id"]


def test_the_version_at_work_keeps_its_files(call: Caller, folder: Service, versions: list[dict[str, Any]]) -> None:
    _, second = versions
    problem = call.problem("DELETE", f"models/{second['id']}/files", 409)
    assert "version 2 is at work; put another one to work first" in problem["detail"]
    assert call.json("GET", f"models/{second['id']}")["files"] == second["files"]
    assert all(folder.blobs.has(digest) for digest in second["files"].values())


def test_pages_and_client_delete_files(call: Caller, versions: list[dict[str, Any]]) -> None:
    first, second = versions
    page = call("GET", f"/models/{first['id']}", 200).text
    assert f'action="/models/{first["id"]}/remove"' in page
    assert "/remove" not in call("GET", f"/models/{second['id']}", 200).text
    home = {"origin": "http://127.0.0.1:8000"}
    call("POST", f"/models/{first['id']}/remove", 303, headers=home, follow_redirects=False)
    assert "files deleted" in call("GET", f"/sites/{first['site_id']}/models", 200).text
    page = call("GET", f"/models/{first['id']}", 200).text
    assert "Put to work" not in page
    assert "folder.zip" not in page
    with Client("", transport=Transport("http://127.0.0.1:8000", transport=call.client._transport)) as client:
        assert client.remove_model_files(first["id"])["state"] == "removed"
