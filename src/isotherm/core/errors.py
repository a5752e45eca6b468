"""Every error that isotherm raises on purpose.

::

    IsothermError
    ├── UsageError            the request is wrong; the command exits 2
    │   ├── UnknownNameError  no such method, format, table ...; names the known ones
    │   └── ConfigError       a setting has a wrong type or value
    ├── FormatError           the bytes of a file are not what they should be (with the offset)
    │   └── TooLargeError     the file declares more than isotherm is willing to decode
    ├── DataError             a folder or a set of images cannot be used (empty, no normals, mixed kinds ...)
    ├── ModelError            a model folder is damaged, incomplete or of another version
    ├── MissingExtraError     an optional dependency is needed; says which extra installs it
    ├── OutputError           a result cannot be written
    │   └── StorageFullError  because the disk (or a quota) is full
    ├── NotFoundError         a server has no such site, image, job ... or not for this caller
    ├── ForbiddenError        the caller may not do this
    ├── ConflictError         it contradicts what is stored (a name that is taken, a second training)
    │   └── ChangedError      somebody else has changed it since it was read
    ├── BusyError             more work than can be taken now; says when to try again
    └── UnreachableError      a service that is needed does not answer (a server, an object store, a cluster)

A message says what was wrong, where, and what would be right. Only the command and the server catch these.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class IsothermError(Exception):
    """Root of the tree: something that a user can understand and mend."""


class UsageError(IsothermError):
    """The request itself is wrong."""


class UnknownNameError(UsageError):
    """A name that no registry row has."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = get_close_matches(name, names, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        super().__init__(f"unknown {kind} {name!r}{hint}; known: {', '.join(names)}")
        self.kind, self.name, self.known = kind, name, tuple(names)


class ConfigError(UsageError):
    """A setting has a wrong type, or a value outside its range."""


class FormatError(IsothermError):
    """The bytes of a file are not what its format demands.

    Parameters
    ----------
    reason
        What was wrong and what would be right.
    offset
        Where in the file, in bytes from its start, or None where no single place is to blame.
    """

    def __init__(self, reason: str, offset: int | None = None) -> None:
        super().__init__(reason if offset is None else f"{reason} (at byte {offset})")
        self.reason, self.offset = reason, offset


class TooLargeError(FormatError):
    """The file declares more pixels or bytes than isotherm is willing to decode."""


class DataError(IsothermError):
    """A folder or a set of images cannot be used for what was asked."""


class ModelError(IsothermError):
    """A model folder is damaged, incomplete, or was written by an incompatible version."""

    def __init__(self, reason: str, folder: Path | None = None) -> None:
        super().__init__(reason if folder is None else f"model {folder}: {reason}")
        self.reason, self.folder = reason, folder


class MissingExtraError(IsothermError):
    """An optional dependency is needed for this."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra {extra!r}: pip install 'isotherm[{extra}]'")
        self.what, self.extra = what, extra


class OutputError(IsothermError):
    """A result cannot be written where it was asked for."""


class StorageFullError(OutputError):
    """There is no room left; what was stored before stays whole."""


class NotFoundError(IsothermError):
    """A server has no such thing, or none that this caller may know of."""

    def __init__(self, kind: str, name: str = "") -> None:
        super().__init__(f"there is no {kind} {name!r}" if name else f"there is no such {kind}")
        self.kind = kind


class ForbiddenError(IsothermError):
    """The caller may not do this."""


class ConflictError(IsothermError):
    """What is asked for contradicts what is stored."""


class ChangedError(ConflictError):
    """Somebody else has changed it since it was read."""


class BusyError(IsothermError):
    """More work than can be taken now.

    Parameters
    ----------
    reason
        What there is too much of.
    retry_after_s
        When to try again [s].
    """

    def __init__(self, reason: str, retry_after_s: int = 1) -> None:
        super().__init__(f"{reason}; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class UnreachableError(IsothermError):
    """A service that is needed for this does not answer."""


def one_line(error: Exception) -> str:
    """Return the message of an error as one line, for a row of a table."""
    return " ".join(str(error).split())
