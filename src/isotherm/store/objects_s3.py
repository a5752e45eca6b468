"""Named contents in a bucket of S3 or of a server that speaks its protocol; by obstore (extra ``s3``).

Settings come from the environment, by the names that other programs for S3 read too: ``AWS_ENDPOINT_URL``,
``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, and what else obstore knows.

A PUT of S3 is whole or not at all, and answered when the content is durable (Amazon S3 User Guide, "Amazon S3 data
consistency model"); `new` looks first, and is then a PUT with ``If-None-Match: *``, so that one of several writers
passes where the server knows that condition (Amazon's does since 2024).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from isotherm.core.errors import (
    ConflictError,
    DataError,
    ForbiddenError,
    IsothermError,
    MissingExtraError,
    NotFoundError,
    OutputError,
    UnreachableError,
    UsageError,
)
from isotherm.store.objects import Entry, check_size, checked_name

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutMode
    from obstore.exceptions import BaseError
    from obstore.store import S3Config, S3Store

CONNECT_S, PROBE_S, REQUEST_S = 4, 10, 120
"""How long a connection, the first request and any other may take [s]; two tries of a connection stay below 15 s."""
RETRIES = 2
PIECE_BYTES = 16 << 20
"""An object that is longer is fetched by several requests, because `REQUEST_S` holds for the whole answer of each."""
CREDENTIALS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
    "AWS_SKIP_SIGNATURE",
)
"""One of these says who asks. Without any, obstore would ask the machine's own address for roles for a long time."""
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_CODE = re.compile(r"<Code>(\w+)</Code>")
_UNREACHED = re.compile(r"HTTP error|status code: 5\d\d")
_DENIED = {
    False: "the credentials do not allow to read here; they need s3:ListBucket and s3:GetObject",
    True: "the credentials do not allow to write here; they need s3:PutObject and s3:DeleteObject",
}


