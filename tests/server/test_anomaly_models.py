"""Anomaly models through the API and the pages: asked for, at work, seen on images, switched."""

from __future__ import annotations

import html
import io
import json
from typing import Any

import numpy as np
import pytest
from api_cases import Caller
from PIL import Image as Picture

from isotherm.core.findings import ImageResult
from isotherm.jobs.running import work_off
from isotherm.reports.document.pictures import unpacked
from isotherm.reports.drawing import ANOMALY as RED
from isotherm.reports.plain import dumps, from_plain
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.examination import ExaminationSettings, examine_in_child
from isotherm.workflows.service.images import image_bytes
from isotherm.workflows.service.inspections import fault_part, get_inspection
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.service import Service
from small_pictures import hot_csv

ANOMALY = {"kind": "anomaly", "settings": {"method": "statistics"}}


def send(call: Caller, site: str, *seeds: int, peak_c: float = 20.1, **fields: str) -> list[dict[str, Any]]:
    files = [(f"m7_{seed}.csv", hot_csv(peak_c, seed=seed)) for seed in seeds]
    return [each["image"] for each in call.upload(site, *files, **fields)["results"]]


@pytest.fixture
def site(call: Caller, folder: Service) -> str:
    """Give a site whose anomaly model is at work."""
    made = call.site()
    send(call, made, *range(6), category="normal", split="train")
    job = call.json("POST", f"sites/{made}/train", 202, json=ANOMALY)
    work_off(folder.database, KINDS(folder))
    assert call.json("GET", f"jobs/{job['id']}")["result"]["activated"] is True
    return made


def test_a_score_is_told_with_its_threshold(call: Caller, site: str) -> None:
    (hot,), (fine,) = send(call, site, 41, peak_c=95.0), send(call, site, 42)
    said = call.json("GET", f"inspections/{hot['latest_inspection']}")
    active = call.json("GET", f"sites/{site}/models/active?kind=anomaly")
    assert said["anomaly_model_id"] == active["id"] == call.json("GET", f"sites/{site}")["active_anomaly_model"]
    assert said["anomaly"]["prediction"] == "Anomaly"
    assert said["score"] == said["anomaly"]["score"] > said["anomaly"]["threshold"] == active["metrics"]["threshold"]
    listed = call.json("GET", f"inspections?image_id={hot['id']}")["items"]
    assert listed[0]["anomaly"] == said["anomaly"]
    assert (hot["anomalous"], fine["anomalous"]) == (True, False)
    found = call.json("GET", f"images?site_id={site}&anomalous=true")["items"]
    assert [each["id"] for each in found] == [hot["id"]]
    drift = call.json("GET", f"sites/{site}/drift")
    assert (drift["model_id"], drift["anomaly_model_id"]) == (active["id"], active["id"])


def test_the_heatmap_is_a_picture_that_is_kept_until_the_next_inspection(call: Caller, site: str) -> None:
    (hot,) = send(call, site, 41, peak_c=95.0)
    answer = call("GET", f"images/{hot['id']}/heatmap", 200)
    assert answer.headers["content-type"] == "image/png"
    assert np.asarray(Picture.open(io.BytesIO(answer.content))).shape == (24, 24, 4)
    tag = {"if-none-match": answer.headers["etag"]}
    assert call("GET", f"images/{hot['id']}/heatmap", 304, headers=tag).content == b""
    assert answer.headers["cache-control"] == "private, no-cache"
    kept = call("GET", f"images/{hot['id']}/heatmap?of={hot['latest_inspection']}", 200)
    assert kept.headers["cache-control"] == "private, max-age=86400"
    call("POST", f"images/{hot['id']}/inspections", 201, json={})
    other = call("GET", f"images/{hot['id']}/heatmap?of={hot['latest_inspection']}", 200, headers=tag)
    assert other.headers["etag"] != answer.headers["etag"]
    assert other.headers["cache-control"] == "private, no-cache"
    (train, *_) = call.json("GET", f"images?site_id={site}&split=train")["items"]
    problem = call.problem("GET", f"images/{train['id']}/heatmap", 404)
    assert "score of this image" in problem["detail"]


