"""One data folder, opened: database, blobs, children that decode, models in memory, limits.

::

    with Service.open(Path("data")) as service:
        site = create_site(service, LOCAL, "plant 7")
        taken = take_in(service, LOCAL, site.id, [Upload("motor.jpg", Path("motor.jpg"))])
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from isotherm.core.errors import BusyError, DataError, OutputError
from isotherm.jobs.limited import Limits as ChildLimits
from isotherm.store.database import Database
from isotherm.store.folder import blobs_of, is_backup
from isotherm.workflows.service.access import LOCAL, SCOPES, Actor, Scope
from isotherm.workflows.service.watching import Watch

if TYPE_CHECKING:
    from isotherm.workflows.service.examination import Examinations
    from isotherm.workflows.service.loaded import LoadedModels

__all__ = ["LOCAL", "SCOPES", "Actor", "Limits", "Scope", "Service"]

DATABASE = "ISOTHERM_DATABASE"
"""The environment variable that names the database, because a password on a command line is seen by others."""
CHILD_NICE = 5
CHILD_TASKS = 10_000
"""After so many files a child is replaced; to start one takes a core for a second, which uploads wait for."""
R = TypeVar("R")


@dataclass(frozen=True)
class Limits:
    """How much is taken; what is beyond is refused with a reason, and nothing else suffers.

    Parameters
    ----------
    file_bytes, pixels
        Of one file.
    files_a_request
        Of one call of `take_in` or `predict`.
    site_images, site_bytes
        Quota of a site; its bytes are those of its images, each counted as often as it was sent.
    site_jobs
        Jobs of a site that are queued or running.
    sites, categories, tokens
        How many there may be (categories: of a site).
    takers
        Calls that take in or judge files at one time; more are told to come again.
    children, memory_bytes, decode_s
        Processes that decode files (0: none, this one decodes, as tests do); what each may use of memory (more where
        print can be read), and of time for one file [s].
    models
        Models kept in memory.
    """

    file_bytes: int = 128 << 20
    pixels: int = 64_000_000
    files_a_request: int = 1000
    site_images: int = 5_000_000
    site_bytes: int = 1 << 40
    site_jobs: int = 100
    sites: int = 10_000
    categories: int = 1000
    tokens: int = 10_000
    takers: int = 32
    children: int = max(2, min(8, os.cpu_count() or 2))
    memory_bytes: int = 1 << 30
    decode_s: float = 20.0
    models: int = 8


class Service:
    """A data folder with everything that is open in it; shared by all threads of a process.

    Parameters
    ----------
    database
        Its schema is current.
    folder
        ``blobs``, ``cache`` and ``scratch`` are made below it.
    limits
        How much is taken.
    """

    def __init__(self, database: Database, folder: Path, *, limits: Limits | None = None) -> None:
        self.database, self.folder = database, folder
        self.limits = limits or Limits()
        for name in ("blobs", "cache", "scratch"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.blobs = blobs_of(folder)
        self._takers = threading.BoundedSemaphore(self.limits.takers)
        self._lock = threading.Lock()
        self._examinations: Examinations | None = None
        self.watch = Watch()

    @classmethod
    def open(cls, folder: Path, database_url: str | None = None, limits: Limits | None = None) -> Service:
        """Open a data folder; an empty one is set up, and a database of an older version is refused.

        Parameters
        ----------
        folder
            Made where it does not exist.
        database_url
            ``sqlite:///...`` or ``postgresql+psycopg://...``; None: see `url_of`.
        limits
            How much is taken.

        Raises
        ------
        IsothermError
            The schema is of another version (the message names the command), or the folder cannot be used.
        """
        from isotherm.store.migrate import set_up

        try:
            folder.mkdir(parents=True, exist_ok=True)
            database = Database.open(url_of(folder, database_url))
            try:
                set_up(database)
                return cls(database, folder, limits=limits)
            except BaseException:
                database.close()
                raise
        except OSError as error:
            raise OutputError(f"the data folder {folder} cannot be used: {error.strerror}") from error

    @property
    def examinations(self) -> Examinations:
        """The children that examine files; started when first used."""
        with self._lock:
            if self._examinations is None:
                self._examinations = _examinations(self.limits, self.watch)
            return self._examinations

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """What takes in the files of one call beside each other."""
        return _Threads(max_workers=2 * max(1, self.limits.children), thread_name_prefix="isotherm-taking")

    @cached_property
    def loaded(self) -> LoadedModels:
        """The models in memory."""
        from isotherm.workflows.service.loaded import LoadedModels

        return LoadedModels(self.limits.models)

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Hold one of the places for calls that take in or judge files.

        Raises
        ------
        BusyError
            All are held.
        """
        if not self._takers.acquire(blocking=False):
            raise BusyError(f"{self.limits.takers} uploads are being taken in already")
        try:
            yield
        finally:
            self._takers.release()

    def close(self) -> None:
        """End the children and close the database."""
        if "threads" in self.__dict__:
            self.threads.shutdown()
        with self._lock:
            children, self._examinations = self._examinations, None
        if children is not None:
            children.close()
        self.database.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def url_of(folder: Path, given: str | None = None) -> str:
    """Return the URL of the database: as given, else as ``ISOTHERM_DATABASE`` says, else a file in the folder.

    Raises
    ------
    DataError
        The folder is a backup, which would not be what was backed up any more.
    """
    if is_backup(folder):
        raise DataError(f"{folder} is a backup; isotherm restore makes a data folder of it, isotherm verify checks it")
    return given or os.environ.get(DATABASE) or f"sqlite:///{(folder / 'isotherm.db').absolute()}"


class _Threads(ThreadPoolExecutor):
    """Threads in which the context of the caller holds: the request in its log lines, the trace that it is part of."""

    def submit(self, fn: Callable[..., R], /, *arguments: Any, **named: Any) -> Future[R]:
        """Have a function called in a thread."""
        return super().submit(copy_context().run, fn, *arguments, **named)


def _examinations(limits: Limits, watch: Watch) -> Examinations:
    from isotherm.formats.lettering import ENGINE_BYTES, can_read_print
    from isotherm.workflows.service.examination import Examinations

    # A child that reads print keeps the networks for it beside each picture.
    print_reader = ENGINE_BYTES if can_read_print() else 0
    # Nice, so that pages are answered while all children decode.
    child = ChildLimits(
        memory_bytes=limits.memory_bytes + print_reader,
        timeout_s=limits.decode_s,
        input_bytes=limits.file_bytes,
        nice=CHILD_NICE,
        tasks=CHILD_TASKS,
    )
    return Examinations(limits.children, waiting=limits.takers + limits.children, limits=child, watch=watch)
