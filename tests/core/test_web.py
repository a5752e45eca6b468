"""What is taken as the address of a server."""

from __future__ import annotations

import pytest

from isotherm.core.web import http_parts


@pytest.mark.parametrize("url", ["http://127.0.0.1:4318", "https://thermal.example/traces", "HTTP://[::1]:80"])
def test_addresses_of_servers_are_taken(url: str) -> None:
    found = http_parts(url)
    assert found is not None
    assert found.hostname in ("127.0.0.1", "thermal.example", "::1")


@pytest.mark.parametrize(
    "url", ["", "nowhere", "ftp://a", "http://", "http://:80", "http://[::1", "http://a:x", "http://a:70000", "//a"]
)
def test_what_names_no_server_is_not(url: str) -> None:
    assert http_parts(url) is None
