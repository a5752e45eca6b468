"""The routes of the API do what they say, from a site to a report."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from api_cases import Caller, picture
from fastapi import FastAPI, Request

from isotherm.server.events import Streams, events
from isotherm.server.settings import ServerSettings
from isotherm.store.tables import Job, ModelVersion, now
from isotherm.workflows.service.service import Service


def test_sites_are_made_changed_and_removed_by_who_has_seen_them(call: Caller) -> None:
    made = call("POST", "sites", 201, json={"name": "plant 7", "note": "east", "settings": {"min_confidence": 0.7}})
    site = made.json()
    assert made.headers["location"] == f"/api/v1/sites/{site['id']}"
    assert made.headers["etag"] == '"v1"'
    assert site["settings"]["min_confidence"] == 0.7
    path = f"sites/{site['id']}"
    changed = call("PATCH", path, 200, json={"note": "west"}, headers={"if-match": '"v1"'})
    assert (changed.json()["note"], changed.headers["etag"]) == ("west", '"v2"')
    assert call.problem("PATCH", path, 412, json={"note": "x"}, headers={"if-match": '"v1"'})["type"].endswith(
        "changed"
    )
    assert call.problem("PATCH", path, 428, json={"note": "x"})["type"].endswith("condition-required")
    assert call.problem("DELETE", path, 412, headers={"if-match": "nonsense"})["title"]
    call("DELETE", path, 204, headers={"if-match": "*"})
    call("GET", path, 404)


def test_lists_are_read_page_by_page_and_none_twice(call: Caller) -> None:
    names = {f"site {number}" for number in range(5)}
    for name in names:
        call.site(name)
    seen, path = [], "sites?limit=2"
    while path:
        answer = call("GET", path, 200)
        seen += [site["name"] for site in answer.json()["items"]]
        link = answer.headers.get("link")
        path = link.split(">")[0].lstrip("<") if link else ""
        assert (answer.json()["next"] is None) == (link is None)
    assert len(seen) == 5
    assert set(seen) == names


@pytest.mark.parametrize("forged", ["x", "AAAA", "!!!", "ä" * 9, "A" * 400])
def test_a_cursor_that_was_not_given_out_is_refused(call: Caller, forged: str) -> None:
    assert call.problem("GET", "sites", 422, params={"cursor": forged})["type"].endswith("invalid-value")


def test_a_cursor_is_good_for_its_own_list_alone(call: Caller) -> None:
    for number in range(3):
        call.site(f"site {number}")
    cursor = call.json("GET", "sites?limit=1")["next"]
    assert call.json("GET", f"sites?limit=2&cursor={cursor}")["items"]
    call.problem("GET", f"images?cursor={cursor}", 422)


def test_images_are_taken_in_looked_at_sorted_and_removed(call: Caller) -> None:
    site = call.site()
    answer = call.upload(
        site,
        ("a.jpg", picture(1)),
        ("no image.jpg", b"GIF89a not really"),
        ("b.jpg", picture(2)),
        category="hot",
        split="train",
    )
    assert [bool(item["image"]) for item in answer["results"]] == [True, False, True]
    assert (answer["taken"], answer["refused"]) == (2, 1)
    assert answer["results"][1]["problem"].startswith("urn:isotherm:problem:unreadable")
    image = answer["results"][0]["image"]
    path = f"images/{image['id']}"
    assert call.json("GET", path)["split"] == "train"
    assert [row["name"] for row in call.json("GET", f"images?site_id={site}&name=b.j")["items"]] == ["b.jpg"]
    changed = call.json("PATCH", path, json={"category": None, "split": "test"}, headers={"if-match": '"v1"'})
    assert (changed["category_id"], changed["split"], changed["version"]) == (None, "test", 2)
    call("DELETE", path, 204, headers={"if-match": '"v2"'})
    call("GET", path, 404)


def test_pictures_come_from_the_server_and_the_file_only_as_a_download(call: Caller) -> None:
    data = picture(3)
    name = '<img src=x onerror=alert(1)>"; filename="evil.html'
    (taken,) = call.upload(call.site(), (name, data))["results"]
    path = f"images/{taken['image']['id']}"
    small = call("GET", f"{path}/thumbnail", 200)
    assert small.headers["content-type"] == "image/webp"
    assert call("GET", f"{path}/thumbnail", headers={"if-none-match": small.headers["etag"]}).status_code == 304
    assert call("GET", f"{path}/picture?palette=arctic", 200).content.startswith(b"\x89PNG")
    call.problem("GET", f"{path}/picture?palette=nope", 422)
    assert call.json("GET", f"{path}/view")["plane"]["width"] == 32
    original = call("GET", f"{path}/content", 200)
    assert original.content == data
    assert original.headers["content-type"] == "application/octet-stream"
    assert original.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in original.headers["content-security-policy"]
    disposition = original.headers["content-disposition"]
    assert disposition.startswith("attachment; ")
    assert disposition.count('"') == 2


def test_contents_are_sent_by_hash_and_go_on_where_the_line_broke(call: Caller) -> None:
    data = picture(4)
    digest = hashlib.sha256(data).hexdigest()
    blob = f"blobs/sha256/{digest}"
    assert call.json("POST", "blobs/missing", json={"digests": [digest]}) == {"missing": [digest]}
    call.problem("PUT", blob, 409, content=data[100:], headers={"upload-offset": "100"})
    # A body that ends too early is taken for the whole content, which it is not.
    call.problem("PUT", blob, 422, content=data[:100])
    assert call.json("PUT", blob, content=data)["complete"]
    assert call.json("PUT", blob, content=data)["complete"]
    assert call.json("POST", "blobs/missing", json={"digests": [digest]}) == {"missing": []}
    site = call.site()
    files = [{"digest": digest, "name": "sent ahead.jpg"}, {"digest": "0" * 64, "name": "never sent.jpg"}]
    found = call.json("POST", f"sites/{site}/images", json={"files": files})
    assert [bool(item["image"]) for item in found["results"]] == [True, False]


def test_a_partial_content_goes_on_from_what_has_come(call: Caller, folder: Service) -> None:
    from isotherm.server.api.blobs import _Partial
    from isotherm.workflows.service.access import LOCAL

    data = picture(5)
    digest = hashlib.sha256(data).hexdigest()
    partial = _Partial(folder.folder, LOCAL, digest)
    partial.begin(0)
    partial.write(0, data[:700])
    assert call.json("GET", f"blobs/sha256/{digest}") == {"digest": digest, "received_bytes": 700, "complete": False}
    done = call.json("PUT", f"blobs/sha256/{digest}", content=data[700:], headers={"upload-offset": "700"})
    assert done["complete"]
    assert not partial.path.exists()


def test_looking_again_feedback_findings_and_report(call: Caller) -> None:
    site = call.site()
    taken = call.image(site, 6)
    image = taken["image"]["id"]
    again = call("POST", f"images/{image}/inspections", 201, json={"edit": {"emissivity": 0.5}})
    inspection = again.json()["id"]
    assert again.headers["location"] == f"/api/v1/inspections/{inspection}"
    assert call.json("GET", f"inspections/{inspection}")["result"]["scene"]["emissivity"]["value"] == 0.5
    assert len(call.json("GET", f"inspections?image_id={image}")["items"]) == 2
    assert call.json("GET", f"findings?site_id={site}")["next"] is None
    call.problem("POST", f"images/{image}/inspections", 422, json={"edit": {"emissivity": 7}})
    said = call.json("POST", f"inspections/{inspection}/feedback", 201, json={"category": "loose clamp"})
    assert call.json("GET", "feedback?unused=true")["items"][0]["id"] == said["id"]
    call("DELETE", f"feedback/{said['id']}", 204)
    page = call("GET", f"inspections/{inspection}/report.html", 200)
    assert b"motor6.jpg" in page.content
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert "sandbox allow-scripts;" in page.headers["content-security-policy"]
    assert call("GET", f"sites/{site}/report.csv", 200).content.count(b"\n") >= 2
    assert json.loads(call("GET", f"sites/{site}/report.json").content)["results"][0]["image"] == "motor6.jpg"
    call.problem("GET", f"sites/{site}/report.xls", 422)


def test_a_report_tells_files_of_one_name_apart(call: Caller) -> None:
    site = call.site()
    call.upload(site, ("motor.jpg", picture(1)), ("motor.jpg", picture(2)))
    results = call("GET", f"sites/{site}/report.json").json()["results"]
    assert sorted(result["image"] for result in results) == ["motor.jpg (1)", "motor.jpg (2)"]


def test_categories_and_assets(call: Caller) -> None:
    site = call.site()
    category = call.json("POST", f"sites/{site}/categories", 201, json={"name": "hot"})
    call.problem("POST", f"sites/{site}/categories", 409, json={"name": "hot"})
    call.json("POST", "categories", 201, json={"name": "common one"})
    names = [row["name"] for row in call.json("GET", f"sites/{site}/categories")["items"]]
    assert names == ["hot", "common one"]
    path = f"categories/{category['id']}"
    assert call.json("PATCH", path, json={"name": "hotter"}, headers={"if-match": '"v1"'})["version"] == 2
    call("DELETE", path, 204, headers={"if-match": "*"})
    asset = call.json("POST", f"sites/{site}/assets", 201, json={"name": "Pump 3", "kind": "motor"})
    path = f"assets/{asset['id']}"
    assert call.json("PATCH", path, json={"place": "hall"}, headers={"if-match": '"v1"'})["place"] == "hall"
    assert [row["name"] for row in call.json("GET", f"sites/{site}/assets")["items"]] == ["Pump 3"]
    call("DELETE", path, 204, headers={"if-match": '"v2"'})


def test_jobs_are_started_watched_and_cancelled(call: Caller) -> None:
    site = call.site()
    call.image(site)
    call.problem("POST", f"sites/{site}/train", 422, json={})
    started = call("POST", f"sites/{site}/inspect", 202, json={})
    job = started.json()
    assert started.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert call.json("GET", f"jobs/{job['id']}?wait=0.1")["state"] == "queued"
    assert [row["id"] for row in call.json("GET", f"jobs?site_id={site}&state=queued")["items"]] == [job["id"]]
    assert call.json("GET", f"jobs/{job['id']}/log")["items"] == []
    assert call.json("POST", f"jobs/{job['id']}/cancel")["state"] == "cancelled"
    assert call.json("POST", f"jobs/{job['id']}/retry")["state"] == "queued"
    call.problem("POST", f"jobs/{job['id']}/retry", 409)


def test_events_of_a_job_go_on_after_the_last_one_seen(call: Caller, folder: Service) -> None:
    site = call.site()
    job = call.json("POST", f"sites/{site}/inspect", 202, json={})["id"]
    ended = call.json("POST", f"jobs/{job}/cancel")
    answer = call("GET", f"jobs/{job}/events", 200)
    assert answer.headers["content-type"].startswith("text/event-stream")
    head, event, data = answer.text.strip().split("\n")
    assert (head, event) == (f"id: {ended['row_version']}", "event: job")
    assert json.loads(data.removeprefix("data: "))["state"] == "cancelled"
    seen = call("GET", f"jobs/{job}/events", 200, headers={"last-event-id": str(ended["row_version"])})
    assert seen.text == ""
    call("GET", "jobs/01a200c7-3bd4-7e5b-a0a9-c76c1a938765/events", 404)


def test_a_switch_of_models_says_what_it_starts_from(call: Caller, folder: Service) -> None:
    site = call.site()
    answer = call("GET", f"sites/{site}/models/active", 200)
    assert (answer.json(), answer.headers["etag"]) == (None, '"none"')
    with folder.database.write() as session:
        version = ModelVersion(site_id=site, number=1, method="logistic", files={})
        session.add(version)
    call.problem("POST", f"models/{version.id}/activate", 428)
    call.problem("POST", f"sites/{site}/models/rollback", 412, headers={"if-match": '"somebody else"'})
    # Its files are not there: it is refused, and never judges.
    call.problem("POST", f"models/{version.id}/activate", 409, headers={"if-match": '"none"'})
    assert call.json("GET", f"models/{version.id}")["state"] == "refused"
    assert call.json("GET", f"models?site_id={site}")["items"][0]["number"] == 1
    assert call.json("GET", f"sites/{site}/models/activations")["items"] == []


def test_versions_are_compared_by_the_images_that_both_were_tested_with(call: Caller, folder: Service) -> None:
    site, elsewhere = call.site(), call.site("elsewhere")
    answers = [("hot", "cold"), ("cold", "cold"), ("hot", "hot")]
    versions = [
        ModelVersion(
            site_id=place,
            number=number,
            method="logistic",
            metrics={
                "images": {f"i{at}": {"truth": "cold", "label": said[number - 1]} for at, said in enumerate(answers)}
            },
        )
        for place, number in ((site, 1), (site, 2), (elsewhere, 1))
    ]
    with folder.database.write() as session:
        session.add_all(versions)
    one, two, foreign = (version.id for version in versions)
    found = call.json("GET", f"models/{one}/comparison/{two}")
    assert (found["both"], found["only_first"], found["only_second"], found["p_value"]) == (3, 0, 1, 1.0)
    assert found["differences"] == [{"image_id": "i0", "truth": "cold", "first": "hot", "second": "cold"}]
    call.problem("GET", f"models/{one}/comparison/{foreign}", 409)


def test_a_threshold_is_tried_without_changing_anything(call: Caller) -> None:
    site = call.site()
    found = call.json("GET", f"sites/{site}/threshold?min_confidence=0.9")
    assert (found["now"], found["then"], found["lost"], found["gained"], found["flips"]) == (0.5, 0.9, 0, 0, [])
    assert [row["low"] for row in found["bins"]][:2] == [0.0, 0.05]
    call.problem("GET", f"sites/{site}/threshold?min_confidence=1.5", 422)


def test_predicting_without_a_model_says_so(call: Caller) -> None:
    site = call.site()
    call.problem("POST", f"sites/{site}/predict", 409, files=[("files", ("a.jpg", picture()))])


def test_tokens_are_shown_once_and_audited(call: Caller) -> None:
    made = call.json("POST", "tokens", 201, json={"name": "camera 4", "scopes": ["write"], "sites": [call.site()]})
    assert made["token"].startswith("isotherm_")
    assert "token" not in call.json("GET", "tokens")["items"][0]
    assert call.json("DELETE", f"tokens/{made['id']}")["revoked_at"]
    actions = [line["action"] for line in call.json("GET", "audit?limit=5")["items"]]
    assert actions[:2] == ["token.revoked", "token.issued"]
    assert call.json("GET", "audit/verification") == {"whole": True, "flaws": []}
    whole = call("GET", "audit").text + call("GET", "tokens").text
    assert made["token"].rsplit("_", 1)[1] not in whole


def test_a_stream_tells_each_change_once_and_ends_with_the_job() -> None:
    states = iter([("queued", 1), ("running", 2), ("running", 2), ("running", 3), ("succeeded", 4)])

    def read() -> Job:
        state, version = next(states)
        counted = {"done": 0, "total": 0, "attempts": 1, "most_attempts": 3, "row_version": version}
        told = {"id": "j", "kind": "train", "state": state, "message": "", "error": "", "created_by": "", "result": {}}
        return Job(**counted, **told, cancel_requested=False, created_at=now())

    app = FastAPI()
    app.state.streams, app.state.settings = Streams(), ServerSettings(event_poll_s=0.001)
    app.state.stopping = lambda: False
    request = Request({"type": "http", "app": app, "headers": []})

    async def told() -> list[str]:
        return [event.decode().split("\n")[0] async for event in events(request, read, 1)]

    assert asyncio.run(told()) == ["id: 2", "id: 3", "id: 4"]
    assert app.state.streams.open == 0


def test_query_names_that_a_route_does_not_know_are_refused_with_the_near_one(call: Caller) -> None:
    call.image(call.site())
    found = call.problem("GET", "images?site=x&limit=1&cursr=y", 422)
    assert found["type"].endswith("invalid-request")
    assert [(each["in"], each["pointer"]) for each in found["errors"]] == [("query", "site"), ("query", "cursr")]
    assert "did you mean 'site_id'" in found["errors"][0]["detail"]
    assert "known: anomalous, category, common, cursor" in found["errors"][1]["detail"]
    (none_known,) = call.problem("POST", "sites?nam=x", 422, json={"name": "plant 2"})["errors"]
    assert none_known["detail"] == "unknown query name 'nam'; this path takes none"
    assert call.json("GET", "sites?limit=9")["items"][0]["name"] == "plant"


def test_many_and_long_unknown_query_names_are_refused_briefly(call: Caller) -> None:
    found = call.problem("GET", "images", 422, params={f"{number}{'x' * 90}": "" for number in range(60)})
    assert len(found["errors"]) == 50
    assert all(len(each["detail"]) <= 500 for each in found["errors"])


def test_a_token_is_asked_for_before_query_names(call: Caller) -> None:
    assert call("GET", "images?site=x", headers={"authorization": "Bearer isotherm_no"}).status_code == 401


def test_who_speaks_another_protocol_may_send_any_query_name(call: Caller) -> None:
    call("GET", "/v2?verbose=1", 200)
    call("GET", "/healthz?now=1", 200)


@pytest.mark.parametrize(
    ("path", "shown"), [("/api/v1/nothing", "/api/v1/nothing"), ("/" + "y" * 400, "/" + "y" * 199)]
)
def test_a_path_that_is_nowhere_is_named(call: Caller, path: str, shown: str) -> None:
    assert call.problem("GET", path, 404)["detail"] == f"there is nothing at {shown}"
