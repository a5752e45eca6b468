"""What of the machine this process may use, and whether it is one of several that ``torchrun`` has started together.

The variables are those of torchrun (https://docs.pytorch.org/docs/stable/elastic/run.html, "Environment Variables").
"""

from __future__ import annotations

import os

from isotherm.core.errors import UsageError


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def process_count() -> int:
    """Return how many processes work together; 1 where this one is alone."""
    return max(1, _number("WORLD_SIZE", 1))


def process_number() -> int:
    """Return which of them this one is, from 0."""
    # Some batch systems set a rank for programs that are alone.
    return _number("RANK", 0) if process_count() > 1 else 0


def is_first_process() -> bool:
    """Say whether this process is the one that writes and tells."""
    return process_number() == 0


def _number(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return otherwise
    if not text.isdecimal():
        raise UsageError(f"the environment variable {name} must be a whole number, as torchrun sets it, not {text!r}")
    return int(text)
