"""Too much, too slow, too many, not well made: always a problem of the client's, and the server goes on."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from api_cases import API, Caller, picture

from isotherm.core.errors import BusyError
from isotherm.server import guard
from isotherm.server.app import create_app
from isotherm.server.settings import ServerSettings
from isotherm.server.uploads import Lane
from isotherm.store.database import Database
from isotherm.workflows.service.service import Limits, Service

Clients = Callable[..., Caller]
FORM = "multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'


def form(content: bytes = b"x", head: bytes = HEAD, end: bytes = b"\r\n--b--\r\n") -> bytes:
    return head + content + end


MALFORMED = {
    "no boundary": ("multipart/form-data", form()),
    "an empty boundary": ("multipart/form-data; boundary=", form()),
    "a long boundary": (f"multipart/form-data; boundary={'b' * 300}", form()),
    "another boundary": ("multipart/form-data; boundary=c", form()),
    "nothing at all": (FORM, b""),
    "breaks off in the header": (FORM, HEAD[:40]),
    "breaks off in the content": (FORM, HEAD + b"abc"),
    "breaks off in the boundary": (FORM, form(end=b"\r\n--b")),
    "no disposition": (FORM, form(head=b"--b\r\nContent-Type: image/jpeg\r\n\r\n")),
    "another disposition": (
        FORM,
        form(head=b'--b\r\nContent-Disposition: attachment; name="files"; filename="a"\r\n\r\n'),
    ),
    "no name": (FORM, form(head=b'--b\r\nContent-Disposition: form-data; filename="a"\r\n\r\n')),
    "a header without end": (FORM, form(head=b"--b\r\nX: " + b"y" * 9000 + b"\r\n\r\n")),
    "many headers": (FORM, form(head=b"--b\r\n" + b"X: y\r\n" * 500 + b"\r\n")),
    "a NUL in a header": (FORM, form(head=b'--b\r\nContent-Disposition: form-data; name="f\0"; filename="a"\r\n\r\n')),
    "a field alone": (
        FORM,
        form(head=b'--b\r\nContent-Disposition: form-data; name="split"\r\n\r\n', content=b"train"),
    ),
    "a field that is too long": (
        FORM,
        form(head=b'--b\r\nContent-Disposition: form-data; name="category"\r\n\r\n', content=b"x" * 70_000),
    ),
    "too many fields": (FORM, b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n' * 60 + b"--b--\r\n"),
    "JSON in its place": ("multipart/form-data; boundary=b", b'{"files": []}'),
    "another type": ("image/jpeg", b"\xff\xd8"),
    "no type": ("", b"abc"),
    "broken JSON": ("application/json", b'{"files": ['),
    "JSON of another shape": ("application/json", b"[1, 2]"),
    "JSON that nests": ("application/json", b"[" * 50_000),
    "JSON with a lone surrogate": (
        "application/json",
        b'{"files": [{"digest": "' + b"0" * 64 + b'", "name": "\\ud800"}]}',
    ),
    "an empty list": ("application/json", b'{"files": []}'),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_uploads_are_problems_of_the_client(call: Caller, name: str) -> None:
    kind, body = MALFORMED[name]
    headers = {"content-type": kind} if kind else {}
    answer = call("POST", f"sites/{call.site()}/images", content=body, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert call("GET", "/healthz").status_code == 200


WRONG_FILES = {
    "empty": b"",
    "text": b"hello",
    "half an image": picture()[:700],
    "a PNG of no size": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\0\0\0\0\0\x08\0\0\0\0",
    "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "a zip": b"PK\x03\x04" + b"\0" * 60,
    "a pickle": b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x07os.exit\x94.",
    "an ELF": b"\x7fELF" + b"\0" * 60,
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_what_is_no_image_is_refused_with_its_reason_and_not_repeated(call: Caller, name: str) -> None:
    found = call.problem("POST", f"sites/{call.site()}/images", 422, files=[("files", ("a.jpg", WRONG_FILES[name]))])
    assert found["errors"][0]["pointer"] == "#/files/0"
    assert "alert" not in str(found)
    assert call.json("GET", "images")["items"] == []


def test_one_bad_file_does_not_stop_the_others_and_a_long_one_is_refused_alone(caller_for: Clients) -> None:
    call = caller_for(most_file_bytes=20_000)
    site = call.site()
    answer = call.upload(site, ("long.jpg", b"x" * 30_000), ("good.jpg", picture()), ("bad.jpg", b"x"))
    assert [item["name"] for item in answer["results"]] == ["long.jpg", "good.jpg", "bad.jpg"]
    assert [bool(item["image"]) for item in answer["results"]] == [False, True, False]
    assert answer["results"][0]["problem"].endswith("image-too-large")


def test_large_files_go_through_the_disk_and_leave_nothing_there(call: Caller, folder: Service) -> None:
    site = call.site()
    padded = [(f"{n}.jpg", picture(n) + b"\0" * 3_000_000) for n in range(3)]
    assert call.upload(site, *padded)["taken"] == 3
    assert list((folder.folder / "scratch").iterdir()) == []


def test_too_many_files_are_refused(caller_for: Clients) -> None:
    call = caller_for(most_files=3)
    parts = [("files", (f"{n}.jpg", b"x")) for n in range(4)]
    call.problem("POST", f"sites/{call.site()}/images", 400, files=parts)


def test_a_body_that_is_too_long_is_refused_whether_it_says_so_or_not(caller_for: Clients) -> None:
    call = caller_for(most_small_bytes=1000)
    assert call.problem("POST", "sites", 413, content=b"x" * 2000)["type"].endswith("request-too-large")

    def pieces() -> Any:
        yield from (b"x" * 100 for _ in range(50))

    call.problem("POST", "sites", 413, content=pieces(), headers={"content-type": "application/json"})
    call.problem("POST", "sites", 413, content=b"x", headers={"content-length": "9" * 19})


async def exchange(app: Any, path: str, body: AsyncIterator[bytes], method: str = "POST") -> tuple[int, dict[str, str]]:
    """Send one request to an application piece by piece; returns its status and headers."""
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        piece = await anext(body, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def send(message: Any) -> None:
        answer.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", FORM.encode())]
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": headers, "scheme": "http", "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return answer[0]["status"], {name.decode(): value.decode() for name, value in answer[0]["headers"]}


def test_a_body_that_stops_coming_is_answered(folder: Service) -> None:
    app = create_app(folder, settings=ServerSettings(idle_s=0.05))

    async def stuck() -> AsyncIterator[bytes]:
        yield b"--b\r\n"
        await asyncio.sleep(30)
        yield b""

    status, headers = asyncio.run(exchange(app, f"{API}/sites/x/images", stuck()))
    app.state.lane.close()
    assert status == 408
    assert headers["connection"] == "close"


def test_a_body_that_drips_is_answered(folder: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE_S", 0.1)
    app = create_app(folder, settings=ServerSettings(idle_s=5, least_bytes_per_s=1000))

    async def drips() -> AsyncIterator[bytes]:
        while True:
            yield b"x"
            await asyncio.sleep(0.01)

    status, _ = asyncio.run(exchange(app, f"{API}/sites/x/images", drips()))
    app.state.lane.close()
    assert status in (400, 408)


def test_more_uploads_than_are_taken_are_told_to_come_again_and_health_still_answers(folder: Service) -> None:
    app = create_app(folder, settings=ServerSettings(most_uploads=1, most_waiting=1))

    async def all_at_once() -> tuple[list[int], int]:
        go = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield HEAD + b"x" * 100_000
            await go.wait()
            yield b"\r\n--b--\r\n"

        async def nothing() -> AsyncIterator[bytes]:
            return
            yield b""

        uploads = [asyncio.create_task(exchange(app, f"{API}/sites/x/images", body())) for _ in range(5)]
        await asyncio.sleep(0.3)
        health, _ = await exchange(app, "/healthz", nothing(), "GET")
        go.set()
        answers = await asyncio.gather(*uploads)
        assert all("retry-after" in headers for status, headers in answers if status == 429)
        return sorted(status for status, _ in answers), health

    statuses, health = asyncio.run(all_at_once())
    app.state.lane.close()
    assert statuses == [404, 404, 429, 429, 429]
    assert health == 200


def test_a_lane_takes_so_many_and_no_more() -> None:
    async def fill() -> None:
        lane, release = Lane(1, 1), asyncio.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            asyncio.run_coroutine_threadsafe(release.wait(), loop).result()

        two = [asyncio.create_task(lane.run(work)) for _ in range(2)]
        await asyncio.sleep(0.05)
        with pytest.raises(BusyError):
            await lane.run(work)
        release.set()
        await asyncio.gather(*two)
        await lane.run(lambda: None)
        lane.close()

    asyncio.run(fill())


def test_a_full_disk_is_507_and_nothing_is_lost_or_left(
    call: Caller, folder: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = call.site()
    kept = call.image(site, 1)["image"]["id"]

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("isotherm.store.blobs.os.fsync", full)
        answer = call("POST", f"sites/{site}/images", 507, files=[("files", ("a.jpg", picture(2)))])
        assert answer.json()["type"].endswith("storage-full")
        call("GET", f"images/{kept}/content", 200)
    assert len(call.json("GET", "images")["items"]) == 1
    assert folder.blobs.verify() == []
    call.image(site, 2)


def test_a_site_that_has_its_share_is_full(tmp_path: Any, sqlite_template: Any) -> None:
    import shutil

    from starlette.testclient import TestClient

    shutil.copyfile(sqlite_template, tmp_path / "isotherm.db")
    database = Database.open(f"sqlite:///{tmp_path / 'isotherm.db'}")
    with Service(database, tmp_path / "data", limits=Limits(children=0, site_images=1)) as service:
        app = create_app(service)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            call = Caller(client)
            site = call.site()
            call.image(site, 1)
            call.problem("POST", f"sites/{site}/images", 507, files=[("files", ("a.jpg", picture(2)))])
        app.state.lane.close()


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        ("sites", {}, "#/name"),
        ("sites", {"name": 7}, "#/name"),
        ("sites", {"name": "x" * 200}, "#/name"),
        ("sites", {"name": "a\0b"}, "#/name"),
        ("sites", {"name": "x", "unknown": 1}, "#/unknown"),
        ("sites", {"name": "x", "settings": []}, "#/settings"),
        ("tokens", {"name": "x", "scopes": ["root"]}, "#/scopes/0"),
        ("tokens", {"name": "x", "scopes": ["read"], "expires_at": "2030-01-01T00:00:00"}, "#/expires_at"),
        ("blobs/missing", {"digests": ["../../etc/passwd"]}, "#/digests/0"),
    ],
)
def test_a_wrong_member_is_named_and_its_value_not_repeated(call: Caller, path: str, body: Any, pointer: str) -> None:
    found = call.problem("POST", path, 422, json=body)
    assert [place["pointer"] for place in found["errors"]] == [pointer]
    assert "passwd" not in str(found)
    assert "root" not in str(found)


HOSTILE = [
    "../../etc",
    "a/b",
    "a\\b",
    ".",
    "..",
    ".hidden",
    "con",
    "CON.txt",
    "a\u202eb",
    "a\u200bb",
    " a",
    "a.",
    "<b>",
    'a"b',
    "\ud83d",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_as_names(call: Caller, name: str) -> None:
    import json

    headers = {"content-type": "application/json"}
    site = call.site()
    for path in ("sites", f"sites/{site}/categories", f"sites/{site}/assets", "categories"):
        answer = call("POST", path, content=json.dumps({"name": name}), headers=headers)
        assert answer.status_code == 422, (path, answer.text)


WRONG_FILTERS = [
    "limit=0", "limit=201", "limit=x", "limit=" + "9" * 30, "since=yesterday", "since=0001-01-01T00:00:00Z",
    "min_severity=9999", "order=best", "split=all", "name=%00", "site_id=" + "x" * 99,
]  # fmt: skip


@pytest.mark.parametrize("query", WRONG_FILTERS)
def test_wrong_filters_are_named(call: Caller, query: str) -> None:
    found = call.problem("GET", f"images?{query}", 422)
    assert query.partition("=")[0] in str(found["errors"][0]["pointer"])
    assert found["errors"][0]["in"] == "query"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "nothing", 404),
        ("PUT", "sites", 405),
        ("GET", "blobs/missing", 405),
        ("TRACE", "sites", 405),
        ("BREW", "sites", 405),
    ],
)
def test_what_the_framework_refuses_is_a_problem_too(call: Caller, method: str, path: str, status: int) -> None:
    call.problem(method, path, status)


def test_an_error_of_ours_is_a_500_that_tells_only_its_id(
    call: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr("isotherm.workflows.service.sites.list_sites", broken)
    found = call.problem("GET", "sites", 500)
    assert "secret" not in str(found)
    assert found["request_id"]
    assert any("secret" in (record.exc_text or str(record.exc_info)) for record in caplog.records)
