"""Who gets in: hosts, origins, tokens, cookies; and that nobody sees or changes what is not theirs."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from api_cases import API, Caller, picture
from fastapi import Request, Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isotherm.core.errors import UsageError
from isotherm.jobs.logs import JsonLines
from isotherm.server import security
from isotherm.server.serving import ServeOptions, settings_for
from isotherm.server.settings import ServerSettings, is_loopback
from isotherm.store.tables import Finding, ModelVersion, now
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.tokens import issue_token

OPEN = {"/healthz", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready"}
EVERY_SCOPE = ("read", "predict", "write", "train", "admin")
Clients = Callable[..., Caller]


def token_for(service: Service, *scopes: str, sites: list[str] | None = None) -> str:
    return issue_token(service, LOCAL, "tester", scopes=scopes or EVERY_SCOPE, sites=sites)[1]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1:80:80", "localhost@evil", "[::2]"]
)
def test_requests_to_another_name_are_refused(call: Caller, host: str) -> None:
    # DNS rebinding: a page of evil.example whose name now points at this machine.
    assert call.problem("GET", "sites", 421, headers={"host": host})["type"].endswith("wrong-host")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:1", "LOCALHOST", "[::1]:8000"])
def test_the_names_of_this_machine_are_taken(call: Caller, host: str) -> None:
    call("GET", "/healthz", 200, headers={"host": host})


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://[::bad"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_other_servers_cannot_change_anything(call: Caller, headers: dict[str, str]) -> None:
    refused = call.problem("POST", "sites", 403, json={"name": "x"}, headers=headers)
    assert refused["type"].endswith("wrong-origin")
    assert call.json("GET", "sites")["items"] == []


def test_pages_of_this_server_can(call: Caller) -> None:
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    call("POST", "sites", 201, json={"name": "x"}, headers=own)


def test_the_local_user_is_nobody_behind_a_proxy(call: Caller) -> None:
    call.problem("GET", "sites", 403, headers={"x-forwarded-for": "203.0.113.7"})


def test_without_a_token_nothing_is_told(caller_for: Clients) -> None:
    call = caller_for(local=False, hosts=None)
    for method, path in routes(call):
        answer = call(method, path)
        if path in OPEN:
            assert answer.status_code in (200, 503), path
        else:
            assert answer.status_code == 401, (method, path, answer.text[:200])


@pytest.mark.parametrize(
    "text", ["", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", "Bearer isotherm_1_2", "Bearer " + "x" * 999]
)
def test_a_bad_token_is_not_the_local_user(call: Caller, text: str) -> None:
    answer = call("GET", "sites", 401, headers={"authorization": text})
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_revoked_and_expired_tokens_are_worth_nothing(caller_for: Clients, folder: Service) -> None:
    call = caller_for(local=False, hosts=None)
    token, text = issue_token(folder, LOCAL, "short", scopes=["read"], expires_at=now() + timedelta(hours=1))
    bearer = {"authorization": f"Bearer {text}"}
    call("GET", "sites", 200, headers=bearer)
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    call("GET", "sites", 401, headers={"authorization": f"Bearer {wrong}"})
    with folder.database.write() as session:
        session.get(type(token), token.id).expires_at = now() - timedelta(seconds=1)  # type: ignore[union-attr]
    call("GET", "sites", 401, headers=bearer)


def routes(call: Caller, ids: dict[str, str] | None = None) -> Iterator[tuple[str, str]]:
    """Give every route of the description, with ids in its path."""
    described = call.client.app.openapi()  # type: ignore[attr-defined]
    fill = {"form": "json", "quantity": "max_c", "digest": "0" * 64, "model": "x", "version": "1", **(ids or {})}
    for path, methods in described["paths"].items():
        for method in methods:
            if method in ("get", "post", "put", "patch", "delete"):
                yield method.upper(), re.sub(r"{(\w+)}", lambda found: fill.get(found[1], "x"), path)


@pytest.fixture
def rich(call: Caller, folder: Service) -> dict[str, str]:
    """Make a site that has one of everything, and return the ids."""
    site = call.site("theirs")
    taken = call.image(site, category="hot", split="train")
    inspection = taken["inspection"]["id"]
    said = call.json("POST", f"inspections/{inspection}/feedback", 201, json={"category": "secret category"})
    job = call.json("POST", f"sites/{site}/inspect", 202, json={})
    # An ended one: the events of another would go on.
    call.json("POST", f"jobs/{job['id']}/cancel")
    asset = call.json("POST", f"sites/{site}/assets", 201, json={"name": "secret pump"})
    with folder.database.write() as session:
        model = ModelVersion(site_id=site, number=1, method="logistic", files={})
        finding = Finding(
            site_id=site,
            image_id=taken["image"]["id"],
            inspection_id=inspection,
            number=7,
            kind="hotspot",
            origin="otsu",
        )
        session.add_all([model, finding])
    return {
        "site_id": site,
        "image_id": taken["image"]["id"],
        "inspection_id": inspection,
        "feedback_id": said["id"],
        "category_id": said["category_id"],
        "job_id": job["id"],
        "asset_id": asset["id"],
        "model_id": model.id,
        "digest": taken["image"]["digest"],
        "token_id": "01a200c7-3bd4-7e5b-a0a9-c76c1a938765",
        "model": "theirs",
    }


BODIES: dict[str, Any] = {
    "name": "x",
    "asset_id": None,
    "category": "x",
    "split": "",
    "settings": {},
    "digests": [],
    "files": [{"digest": "0" * 64, "name": "x"}],
    "scopes": ["read"],
    "threshold": 27.5,
}


def attempt(call: Caller, method: str, path: str) -> Any:
    """Send a request that is as good as can be, but for who sends it."""
    if path.endswith(("/images", "/predict")) and method == "POST" and path.startswith(API):
        return call(method, path, files=[("files", ("a.jpg", picture()))])
    for members in (
        ("name",),
        ("asset_id",),
        ("category", "split"),
        ("category",),
        ("settings",),
        ("digests",),
        ("files",),
        ("name", "scopes"),
        ("threshold",),
        (),
    ):
        body = {name: BODIES[name] for name in members}
        answer = call(method, path, json=body if method != "GET" else None, headers={"if-match": "*"})
        if answer.status_code != 422:
            break
    return answer


def test_a_token_for_one_site_sees_and_changes_nothing_of_another(
    caller_for: Clients, call: Caller, folder: Service, rich: dict[str, str]
) -> None:
    own = call.site("mine")
    foreign = caller_for(token=token_for(folder, sites=[own]))
    secrets = {*rich.values()} - {rich["token_id"]}
    before = json.dumps(call.json("GET", f"sites/{rich['site_id']}"))
    for method, path in routes(call, rich):
        if path in OPEN or path in ("/api/save_data", "/api/make_model", "/api/predict"):
            continue
        answer = attempt(foreign, method, path)
        within = any(value in path for value in rich.values())
        if "/blobs/sha256/" in path:
            # As if nobody had ever sent it.
            assert (answer.status_code, answer.json().get("complete", False)) in ((200, False), (422, False))
        elif within:
            # The protocol of /v2 looks at the request before it looks for the model.
            refused = (404, 403, 405, 400) if path.startswith("/v2/") else (404, 403, 405)
            assert answer.status_code in refused, (method, path, answer.status_code, answer.text[:200])
            if answer.status_code == 403:
                # Tokens and the removal of sites are for administrators of all sites, whatever the id.
                assert "/tokens/" in path or (method, path) == ("DELETE", f"{API}/sites/{rich['site_id']}")
        asked = {value for value in secrets if value in path}
        told = {value for value in secrets - asked if value in answer.text and len(value) > 8}
        assert not told, (method, path, told)
    assert json.dumps(call.json("GET", f"sites/{rich['site_id']}")) == before


def test_a_token_that_may_only_read_changes_nothing(
    caller_for: Clients, call: Caller, folder: Service, rich: dict[str, str]
) -> None:
    reader = caller_for(token=token_for(folder, "read"))
    last = call.json("GET", "audit?limit=1")["items"][0]["number"]
    for method, path in routes(call, rich):
        answer = attempt(reader, method, path)
        if method != "GET" and path.startswith(API) and not path.endswith("/blobs/missing"):
            assert answer.status_code in (403, 404, 422), (method, path, answer.status_code, answer.text[:200])
    after = call.json("GET", "audit?limit=9")["items"]
    assert [line for line in after if line["number"] > last and line["actor"] == "tester"] == []


@pytest.mark.parametrize(("scope", "allowed"), [("predict", False), ("write", True), ("admin", True)])
def test_scopes_are_what_they_say(
    caller_for: Clients, call: Caller, folder: Service, scope: str, allowed: bool
) -> None:
    site = call.site()
    some = caller_for(token=token_for(folder, "read", scope, sites=[site]))
    answer = some("POST", f"sites/{site}/images", files=[("files", ("a.jpg", picture()))])
    assert answer.status_code == (200 if allowed else 403)


def test_a_token_of_some_sites_cannot_make_tokens_or_read_the_trail(
    caller_for: Clients, call: Caller, folder: Service
) -> None:
    some = caller_for(token=token_for(folder, sites=[call.site()]))
    for method, path in (("GET", "tokens"), ("GET", "audit"), ("GET", "audit/verification"), ("GET", "/metrics")):
        assert some(method, path).status_code == 403, path
    some("POST", "tokens", 403, json={"name": "more", "scopes": ["admin"]})
    some("POST", "sites", 403, json={"name": "more"})


def test_the_login_cookie_is_safe_and_a_change_by_it_says_where_it_comes_from(
    caller_for: Clients, folder: Service
) -> None:
    call = caller_for(local=False, hosts=None, public_url="https://thermal.example", base_url="https://thermal.example")
    app = call.client.app

    @app.get("/test-login")  # type: ignore[attr-defined]
    async def login(request: Request, response: Response, token: str) -> str:
        return (await security.log_in(request, response, token)).name

    assert call("GET", "/test-login?token=wrong").status_code == 401
    answer = call("GET", "/test-login", 200, params={"token": token_for(folder)})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-isotherm_login=")
    for part in ("HttpOnly", "Path=/", "SameSite=lax", "Secure"):
        assert part in cookie
    assert "strict-transport-security" in answer.headers
    call("GET", "sites", 200)
    call.problem("POST", "sites", 403, json={"name": "x"})
    call.problem("POST", "sites", 403, json={"name": "x"}, headers={"origin": "https://evil.example"})
    call("POST", "sites", 201, json={"name": "x"}, headers={"origin": "https://thermal.example"})


@pytest.mark.parametrize("path", ["/healthz", f"{API}/sites", f"{API}/nothing", "/nothing", f"{API}/sites?limit=x"])
def test_every_answer_carries_the_headers_that_keep_it_harmless(call: Caller, path: str) -> None:
    headers = call("GET", path).headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_logs_hold_no_secrets_and_one_line_each(
    call: Caller, folder: Service, caplog: pytest.LogCaptureFixture
) -> None:
    text = token_for(folder)
    with caplog.at_level(logging.INFO, "isotherm"):
        call("GET", "sites", headers={"authorization": f"Bearer {text}", "x-request-id": "mine-1"})
        call("GET", f"sites/{text}%0Aevil?token={text}")
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "isotherm.access"]
    assert len(lines) == 2
    assert json.loads(lines[0])["request_id"] == "mine-1"
    assert json.loads(lines[0])["route"] == f"{API}/sites"
    for line in lines:
        assert "\n" not in line
        assert text not in line
        assert text.rsplit("_", 1)[1] not in line


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(min_size=1, max_size=80))
def test_whatever_stands_in_a_path_is_an_id_or_nothing(call: Caller, text: str) -> None:
    from urllib.parse import quote

    for path in (
        f"images/{quote(text, safe='')}/content",
        f"sites/{quote(text, safe='')}",
        f"jobs/{quote(text, safe='')}/log",
    ):
        assert call("GET", path).status_code in (404, 405, 422)


@pytest.mark.parametrize(
    "path",
    [
        "images/..%2f..%2fisotherm.db/content",
        "blobs/sha256/..%2f..%2fserver.key",
        "images/%00/content",
        "images/con/content",
    ],
)
def test_paths_lead_nowhere(call: Caller, path: str) -> None:
    assert call("GET", path).status_code in (404, 422)


def test_a_server_for_others_wants_tokens_or_does_not_start(tmp_path: Any) -> None:
    private = settings_for(ServeOptions(tmp_path), tokens=False)
    assert private.local
    assert not private.admits("evil.example")
    for host in ("0.0.0.0", "192.0.2.7", "::"):
        with pytest.raises(UsageError, match="token"):
            settings_for(ServeOptions(tmp_path, host=host), tokens=False)
        assert not settings_for(ServeOptions(tmp_path, host=host), tokens=True).local
    insecure = settings_for(ServeOptions(tmp_path, host="0.0.0.0", insecure=True), tokens=False)
    assert insecure.local
    proxied = settings_for(ServeOptions(tmp_path, public_url="https://thermal.example"), tokens=True)
    assert (proxied.local, proxied.https) == (False, True)
    assert proxied.admits("thermal.example")
    with pytest.raises(UsageError, match="token"):
        settings_for(ServeOptions(tmp_path, public_url="https://thermal.example"), tokens=False)


@pytest.mark.parametrize("url", ["thermal.example", "ftp://x", "https://", "https://a/b", "http://[::bad"])
def test_a_public_url_is_one(url: str) -> None:
    from isotherm.core.errors import ConfigError

    with pytest.raises(ConfigError, match="public URL"):
        ServerSettings(public_url=url)


def test_what_is_this_machine() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "192.168.0.1", "example.org", ""]))
