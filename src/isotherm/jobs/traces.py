"""Traces by OpenTelemetry (extra ``trace``), off by default: spans sent to a collector, from a server and its jobs.

The variable `VARIABLE` names a collector that speaks OTLP over HTTP, such as ``http://127.0.0.1:4318``; a server's
workers and their jobs inherit it. How many traces are kept, what they are called and which headers go along is said by
OpenTelemetry's own variables (``OTEL_TRACES_SAMPLER``, ``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_EXPORTER_OTLP_HEADERS``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

from isotherm import __version__
from isotherm.core.errors import MissingExtraError, UsageError
from isotherm.core.spans import Value, record_with
from isotherm.core.web import http_parts

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

VARIABLE = "ISOTHERM_TRACES"
FLUSH_MS = 3000
"""How long the last spans may take to be sent [ms]."""
_PATH = "/v1/traces"
_tracer: Tracer | None = None


def tracer() -> Tracer | None:
    """Return what begins spans in this process; None where nobody traces."""
    return _tracer


@contextmanager
def tracing(exporter: Any = None) -> Iterator[None]:
    """Record spans while the block lasts, where `VARIABLE` names a collector; the last are sent at its end.

    Parameters
    ----------
    exporter
        A `SpanExporter` of OpenTelemetry in place of the collector, for tests.

    Raises
    ------
    UsageError
        The variable names none.
    MissingExtraError
        The extra ``trace`` is not installed.
    """
    url = os.environ.get(VARIABLE, "")
    if not url and exporter is None:
        yield
        return
    provider = _provider(url, exporter)
    _record(provider.get_tracer("isotherm", __version__))
    try:
        yield
    finally:
        _record(None)
        provider.force_flush(FLUSH_MS)
        provider.shutdown()


def _provider(url: str, exporter: Any) -> TracerProvider:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtraError("tracing", "trace") from error
    if exporter is None:
        exporter = OTLPSpanExporter(endpoint=_endpoint(url))
    # What the variable OTEL_SERVICE_NAME says goes before.
    named = os.environ.get("OTEL_SERVICE_NAME", "isotherm")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: named, SERVICE_VERSION: __version__}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _endpoint(url: str) -> str:
    parts = http_parts(url)
    if parts is None:
        raise UsageError(f"{VARIABLE} must be a URL such as http://127.0.0.1:4318, not {url[:80]!r}")
    return url if parts.path.rstrip("/").endswith(_PATH) else url.rstrip("/") + _PATH


def _record(begins: Tracer | None) -> None:
    global _tracer  # noqa: PLW0603 (see `record_with`)
    _tracer = begins
    record_with(None if begins is None else _span)


def _span(name: str, attributes: Mapping[str, Value]) -> AbstractContextManager[object]:
    assert _tracer is not None
    return _tracer.start_as_current_span(name, attributes=dict(attributes))
