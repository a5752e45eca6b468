"""The threshold of anomaly models: counted, tried on the pages, set as a version of its own."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_cases import Caller
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.core.errors import ChangedError, ConfigError, ConflictError
from isotherm.jobs.running import work_off
from isotherm.server.pages.score_threshold import BINS, PANEL, axis_of, number, panel
from isotherm.store.ids import new_id
from isotherm.store.tables import ModelVersion
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.drift import site_drift
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.models import get_model
from isotherm.workflows.service.score_thresholds import NORMAL, STRANGE, KnownScore, called, set_threshold
from isotherm.workflows.service.service import Service
from small_pictures import hot_csv

SCORES = st.floats(-50, 50, width=32)
KNOWN = st.builds(
    KnownScore, st.uuids().map(str), st.just("x"), SCORES, st.sampled_from(["normal", "strange", ""]), st.booleans(),
    st.booleans(),
)  # fmt: skip


def send(call: Caller, site: str, *seeds: int, peak_c: float = 20.1, **fields: str) -> list[dict[str, Any]]:
    files = [(f"m_{seed}.csv", hot_csv(peak_c, seed=seed)) for seed in seeds]
    return [each["image"] for each in call.upload(site, *files, **fields)["results"]]


def work(folder: Service, call: Caller, job: dict[str, Any]) -> None:
    work_off(folder.database, KINDS(folder))
    assert call.json("GET", f"jobs/{job['id']}")["state"] == "succeeded"


@pytest.fixture
def site(call: Caller, folder: Service) -> str:
    """Give a site with an anomaly model at work, two test images of each kind, and all its images scored."""
    made = call.site()
    send(call, made, *range(6), category="normal", split="train")
    send(call, made, 30, 31, category="normal", split="test")
    send(call, made, 32, 33, peak_c=90.0, category="loose joint", split="test")
    asked = {"kind": "anomaly", "settings": {"method": "statistics"}}
    work(folder, call, call.json("POST", f"sites/{made}/train", 202, json=asked))
    work(folder, call, call.json("POST", f"sites/{made}/inspect", 202, json={}))
    return made


def test_what_another_threshold_changes_is_counted_without_what_was_learnt(call: Caller, site: str) -> None:
    (hot,) = send(call, site, 41, peak_c=95.0)
    call.json("POST", f"inspections/{hot['latest_inspection']}/feedback", 201, json={"category": "loose joint"})
    send(call, site, 42, peak_c=70.0)
    found = call.json("GET", f"sites/{site}/score-threshold")
    assert (found["now"], found["flips"]) == (found["model"]["metrics"]["threshold"], [])
    now = found["before"]
    # Two normal and two strange test images, one that people have called strange, and one of which nobody has said so.
    assert (now["of"], now["of_normal"], now["of_strange"], now["of_held_out"]) == (6, 2, 3, 6)
    assert (now["above"], now["found"], now["false_alarms"], now["held_out"]) == (4, 3, 0, 0)
    assert 0 < now["alarms_low"] < now["alarms_high"] < 1
    higher = call.json("GET", f"sites/{site}/score-threshold?threshold=1e9")
    assert (higher["after"]["above"], len(higher["flips"])) == (0, 4)
    lower = call.json("GET", f"sites/{site}/score-threshold?threshold=-1")
    assert (lower["after"]["above"], lower["after"]["false_alarms"], lower["after"]["held_out"]) == (6, 2, 6)
    assert sum(each["learnt"] for each in lower["flips"]) == 6
    for wrong in ("nan", "inf", "high"):
        call.problem("GET", f"sites/{site}/score-threshold?threshold={wrong}", 422)
    call.problem("GET", f"sites/{call.site('other')}/score-threshold", 404)


def test_a_new_threshold_is_a_version_and_old_verdicts_stay(call: Caller, site: str, folder: Service) -> None:
    (hot,) = send(call, site, 41, peak_c=95.0)
    before = call.json("GET", f"sites/{site}/models/active?kind=anomaly")
    score = call.json("GET", f"inspections/{hot['latest_inspection']}")["score"]
    made = call.json("POST", f"models/{before['id']}/threshold", 201, json={"threshold": score + 1, "note": "calmer"})
    assert (made["number"], made["metrics"]["threshold"], made["card"]["note"]) == (2, score + 1, "calmer")
    assert call.json("GET", f"sites/{site}/models/active?kind=anomaly")["id"] == made["id"]
    old, new = before["metrics"]["held_out"], made["metrics"]["held_out"]
    assert new["scores"] == old["scores"]
    assert new["pixel_threshold"] / old["pixel_threshold"] == pytest.approx((score + 1) / old["threshold"])
    assert new["how"].startswith("set by local in place of")
    # The test images are judged by it anew, from the scores that were kept.
    assert (before["metrics"]["confusion"], made["metrics"]["confusion"]) == ([[2, 0], [0, 2]], [[2, 0], [2, 0]])
    assert any("with the test images in view" in note for note in made["card"]["notes"])
    whole = get_model(folder, LOCAL, made["id"])
    assert whole.files["arrays.safetensors"] == get_model(folder, LOCAL, before["id"]).files["arrays.safetensors"]
    (line, *_) = call.json("GET", "audit?action=model.threshold")["items"]
    assert (line["subject"], line["details"]["to"]) == (made["id"], score + 1)
    # What was judged says still by which version; the next image is judged by the new one.
    assert call.json("GET", f"inspections/{hot['latest_inspection']}")["anomaly"]["prediction"] == "Anomaly"
    (again,) = send(call, site, 41, peak_c=95.0)
    said = call.json("GET", f"inspections/{again['latest_inspection']}")
    assert (said["anomaly"]["prediction"], said["anomaly_model_id"]) == ("Normal", made["id"])
    assert said["score"] == pytest.approx(score)
    assert "another one is at work since" in call("GET", f"/images/{hot['id']}", 200).text
    assert "another one is at work since" not in call("GET", f"/images/{again['id']}", 200).text
    page = call("GET", f"/sites/{site}/score-threshold", 200).text
    assert "11 images here were judged by another threshold" in page
    shifts = {each.shift.name for each in site_drift(folder, LOCAL, site).shifts}
    assert "score" in shifts
    back = call.json("POST", f"sites/{site}/models/rollback?kind=anomaly", headers={"if-match": f'"{made["id"]}"'})
    assert back["id"] == before["id"]


def test_what_cannot_be_set_is_refused_with_its_reason(call: Caller, site: str, folder: Service) -> None:
    active = call.json("GET", f"sites/{site}/models/active?kind=anomaly")
    path, now = f"models/{active['id']}/threshold", active["metrics"]["threshold"]
    assert "is the threshold of version 1 already" in call.problem("POST", path, 422, json={"threshold": now})["detail"]
    call.problem("POST", path, 422, json={"threshold": "high"})
    call.problem("POST", path, 422, json={})
    with pytest.raises(ConfigError, match="finite number"):
        set_threshold(folder, LOCAL, active["id"], float("inf"))
    first = set_threshold(folder, LOCAL, active["id"], now * 2)
    with pytest.raises(ChangedError, match="another model has been put to work"):
        set_threshold(folder, LOCAL, active["id"], now * 3, only_at_work=True)
    beside = set_threshold(folder, LOCAL, active["id"], now * 3)
    assert call.json("GET", f"sites/{site}")["active_anomaly_model"] == first.id != beside.id


@pytest.mark.parametrize("key", ["", "first"])
def test_a_damaged_model_is_refused_though_the_request_fails(
    call: Caller, site: str, folder: Service, key: str
) -> None:
    model = call.json("GET", f"sites/{site}/models/active?kind=anomaly")
    folder.blobs.path(get_model(folder, LOCAL, model["id"]).files["arrays.safetensors"]).write_bytes(b"damaged")
    folder.loaded.drop(model["id"])
    headers = {"Idempotency-Key": key} if key else {}
    call.problem("POST", f"models/{model['id']}/threshold", 409, json={"threshold": 5.0}, headers=headers)
    assert get_model(folder, LOCAL, model["id"]).state == "refused"
    assert call.json("GET", f"sites/{site}/models/active?kind=anomaly") is None
    assert [line["subject"] for line in call.json("GET", "audit?action=model.refused")["items"]] == [model["id"]]


def test_the_page_tries_and_keeps_a_threshold(call: Caller, site: str) -> None:
    page = call("GET", f"/sites/{site}/score-threshold", 200).text
    assert "has learnt from 6 images of “normal”" in page
    assert "6 images here are some that the model has learnt from" in page
    assert re.search(r"strange: 2</span>.*normal: 2</span>.*nobody has said: 0", page)
    tried = call("GET", f"/sites/{site}/score-threshold?at=1e6", 200).text
    assert "2 verdicts would change" in tried
    assert "would be as usual; is strange" in tried
    active = call.json("GET", f"sites/{site}/models/active?kind=anomaly")["id"]
    form = {"at": "1000", "model": active}
    answer = call("POST", f"/sites/{site}/score-threshold", 303, data=form, follow_redirects=False)
    assert answer.headers["location"] == f"/sites/{site}/score-threshold"
    assert call.json("GET", f"sites/{site}/models/active?kind=anomaly")["metrics"]["threshold"] == 1000
    assert "put to work" in call("POST", f"/sites/{site}/score-threshold", 412, data=form).text
    assert "No anomaly model is at work" in call("GET", f"/sites/{call.site('new')}/score-threshold", 200).text
    assert "How strange images are" in call("GET", f"/sites/{site}/threshold", 200).text


def test_a_classifier_has_its_threshold_elsewhere(call: Caller, folder: Service) -> None:
    site = call.site()
    with folder.database.write() as session:
        session.add(ModelVersion(id=new_id(), site_id=site, number=1, method="logistic"))
    (version,) = call.json("GET", f"models?site_id={site}")["items"]
    with pytest.raises(ConflictError, match="min_confidence"):
        set_threshold(folder, LOCAL, version["id"], 1.0)
    assert "only anomaly models" in call.problem("GET", f"models/{version['id']}/folder.zip", 409)["detail"]


@settings(max_examples=40, deadline=None)
@given(st.lists(KNOWN, max_size=30), st.lists(SCORES, min_size=1, max_size=20), SCORES, SCORES)
def test_every_image_is_counted_once_and_flips_are_the_difference(
    known: list[KnownScore], held: list[float], now: float, then: float
) -> None:
    before, after = called(known, held, now), called(known, held, then)
    assert before.of == len(known)
    assert before.found + before.false_alarms <= before.above
    assert (before.of_strange, before.of_normal) == tuple(
        sum(each.truth == truth for each in known) for truth in (STRANGE, NORMAL)
    )
    assert (before.above >= after.above) or now > then
    assert 0 <= before.alarms_low <= before.alarms_high <= 1
    axis = axis_of(held, [each.score for each in known], now, then)
    assert axis.low < min(now, then) <= max(now, then) < axis.high
    drawn = panel(
        axis, [(truth, [e.score for e in known if e.truth == truth]) for truth in ("strange", "normal", "")], 0
    )
    assert sum(bar.count for bar in drawn.bars) == len(known)
    assert len(drawn.bars) <= 3 * BINS
    assert all(bar.y >= -0.01 and bar.y + bar.height <= PANEL + 0.02 for bar in drawn.bars)


@pytest.mark.parametrize("text", ["", "nan", "inf", "half", "1e99"])
def test_a_threshold_is_a_finite_number(text: str) -> None:
    with pytest.raises(ConfigError, match="finite number, as 27"):
        number(text)
