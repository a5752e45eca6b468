"""The seam: where work runs. In this process, in a pool of processes, or on a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from isotherm.core.errors import UsageError
from isotherm.core.processes import cores
from isotherm.core.progress import Progress, silent
from isotherm.scaleout.work import Finished, Work, call

AHEAD = 3
"""Pieces of work for each worker that are under way or wait beside it, so that none waits for the driver."""
KINDS = "in-process, pool, ray-local or ray://HOST:PORT"


@runtime_checkable
class Executor(Protocol):
    """Runs work in any order; a worker that dies is replaced, and its work comes back as lost."""

    @property
    def workers(self) -> int:
        """How many pieces of work run at once."""
        ...

    def submit(self, work: Work) -> None:
        """Take work; the driver gives at most `AHEAD` pieces for each worker."""
        ...

    def wait(self, within_s: float) -> Sequence[Finished]:
        """Return what has ended, at the latest after `within_s` [s]; raises what the function raised."""
        ...

    def close(self) -> None:
        """End all work, finished or not."""
        ...


class InProcess:
    """Work in this very process, one piece after the other."""

    workers = 1

    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()

    def submit(self, work: Work) -> None:
        """Keep the work for `wait`."""
        self._waiting.append(work)

    def wait(self, within_s: float) -> Sequence[Finished]:  # noqa: ARG002 (a call cannot be interrupted)
        """Do one piece of work."""
        if not self._waiting:
            return []
        work = self._waiting.popleft()
        return [Finished(work, call(work.function, work.setup, work.items))]

    def close(self) -> None:
        """Forget what waits."""
        self._waiting.clear()


Kind = Literal["in-process", "pool", "ray"]


def kind_of(name: str) -> Kind:
    """Return what a name asks for; raises UsageError for a wrong one."""
    if name in ("in-process", "pool"):
        return name  # type: ignore[return-value]  # mypy narrows no text
    if name == "ray-local" or name.startswith("ray://"):
        return "ray"
    raise UsageError(f"--executor is {KINDS}, not {name!r}")


def open_executor(name: str, workers: int | None = None, progress: Progress = silent) -> Executor:
    """Start an executor.

    Parameters
    ----------
    name
        ``in-process``, ``pool``, ``ray-local`` or ``ray://HOST:PORT``.
    workers
        Processes of a pool or of a local Ray; None for one a core. A cluster has as many as it has CPUs.
    progress
        Told when a cluster must be asked again, which takes half a minute each time.

    Raises
    ------
    UsageError
        There is no such executor.
    MissingExtraError
        Ray is not installed.
    UnreachableError
        No Ray answers at the address.
    """
    kind = kind_of(name)
    if kind == "in-process":
        return InProcess()
    if kind == "pool":
        from isotherm.scaleout.pool import Pool

        return Pool(workers or cores())
    from isotherm.scaleout.ray_tasks import RayTasks

    return RayTasks(name, workers, progress)
