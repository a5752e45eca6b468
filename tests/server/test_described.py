"""The API is what its description says, whatever is sent (short here; ``benchmarks/api_fuzz.py`` is the long form)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from api_cases import Caller
from described import operations, tried
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from isotherm.core.errors import UnreachableError
from isotherm.workflows.service.service import Service


@pytest.mark.slow
def test_no_route_answers_what_it_does_not_say(call: Caller) -> None:
    site = call.site()
    taken = call.image(site)
    known = {"site_id": site, "image_id": taken["image"]["id"], "inspection_id": taken["inspection"]["id"]}
    statuses: Counter[int] = Counter()
    for operation in operations(call.client.app):
        statuses += tried(operation, known, examples=3)
    assert sum(statuses.values()) > 150, statuses
    assert statuses[200] > 15, statuses
    assert not [status for status in statuses if status >= 500], statuses


@pytest.mark.slow
def test_routes_over_stored_files_say_that_the_bucket_may_not_answer(
    call: Caller, folder: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = call.site()
    asset = call.json("POST", f"sites/{site}/assets", 201, json={"name": "motor"})["id"]
    taken = call.image(site, asset_id=asset)
    known = {
        "site_id": site,
        "image_id": taken["image"]["id"],
        "inspection_id": taken["inspection"]["id"],
        "digest": taken["image"]["digest"],
        "asset_id": asset,
    }

    def away(*_given: object, **_named: object) -> None:
        raise UnreachableError("the bucket does not answer")

    for name in ("put", "read", "open", "has", "size", "fetched"):
        monkeypatch.setattr(folder.blobs, name, away)
    unreachable = set[str]()
    for operation in operations(call.client.app):
        checks = [status_code_conformance, content_type_conformance]
        found = tried(operation, known, examples=2, checks=checks, always_known=True)
        if found[503]:
            unreachable.add(operation.path.rpartition("/")[2])
    assert unreachable >= {"thumbnail", "content", "images", "inspections", "picture", "import"}


def test_the_description_that_is_checked_in_is_the_one_that_is_served(call: Caller) -> None:
    stored = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"
    assert call.json("GET", "openapi.json") == json.loads(stored.read_text(encoding="utf-8"))
