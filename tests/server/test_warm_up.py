"""What the first requests would wait for is there before them."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import iscoroutinefunction

from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from starlette.routing import Route
from starlette.testclient import TestClient

from isotherm.server.app import create_app, warm_up
from isotherm.server.pages.rendering import templates
from isotherm.workflows.service.service import Service


def test_all_templates_are_compiled_before_the_first_page() -> None:
    templates.cache_clear()
    warm_up()
    cache = templates().cache
    assert cache is not None
    assert {name for _, name in cache} >= set(templates().list_templates(extensions=["j2"]))


def test_an_application_that_is_warm_answers_as_any_other(folder: Service) -> None:
    app = create_app(folder)
    warm_up()
    client = TestClient(app, base_url="http://127.0.0.1")
    assert [client.get(path).status_code for path in ("/", "/healthz", "/api/v1/sites", "/nowhere")] == [
        200, 200, 200, 404,
    ]  # fmt: skip


def test_each_route_stands_in_the_application_itself(folder: Service) -> None:
    # A router that is included has its routes built once more, and each request looks for its own on every level.
    routes = create_app(folder).routes
    assert len(routes) > 100
    assert [route for route in routes if not isinstance(route, Route)] == []


def test_a_slash_too_many_is_another_path(folder: Service) -> None:
    client = TestClient(create_app(folder), base_url="http://127.0.0.1", follow_redirects=False)
    assert client.get("/api/v1/sites/").status_code == 404
    assert client.get("/api/v1/sites").status_code == 200


def test_no_parameter_of_a_route_takes_a_thread_of_its_own(folder: Service) -> None:
    # Each would be two more waits for Python's lock before the request is looked at.
    def parts_of(dependant: Dependant) -> Iterator[Dependant]:
        for part in dependant.dependencies:
            yield from (part, *parts_of(part))

    routes = iter_route_contexts(create_app(folder).routes)
    found = [route.dependant for route in routes if hasattr(route, "dependant")]
    parts = {part.call for dependant in found for part in parts_of(dependant)}
    assert len(parts) > 5
    assert {getattr(part, "__qualname__", "") for part in parts if not iscoroutinefunction(part)} == set()