def test_the_two_kinds_are_listed_and_switched_apart(call: Caller, site: str, folder: Service) -> None:
    call.json("POST", f"sites/{site}/train", 202, json=ANOMALY)
    work_off(folder.database, KINDS(folder))
    newest, first = call.json("GET", f"models?site_id={site}&kind=anomaly")["items"]
    assert call.json("GET", f"models?site_id={site}&kind=classifier")["items"] == []
    assert call("GET", f"sites/{site}/models/active", 200).headers["etag"] == '"none"'
    path = f"sites/{site}/models/rollback?kind=anomaly"
    call.problem("POST", path, 412, headers={"if-match": f'"{first["id"]}"'})
    back = call("POST", path, 200, headers={"if-match": f'"{newest["id"]}"'})
    assert back.json()["id"] == first["id"]
    switches = call.json("GET", f"sites/{site}/models/activations")["items"]
    assert {each["kind"] for each in switches} == {"anomaly"}
    call.problem("GET", f"models?site_id={site}&kind=magic", 422)


def test_bad_wishes_are_refused_with_what_would_be_right(call: Caller) -> None:
    site = call.site()
    send(call, site, 1, 2, category="ok", split="train")
    wrong = [
        ({"kind": "anomaly"}, "category 'normal' has 0 different"),
        ({"kind": "anomaly", "settings": {"category": "ok", "method": "draem"}}, "needs torch"),
        ({"kind": "anomaly", "settings": {"category": "ok", "backbone": "x"}}, "unknown backbone"),
        ({"kind": "anomaly", "settings": {"threshold_percentile": 120.0}}, "at most 100"),
        ({"kind": "oracle"}, "classifier"),
    ]
    for body, told in wrong:
        problem = call.problem("POST", f"sites/{site}/train", 422, json=body)
        assert told in str(problem), problem


def reddened(drawn: bytes) -> int:
    """Return how many pixels of a fault's picture are as red as outlines of what a model finds strange."""
    picture = np.asarray(Picture.open(io.BytesIO(unpacked(drawn).thermal)).convert("RGB"), np.float64)
    return int((np.abs(picture - RED).max(axis=2) < 40).sum())


def test_a_report_outlines_what_the_model_found_and_says_what_it_never_saw(
    call: Caller, site: str, folder: Service
) -> None:
    (hot,) = send(call, site, 41, peak_c=95.0)
    text = html.unescape(call("GET", f"inspections/{hot['latest_inspection']}/report.html", 200).text)
    assert "anomaly model version 1: score" in text
    assert "it has learnt from images of 'normal' of this site alone" in text
    stored = get_inspection(folder, LOCAL, hot["latest_inspection"])
    found = from_plain(ImageResult, stored.result).findings
    strange = [each for each in found if each.kind == "anomaly"]
    assert len(strange) > 0
    whole, without = (fault_part(folder, LOCAL, hot["id"], each) for each in (found, ()))
    assert reddened(whole) > reddened(without) + 50
    # What a child is sent is what it draws.
    options = {"name": "x", "want": ["fault"], "search": json.loads(dumps(found))}
    data = image_bytes(folder, LOCAL, hot["id"])
    drawn = examine_in_child(data, options | {"settings": dumps(ExaminationSettings().to_mapping())}).parts["fault"]
    assert reddened(drawn) == reddened(whole)


def test_the_pages_show_score_heatmap_and_versions(call: Caller, site: str) -> None:
    (hot,) = send(call, site, 41, peak_c=95.0)
    page = call("GET", f"/images/{hot['id']}", 200).text
    assert "It stands out" in page
    assert f"/api/v1/images/{hot['id']}/heatmap?of={hot['latest_inspection']}" in page
    assert "Stands out by the anomaly model" in page
    models = call("GET", f"/sites/{site}/models", 200).text
    assert "anomaly model" in models
    assert "normal: normal" in models
    (version,) = call.json("GET", f"models?site_id={site}")["items"]
    card = call("GET", f"/models/{version['id']}", 200).text
    assert "False alarms among normal images" in card
    assert "it has learnt from images of" in card
    assert hot["name"] in call("GET", f"/images?site={site}&score=anomalous", 200).text
    assert "Learn what is normal" in call("GET", f"/sites/{site}/train", 200).text
    assert "what stands out" in call("GET", f"/sites/{site}", 200).text


def test_a_form_asks_for_an_anomaly_model(call: Caller, folder: Service) -> None:
    site = call.site()
    send(call, site, *range(4), category="fine", split="train")
    form = {"category": "fine", "method": "statistics", "use_feedback": "true", "image_size": "64"}
    answer = call("POST", f"/sites/{site}/train-anomaly", data=form, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    work_off(folder.database, KINDS(folder))
    assert call.json("GET", f"sites/{site}/models/active?kind=anomaly")["number"] == 1
