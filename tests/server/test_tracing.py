"""Traces: what a request brings along is told and carried on; spans only where somebody asks for them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from api_cases import Caller, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from isotherm.core.errors import MissingExtraError, UsageError
from isotherm.core.spans import span
from isotherm.jobs import traces
from isotherm.jobs.logs import JsonLines
from isotherm.jobs.traces import VARIABLE, tracing
from isotherm.server.tracing import Parent, parent_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
"""The example of the recommendation, section 3.2."""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", Parent(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-00", Parent(TRACE, SPAN, sampled=False)),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", Parent(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("", None),
        (f"cc-{TRACE}-{SPAN}-01-" + "x" * 1000, None),
    ],
)
def test_a_traceparent_is_read_as_the_recommendation_says(header: str, expected: Parent | None) -> None:
    assert parent_of(header) == expected


@settings(max_examples=200, deadline=None)
@given(header=st.one_of(st.text(max_size=80), st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.*")))
def test_whatever_a_header_holds_it_is_a_parent_or_none(header: str) -> None:
    found = parent_of(header)
    assert found is None or (int(found.trace_id, 16) > 0 and int(found.span_id, 16) > 0)


def lines_of(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    return [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == name]


class Kept(logging.Handler):
    """Lines as they are written, while what is bound holds."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


@pytest.fixture
def log() -> Iterator[Kept]:
    kept, logger = Kept(), logging.getLogger("isotherm")
    level = logger.level
    logger.addHandler(kept)
    logger.setLevel(logging.INFO)
    yield kept
    logger.removeHandler(kept)
    logger.setLevel(level)


def test_lines_of_a_request_name_its_trace_without_any_tracing(
    caller_for: Callable[..., Caller], log: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    from isotherm.workflows.service import looking

    call = caller_for()
    site, look = call.site(), looking.look

    def telling(*arguments: Any, **named: Any) -> Any:
        logging.getLogger("isotherm.test").info("looking")
        return look(*arguments, **named)

    monkeypatch.setattr("isotherm.workflows.service.taking.look", telling)
    headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "x-request-id": "mine"}
    files = [("files", (f"{number}.jpg", picture(number))) for number in range(3)]
    call("POST", f"sites/{site}/images", 200, files=files, headers=headers)
    told = [line for line in log.lines if line["logger"] == "isotherm.test"]
    assert len(told) == 3, "in the threads of the uploads too"
    for line in [*told, log.lines[-1]]:
        assert (line["request_id"], line["trace_id"], line["parent_id"]) == ("mine", TRACE, SPAN)


@pytest.fixture
def spans() -> Iterator[Callable[[], dict[str, Any]]]:
    """Trace into memory; gives what returns the finished spans by name."""
    exporter = InMemorySpanExporter()

    def found() -> dict[str, Any]:
        return {each.name: each for each in exporter.get_finished_spans()}

    with tracing(exporter):
        yield lambda: (flushed(), found())[1]


def flushed() -> None:
    begins: Any = traces.tracer()
    begins.span_processor.force_flush()


def test_an_upload_is_a_trace_of_its_parts_below_the_callers_span(
    caller_for: Callable[..., Caller], spans: Callable[[], dict[str, Any]], log: Kept
) -> None:
    call = caller_for()
    site = call.site()
    files = [("files", ("motor.jpg", picture()))]
    call("POST", f"sites/{site}/images", 200, files=files, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"})
    found = spans()
    upload = found["POST /api/v1/sites/{site_id}/images"]
    assert f"{upload.context.trace_id:032x}" == TRACE
    assert f"{upload.parent.span_id:016x}" == SPAN
    assert upload.attributes["http.response.status_code"] == 200
    assert found["decode"].context.trace_id == upload.context.trace_id
    assert found["decode"].parent.span_id == upload.context.span_id
    other = found["POST /api/v1/sites"]
    assert other.parent is None
    assert other.context.trace_id != upload.context.trace_id
    line = [line for line in log.lines if line["logger"] == "isotherm.access"][-1]
    assert (line["trace_id"], line["span_id"]) == (TRACE, f"{upload.context.span_id:016x}")


def test_a_caller_that_does_not_record_its_trace_has_none_recorded_here(
    caller_for: Callable[..., Caller], spans: Callable[[], dict[str, Any]]
) -> None:
    caller_for()("GET", "sites", 200, headers={"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert spans() == {}


def test_nothing_is_recorded_and_nothing_imported_unless_asked_for() -> None:
    code = (
        "import sys\n"
        "from isotherm.server.app import create_app\n"
        "from isotherm.jobs.traces import tracing, tracer\n"
        "with tracing(): assert tracer() is None\n"
        "print(*[name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == ""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A collector of OTLP over HTTP: its address, and the path and body of what it got."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", got
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_a_collector_as_otlp(
    collector: tuple[str, list[tuple[str, bytes]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, got = collector
    monkeypatch.setenv(VARIABLE, address)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "thermal plant 7")
    with tracing(), span("job", job_id="j1"):
        pass
    assert traces.tracer() is None
    ((path, body),) = got
    assert path == "/v1/traces"
    (sent,) = ExportTraceServiceRequest.FromString(body).resource_spans
    assert {item.key: item.value.string_value for item in sent.resource.attributes}["service.name"] == "thermal plant 7"
    (found,) = sent.scope_spans[0].spans
    assert (found.name, found.attributes[0].value.string_value) == ("job", "j1")


def test_a_collector_that_does_not_answer_harms_nobody(
    caller_for: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setattr(traces, "FLUSH_MS", 200)
    with tracing():
        caller_for()("GET", "sites", 200)


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://x", "http://", "http://[", "grpc://x:4317"])
def test_a_wrong_address_is_said_at_the_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(UsageError, match="must be a URL such as"), tracing():
        pass


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(MissingExtraError, match=r"isotherm\[trace\]"), tracing():
        pass
