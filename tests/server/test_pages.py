"""The pages without a browser: what they show, whom they show it to, what their forms refuse."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from isotherm.server.app import create_app
from isotherm.server.pages import home
from isotherm.server.pages.assets import release
from isotherm.server.settings import ServerSettings
from isotherm.workflows.service import reporting
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.browsing import history
from isotherm.workflows.service.categories import list_categories
from isotherm.workflows.service.images import ImageFilter, Upload, list_images, take_in
from isotherm.workflows.service.paging import Page
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.sites import create_site, get_site, list_sites
from isotherm.workflows.service.tokens import issue_token
from small_pictures import csv
from thermal_files import encoded

BASE = "http://127.0.0.1"
HTML = {"accept": "text/html"}


@contextmanager
def browsing(service: Service, **settings: Any) -> Iterator[TestClient]:
    app = create_app(service, settings=ServerSettings(**settings))
    with TestClient(app, base_url=BASE, headers=HTML) as client:
        yield client


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service.open(tmp_path_factory.mktemp("served"), limits=Limits(children=0)) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with browsing(service) as found:
        yield found


@pytest.fixture(scope="module")
def site(service: Service) -> str:
    """Return a site with five pictures of hot joints, two of which are sorted."""
    made = create_site(service, LOCAL, "Plate works")
    take_in(service, LOCAL, made.id, [Upload(f"a{n}.csv", csv("joint", n)) for n in range(3)])
    sorted_ones = [Upload(f"b{n}.csv", csv("joint", n)) for n in (3, 4)]
    take_in(service, LOCAL, made.id, sorted_ones, category="joint", split="train")
    return made.id


def text_of(answer: Any) -> str:
    assert answer.headers["content-type"].startswith("text/html")
    return html.unescape(answer.text)


def images(service: Service, site: str, **filters: Any) -> list[Any]:
    return list(list_images(service, LOCAL, ImageFilter(site_id=site, **filters), limit=200).items)


def test_a_newcomer_is_told_what_to_do(tmp_path: Path) -> None:
    with Service.open(tmp_path, limits=Limits(children=0)) as service, browsing(service) as client:
        assert "Try with simulated pictures" in client.get("/").text
        for path, told in [("/images", "Inspect the first images"), ("/sites", "No sites yet"), ("/jobs", "No jobs")]:
            answer = client.get(path)
            assert answer.status_code == 200
            assert told in text_of(answer)
        # Whoever drops a file before there is any site gets a first one.
        answer = client.post("/inspect", files={"files": ("x.csv", csv("joint", 1))}, follow_redirects=False)
        assert answer.status_code == 303
        assert "class 1" in client.get(answer.headers["location"]).text


def test_files_that_a_newcomer_drops_together_share_the_first_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Service.open(tmp_path, limits=Limits(children=0)) as service, browsing(service) as client:
        # Each file is a request of its own, and none of them has seen a site yet.
        monkeypatch.setattr(home, "list_sites", lambda *_, **__: Page(()))
        for number in (1, 2):
            sent = client.post("/inspect?part=1", files={"files": (f"{number}.csv", csv("joint", number))})
            assert sent.status_code == 200
        assert [site.name for site in list_sites(service, LOCAL).items] == [home.FIRST_SITE]
        assert len(list_images(service, LOCAL, ImageFilter()).items) == 2


def test_every_page_is_whole_and_names_the_same_data_as_json(client: TestClient, service: Service, site: str) -> None:
    image = images(service, site)[0].id
    parts = ("", "/data", "/train", "/models", "/threshold", "/settings")
    for path in [
        "/",
        "/images",
        "/sites",
        "/jobs",
        "/tokens",
        "/audit",
        f"/images/{image}",
        *(f"/sites/{site}{part}" for part in parts),
    ]:
        answer = client.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        assert not re.search(r"<script(?![^>]*(?:src=|application/json))| on\w+=|style=|https?://", answer.text), path
        data = re.search(r'rel="alternate" type="application/json" href="([^"]+)"', answer.text)
        assert data is not None, path
        assert client.get(html.unescape(data.group(1))).headers["content-type"] == "application/json", path


def test_files_of_pages_may_be_kept_for_ever(client: TestClient) -> None:
    page = client.get("/").text
    for url in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert client.get(url).headers["cache-control"] == "public, max-age=31536000, immutable"
    viewer = client.get(f"/static/{release()}/viewer/thermal-view.js")
    assert viewer.headers["content-type"].startswith("text/javascript")
    # A page of an older release gets today's file, which is not kept under the old name.
    assert client.get("/static/0000/pages.js").headers["cache-control"] == "no-store"
    for path in ("viewer/../../app.py", "..%2fapp.py", "none.js", ""):
        assert client.get(f"/static/{release()}/{path}").status_code == 404


def test_the_gallery_shows_each_image_once(service: Service, client: TestClient) -> None:
    many = create_site(service, LOCAL, "Many").id
    data = csv("plain", 1)
    take_in(service, LOCAL, many, [Upload(f"{number}.csv", data) for number in range(60)])
    for order in ("newest", "severity"):
        seen: list[str] = []
        path: str | None = f"/images?site={many}&order={order}"
        while path:
            page = client.get(path).text
            seen += re.findall(r'data-image="([^"]+)"', page)
            more = re.search(r'rel="next" href="([^"]+)"', page)
            path = html.unescape(more.group(1)) if more else None
        assert sorted(seen) == sorted(image.id for image in images(service, many))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("category=joint", {"b3.csv", "b4.csv"}),
        ("split=train", {"b3.csv", "b4.csv"}),
        ("split=none", {"a0.csv", "a1.csv", "a2.csv"}),
        ("name=A1", {"a1.csv"}),
        ("since=2999-01-01", set()),
        ("until=2000-01-01", set()),
        ("severity=1&order=severity", {"a0.csv", "a1.csv", "a2.csv", "b3.csv", "b4.csv"}),
        ("verdict=nothing+says+this", set()),
    ],
)
def test_filters(client: TestClient, site: str, query: str, names: set[str]) -> None:
    page = client.get(f"/images?site={site}&{query}").text
    assert set(re.findall(r'class="title name" href="[^"]+">([^<]+)<', page)) == names


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "until=2026-13-01",
        "severity=x",
        "split=all",
        "after=[",
        "after=[1]",
        "after=%5B%22x%22%5D",
        "name=%00",
    ],
)
def test_wrong_filters_are_a_page_that_says_so(client: TestClient, query: str) -> None:
    answer = client.get(f"/images?{query}")
    assert answer.status_code in (200, 422)
    assert "Traceback" not in text_of(answer)


@pytest.mark.parametrize(
    "path", ["/images/none", "/sites/none", "/models/none", "/jobs/none", "/nowhere", "/sites/0/data"]
)
def test_what_is_not_there_is_a_page_with_a_way_back(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert 'href="/"' in text_of(answer)


def test_the_page_for_a_path_that_is_nowhere_says_which_it_is(client: TestClient) -> None:
    text = client.get("/sitess/<b>", headers={"accept": "text/html"}).text
    assert "there is nothing at /sitess/&lt;b&gt;" in text


def test_feedback_is_kept_replaced_and_taken_back(client: TestClient, service: Service, site: str) -> None:
    image = images(service, site, name="a0")[0]
    path = f"/inspections/{image.latest_inspection}/feedback"
    said = client.post(path, data={"category": "loose <joint"})
    assert said.status_code == 422
    assert "must not hold" in text_of(said)
    kept = client.post(path, data={"category": "loose joint"}, headers={"accept": "application/json"}).json()
    assert (
        client.post(path, data={"category": "joint"}, headers={"accept": "application/json"}).json()["id"] == kept["id"]
    )
    page = client.get(f"/images/{image.id}").text
    assert re.search(r'value="joint"[^>]*aria-pressed="true"', page)
    client.post(f"/feedback/{kept['id']}/withdraw", data={"image": image.id})
    assert 'aria-pressed="true"' not in client.get(f"/images/{image.id}").text


def test_a_form_that_is_out_of_date_changes_nothing(client: TestClient, service: Service, site: str) -> None:
    version = get_site(service, LOCAL, site).version
    path = f"/sites/{site}/threshold"
    assert client.post(path, data={"at": "0.7", "version": version}, follow_redirects=False).status_code == 303
    assert client.post(path, data={"at": "0.9", "version": version}).status_code == 412
    assert get_site(service, LOCAL, site).settings["min_confidence"] == 0.7
    for wrong in ("nan", "1.01", "-1", "much"):
        assert client.post(path, data={"at": wrong, "version": version + 1}).status_code == 422
    form = {
        "version": version + 1,
        "name": "Plate works",
        "min_confidence": "0.4",
        "emissivity": "",
        "open_set": "true",
    }
    assert client.post(f"/sites/{site}/settings", data=form, follow_redirects=False).status_code == 303
    kept = get_site(service, LOCAL, site)
    assert (kept.settings["min_confidence"], kept.settings["emissivity"], kept.settings["open_set"]) == (
        0.4,
        None,
        True,
    )
    assert client.post(f"/sites/{site}/settings", data={**form, "emissivity": "shiny"}).status_code == 422
    assert client.post(f"/sites/{site}/settings", data={**form, "version": "new"}).status_code == 422


def test_categories_are_made_renamed_and_removed(client: TestClient, service: Service, site: str) -> None:
    client.post(f"/sites/{site}/categories", data={"name": "spare"})
    spare = next(item for item in list_categories(service, LOCAL, site) if item.name == "spare")
    client.post(f"/categories/{spare.id}", data={"name": "spare part", "version": spare.version})
    assert "spare part" in client.get(f"/sites/{site}").text
    client.post(f"/categories/{spare.id}/delete", data={"site": site})
    assert "spare part" not in client.get(f"/sites/{site}").text
    client.post("/sites/common/categories", data={"name": "sky"})
    assert "sky" in client.get("/common").text


def test_uploads_without_a_category_or_a_file_say_what_is_missing(client: TestClient, site: str) -> None:
    file = {"files": ("x.csv", csv("plain", 9))}
    assert "say the category" in text_of(client.post(f"/sites/{site}/data", files=file, data={"split": "train"}))
    answer = client.post("/inspect", data={"site": site}, files={"files": ("", b"")})
    assert answer.status_code == 422
    broken = client.post("/inspect", data={"site": site}, files={"files": ("no.jpg", b"nothing")})
    assert broken.status_code == 422
    assert "no.jpg" in text_of(broken)


def test_training_without_data_says_what_is_missing(client: TestClient, site: str) -> None:
    answer = client.post(f"/sites/{site}/train")
    assert answer.status_code == 422
    assert "at least two categories" in text_of(answer)


@pytest.mark.parametrize(
    "next_page", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere", "javascript:1"]
)
def test_no_form_leads_to_another_server(client: TestClient, next_page: str) -> None:
    answer = client.post("/theme", data={"theme": "dark", "next": next_page}, follow_redirects=False)
    assert answer.headers["location"] == "/"
    form = client.get("/login", params={"next": next_page}).text.partition('action="/login"')[2]
    assert '<input type="hidden" name="next" value="/">' in form
    client.cookies.clear()


def test_messages_of_forms_are_shown_once_and_as_text(client: TestClient) -> None:
    client.cookies.set("isotherm_said", "%3Cscript%3Ealert(1)%3C/script%3E")
    assert "&lt;script&gt;alert(1)" in client.get("/sites").text
    client.cookies.clear()


def test_whoever_has_no_token_is_led_to_the_login(service: Service, site: str) -> None:
    _, text = issue_token(service, LOCAL, "reader", scopes=["read"], sites=[site])
    other = create_site(service, LOCAL, "Others' works").id
    with browsing(service, local=False) as client:
        assert (
            client.get(f"/sites/{site}", follow_redirects=False).headers["location"] == f"/login?next=%2Fsites%2F{site}"
        )
        assert client.post("/login", data={"token": "isotherm_x_y"}).status_code == 401
        origin = {"origin": BASE}
        entered = client.post("/login", data={"token": text, "next": f"/sites/{site}"}, headers=origin)
        assert entered.url.path == f"/sites/{site}"
        assert "Others' works" not in text_of(client.get("/sites"))
        for path in (f"/sites/{other}", f"/sites/{other}/data", f"/sites/{other}/threshold"):
            assert client.get(path).status_code == 404
        assert client.get("/tokens").status_code == 403
        assert client.get("/audit").status_code == 403
        image = images(service, site)[0]
        page = client.get(f"/images/{image.id}").text
        assert "data-feedback" not in page
        assert client.post(f"/images/{image.id}/delete", data={"version": 1}, headers=origin).status_code == 403
        client.post("/logout", headers=origin)
        assert client.get("/", follow_redirects=False).status_code == 303


def test_a_token_is_shown_once_and_can_be_revoked(client: TestClient) -> None:
    answer = client.post("/tokens", data={"name": "press line", "scopes": ["read", "predict"], "days": "30"})
    (text,) = re.findall(r"isotherm_[0-9a-f-]{36}_\w+", answer.text)
    assert text not in client.get("/tokens").text
    token = text.split("_")[1]
    assert f"/tokens/{token}/revoke" in client.get("/tokens").text
    client.post(f"/tokens/{token}/revoke")
    assert f"/tokens/{token}/revoke" not in client.get("/tokens").text
    assert client.post("/tokens", data={"name": "x", "scopes": ["read"], "days": "0"}).status_code == 422
    assert "The chain is whole" in client.post("/audit/verify").text


def test_an_image_says_what_is_doubtful_of_its_temperatures(client: TestClient, service: Service, site: str) -> None:
    grey = np.zeros((60, 80), np.uint8)
    grey[20:26, 30:38] = 200
    (taken,) = take_in(service, LOCAL, site, [Upload("grey.png", encoded(grey, "PNG"))])
    assert taken.image is not None
    page = text_of(client.get(f"/images/{taken.image.id}"))
    assert "This picture holds no temperatures, only colours or grey levels." in page
    for note in history(service, LOCAL, taken.image)[0][0].result["notes"]:
        assert note in page


def test_of_many_findings_the_first_ten_are_open_and_the_others_one_click_away(
    service: Service, tmp_path: Path
) -> None:
    site = create_site(service, LOCAL, "Solar field").id
    values = np.full((60, 80), 20.0, np.float32)
    for number in range(12):
        row, column = 6 + 16 * (number // 4), 6 + 18 * (number % 4)
        values[row : row + 5, column : column + 5] = 60 + number
    np.save(tmp_path / "field.npy", values)
    take_in(service, LOCAL, site, [Upload("field.npy", (tmp_path / "field.npy").read_bytes())])
    (image,) = images(service, site)
    with browsing(service) as client:
        page = text_of(client.get(f"/images/{image.id}"))
    open_ones, rest = page.split("<summary>2 more findings</summary>")
    assert (open_ones.count("data-peak="), rest.count("data-peak=")) == (10, 2)


def fields_of(page: str, action: str) -> dict[str, str]:
    """Return what stands in the fields of a form: values of inputs, texts of areas, chosen options."""
    (form,) = re.findall(rf'<form[^>]* action="{re.escape(action)}".*?</form>', page, re.S)
    found = {}
    for tag in re.findall(r"<input[^>]*>", form):
        about = dict(re.findall(r'([a-z-]+)="([^"]*)"', tag))
        if about.get("type") != "checkbox" or " checked" in tag:
            found[about["name"]] = about.get("value", "")
    found |= dict(re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.S))
    for name, options in re.findall(r'<select[^>]* name="([^"]*)".*?>(.*?)</select>', form, re.S):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options)
        found[name] = (chosen[1] or chosen[2]) if chosen else ""
    return {name: html.unescape(value) for name, value in found.items()}


def refused(client: TestClient, action: str, page: str, status: int, told: str, **changes: Any) -> str:
    """Send a form with changes; check that it comes back as it was sent, with the reason, and return the page."""
    sent = fields_of(client.get(page).text, action) | changes
    answer = client.post(action, data=sent, follow_redirects=False)
    assert answer.status_code == status, answer.text[:500]
    (reason,) = re.findall(r'<p class="notice bad" role="alert"[^>]*>(.*?)</p>', text_of(answer))
    assert told in reason
    assert "Settings:" not in reason
    again = fields_of(answer.text, action)
    assert {name: again[name] for name in changes if isinstance(changes[name], str)} == {
        name: value for name, value in changes.items() if isinstance(value, str)
    }
    return answer.text


def test_a_refused_form_of_settings_comes_back_as_it_was_typed(client: TestClient, site: str) -> None:
    path = f"/sites/{site}/settings"
    typed = {"name": "Plate 'new' works", "note": "east </textarea> wing", "severity": "none"}
    page = refused(client, path, path, 422, "min_confidence", **typed, min_confidence="7", open_set="true")
    assert re.search(r'name="min_confidence" value="7"[^>]*aria-invalid="true"', page)
    assert page.count("aria-invalid") == 1
    # What was never kept is not shown anywhere else.
    assert "new" not in client.get(f"/sites/{site}").text.split("<main")[1].split("</h1>")[0]
    stale = fields_of(client.get(path).text, path)
    assert client.post(path, data={**stale, "note": "theirs"}, follow_redirects=False).status_code == 303
    answer = client.post(path, data={**stale, "note": "mine"}, follow_redirects=False)
    assert answer.status_code == 412
    assert "somebody else has changed this" in answer.text
    kept = fields_of(answer.text, path)
    assert kept["note"] == "mine"
    assert client.post(path, data=kept, follow_redirects=False).status_code == 303
    assert fields_of(client.get(path).text, path)["note"] == "mine"


def test_a_refused_form_of_an_asset_comes_back_as_it_was_typed(client: TestClient, site: str) -> None:
    page = f"/sites/{site}/assets"
    typed = {"kind": "motor", "place": "hall 3", "rating": "400 V", "tag": "M-17"}
    refused(client, page, page, 422, "the name of the asset", name="", **typed)
    refused(client, page, page, 422, "latitude_deg", name="pump", latitude_deg="123", **typed)
    made = client.post(page, data={"name": "pump", **typed}, follow_redirects=False)
    assert made.status_code == 303
    refused(client, page, page, 409, "pump", name="pump", kind="fan")
    asset = made.headers["location"]
    shown = refused(client, asset, asset, 422, "rated_current_a", name="pump 2", rated_current_a="-5", place="hall 4")
    assert "open><summary>Name, rating" in shown


def test_a_refused_training_comes_back_beside_its_own_form(client: TestClient, site: str) -> None:
    page = f"/sites/{site}/train"
    before = fields_of(client.get(page).text, f"{page}-anomaly")
    shown = refused(client, page, page, 422, "image_size", image_size="70000", note="second try")
    assert fields_of(shown, f"{page}-anomaly") == before
    shown = refused(client, f"{page}-anomaly", page, 422, "image_size", image_size="70", note="winter")
    assert shown.count('role="alert"') == 1
    assert f'name="next" value="{page}"' in shown


def test_refused_sites_tokens_and_models_come_back_as_they_were_typed(client: TestClient, site: str) -> None:
    refused(client, "/sites", "/sites", 409, "Plate works", name="Plate works", note="again")
    refused(client, "/sites", "/sites", 422, "the name of the site", name="", note="nameless")
    scopes = {"scopes": ["read", "train"], "sites": [site]}
    shown = refused(client, "/tokens", "/tokens", 422, "1 to 3660 days, not '9999'", name="lab", days="9999", **scopes)
    assert [f'value="{scope}" checked' in shown for scope in ("read", "predict", "train")] == [True, False, True]
    assert f'<option value="{site}" selected>' in shown
    path = f"/sites/{site}/models/anomaly"
    files = {"files": ("manifest.json", b"{}")}
    answer = client.post(path, data={"normal": "fine", "note": "by the lab"}, files=files)
    assert answer.status_code == 422
    assert "each once; 1 files were sent" in text_of(answer)
    again = fields_of(answer.text, path)
    assert (again["normal"], again["note"]) == ("fine", "by the lab")


def test_a_refused_report_comes_back_with_what_was_typed_for_its_cover(
    client: TestClient, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = {"lang": "de", "template": "brief", "client": "Works <1>", "remarks": "night shift"}
    path = f"/sites/{site}/report"
    assert client.get(f"{path}.html", params=typed).headers["content-type"].startswith("text/html")
    for changes, told in (({"camera": "x" * 501}, "camera: "), ({}, "a report holds at most 1 images")):
        monkeypatch.setattr(reporting, "MOST_IMAGES", 2000 if changes else 1)
        answer = client.get(f"{path}.html", params=typed | changes)
        assert answer.status_code == 422
        (reason,) = re.findall(r'<p class="notice bad" role="alert"[^>]*>(.*?)</p>', text_of(answer))
        assert told in reason
        again = fields_of(answer.text, f"{path}.pdf")
        assert {name: again[name] for name in typed} == typed
    assert client.get(f"{path}.xml").status_code == 422


def test_what_no_other_value_helps_stays_an_error_page(client: TestClient, site: str) -> None:
    answer = client.post("/sites/none/settings", data={"name": "x", "version": "1"})
    assert answer.status_code == 404
    assert "<textarea" not in answer.text
    answer = client.post(f"/sites/{site}/settings", data={"name": "x"}, headers={"accept": "application/json"})
    assert answer.headers["content-type"] == "application/problem+json"
