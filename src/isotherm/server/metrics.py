"""Figures of the server for Prometheus; labels have few values, never ids, addresses or free text from requests.

What this process does is counted as it happens (requests, files decoded, pictures judged). What the database knows is
read when somebody asks (`isotherm.server.metrics_stored`), so it includes the work of all servers and workers.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from isotherm import __version__
from isotherm.formats import FORMATS
from isotherm.server.metrics_stored import Stored
from isotherm.server.problems import kind_of
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.watching import Decoded, Event, Predicted

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
UNKNOWN_ROUTE = "none"
SUFFIXES = frozenset(
    (
        *("bmp", "bmt", "csq", "csv", "fff", "fpf", "gif", "h5", "hcc", "hdf5", "irb", "irg", "is2", "jpeg", "jpg"),
        *("json", "log", "mat", "npy", "npz", "png", "seq", "tif", "tiff", "txt", "webp"),
    )
)
"""What names of thermal files end in; anything else counts as `OTHER`."""
OTHER = "other"


class Metrics:
    """The counters of one application.

    Parameters
    ----------
    service
        What is counted.
    sites
        How many sites have figures of their own; those of the others are added up.
    """

    def __init__(self, service: Service, *, sites: int = 20) -> None:
        self._registry = registry = CollectorRegistry()
        self._seconds = Histogram(
            "isotherm_http_request_duration_seconds",
            "time to answer a request",
            ("method", "route", "status"),
            registry=registry,
            buckets=_BUCKETS,
        )
        self._failed = Counter("isotherm_http_failures", "requests answered with 5xx", registry=registry)
        self._refused = Counter(
            "isotherm_http_refused", "requests refused before a route", ("reason",), registry=registry
        )
        self.open = Gauge("isotherm_http_requests_open", "requests being answered", registry=registry)
        self._decoded = Histogram(
            "isotherm_decode_seconds",
            "time to read and examine a file, waiting for a process included",
            ("format",),
            registry=registry,
            buckets=_BUCKETS,
        )
        self._failures = Counter(
            "isotherm_decode_failures", "files that were not read", ("format", "reason"), registry=registry
        )
        self._predicted = Histogram(
            "isotherm_predict_seconds",
            "time in which a model judges what it is asked at once",
            ("method",),
            registry=registry,
            buckets=_BUCKETS,
        )
        self._pictures = Counter("isotherm_predict_pictures", "pictures judged", ("method",), registry=registry)
        Gauge("isotherm_build_info", "version", ("version",), registry=registry).labels(__version__).set(1)
        ProcessCollector(registry=registry)
        self._stored = Stored(service, registry, sites=sites)
        self._formats = frozenset(FORMATS.names())
        service.watch.listen(self._happened)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is its template, such as ``/api/v1/sites/{site_id}``."""
        known = method if method in _METHODS else "other"
        self._seconds.labels(known, route or UNKNOWN_ROUTE, f"{status // 100}xx").observe(seconds)
        if status >= 500:
            self._failed.inc()

    def refused(self, reason: str) -> None:
        """Count a request that a guard has refused, by the name of its problem."""
        self._refused.labels(reason).inc()

    def _happened(self, event: Event) -> None:
        match event:
            case Decoded(error=None):
                self._decoded.labels(event.format if event.format in self._formats else OTHER).observe(event.seconds)
            case Decoded(error=Exception() as error):
                suffix = event.format if event.format in SUFFIXES else OTHER
                self._failures.labels(suffix, kind_of(error).name).inc()
            case Predicted():
                self._predicted.labels(event.method).observe(event.seconds)
                self._pictures.labels(event.method).inc(event.pictures)

    def text(self) -> bytes:
        """Return all figures as Prometheus reads them."""
        self._stored.look()
        return generate_latest(self._registry)
