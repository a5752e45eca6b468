"""What the server writes down while it runs: one JSON object a line, without tokens, cookies or queries."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from isotherm.server.problems import clean

MOST_BYTES, KEPT = 10 * 1024 * 1024, 5
_SECRET = re.compile(r"isotherm_[0-9a-f-]{8,36}_[A-Za-z0-9_-]{8,}")


class JsonLines(logging.Formatter):
    """A record as one line of JSON; text of users stays text in it, tokens are cut out."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        found = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(record.getMessage()),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return _SECRET.sub("isotherm_[cut]", json.dumps(found, ensure_ascii=True, default=str))


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
    for name in ("isotherm", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.handlers[:] = [kept, shown]
    # It tells of every form that is not well made, which the answer says already.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    return [kept, shown]


def stop_logging(handlers: list[logging.Handler]) -> None:
    """Close what `log_to` has opened."""
    for name in ("isotherm", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.propagate = True
        logger.handlers[:] = [handler for handler in logger.handlers if handler not in handlers]
    for handler in handlers:
        handler.close()