class BucketObjects:
    """The objects below one prefix of a bucket."""

    def __init__(self, url: str, store: S3Store, impatient: S3Store) -> None:
        self.url = url
        self._store, self._impatient = store, impatient

    @classmethod
    def open(cls, url: str) -> BucketObjects:
        """Open ``s3://bucket/prefix`` and ask for a first name, so that a wrong address is known at once."""
        bucket, prefix = _parts(url)
        _check_credentials(url)
        shown = f"s3://{bucket}/{prefix}".rstrip("/")
        impatient = _store(bucket, prefix, PROBE_S, retries=0)
        with _told(shown):
            _probe(impatient)
        return cls(shown, _store(bucket, prefix, REQUEST_S, retries=RETRIES), impatient)

    def answers(self) -> bool:
        """Say whether the bucket is there and lets us in, within `PROBE_S`; one small request."""
        try:
            self.check()
        except IsothermError:
            return False
        return True

    def check(self) -> None:
        """Raise what is wrong with the bucket as a whole, within `PROBE_S`; one small request."""
        with _told(self.url):
            _probe(self._impatient)

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Give the objects below a folder."""
        with _told(f"{self.url}/{folder}" if folder else self.url):
            for batch in _listing(self._store, checked_name(folder) if folder else None):
                for item in batch:
                    yield _entry(item)

    def files(self, folder: str = "") -> list[Entry]:
        """Return the objects right in a folder, without those of folders in it."""
        import obstore

        with _told(f"{self.url}/{folder}" if folder else self.url):
            found = obstore.list_with_delimiter(self._store, checked_name(folder) if folder else None)
            return [_entry(item) for item in found["objects"]]

    def read(self, name: str, most_bytes: int, *, version: str = "") -> bytes:
        """Return an object; raises DataError where it is not the one that a listing gave this version."""
        import obstore

        what = self._what(name)
        with _told(what):
            found = obstore.get(self._store, checked_name(name))
            _check_same(what, found.meta, version)
            check_size(what, found.meta["size"], most_bytes)
            return bytes(found.bytes())

    def read_into(
        self,
        name: str,
        stream: IO[bytes],
        most_bytes: int | None = None,
        *,
        version: str = "",
        ready: Callable[[int], None] | None = None,
    ) -> None:
        """Write an object into a file, `PIECE_BYTES` at a time.

        Parameters
        ----------
        name, stream
            What, and where to.
        most_bytes
            Of a larger one nothing is written; None for no bound.
        version
            That of its `Entry` in a listing, where it shall be the one that was listed.
        ready
            Is told the size [bytes] before anything is written, and may raise.

        Raises
        ------
        DataError
            The object is another one than `version` says, or was replaced while it was read.
        OSError
            The file cannot be written.
        """
        import obstore

        what = self._what(name)
        with _told(what):
            found = obstore.get(self._store, checked_name(name))
            size, first = found.meta["size"], _entry(found.meta).version
            _check_same(what, found.meta, version)
            if most_bytes is not None:
                check_size(what, size, most_bytes)
            if ready is not None:
                ready(size)
            at = stream.write(next(iter(found.stream(PIECE_BYTES)), b""))
            while at < size:
                piece = obstore.get(self._store, name, options={"range": (at, min(at + PIECE_BYTES, size))})
                _check_same(what, piece.meta, first)
                at += stream.write(piece.bytes())

    def begins_with(self, name: str, data: bytes) -> bool:
        """Say whether there is an object that begins so; little more of it is fetched than that takes."""
        import obstore

        try:
            with _told(self._what(name)):
                pieces = obstore.get(self._store, checked_name(name)).stream(max(1, len(data)))
                return bytes(next(iter(pieces), b"")).startswith(data)
        except NotFoundError:
            return False

    def write(self, name: str, data: bytes, *, new: bool = False) -> None:
        """Put an object, in one request."""
        import obstore

        # Not all servers know the condition (the gateway of JuiceFS 1.4 overwrites); looking finds most that is there.
        if new and self.exists(name):
            raise ConflictError(f"{self._what(name)} is there already")
        with _told(self._what(name), writing=True):
            mode: PutMode = "create" if new else "overwrite"
            obstore.put(self._store, checked_name(name), data, mode=mode, use_multipart=False)

    def write_file(self, name: str, path: Path) -> None:
        """Put an object that a file holds, a long one in pieces; as whole as `write`."""
        import obstore

        with _told(self._what(name), writing=True):
            obstore.put(self._store, checked_name(name), path)

    def copy(self, name: str, to: str) -> None:
        """Give an object a second name, without its content coming here."""
        import obstore

        with _told(self._what(name), writing=True):
            obstore.copy(self._store, checked_name(name), checked_name(to))

    def exists(self, name: str) -> bool:
        """Say whether there is such an object."""
        return self.entry(name) is not None

    def entry(self, name: str) -> Entry | None:
        """Return what a listing says of an object; None where there is none."""
        import obstore

        try:
            with _told(self._what(name)):
                return _entry(obstore.head(self._store, checked_name(name)))
        except NotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Remove an object."""
        import obstore

        with _told(self._what(name), writing=True):
            obstore.delete(self._store, checked_name(name))

    def _what(self, name: str) -> str:
        return f"{self.url}/{name}"


def _parts(url: str) -> tuple[str, str]:
    parts = urlsplit(url.replace("?", "%3F").replace("#", "%23"))
    prefix = parts.path.strip("/")
    if not _BUCKET.fullmatch(parts.netloc):
        raise UsageError(f"{url} must be s3://bucket/prefix; a bucket's name is 3 to 63 of a-z, 0-9, dots and dashes")
    if prefix:
        checked_name(prefix)
    return parts.netloc, prefix


def _check_credentials(url: str) -> None:
    if not any(os.environ.get(name) for name in CREDENTIALS):
        raise UsageError(
            f"{url} needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_ENDPOINT_URL for other "
            "servers than Amazon's), AWS_METADATA_ENDPOINT=http://169.254.169.254 for the role of this machine, or "
            "AWS_SKIP_SIGNATURE=true for a bucket that is open to all"
        )
    if os.environ.get("AWS_ACCESS_KEY_ID") and not os.environ.get("AWS_SECRET_ACCESS_KEY"):
        raise UsageError(f"{url} needs credentials: AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not")


