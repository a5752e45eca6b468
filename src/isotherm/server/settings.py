"""How a server listens and what it takes, decided once when it starts."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from isotherm.core.errors import ConfigError
from isotherm.core.web import http_parts

MIB = 1024 * 1024
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")


@dataclass(frozen=True)
class ServerSettings:
    """What `isotherm.server.app.create_app` needs to know beside the service.

    Parameters
    ----------
    local
        Whoever reaches the server without a token is the local user: for a server on this machine alone.
    hosts
        The names that requests may be addressed to (DNS rebinding); None for any, where every request needs a token.
    public_url
        How browsers reach the server through a proxy, ``https://thermal.example``; empty where they reach it directly.
    most_request_bytes, most_file_bytes, most_json_bytes, most_small_bytes
        The largest body of an upload of many files, one file of it, a request with files inside JSON, and any other.
    most_files, most_fields, most_field_bytes
        The most files and other fields of one form, and the most bytes of one of those fields.
    most_uploads, most_waiting
        How many requests with a large body are worked on and wait at a time; more are answered 429.
    header_s, idle_s, least_bytes_per_s
        A client that is slower is answered 408: whole header, pause within a body [s], and mean speed of a body.
    event_poll_s
        How often the events of a job look for news [s].
    metrics_sites
        How many sites have figures of their own at ``/metrics``; those of the others are added up.
    compat
        The folders of the compatibility routes, `isotherm.workflows.compat.config.CompatConfig`; None for its default.
    """

    local: bool = True
    hosts: frozenset[str] | None = frozenset({"127.0.0.1", "localhost", "[::1]"})
    public_url: str = ""
    most_request_bytes: int = 512 * MIB
    most_file_bytes: int = 64 * MIB
    most_json_bytes: int = 96 * MIB
    most_small_bytes: int = MIB
    most_files: int = 1000
    most_fields: int = 50
    most_field_bytes: int = 64 * 1024
    most_uploads: int = 8
    most_waiting: int = 8
    header_s: float = 10.0
    idle_s: float = 15.0
    least_bytes_per_s: int = 10_000
    event_poll_s: float = 0.5
    metrics_sites: int = 20
    compat: Any = field(default=None)

    def __post_init__(self) -> None:
        if self.public_url and not origin_of(self.public_url):
            raise ConfigError(f"a public URL is like https://thermal.example, not {self.public_url[:80]!r}")

    @property
    def https(self) -> bool:
        """Whether browsers come by https, so that cookies may be kept to it."""
        return self.public_url.startswith("https://")

    def admits(self, host: str) -> bool:
        """Say whether requests may be addressed to a ``Host`` header."""
        name = host_name(host)
        if not name:
            return False
        return self.hosts is None or name in self.hosts or name == host_name(netloc_of(self.public_url))


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without its port, in small letters; empty where it is none."""
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name = host
    sound = _HOST.fullmatch(name) and (not colon or port.isdecimal())
    return name.lower() if sound else ""


def netloc_of(url: str) -> str:
    """Return host and port of a URL."""
    return urlsplit(url).netloc


def origin_of(url: str) -> str:
    """Return ``scheme://host[:port]`` of an http or https URL without a path of its own; empty where it is none."""
    parts = http_parts(url)
    if parts is None or not host_name(parts.netloc) or parts.path not in ("", "/"):
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def is_loopback(host: str) -> bool:
    """Say whether a server that listens there is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
