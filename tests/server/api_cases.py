"""What the tests of the HTTP API share: a client that checks problems, and files to send."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from starlette.testclient import TestClient

from isotherm.workflows.service.service import Service
from thermal_files import FlirFile, ramp

API = "/api/v1"
PROBLEM = "application/problem+json"


def picture(seed: int = 0) -> bytes:
    """Return a small R-JPEG; another `seed`, another content."""
    return FlirFile(counts=ramp(24, 32, low=17000 + seed)).jpeg()


@dataclass
class Caller:
    """A client of an application."""

    client: TestClient

    def __call__(self, method: str, path: str, status: int | None = None, **parts: Any) -> Any:
        """Send a request to the API; returns the answer, whose status must be `status` where it is given."""
        answer = self.client.request(method, path if path.startswith("/") else f"{API}/{path}", **parts)
        if status is not None:
            assert answer.status_code == status, (answer.status_code, answer.text[:500])
        if answer.status_code >= 400 and answer.headers["content-type"] == PROBLEM:
            check_problem(answer)
        return answer

    def json(self, method: str, path: str, status: int = 200, **parts: Any) -> Any:
        """Return the JSON of an answer."""
        return self(method, path, status, **parts).json()

    def problem(self, method: str, path: str, status: int, **parts: Any) -> dict[str, Any]:
        """Return the problem that a request must be answered with."""
        answer = self(method, path, status, **parts)
        assert answer.headers["content-type"] == PROBLEM, answer.text[:300]
        found: dict[str, Any] = answer.json()
        return found

    def site(self, name: str = "plant") -> str:
        """Make a site and return its id."""
        return str(self.json("POST", "sites", 201, json={"name": name})["id"])

    def upload(self, site: str, *files: tuple[str, bytes], **fields: str) -> dict[str, Any]:
        """Send files and return the answer."""
        parts = [("files", file) for file in files]
        found: dict[str, Any] = self.json("POST", f"sites/{site}/images", files=parts, data=fields)
        return found

    def image(self, site: str, seed: int = 0, **fields: str) -> dict[str, Any]:
        """Send one image and return what became of it."""
        (taken,) = self.upload(site, (f"motor{seed}.jpg", picture(seed)), **fields)["results"]
        assert taken["error"] == ""
        return dict(taken)


def check_problem(answer: Any) -> None:
    """Check that an answer is a problem of RFC 9457 with this status, and with the headers of every answer."""
    found = answer.json()
    assert found["status"] == answer.status_code
    assert found["type"].startswith("urn:isotherm:problem:")
    assert found["title"]
    assert len(found.get("detail", "")) <= 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


@contextmanager
def calling(local_app: tuple[Any, Service], wanted: Service) -> Iterator[Caller]:
    """Give a client of the local user whose application holds another service for as long."""
    app, held = local_app
    vars(held).clear()
    vars(held).update(vars(wanted))
    client = TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False)
    yield Caller(client)
    client.close()
