"""The trace that a request belongs to: read from ``traceparent`` (W3C Trace Context), told in the log, carried on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from isotherm.jobs.traces import tracer

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

_UNTRACED = frozenset({"/healthz", "/readyz", "/metrics", "/v2/health/live", "/v2/health/ready"})
"""What is asked every few seconds, by programs that watch."""
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True)
class Parent:
    """The span of another program that a request is part of, and whether that program records its trace."""

    trace_id: str
    span_id: str
    sampled: bool


def parent_of(header: str) -> Parent | None:
    """Return what a ``traceparent`` header names; None where there is none, or one that is not well made.

    Source: W3C Recommendation Trace Context, section 3.2.
    """
    found = _PARENT.fullmatch(header) if len(header) <= 128 else None
    if found is None or not int(found[2], 16) or not int(found[3], 16):
        return None
    # Version 00 has these four parts and no more.
    return None if found[1] == "00" and found[5] else Parent(found[2], found[3], bool(int(found[4], 16) & 1))


class RequestTrace:
    """One request within its trace, as the log names it; recorded as a span where the server traces."""

    def __init__(self, parent: Parent | None, span: Span | None = None) -> None:
        self._parent, self._span = parent, span

    def fields(self) -> dict[str, str]:
        """Return what stands in every line of the log that is written for the request."""
        fields = {} if self._parent is None else {"trace_id": self._parent.trace_id, "parent_id": self._parent.span_id}
        if self._span is None:
            return fields
        context = self._span.get_span_context()
        return {**fields, "trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def answered(self, method: str, route: str, status: int) -> None:
        """Say what the request was and how it was answered; the names are OpenTelemetry's for HTTP."""
        if self._span is None:
            return
        self._span.update_name(f"{method} {route}".strip())
        self._span.set_attributes(
            {"http.request.method": method, "http.route": route, "http.response.status_code": status}
        )
        if status >= 500:
            from opentelemetry.trace import StatusCode

            self._span.set_status(StatusCode.ERROR)


@contextmanager
def traced(path: str, traceparent: str) -> Iterator[RequestTrace]:
    """Give the trace of a request that came with a header; its span, where one is recorded, ends with the block."""
    parent, begins = parent_of(traceparent), tracer()
    if begins is None or path in _UNTRACED:
        yield RequestTrace(parent)
        return
    from opentelemetry.trace import SpanKind

    with begins.start_as_current_span("request", _context(parent), kind=SpanKind.SERVER) as span:
        yield RequestTrace(parent, span)


def _context(parent: Parent | None) -> Context:
    """Return what a request is part of: the caller's span, or nothing at all."""
    from opentelemetry.context import Context
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    if parent is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    caller = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(caller), Context())
