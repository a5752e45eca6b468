"""Idempotency-Key: what is sent again is not done again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from api_cases import Caller, picture
from sqlalchemy import select, update

from isotherm.store.idempotency import KEPT, Answer, forget_old, keep, known
from isotherm.store.tables import Idempotency, now
from isotherm.workflows.service import sites
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


def test_a_request_that_is_being_worked_on_is_not_begun_again(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = Event(), Event()
    real = sites.create_site

    def slow(*arguments: Any, **named: Any) -> Any:
        begun.set()
        assert go_on.wait(30)
        return real(*arguments, **named)

    monkeypatch.setattr(sites, "create_site", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, "POST", "sites", 201, json={"name": "x"}, headers=KEY)
        assert begun.wait(30)
        problem = call.problem("POST", "sites", 409, json={"name": "x"}, headers=KEY)
        go_on.set()
        assert first.result().json()["name"] == "x"
    assert "still being worked on" in problem["detail"]
    call("POST", "sites", 201, json={"name": "x"}, headers=KEY)


def test_an_answer_that_is_too_long_to_keep_is_a_conflict(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isotherm.server.idempotency.MOST_KEPT", 10)
    call("POST", "sites", 201, json={"name": "x"}, headers=KEY)
    assert "too long" in call.problem("POST", "sites", 409, json={"name": "x"}, headers=KEY)["detail"]


def test_a_key_that_an_earlier_version_took_and_never_answered_is_free(call: Caller, folder: Service) -> None:
    call("POST", "sites", 201, json={"name": "x"}, headers=KEY)
    with folder.database.write() as session:
        session.execute(update(Idempotency).values(status=0, body=""))
    call("POST", "sites", 201, json={"name": "y"}, headers=KEY)
    assert call("POST", "sites", 201, json={"name": "y"}, headers=KEY).headers["idempotency-replayed"] == "true"


def test_keys_are_kept_for_a_day_on_each_database(database: Any) -> None:
    answer = Answer("a" * 64, 201, {"etag": "1"}, "{}")
    with database.write() as session:
        assert known(session, "me", "k") is None
        keep(session, "me", "k", answer)
    with database.read() as session:
        assert known(session, "me", "k") == answer
        assert known(session, "you", "k") is None
    with database.write() as session:
        session.execute(update(Idempotency).values(created_at=now() - KEPT - timedelta(seconds=1)))
        assert known(session, "me", "k") is None
        keep(session, "me", "k", answer)
        assert known(session, "me", "k") == answer


def test_old_answers_go_with_the_house_keeping_and_young_ones_stay(database: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("isotherm.store.idempotency._AT_ONCE", 2)
    answer = Answer("a" * 64, 201, {}, "{}")
    with database.write() as session:
        for number in range(5):
            keep(session, "me", f"old {number}", answer)
        session.execute(update(Idempotency).values(created_at=now() - KEPT - timedelta(seconds=1)))
        keep(session, "me", "young", answer)
        keep(session, "you", "old 1", answer)
    assert forget_old(database) == 5
    assert forget_old(database) == 0
    with database.read() as session:
        left = session.execute(select(Idempotency.token_id, Idempotency.key).order_by(Idempotency.token_id))
        assert left.all() == [("me", "young"), ("you", "old 1")]
