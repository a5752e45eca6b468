"""Fetch weights of a backbone from their publisher, when the user asks for it and never otherwise.

What arrives is kept only if it has the sha256 that is written down here for it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from isotherm.core.errors import ModelError, OutputError, UsageError
from isotherm.core.files import make_folder
from isotherm.core.progress import Progress, silent
from isotherm.runtime.weight_files import MAX_FILE_BYTES
from isotherm.runtime.weight_sources import Download, Files
from isotherm.runtime.weights import Added, add_weights, cache_folder

TIMEOUT_S = 30.0
CHUNK_BYTES = 1024 * 1024


def fetch_weights(name: str, source: Files, *, mirror: str | None = None, progress: Progress = silent) -> Added:
    """Download the weights of a backbone, check them, and keep them in the cache.

    Parameters
    ----------
    mirror
        A server that keeps the publisher's files under their own paths, such as ``http://mirror.local``; None for the
        publisher.

    Raises
    ------
    UsageError
        The publisher lets nobody fetch them without an account, or `mirror` is no address.
    ModelError
        There is no network, the server does not have the file, or it is not the expected one.
    OutputError
        The cache cannot be written.
    """
    if source.download is None:
        raise UsageError(
            f"the weights of {name} cannot be fetched, their publisher wants an account; with a file of them: "
            f"isotherm backbones add {name} FILE"
        )
    url = source.download.url if mirror is None else _mirrored(source.download.url, mirror)
    with _scratch(make_folder(cache_folder())) as path:
        _download(name, url, source.download, path, progress)
        return add_weights(name, source, path)


def _mirrored(url: str, mirror: str) -> str:
    parts = urlsplit(mirror)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"a mirror must be an address such as http://mirror.local, not {mirror!r}")
    return mirror.rstrip("/") + urlsplit(url).path


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    path = folder / f".isotherm-{os.urandom(12).hex()}.part"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _download(name: str, url: str, expected: Download, path: Path, progress: Progress) -> None:
    state = hashlib.sha256()
    try:
        with path.open("xb") as stream:
            for part in _parts(name, url, progress):
                state.update(part)
                stream.write(part)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    if state.hexdigest() != expected.sha256:
        raise ModelError(
            f"{url} is not the expected file (sha256 {state.hexdigest()[:16]}..., not {expected.sha256[:16]}...); "
            "nothing was kept"
        )


def _parts(name: str, url: str, progress: Progress) -> Iterator[bytes]:
    """Yield the bytes of a file on a server."""
    by_hand = f"fetch {url} on another computer, then here: isotherm backbones add {name} FILE"
    request = Request(url, headers={"User-Agent": "isotherm"})  # noqa: S310 (the scheme is known or was checked)
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            yield from _received(answer, progress)
    except HTTPError as error:
        raise ModelError(f"{urlsplit(url).netloc} answers {error.code} ({error.reason}); {by_hand}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise ModelError(f"no network, or no way to {urlsplit(url).netloc} ({reason}); {by_hand}") from error


def _received(answer: HTTPResponse, progress: Progress) -> Iterator[bytes]:
    length, done = int(answer.headers.get("Content-Length") or 0), 0
    while part := answer.read(CHUNK_BYTES):
        done += len(part)
        if max(done, length) > MAX_FILE_BYTES:
            raise ModelError(f"{answer.url} has more than {MAX_FILE_BYTES} bytes")
        yield part
        progress(done // 1000, max(done, length) // 1000, "kilobytes")
    if done < length:
        raise ConnectionError(f"only {done} of {length} bytes came")
