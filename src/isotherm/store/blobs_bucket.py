"""Files by their content in a bucket, for several servers behind one database: ``sha256/ab/cd/<hex>`` as in a folder.

A file is written to this machine first, which finds out its sha256, and then put into the bucket; who has the answer of
`BucketBlobs.put` may tell others that the content is kept, because the bucket has said so.

A bucket has no lock that would keep `discard` from removing what another server has just put there again: between
looking at the age and removing lies a moment. So what is discarded moves to ``removed/`` first, is read from there
where a row turns out to need it, and goes for good a day later (`reconcile`).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import BinaryIO

from isotherm.core.errors import DataError, ForbiddenError, NotFoundError, OutputError, UsageError
from isotherm.core.progress import Progress, silent
from isotherm.store.blobs import KEEP_S, Blobs, Flaw, Stored, Stream, checked_digest
from isotherm.store.filesystem import failed
from isotherm.store.objects_s3 import BucketObjects

ANY_SIZE = 1 << 62
FORGET_S = 3600.0
"""How often files that were fetched long ago are looked for [s]."""
LOOK_S = 15.0
"""How often a bucket is asked at most whether it is there [s]."""


class BucketBlobs(Blobs):
    """The content below one prefix of a bucket; safe to use from many threads, processes and machines at once.

    Parameters
    ----------
    folder
        Of this machine, for files on their way to the bucket and from it; nothing in it would be missed.
    objects
        Where the content lies.
    """

    on_disk = False

    def __init__(self, folder: Path, objects: BucketObjects) -> None:
        super().__init__(folder)
        self.objects = objects
        self._fetched = folder / "fetched"
        self._forgetting, self._next_forgetting = Lock(), 0.0
        # It has just been opened.
        self._looking, self._looked, self._answers = Lock(), time.monotonic(), True

    def put(self, source: bytes | Stream, *, most_bytes: int, digest: str | None = None) -> Stored:
        """Keep the content of `source`, and return when the bucket has it; raises as `Blobs.put` and the bucket do."""
        temporary = self._temporary()
        try:
            stored = self._written(source, temporary, most_bytes, digest)
            with _fault_of_the_server():
                self.objects.write_file(_name(stored.digest), temporary)
        finally:
            with suppress(OSError):
                temporary.unlink()
        return stored

    def size(self, digest: str) -> int | None:
        """Return how long a content is [bytes]; None where it is not here."""
        with _fault_of_the_server():
            found = self.objects.entry(_name(digest)) or self.objects.entry(_name(digest, _REMOVED))
        return None if found is None else found.size

    def writable(self) -> bool:
        """Say whether the folder may be written to and the bucket has answered lately; cheap, and no promise."""
        # Who comes while somebody asks the bucket does not wait for it.
        if time.monotonic() > self._looked + LOOK_S and self._looking.acquire(blocking=False):
            try:
                self._answers, self._looked = self.objects.answers(), time.monotonic()
            finally:
                self._looking.release()
        return self._answers and super().writable()

    def open(self, digest: str) -> BinaryIO:
        """Return a stream of the content as it lies in the bucket; raises NotFoundError."""
        data = self._content(digest)
        stream = TemporaryFile()  # noqa: SIM115 (the caller closes it)
        stream.write(data)
        stream.seek(0)
        return stream

    def read(self, digest: str) -> bytes:
        """Return the content, checked; raises NotFoundError, or DataError where it is not what its name says."""
        data = self._content(digest)
        if hashlib.sha256(data).hexdigest() != digest:
            raise DataError(f"the stored file {digest} is damaged in the bucket; restore it from a backup")
        return data

    def fetched(self, digest: str) -> Path:
        """Return a file of this machine with the content, good for a day; raises NotFoundError, DataError."""
        path = self._fetched / checked_digest(digest)
        try:
            if not path.is_file():
                self._fetched.mkdir(parents=True, exist_ok=True)
                temporary = self._temporary()
                temporary.parent.mkdir(parents=True, exist_ok=True)
                temporary.write_bytes(self.read(digest))
                temporary.replace(path)
            os.utime(path)
            self._forget()
        except OSError as error:
            raise failed("a file cannot be fetched from the bucket", error) from error
        return path

    def digests(self) -> Iterator[str]:
        """Give the sha256 of everything that is here, in order."""
        return (entry.name.rpartition("/")[2] for entry in self.objects.entries(_KEPT))

    def verify(self, progress: Progress = silent) -> list[Flaw]:
        """Read everything again and return what is not what its name says."""
        everything, flaws = list(self.digests()), list[Flaw]()
        for done, digest in enumerate(everything, 1):
            try:
                self.read(digest)
            except NotFoundError:
                # Removed since it was listed.
                pass
            except DataError:
                flaws.append(Flaw(f"file {digest}", "is damaged in the bucket"))
            progress(done, len(everything), "files checked")
        return flaws

    def discard(self, digest: str, keep_s: float = KEEP_S) -> bool:
        """Take content that nobody refers to out of use and say whether it is gone; young content stays."""
        found = self.objects.entry(_name(digest))
        if found is None:
            return True
        if _age_s(found.modified_s) < keep_s:
            return False
        self.objects.copy(_name(digest), _name(digest, _REMOVED))
        self.objects.remove(_name(digest))
        return True

    def reconcile(self, known: Callable[[set[str]], set[str]], keep_s: float = KEEP_S) -> None:
        """Bring back what was discarded while somebody put it here again, and remove the rest after `keep_s` [s].

        `known` says which of some digests have a row.
        """
        removed = {entry.name.rpartition("/")[2]: entry for entry in self.objects.entries(_REMOVED)}
        needed = known(set(removed))
        for digest, entry in removed.items():
            if digest in needed:
                if self.objects.entry(_name(digest)) is None:
                    self.objects.copy(entry.name, _name(digest))
            elif _age_s(entry.modified_s) < keep_s:
                continue
            self.objects.remove(entry.name)

    def _content(self, digest: str) -> bytes:
        with _fault_of_the_server():
            for root in (_KEPT, _REMOVED):
                with suppress(NotFoundError):
                    return self.objects.read(_name(digest, root), ANY_SIZE)
        raise NotFoundError("stored file", digest)

    def _forget(self) -> None:
        """Remove what was fetched more than a day ago."""
        with self._forgetting:
            if time.monotonic() < self._next_forgetting:
                return
            self._next_forgetting = time.monotonic() + FORGET_S
        for path in self._fetched.iterdir():
            # Another process of this machine may forget it at the same moment.
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > KEEP_S:
                    path.unlink()


_KEPT, _REMOVED = "sha256", "removed"


def _name(digest: str, root: str = _KEPT) -> str:
    return f"{root}/{checked_digest(digest)[:2]}/{digest[2:4]}/{digest}"


@contextmanager
def _fault_of_the_server() -> Iterator[None]:
    """Raise what the bucket denies as a fault of this server: who asked it for something may well have it."""
    try:
        yield
    except (ForbiddenError, UsageError) as error:
        raise OutputError(f"the files of this server cannot be reached: {error}") from error


def _age_s(modified_s: float) -> float:
    return time.time() - modified_s
