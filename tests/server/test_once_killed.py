"""A request with an Idempotency-Key whose server dies at any commit, and is sent again: all of it is done, once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from api_cases import Caller, calling, picture
from starlette.testclient import TestClient

from isotherm.core.errors import ConflictError
from isotherm.store.database import Database
from isotherm.store.tables import Site
from isotherm.workflows.service import inspections
from isotherm.workflows.service.service import Service


@pytest.fixture
def calls(local_app: tuple[Any, Service], service: Service) -> Iterator[Caller]:
    """A client of the local user, on each database."""
    with calling(local_app, service) as caller:
        yield caller


class Killed(Exception):  # noqa: N818 (it is what happens to the server)
    """The server is gone."""


@contextmanager
def dying(database: Database, number: int, *, after: bool) -> Iterator[list[int]]:
    """Let a server die at the commit of a number from 0, before or after it; gives the numbers of commits reached."""
    dialect, reached, lock = database.engine.dialect, list[int](), Lock()
    real = dialect.do_commit

    def commit(connection: Any) -> None:
        with lock:
            reached.append(len(reached))
            at = reached[-1]
        if at == number and after:
            real(connection)
        if at >= number:
            raise Killed
        real(connection)

    dialect.do_commit = commit  # type: ignore[method-assign]
    try:
        yield reached
    finally:
        dialect.do_commit = real  # type: ignore[method-assign]


def killed_everywhere(
    service: Service, send: Callable[[str], Any], check: Callable[[Any, Any], None], *, commits: int
) -> None:
    """Send a request, killed at each of its commits in turn, before and after it; then again, and once more."""
    for number in range(commits):
        for after in (False, True):
            key = f"{number}-{after}"
            with dying(service.database, number, after=after) as reached:
                assert send(key).status_code >= 500 or number > 0, "nothing was kept"
            assert reached[number:], "the server was not killed"
            check(send(key), send(key))


def test_a_site_is_made_once_however_the_server_dies(calls: Caller, service: Service) -> None:
    names = list[str]()

    def send(key: str) -> Any:
        names.append(key)
        return calls("POST", "sites", json={"name": key}, headers={"idempotency-key": key})

    def check(again: Any, third: Any) -> None:
        assert again.status_code == third.status_code == 201
        assert again.json() == third.json()
        assert third.headers["idempotency-replayed"] == "true"
        assert third.headers["etag"] == again.headers["etag"]

    killed_everywhere(service, send, check, commits=1)
    assert len(calls.json("GET", "sites")["items"]) == len(set(names)) == 2


def test_an_inspection_is_made_once_however_the_server_dies(calls: Caller, service: Service) -> None:
    image = calls.image(calls.site())["image"]["id"]
    made = set[str]()

    def check(again: Any, third: Any) -> None:
        assert (again.status_code, third.status_code) == (201, 201)
        assert again.json() == third.json()
        made.add(again.json()["id"])

    def send(key: str) -> Any:
        return calls("POST", f"images/{image}/inspections", json={}, headers={"idempotency-key": key})

    killed_everywhere(service, send, check, commits=1)
    assert len(calls.json("GET", f"inspections?image_id={image}")["items"]) == 1 + len(made) == 3


def test_each_file_of_an_upload_is_taken_once_however_the_server_dies(calls: Caller, service: Service) -> None:
    site = calls.site()
    files = [("files", (f"{seed}.jpg", picture(seed))) for seed in range(2)] + [("files", ("bad.jpg", b"none"))]

    def send(key: str) -> Any:
        return calls("POST", f"sites/{site}/images", files=files, headers={"idempotency-key": key})

    taken = list[str]()

    def check(again: Any, third: Any) -> None:
        assert again.status_code == 200
        assert again.json() == third.json()
        assert (again.json()["taken"], again.json()["refused"]) == (2, 1)
        assert [result["name"] for result in again.json()["results"]] == ["0.jpg", "1.jpg", "bad.jpg"]
        taken.extend(result["image"]["id"] for result in again.json()["results"][:2])

    killed_everywhere(service, send, check, commits=3)
    assert len(set(taken)) == 12
    assert {image["id"] for image in calls.json("GET", "images?limit=200")["items"]} == set(taken)


def test_of_two_servers_that_do_the_same_at_once_one_takes_all_back(
    calls: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = calls.image(calls.site())["image"]["id"]
    real, answers = inspections.inspect_image, list[Any]()

    def send() -> Any:
        return calls("POST", f"images/{image}/inspections", json={}, headers={"idempotency-key": "k"})

    def late(*arguments: Any, **named: Any) -> Any:
        if not answers:
            # The other server knows nothing of the keys that this one is at work on.
            calls.client.app.state.keys_at_work.clear()  # type: ignore[attr-defined]
            answers.append(None)
            with ThreadPoolExecutor(1) as pool:
                answers.append(pool.submit(send).result())
        return real(*arguments, **named)

    monkeypatch.setattr(inspections, "inspect_image", late)
    assert send().status_code == 409
    again = send()
    assert again.json() == answers[1].json()
    assert again.headers["idempotency-replayed"] == "true"
    assert len(calls.json("GET", f"inspections?image_id={image}")["items"]) == 2


def test_what_is_written_together_is_kept_or_taken_back_together(database: Database) -> None:
    with pytest.raises(KeyError):
        _fail_together(database)
    with database.together():
        with database.write() as session:
            session.add(Site(name="b"))
        with pytest.raises(ConflictError), database.write() as session:
            session.add_all([Site(name="c"), Site(name="b")])
        with database.read() as session:
            assert _names(session) == {"b"}
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(_seen, database).result() == set()
        with database.write() as session:
            session.add(Site(name="d"))
    assert _seen(database) == {"b", "d"}
    with database.write() as session:
        session.add(Site(name="e"))
    assert _seen(database) == {"b", "d", "e"}


def _fail_together(database: Database) -> None:
    with database.together():
        with database.write() as session:
            session.add(Site(name="a"))
        raise KeyError


def _names(session: Any) -> set[str]:
    return {site.name for site in session.query(Site)}


def _seen(database: Database) -> set[str]:
    with database.read() as session:
        return _names(session)


SERVER = """
import os, signal, sys
from pathlib import Path
from starlette.testclient import TestClient
from isotherm.server.app import create_app
from isotherm.server.settings import ServerSettings
from isotherm.workflows.service.service import Service

