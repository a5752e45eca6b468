"""Addresses of servers."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def http_parts(url: str) -> SplitResult | None:
    """Return the parts of an http or https URL that names a host; None where it is none."""
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # Brackets without an address of IPv6, or a port that is no number up to 65535.
        return None
    return parts if sound else None
