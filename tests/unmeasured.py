"""The environment of programs whose coverage is not measured: what is killed writes none, and each start is dearer."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """Return this process's environment without what makes a child measure its coverage."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
