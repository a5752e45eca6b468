"""Lines of logs as JSON, one object each, the same from the server, its workers and their jobs.

The code logs by Python's `logging`; structlog renders what comes of it. What is bound around a piece of work (the id of
a request, of a job, of a trace) stands in every line that is written meanwhile, whoever writes it. Tokens are cut out.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars
from structlog.typing import EventDict, WrappedLogger

from isotherm.core.messages import clean

__all__ = ["JsonLines", "bound_contextvars", "log_to_stream"]

_SECRET = re.compile(r"isotherm_[0-9a-f-]{8,36}_[A-Za-z0-9_-]{8,}")


class JsonLines(structlog.stdlib.ProcessorFormatter):
    """A record as one line of JSON: ``at``, ``level``, ``logger``, ``message``, what is bound, and its own fields."""

    def __init__(self) -> None:
        super().__init__(
            processors=[
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
                _described,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=json.dumps, ensure_ascii=True, default=str),
                _without_secrets,
            ],
            foreign_pre_chain=[structlog.contextvars.merge_contextvars],
        )


def _described(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Return what a line holds, in the order in which people read it."""
    record: logging.LogRecord = event["_record"]
    message, raised = clean(str(event.pop("event"))), event.pop("exc_info", None)
    found: dict[str, Any] = {
        "at": event.pop("at"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": message,
        **event,
        **getattr(record, "fields", {}),
    }
    if raised and raised[0] is not None:
        found["traceback"] = logging.Formatter().formatException(raised)
    return found


def _without_secrets(_logger: WrappedLogger, _method: str, line: Any) -> Any:
    return _SECRET.sub("isotherm_[cut]", line)


def log_to_stream(level: int = logging.INFO, stream: Any = None) -> logging.Handler:
    """Write all that this process logs from a level on to a stream (standard error), unless it goes elsewhere already.

    Returns the handler.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler])
    return handler
