"""House-keeping, once an hour: files that nothing refers to, answers under old keys, what killed processes left."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from isotherm.jobs.context import JobContext
from isotherm.store import idempotency
from isotherm.store.blob_rows import collect
from isotherm.store.blobs import KEEP_S
from isotherm.workflows.service.service import Service

TIDY = "tidy"


def tidy(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do a house-keeping job; nothing younger than a day is touched."""
    found = collect(service.database, service.blobs)
    context.check()
    answers = idempotency.forget_old(service.database)
    context.check()
    left = [path for path in (service.folder / "scratch").iterdir() if _age_s(path) > KEEP_S]
    for path in left:
        _remove(path)
    return {
        "unused_files_marked": found.marked,
        "unused_files_removed": found.removed,
        "files_without_row_removed": found.orphans,
        "unfinished_files_removed": found.unfinished,
        "old_answers_removed": answers,
        "scratch_entries_removed": len(left),
    }


def _age_s(path: Path) -> float:
    """Return how long nothing has been written at a path [s]; of a folder, to its entries."""
    with suppress(FileNotFoundError):
        return time.time() - path.stat().st_mtime
    return 0.0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
