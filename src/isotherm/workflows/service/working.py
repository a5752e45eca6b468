"""The workers of a data folder: processes that run what `isotherm.workflows.service.kinds` can do."""

from __future__ import annotations

from pathlib import Path

from isotherm.jobs.supervisor import Supervisor
from isotherm.jobs.worker import WorkerSettings
from isotherm.workflows.service.service import url_of

WORKPLACE = "isotherm.workflows.service.kinds:workplace"


def workers(folder: Path, database_url: str | None, count: int) -> Supervisor:
    """Return a context manager that keeps so many workers alive; the folder has been opened by a `Service` before."""
    folder = folder.absolute()
    url = url_of(folder, database_url)
    return Supervisor(WorkerSettings(url=url, workplace=WORKPLACE, arguments=(str(folder), url)), count)
