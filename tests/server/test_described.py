"""The API is what its description says, whatever is sent (short here; ``benchmarks/api_fuzz.py`` is the long form)."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from api_cases import Caller
from described import operations, tried


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


def test_the_description_that_is_checked_in_is_the_one_that_is_served(call: Caller) -> None:
    stored = Path(__file__).resolve().parents[2] / "docs" / "reference" / "openapi.json"
    assert call.json("GET", "openapi.json") == json.loads(stored.read_text(encoding="utf-8"))
