"""Work of many items by an executor and a ledger: how it is asked for, and its beginning and its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isotherm.core.config import setting, validate
from isotherm.core.errors import IsothermError, MissingExtraError, OutputError, UsageError
from isotherm.core.progress import Progress
from isotherm.scaleout.driving import Task, drive, renewing
from isotherm.scaleout.executor import KINDS, kind_of, open_executor
from isotherm.scaleout.plan import Plan
from isotherm.workflows.going_on import telling_how

if TYPE_CHECKING:
    from isotherm.scaleout.ledger import Held, Ledger

CHUNK = 256


@dataclass(frozen=True)
class ScaleSettings:
    """Where the work of a run is done, and in what portions; nothing of it changes what comes out."""

    executor: str | None = setting(
        None, f"work in chunks, which may be killed and run again: {KINDS} (default pool where --chunk is given)"
    )
    chunk: int | None = setting(
        None, f"how much is given to a worker at once ({CHUNK} pictures, 1 recording)", low=1, high=100_000
    )
    workers: int | None = setting(None, "processes of a pool or a local Ray (one for each core)", low=1, high=1024)
    ledger: str | None = setting(
        None, "database that keeps what is done, sqlite:///FILE or postgresql://... (a file beside the results)"
    )

    def __post_init__(self) -> None:
        validate(self)
        if self.executor is not None:
            kind_of(self.executor)
        elif not self.asked and (self.workers or self.ledger):
            raise UsageError("--workers and --ledger go with --executor")

    @property
    def asked(self) -> bool:
        """Whether the work is to be done in chunks at all."""
        return self.executor is not None or self.chunk is not None

    @property
    def executor_name(self) -> str:
        """Return the executor, by default a pool of processes."""
        return self.executor or "pool"

    def threads(self, here: int) -> int:
        """Return how many threads a worker shall use where this process would use `here`."""
        return here if self.executor_name == "in-process" else 1


@dataclass(frozen=True)
class RunFile:
    """The ledger of one run: where it lies, and what the run is called there.

    Parameters
    ----------
    settings
        May name a database; by default the ledger is `file`, which goes when the run is over.
    file
        A file beside the results, or what stands for it where these are in a bucket.
    known_as
        What the run is called; by default by the path of `file`.
    chunk
        Items of a chunk, where the settings do not say.
    """

    settings: ScaleSettings
    file: Path
    known_as: str | None = None
    chunk: int = CHUNK

    @property
    def name(self) -> str:
        """Return the run's name: the place of its results."""
        return self.known_as or str(self.file.resolve())

    def plan(self, items: int, identity: Mapping[str, Any], about: Mapping[str, Any]) -> Plan:
        """Return what the ledger shall know of the run; see `work_through`."""
        return Plan(self.name, identity, about, items, self.settings.chunk or self.chunk)

    def begun(self) -> Plan | None:
        """Return what the run was begun with; None where it was not begun, or is over."""
        if self.settings.ledger is None and not self.file.is_file():
            return None
        with self.open() as ledger:
            return ledger.plan_of(self.name)

    def forget(self) -> None:
        """Forget a run that was begun; raises BusyError while somebody works on it."""
        if self.settings.ledger is None and not self.file.is_file():
            return
        with self.open() as ledger:
            ledger.remove(self.name)

    @contextmanager
    def open(self) -> Iterator[Ledger]:
        """Open the ledger; raises OutputError, UsageError or MissingExtraError where that is not possible."""
        try:
            from isotherm.scaleout.ledger import Ledger
            from isotherm.store.filesystem import NETWORK, file_system
        except ImportError as error:
            raise MissingExtraError("--executor", "scale") from error
        if self.settings.ledger is None and file_system(self.file.parent) in NETWORK:
            raise OutputError(
                f"{self.file.parent} is on a network file system, where the ledger of a run cannot be kept; name a "
                "file on a local disk (--ledger sqlite:////var/tmp/run.sqlite) or a database (--ledger postgresql://...)"
            )
        ledger = Ledger.open(self.settings.ledger or f"sqlite:///{self.file}")
        try:
            yield ledger
        finally:
            ledger.close()

    def remove_file(self) -> None:
        """Remove the ledger's own file, where it has one; the log beside it has gone when it was closed."""
        if self.settings.ledger is None:
            self.file.unlink(missing_ok=True)


def begin(run: RunFile, plan: Plan, first: Callable[[], None]) -> None:
    """Write a run into its ledger and do what must come `first`; where that fails the run was never begun.

    Whoever is killed meanwhile has a ledger that knows the run, so that `work_through` goes on with it.
    """
    with ExitStack() as afterwards, run.open() as ledger:
        held = ledger.hold(plan)
        try:
            first()
        except BaseException:
            held.remove()
            afterwards.callback(run.remove_file)
            raise
        held.release()


@contextmanager
def work_through(
    run: RunFile,
    task: Task,
    *,
    identity: Mapping[str, Any],
    about: Mapping[str, Any],
    progress: Progress,
) -> Iterator[Held]:
    """Do what is missing of a run, and give its rows to the block; the run is forgotten when the block ends well.

    Parameters
    ----------
    run, task
        The run's ledger, and what is done with its items.
    identity
        What the rows depend on; a run is only continued where it is the same.
    about
        What the run keeps from its beginning.

    Raises
    ------
    OtherRunError
        The run was begun with another identity.
    BusyError
        Another process works on it.
    """
    with run.open() as ledger:
        settings = run.settings
        held = ledger.hold(run.plan(len(task.items), identity, about))
        try:
            with renewing(held), telling_how("the same command goes on"):
                executor = open_executor(settings.executor_name, settings.workers, progress)
                try:
                    drive(held, executor, task, progress)
                finally:
                    executor.close()
                yield held
                if settings.ledger is not None:
                    held.remove()
        except BaseException:
            with suppress(IsothermError):
                held.release()
            raise
    run.remove_file()