folder, url = Path(sys.argv[1]), sys.argv[2]
with Service.open(folder, url) as service:
    client = TestClient(create_app(service, settings=ServerSettings()), base_url="http://127.0.0.1:8000")
    dialect = service.database.engine.dialect
    real = dialect.do_commit

    def commit(connection):
        real(connection)
        os.kill(os.getpid(), signal.SIGKILL)

    dialect.do_commit = commit
    client.post("/api/v1/sites", json={"name": "north"}, headers={"idempotency-key": "k"})
"""


def test_a_server_killed_right_after_its_commit_has_kept_the_answer(
    database_url: str, tmp_path: Path, calls_of: Callable[[Database, Path], Caller]
) -> None:
    command = [sys.executable, "-c", SERVER, tmp_path / "data", database_url]
    killed = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -9, killed.stderr[-2000:]
    database = Database.open(database_url)
    assert _seen(database) == {"north"}
    call = calls_of(database, tmp_path / "data")
    answer = call("POST", "sites", 201, json={"name": "north"}, headers={"idempotency-key": "k"})
    assert answer.headers["idempotency-replayed"] == "true"
    assert _seen(database) == {"north"}
    database.close()


@pytest.fixture
def calls_of(local_app: tuple[Any, Service]) -> Iterator[Callable[[Database, Path], Caller]]:
    """What gives a client over a database and a folder that are there."""
    app, held = local_app
    client = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)

    def make(database: Database, folder: Path) -> Caller:
        vars(held).clear()
        vars(held).update(vars(Service(database, folder)))
        return Caller(client)

    yield make
    client.close()
