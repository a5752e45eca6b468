"""Idempotency-Key: what is sent again is not done again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from api_cases import Caller, picture
from sqlalchemy import select, update

from isotherm.store.idempotency import KEPT, LOST, claim, keep
from isotherm.store.tables import Idempotency, now
from isotherm.workflows.service.service import Service

KEY = {"idempotency-key": "9f1c"}


def test_a_site_is_made_once_for_a_key(call: Caller) -> None:
    first = call("POST", "sites", 201, json={"name": "plant"}, headers=KEY)
    again = call("POST", "sites", 201, json={"name": "plant"}, headers=KEY)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["etag"] == first.headers["etag"]
    call.problem("POST", "sites", 422, json={"name": "another"}, headers=KEY)
    assert len(call.json("GET", "sites")["items"]) == 1


def test_an_upload_is_taken_once_for_a_key(call: Caller) -> None:
    site = call.site()
    for _ in range(2):
        found = call.json("POST", f"sites/{site}/images", files=[("files", ("a.jpg", picture()))], headers=KEY)
    assert found["taken"] == 1
    assert len(call.json("GET", "images")["items"]) == 1
    call.problem("POST", f"sites/{site}/images", 422, files=[("files", ("a.jpg", picture(1)))], headers=KEY)


def test_a_failed_request_gives_its_key_back(call: Caller) -> None:
    call.problem("POST", "sites", 422, json={"name": "../x"}, headers=KEY)
    call("POST", "sites", 201, json={"name": "x"}, headers=KEY)


def test_a_request_that_is_being_worked_on_is_not_begun_again(call: Caller, folder: Service) -> None:
    call("POST", "sites", 201, json={"name": "x"}, headers=KEY)
    with folder.database.write() as session:
        session.execute(update(Idempotency).values(status=0))
    call.problem("POST", "sites", 409, json={"name": "x"}, headers=KEY)
    with folder.database.write() as session:
        session.execute(update(Idempotency).values(created_at=now() - LOST - timedelta(seconds=1)))
    # The server that took it was killed: what it has made is found by its name.
    call.problem("POST", "sites", 409, json={"name": "x"}, headers=KEY)
    call("POST", "sites", 201, json={"name": "y"}, headers=KEY)


def test_keys_are_kept_for_a_day_on_each_database(database: Any) -> None:
    with database.write() as session:
        assert claim(session, "me", "k", "a" * 64) is None
    with database.write() as session:
        found = claim(session, "me", "k", "b" * 64)
        assert found is not None
        assert (found.request_sha256, found.status) == ("a" * 64, 0)
        assert claim(session, "you", "k", "b" * 64) is None
        keep(session, "me", "k", type(found)("a" * 64, 201, {"etag": "1"}, "{}"))
    with database.write() as session:
        session.execute(update(Idempotency).values(created_at=now() - KEPT - timedelta(seconds=1)))
        assert claim(session, "other", "k", "b" * 64) is None
        assert session.scalars(select(Idempotency.token_id)).all() == ["other"]
