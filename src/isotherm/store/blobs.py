"""Files by their content: ``sha256/ab/cd/<hex>``, written whole, flushed, and never changed.

Who has the answer of `Blobs.put` may tell others that the content is kept: file and name are on the disk by then
(write, fsync, rename, fsync of the folders; Pillai et al. 2014, "All File Systems Are Not Created Equal", OSDI).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from isotherm.core.errors import DataError, NotFoundError, TooLargeError
from isotherm.core.progress import Progress, silent
from isotherm.store.filesystem import failed, flush_folder

PIECE = 1 << 20
KEEP_S = 24 * 3600.0
"""How long content that nobody refers to is kept [s]: whoever stores it has that long to refer to it."""
NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})
LEAVES, TOPS = 1 << 16, 1 << 8
"""How many folders there can be: ``ab/cd``, and ``ab``."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@runtime_checkable
class Stream(Protocol):
    """What content is read from, in pieces."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, and none at the end."""
        ...


@dataclass(frozen=True)
class Stored:
    """Content that is kept: its sha256 in hexadecimal and its size [bytes]."""

    digest: str
    size: int


@dataclass(frozen=True)
class Flaw:
    """Something in the store that should not be: what, and why."""

    subject: str
    reason: str


class Blobs:
    """The content below one folder; safe to use from many threads and processes at once."""

    on_disk = True
    """Whether `path` leads to the content; `isotherm.store.blobs_bucket` keeps it elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = folder / "sha256"
        self._incoming = folder / "incoming"
        self._lock_file = folder / "lock"
        # One byte for each folder that there can be: their paths would add up to 25 MB.
        self._flushed = bytearray(LEAVES + TOPS)

    def put(self, source: bytes | Stream, *, most_bytes: int, digest: str | None = None) -> Stored:
        """Keep the content of `source`, and return when it is on the disk.

        Parameters
        ----------
        source
            The content, or a stream of it, which is read to its end in pieces.
        most_bytes
            Longer content is refused [bytes].
        digest
            What the sha256 must be, where the sender has said so.

        Raises
        ------
        TooLargeError
            It is longer than `most_bytes`.
        DataError
            It is not what `digest` says.
        StorageFullError, OutputError
            It could not be written; then nothing was stored.
        """
        temporary = self._temporary()
        try:
            stored = self._written(source, temporary, most_bytes, digest)
            self._place(temporary, self.path(stored.digest))
        except OSError as error:
            raise failed("a file cannot be stored", error) from error
        finally:
            with suppress(OSError):
                temporary.unlink()
        return stored

    def _temporary(self) -> Path:
        return self._incoming / f"{time.time_ns():x}-{os.urandom(8).hex()}.part"

    def _written(self, source: bytes | Stream, temporary: Path, most_bytes: int, digest: str | None) -> Stored:
        """Write `source` to a temporary file, flushed, and check its sha256."""
        try:
            # Made here and not before: a backup is read from a medium that cannot be written.
            self._incoming.mkdir(parents=True, exist_ok=True)
            stored = _write(source, temporary, most_bytes)
        except OSError as error:
            raise failed("a file cannot be stored", error) from error
        if digest is not None and stored.digest != digest:
            raise DataError(f"the content has the sha256 {stored.digest}, not {digest} as announced")
        return stored

    def _place(self, temporary: Path, target: Path) -> None:
        """Give a flushed file its name for good; content that is there already is replaced by itself.

        Replacing mends what has been damaged, and makes the file young, so that `discard` leaves it alone.
        """
        leaf = target.parent
        with self._locked(fcntl.LOCK_SH):
            leaf.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)
        flush_folder(leaf)
        # A folder may be new, made by us or by another process that has not come to flush its name.
        for place, folder in ((int(target.name[:4], 16), leaf), (LEAVES + int(target.name[:2], 16), leaf.parent)):
            if not self._flushed[place]:
                flush_folder(folder.parent)
                self._flushed[place] = True

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        handle = os.open(self._lock_file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)

    def link(self, digest: str, source: Blobs) -> bool:
        """Give content of another folder a name in this one too; False where the disks do not allow it.

        It is neither checked nor flushed. Neither folder ever changes content, so that they may share it.

        Raises
        ------
        NotFoundError
            It is not there.
        """
        if not source.on_disk:
            return False
        target = self.path(digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source.path(digest), target)
        except FileExistsError:
            return True
        except FileNotFoundError as error:
            raise NotFoundError("stored file", digest) from error
        except OSError as error:
            if error.errno in NO_LINKS:
                return False
            raise
        return True

    def path(self, digest: str) -> Path:
        """Return where content lies or would lie; raises NotFoundError for what is no sha256 in hexadecimal."""
        return self._root / digest[:2] / digest[2:4] / checked_digest(digest)

    def fetched(self, digest: str) -> Path:
        """Return a file of this machine with the content; where it is not here, there is no such file."""
        return self.path(digest)

    def has(self, digest: str) -> bool:
        """Say whether the content is here."""
        return self.size(digest) is not None

    def size(self, digest: str) -> int | None:
        """Return how long a content is [bytes]; None where it is not here."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise failed(f"the stored file {digest} cannot be read", error) from error

    def writable(self) -> bool:
        """Say whether the folder may be written to; cheap, and no promise."""
        return os.access(self.folder, os.W_OK)

    def open(self, digest: str) -> BinaryIO:
        """Return a stream of the content as it lies on the disk; raises NotFoundError."""
        path = self.path(digest)
        try:
            return path.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError("stored file", digest) from error
        except OSError as error:
            raise failed(f"the stored file {digest} cannot be read", error) from error

    def read(self, digest: str) -> bytes:
        """Return the content, checked; raises NotFoundError, or DataError where the disk has changed it."""
        with self.open(digest) as stream:
            data = stream.read()
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"the stored file {digest} is damaged on the disk; restore it from a backup")
        return data

    def digests(self) -> Iterator[str]:
        """Give the sha256 of everything that is here, in order; raises OutputError where it cannot be read."""
        for first in _listed(self._root):
            for second in _listed(first):
                yield from (path.name for path in _listed(second) if _DIGEST.fullmatch(path.name))

    def verify(self, progress: Progress = silent) -> list[Flaw]:
        """Read everything again and return what is not what its name says."""
        everything = list(self.digests())
        flaws = []
        for done, digest in enumerate(everything, 1):
            flaws += self._flaws_of(digest)
            progress(done, len(everything), "files checked")
        return flaws

    def _flaws_of(self, digest: str) -> list[Flaw]:
        try:
            with self.path(digest).open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            # Removed since it was listed.
            return []
        except OSError as error:
            return [Flaw(f"file {digest}", f"cannot be read ({error.strerror})")]
        return [] if found == digest else [Flaw(f"file {digest}", f"is damaged: its sha256 is {found}")]

    def discard(self, digest: str, keep_s: float = KEEP_S) -> bool:
        """Remove content that nobody refers to and say whether it is gone; young content stays.

        The age guards who stores the same content at this moment and will refer to it in the next.
        """
        path = self.path(digest)
        try:
            with self._locked(fcntl.LOCK_EX):
                if time.time() - path.stat().st_mtime < keep_s:
                    return False
                path.unlink()
        except FileNotFoundError:
            return True
        except OSError as error:
            raise failed(f"the stored file {digest} cannot be removed", error) from error
        return True

    def reconcile(self, known: Callable[[set[str]], set[str]], keep_s: float = KEEP_S) -> None:
        """Bring back what was discarded while somebody stored it again; nothing here, where a lock excludes that."""

    def sweep(self, *, older_than_s: float = KEEP_S) -> int:
        """Remove the unfinished files that killed processes left; returns how many."""
        swept = 0
        for path in _listed(self._incoming):
            with suppress(OSError):
                # One that has just been given its name is not there any more.
                if time.time() - path.stat().st_mtime > older_than_s:
                    path.unlink()
                    swept += 1
        return swept


def _listed(folder: Path) -> list[Path]:
    """Return what a folder holds, in order; nothing where there is no such folder."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise failed(f"the folder {folder} cannot be read", error) from error


def checked_digest(digest: str) -> str:
    """Return what is a sha256 in hexadecimal, or raise NotFoundError."""
    if not _DIGEST.fullmatch(digest):
        raise NotFoundError("stored file")
    return digest


def _write(source: bytes | Stream, temporary: Path, most_bytes: int) -> Stored:
    """Write `source` to a new file and flush it."""
    digest, size = hashlib.sha256(), 0
    with temporary.open("xb") as stream:
        for piece in _pieces(source, most_bytes):
            size += len(piece)
            if size > most_bytes:
                raise TooLargeError(f"the file is longer than {most_bytes} bytes, the most that is taken")
            digest.update(piece)
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    return Stored(digest.hexdigest(), size)


def _pieces(source: bytes | Stream, most_bytes: int) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    # One byte more than is taken tells that there is more.
    while piece := source.read(min(PIECE, most_bytes + 1)):
        yield piece
