"""Lines of logs: one JSON object each, with what is bound around them, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isotherm.jobs.logs import JsonLines, bound_contextvars, log_to_stream
from isotherm.store.database import Database
from isotherm.store.tables import Worker


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged by anybody, as lines."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    found = io.StringIO()
    log_to_stream(logging.INFO, found)
    yield found
    root.handlers[:], root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_tells_when_who_and_what(stream: io.StringIO) -> None:
    logging.getLogger("isotherm.place").warning("disk %s", "full", extra={"fields": {"free_bytes": 3}})
    (line,) = lines(stream)
    assert line.pop("at", "").endswith("Z")
    assert line == {"level": "warning", "logger": "isotherm.place", "message": "disk full", "free_bytes": 3}


def test_what_is_bound_stands_in_every_line_written_meanwhile_and_in_none_after(stream: io.StringIO) -> None:
    log = logging.getLogger("some.library")
    with bound_contextvars(request_id="r1", trace_id="t1"):
        log.info("within")
    log.info("after")
    within, after = lines(stream)
    assert (within["request_id"], within["trace_id"]) == ("r1", "t1")
    assert "request_id" not in after


def test_a_traceback_is_one_field_of_its_line(stream: io.StringIO) -> None:
    try:
        raise RuntimeError("broken\nin two")
    except RuntimeError:
        logging.getLogger("x").exception("failed")
    (line,) = lines(stream)
    assert line["message"] == "failed"
    assert str(line["traceback"]).startswith("Traceback")
    assert "broken" in str(line["traceback"])


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=600), name=st.text(max_size=30))
def test_whatever_is_logged_is_one_line_of_ascii_json(text: str, name: str) -> None:
    record = logging.LogRecord("isotherm", logging.INFO, "here", 1, text, (), None)
    record.fields = {"name": name, "odd": {1, 2}}
    shown = JsonLines().format(record)
    assert shown.isascii()
    assert "\n" not in shown
    assert json.loads(shown)["name"] == name


def test_tokens_are_cut_out_wherever_they_stand() -> None:
    token = "isotherm_0190c5d2-0000-7000-8000-0123456789ab_" + "ab" * 32
    record = logging.LogRecord("isotherm", logging.INFO, "here", 1, f"got {token}", (), None)
    record.fields = {"path": f"/x?token={token}"}
    shown = JsonLines().format(record)
    assert "ab" * 10 not in shown
    assert shown.count("isotherm_[cut]") == 2


def test_a_worker_process_logs_as_json_and_names_itself(database: Database, database_url: str) -> None:
    """A workplace that does not exist: its worker says why it ends."""
    settings_of_worker = {"url": database_url, "workplace": "isotherm.no_such:place", "arguments": [], "name": "w1"}
    code = "import sys; from isotherm.jobs.worker_process import main; sys.exit(main([]))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(settings_of_worker),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    said = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    assert said[-1]["level"] == "error"
    assert "w1" in str(said[-1]["message"])
    with database.read() as session:
        assert session.get(Worker, "w1") is None
