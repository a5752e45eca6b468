"""What a run says when it stops for a reason outside of it: that nothing is lost, and how it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from isotherm.core.errors import ForbiddenError, OutputError, UnreachableError
from isotherm.workflows.run_folder import DamagedJournalError


@contextmanager
def telling_how(to_go_on: str) -> Iterator[None]:
    """Add to errors of disks and buckets that what was done is kept, and how to go on."""
    try:
        yield
    except DamagedJournalError:
        # It says itself what to do: the same command would only fail again.
        raise
    except (OutputError, UnreachableError, ForbiddenError) as error:
        error.args = (f"{error}; what was done is kept: when that is mended, {to_go_on}",)
        raise
