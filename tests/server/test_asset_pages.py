"""Assets, trends and drift over HTTP: the API and the pages."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_cases import Caller, picture

from isotherm.store.tables import DriftCheck
from isotherm.workflows.service.service import Service
from small_pictures import hot_csv
from thermal_files import FlirFile, ramp

HTML = {"accept": "text/html", "origin": "http://127.0.0.1:8000"}


def motor(call: Caller, **details: Any) -> tuple[str, str]:
    """Make a site with an asset; returns their ids."""
    site = call.site()
    body = {"name": "Motor 7", "kind": "motor", "place": "hall <2>", "name_rule": "motor7_*", **details}
    return site, call.json("POST", f"sites/{site}/assets", 201, json=body)["id"]


def inspected(call: Caller, site: str, *peaks_c: float) -> list[str]:
    """Send pictures of the motor; returns the ids of the images."""
    results = [
        call.upload(site, (f"motor7_{n}.csv", hot_csv(peak, seed=n)))["results"][0] for n, peak in enumerate(peaks_c)
    ]
    return [result["image"]["id"] for result in results]


def test_an_asset_with_its_details_is_made_changed_and_cleared(call: Caller) -> None:
    _, asset = motor(call, rated_current_a=63.0, latitude_deg=52.5, longitude_deg=13.4)
    shown = call.json("GET", f"assets/{asset}")
    assert (shown["name_rule"], shown["rated_current_a"], shown["latitude_deg"]) == ("motor7_*", 63.0, 52.5)
    change = {"latitude_deg": None, "longitude_deg": None, "tag": "M-7"}
    changed = call.json("PATCH", f"assets/{asset}", json=change, headers={"if-match": '"v1"'})
    assert (changed["latitude_deg"], changed["tag"], changed["name_rule"]) == (None, "M-7", "motor7_*")
    problem = call.problem("PATCH", f"assets/{asset}", 422, json={"latitude_deg": 1.0}, headers={"if-match": '"v2"'})
    assert "go together" in problem["detail"]


def test_a_rule_that_fits_another_asset_is_a_conflict(call: Caller) -> None:
    site, _ = motor(call)
    problem = call.problem("POST", f"sites/{site}/assets", 409, json={"name": "all", "name_rule": "motor*"})
    assert "both fit a file called 'motor7_'" in problem["detail"]


def test_a_trend_with_its_alarm_loads_and_drawing(call: Caller) -> None:
    site, asset = motor(call, rated_current_a=50.0)
    ids = inspected(call, site, 40.0, 90.0)
    assert [row["id"] for row in call.json("GET", f"assets/{asset}/images")["items"]] == ids[::-1]
    for image in ids:
        done = call("PUT", f"images/{image}/load", 200, json={"current_a": 25.0}, headers={"if-match": '"v1"'})
        assert done.json()["load_percent"] == 50.0
        assert done.headers["etag"] == '"v2"'
    trend = call.json("GET", f"assets/{asset}/trend")
    assert [row["image_id"] for row in trend["rows"]] == ids
    assert trend["rows"][1]["rated_delta_t_k"]["value"] == pytest.approx(4 * trend["rows"][1]["delta_t_k"]["value"])
    assert trend["alarms"] == ["max_c", "rated_delta_t_k"], "50 K are more than any uncertainty"
    assert 0 < trend["series"][0]["last"]["expanded"] < 50
    drawing = call("GET", f"assets/{asset}/trend/max_c.svg", 200)
    assert drawing.headers["content-type"] == "image/svg+xml"
    assert (drawing.text.count("<circle"), drawing.text.count("<polygon")) == (1, 1)
    call.problem("GET", f"assets/{asset}/trend/score.svg", 404)
    call.problem("GET", f"assets/{asset}/trend/x.svg", 422)
    call.problem("PUT", f"images/{ids[0]}/load", 428, json={})
    call.problem("PUT", f"images/{ids[0]}/load", 422, json={"load_percent": -1}, headers={"if-match": "*"})


def test_views_and_what_has_changed(call: Caller) -> None:
    site, asset = motor(call)
    for number in range(2):
        data = FlirFile(counts=ramp(48, 64, low=17000 + 50 * number)).jpeg()
        call.upload(site, (f"motor7_{number}.jpg", data))
    views = call.json("GET", f"assets/{asset}/views", params={"box": "1,2,3,4"})
    (earlier,) = views["earlier"]
    assert isinstance(earlier["said"], str)
    assert views["max_c"] is not None
    call.problem("GET", f"assets/{asset}/views", 422, params={"box": "1,2,3"})
    call.problem("GET", f"assets/{asset}/views", 422, params={"box": "60,0,30,30"})
    changed = call("GET", f"images/{views['image_id']}/change/{earlier['image_id']}")
    assert changed.status_code == (200 if earlier["same"] else 400)


def test_matching_by_hand_and_again(call: Caller) -> None:
    site = call.site()
    (image,) = inspected(call, site, 60.0)
    asset = call.json("POST", f"sites/{site}/assets", 201, json={"name": "Motor 7", "name_rule": "motor7_*"})["id"]
    assert call.json("POST", f"sites/{site}/match")["changed"] == 1
    assert call.json("GET", f"images/{image}")["matched_by"] == "name"
    said = call.json("PUT", f"images/{image}/asset", json={"asset_id": None}, headers={"if-match": '"v2"'})
    assert (said["asset_id"], said["matched_by"]) == (None, "hand")
    assert call.json("GET", f"sites/{site}/unclear-images")["items"] == []
    call.problem("PUT", f"images/{image}/asset", 412, json={"asset_id": asset}, headers={"if-match": '"v1"'})
    call.problem("PUT", f"images/{image}/asset", 404, json={"asset_id": "0" * 36}, headers={"if-match": "*"})


def test_drift_over_http(call: Caller, folder: Service) -> None:
    site = call.site()
    assert call.json("GET", f"sites/{site}/drift")["state"] == "unknown"
    call.problem("GET", f"sites/{site}/drift", 422, params={"window": 5})
    assert call.json("GET", f"sites/{site}/drift/checks") == []
    with folder.database.write() as session:
        session.add(DriftCheck(site_id=site, state="drift", psi=0.5))
    (check,) = call.json("GET", f"sites/{site}/drift/checks")
    assert (check["state"], check["psi"]) == ("drift", 0.5)
    assert "Checks that the server made by itself" in call("GET", f"/sites/{site}/drift", 200, headers=HTML).text


@pytest.mark.parametrize("path", ["assets", "drift"])
def test_pages_of_a_new_site(call: Caller, path: str) -> None:
    site = call.site("plant & works")
    assert "plant &amp; works" in call("GET", f"/sites/{site}/{path}", 200, headers=HTML).text


def test_the_pages_of_an_asset(call: Caller) -> None:
    site, asset = motor(call)
    assert "No inspected images yet" in call("GET", f"/assets/{asset}", 200, headers=HTML).text
    assert "No inspected images yet" in call("GET", f"/assets/{asset}/views", 200, headers=HTML).text
    ids = inspected(call, site, 40.0, 90.0)
    shown = call("GET", f"/assets/{asset}", 200, headers=HTML).text
    assert "hall &lt;2&gt;" in shown
    assert shown.count("<svg") == 2
    assert 'style="' not in shown
    assert all(f"/images/{image}" in shown for image in ids)
    views = call("GET", f"/assets/{asset}/views", 200, headers=HTML).text
    assert "same view" in views
    listed = call("GET", f"/sites/{site}/assets", 200, headers=HTML).text
    assert "<code>motor7_*</code>" in listed
    one = call("GET", f"/images/{ids[0]}", 200, headers=HTML).text
    assert re.search(rf'href="/assets/{asset}">Motor 7</a> <span class="quiet">by name', one)


def test_the_forms_of_an_asset(call: Caller) -> None:
    site = call.site()
    made = call("POST", f"/sites/{site}/assets", 303, headers=HTML, follow_redirects=False, data={
        "name": "Fan", "kind": "fan", "place": "", "rating": "", "rated_current_a": "10", "name_rule": "fan_*",
        "tag": "", "latitude_deg": "", "longitude_deg": "", "radius_m": "", "rated_rise_k": "",
    })  # fmt: skip
    asset = made.headers["location"].removeprefix("/assets/")
    assert call.json("GET", f"assets/{asset}")["rated_current_a"] == 10.0
    image = call.upload(site, ("fan_1.jpg", picture(5)))["results"][0]["image"]["id"]
    load = {"version": "1", "load": "5", "unit": "ampere"}
    call("POST", f"/images/{image}/load", 303, headers=HTML, data=load, follow_redirects=False)
    assert call.json("GET", f"images/{image}")["load_percent"] == 50.0
    call("POST", f"/images/{image}/load", 422, headers=HTML, data={"version": "2", "load": "many"})
    call(
        "POST", f"/images/{image}/asset", 303, headers=HTML, data={"version": "2", "asset": ""}, follow_redirects=False
    )
    assert call.json("GET", f"images/{image}")["asset_id"] is None
    call("POST", f"/sites/{site}/match", 303, headers=HTML, follow_redirects=False)
    kept = call("POST", f"/assets/{asset}", 303, headers=HTML, follow_redirects=False, data={
        "version": "1", "name": "Fan 1", "kind": "", "place": "roof", "rating": "", "rated_current_a": "",
    })  # fmt: skip
    assert kept.headers["location"] == f"/assets/{asset}"
    shown = call.json("GET", f"assets/{asset}")
    assert (shown["name"], shown["place"], shown["rated_current_a"], shown["name_rule"]) == (
        "Fan 1",
        "roof",
        None,
        "fan_*",
    )
    call("POST", f"/assets/{asset}", 412, headers=HTML, data={"version": "1", "name": "Fan 2"})
    call("POST", f"/assets/{asset}/delete", 303, headers=HTML, data={"version": "2"}, follow_redirects=False)
    call.problem("GET", f"assets/{asset}", 404)
