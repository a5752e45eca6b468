"""``log.txt`` (every answer with all its probabilities) and ``error_log.txt`` (tracebacks).

Lines are JSON after the time, so that no name can begin a line of its own.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

LOG, ERROR_LOG = "log.txt", "error_log.txt"
MAX_LOG_BYTES = 64 * 1024 * 1024
"""A log that has grown to this becomes ``log.txt.1``, in place of the one before."""
_log = logging.getLogger(__name__)


class Logs:
    """The two files of one folder. They are opened for each entry, so that they may be moved away at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()

    def status(self, route: str, facts: Mapping[str, Any]) -> None:
        """Write one line: time, route, and the facts as JSON."""
        self._append(LOG, f"{route} {json.dumps(dict(facts), default=str)}")

    def error(self, route: str, error: BaseException, facts: Mapping[str, Any]) -> None:
        """Write what was asked for, and the traceback, indented so that its lines are told from entries."""
        lines = "".join(traceback.format_exception(error)).splitlines()
        shown = "\n".join(f"    {line.encode('ascii', 'backslashreplace').decode()}" for line in lines)
        self._append(ERROR_LOG, f"{route} {json.dumps(dict(facts), default=str)}\n{shown}")

    def _append(self, name: str, text: str) -> None:
        path = self._folder / name
        entry = f"{datetime.now().astimezone().isoformat(timespec='milliseconds')} {text}\n"
        try:
            with self._lock:
                if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
                    path.replace(path.with_name(f"{name}.1"))
                with path.open("a", encoding="utf-8") as stream:
                    stream.write(entry)
        except OSError as error:
            # A full disk must not turn a good answer into a bad one.
            _log.warning("cannot write %s: %s", path, error.strerror)
