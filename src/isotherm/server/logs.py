"""Where the log of a server goes: all of it to a file that is turned over, what needs attention to the screen."""

from __future__ import annotations

import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from isotherm.jobs.logs import JsonLines

MOST_BYTES, KEPT = 10 * 1024 * 1024, 5
_OURS = ("isotherm", "uvicorn.error")


def log_to(folder: Path) -> list[logging.Handler]:
    """Write everything below ``folder/server.jsonl`` and what needs attention to the screen; returns the handlers.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = RotatingFileHandler(
        folder / "server.jsonl", maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8", delay=True
    )
    shown = logging.StreamHandler()
    shown.setLevel(logging.WARNING)
    for handler in (kept, shown):
        handler.setFormatter(JsonLines())
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers[:] = [kept, shown]
    # It tells of every form that is not well made, which the answer says already.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    return [kept, shown]


def stop_logging(handlers: list[logging.Handler]) -> None:
    """Close what `log_to` has opened."""
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.propagate = True
        logger.handlers[:] = [handler for handler in logger.handlers if handler not in handlers]
    for handler in handlers:
        handler.close()