def endpoint() -> str:
    """Return the address of the object store as the environment names it; empty for Amazon's own."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    return next((value for name in names if (value := os.environ.get(name))), "")


def _store(bucket: str, prefix: str, request_s: float, *, retries: int) -> S3Store:
    try:
        from obstore.store import S3Store
    except ImportError as error:
        raise MissingExtraError("an address s3://", "s3") from error
    address = endpoint()
    # Several names in one request are not understood by all servers, and are not needed here.
    config: S3Config = {"disable_bulk_delete": True}
    if address:
        config["endpoint"] = address
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options={
            "connect_timeout": timedelta(seconds=CONNECT_S),
            "timeout": timedelta(seconds=request_s),
            # Whoever writes http:// into the address has said so.
            "allow_http": address.startswith("http://"),
        },
        retry_config={"max_retries": retries, "retry_timeout": timedelta(seconds=request_s)},
    )


def _probe(store: S3Store) -> None:
    from obstore.exceptions import PermissionDeniedError

    try:
        # A name that nothing has: the answer is short, however much is there.
        next(iter(_listing(store, ".isotherm-probe")), None)
    except PermissionDeniedError as error:
        # Who may read and write but not list is let through.
        if _code(error) in _ANSWERS:
            raise


def _entry(item: ObjectMeta) -> Entry:
    modified_s = item["last_modified"].timestamp()
    # Some servers leave the ETag out of listings.
    version = (item["e_tag"] or "").strip('"') or f"{item['size']:x}-{modified_s:.3f}"
    return Entry(item["path"], item["size"], version, modified_s)


def _check_same(what: str, found: ObjectMeta, version: str) -> None:
    """Raise DataError where what is there now is not what had this version."""
    entry = _entry(found)
    # Where listings leave the ETag out, answers have it, and leave out the fractions of a second.
    listed = f"{entry.size:x}-{int(entry.modified_s)}"
    if version not in ("", entry.version) and version.partition(".")[0] != listed:
        raise DataError(
            f"{what} was replaced after it was listed or while it was read (now {entry.size} bytes); let nobody write "
            "there meanwhile, and run the command anew to have it as it is now"
        )


def _listing(store: S3Store, folder: str | None) -> Iterator[Any]:
    import obstore

    return obstore.list(store, folder, chunk_size=1000)


_ANSWERS: Mapping[str, tuple[type[IsothermError], str]] = {
    "NoSuchBucket": (UsageError, "there is no such bucket; make it, or mend the address"),
    "InvalidAccessKeyId": (ForbiddenError, "AWS_ACCESS_KEY_ID is not known there"),
    "SignatureDoesNotMatch": (ForbiddenError, "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID"),
    "ExpiredToken": (ForbiddenError, "the credentials of AWS_SESSION_TOKEN have expired"),
    "InvalidToken": (ForbiddenError, "AWS_SESSION_TOKEN is not known there, or has expired"),
    "InvalidTokenId": (ForbiddenError, "AWS_SESSION_TOKEN is not known there, or has expired"),
    "RequestTimeTooSkewed": (ForbiddenError, "the clock of this machine is wrong by more than is allowed there"),
}
"""Code of an error -> what to make of it (Amazon S3 API Reference, "Error responses")."""


@contextmanager
def _told(what: str, *, writing: bool = False) -> Iterator[None]:
    """Raise obstore's errors as ours."""
    from obstore import exceptions

    try:
        yield
    except exceptions.BaseError as error:
        raise _meaning(what, error, writing=writing) from error
    except FileNotFoundError as error:
        raise NotFoundError("object", what) from error
    except ValueError as error:
        raise UsageError(f"{what}: {_first_line(error)}") from error


def _meaning(what: str, error: BaseError, *, writing: bool) -> IsothermError:
    from obstore import exceptions

    match error:
        case _ if (code := _code(error)) in _ANSWERS:
            kind, text = _ANSWERS[code]
            found: IsothermError = kind(f"{what}: {text}")
        case exceptions.AlreadyExistsError() | exceptions.PreconditionError():
            found = ConflictError(f"{what} is there already")
        case exceptions.PermissionDeniedError() | exceptions.UnauthenticatedError():
            found = ForbiddenError(f"{what}: {_DENIED[writing]}")
        case exceptions.InvalidPathError():
            why = str(error).partition("\n\nDebug")[0]
            found = DataError(f"{what}: {' '.join(why.split())}; rename it, or name a prefix without it")
        case _ if _UNREACHED.search(str(error)):
            found = _unreachable(what, error)
        case _:
            found = (OutputError if writing else DataError)(f"{what}: {_first_line(error)}")
    return found


def _unreachable(what: str, error: BaseError) -> UnreachableError:
    code = _code(error)
    reason = f"it says {code}" if code else _first_line(error).rpartition(" - ")[2]
    return UnreachableError(
        f"{what}: {endpoint() or 'Amazon'} does not answer as it should ({reason}); check AWS_ENDPOINT_URL"
    )


def _code(error: BaseError) -> str:
    found = _CODE.search(str(error))
    return found[1] if found else ""


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
