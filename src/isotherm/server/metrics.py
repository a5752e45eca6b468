"""Figures of the server for Prometheus; labels have few values, never names, ids or addresses from requests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from isotherm import __version__
from isotherm.jobs.queue import counts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
UNKNOWN_ROUTE = "none"


class Metrics:
    """The counters of one application."""

    def __init__(self, service: Any) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "isotherm_http_request_duration_seconds",
            "time to answer a request",
            ("method", "route", "status"),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._refused = Counter(
            "isotherm_http_refused", "requests refused before a route", ("reason",), registry=self._registry
        )
        self.open = Gauge("isotherm_http_requests_open", "requests being answered", registry=self._registry)
        Gauge("isotherm_build_info", "version", ("version",), registry=self._registry).labels(__version__).set(1)
        self._registry.register(_Stored(service))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is its template, such as ``/api/v1/sites/{site_id}``."""
        known = method if method in _METHODS else "other"
        self._seconds.labels(known, route or UNKNOWN_ROUTE, f"{status // 100}xx").observe(seconds)

    def refused(self, reason: str) -> None:
        """Count a request that a guard has refused, by the name of its problem."""
        self._refused.labels(reason).inc()

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        return generate_latest(self._registry)


class _Stored(Collector):
    """What is read when somebody asks: jobs by kind and state, room on the disk."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def describe(self) -> list[Metric]:
        """Return nothing: the registry would else ask the database for names when the application is made."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return figures of the database and of the disk."""
        jobs = GaugeMetricFamily("isotherm_jobs", "jobs by kind and state", labels=("kind", "state"))
        with self._service.database.read() as session:
            for (kind, state), number in sorted(counts(session).items()):
                jobs.add_metric((kind, state), number)
        yield jobs
        free = shutil.disk_usage(self._service.folder).free
        yield GaugeMetricFamily("isotherm_disk_free_bytes", "room on the disk of the data folder", value=free)
