"""What the conformance checks say where a promise is broken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from isotherm.core.errors import FormatError


def require(kept: bool, promise: str) -> None:
    """Raise AssertionError with the promise where it is not kept."""
    # Not `assert`: the check must also work under `python -O`.
    if not kept:
        raise AssertionError(promise)


@contextmanager
def only_format_errors(what: str) -> Iterator[None]:
    """Let nothing but FormatError come out of the block, which ends there; `what` names the file that is read."""
    try:
        yield
    except FormatError:
        return
    except AssertionError:
        raise
    except Exception as error:
        # Whatever else comes out is the finding.
        raise AssertionError(f"{type(error).__name__} came out of {what}: {error}") from error
