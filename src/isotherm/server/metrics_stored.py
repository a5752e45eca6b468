"""Figures that are read from the database and the disk when Prometheus asks: jobs, verdicts, drift, readiness.

Every server tells the same of these; where several stand at one database, take the largest of each, not the sum.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from isotherm.core.errors import IsothermError, one_line
from isotherm.jobs.queue import FINISHED, active_counts
from isotherm.server.readiness import Condition, condition_of
from isotherm.store.ids import first_id
from isotherm.store.tables import Inspection, Job, Site, now
from isotherm.workflows.service.drift import latest_drift
from isotherm.workflows.service.kinds import KINDS
from isotherm.workflows.service.service import Service

_LOG = logging.getLogger(__name__)
OVERLAP_S = 60
"""How long after its own time a row may be committed and still be counted [s]."""
LONGEST_GAP_S = 600
"""What is older than this when somebody asks is not counted any more [s]."""
OTHERS = "others"
_JOB_BUCKETS = (0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
_TOTALS = (
    ("sites", "sites"),
    ("images", "images of all sites"),
    ("image_bytes", "their bytes, each counted as often as it was sent"),
    ("findings", "findings of the latest inspections"),
)
_CONFIDENCES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


K = TypeVar("K", bound=Hashable)


class _Once(Generic[K]):
    """Says which rows are new, though they become visible out of order; from its making on."""

    def __init__(self) -> None:
        self._began = self._last = time.time()
        self._seen: dict[K, float] = {}

    @property
    def since(self) -> float:
        """From when on rows are wanted [s since 1970]."""
        return max(self._began, self._last - OVERLAP_S, time.time() - LONGEST_GAP_S)

    def new(self, found: Mapping[K, float]) -> set[K]:
        """Return the keys that were not there before, of rows with their times [s since 1970]."""
        fresh = {key for key, at in found.items() if at >= self._began and key not in self._seen}
        # Not beyond now: a machine whose clock is ahead would else hide what the others write.
        self._last = min(time.time(), max([self._last, *found.values()]))
        self._seen = {key: at for key, at in {**self._seen, **found}.items() if at >= self._last - OVERLAP_S}
        return fresh


class Stored(Collector):
    """What is read when somebody asks.

    Parameters
    ----------
    service, registry
        Whose figures they are, and where they are told.
    sites
        How many sites have figures of their own.
    """

    def __init__(self, service: Service, registry: CollectorRegistry, *, sites: int) -> None:
        self._service, self._names = service, _SiteNames(sites)
        self._lock = threading.Lock()
        self._jobs, self._inspections = _Once[tuple[str, datetime]](), _Once[str]()
        self._job_seconds = Histogram(
            "isotherm_job_seconds",
            "time from a job's first start to its end",
            ("kind",),
            registry=registry,
            buckets=_JOB_BUCKETS,
        )
        self._ended = Counter("isotherm_jobs_ended", "jobs that have ended", ("kind", "outcome"), registry=registry)
        # From 0 on: Prometheus sees no rise in a figure that begins with 1.
        for kind, outcome in product(KINDS(service), FINISHED):
            self._ended.labels(kind, outcome)
        self._waited = Histogram(
            "isotherm_queue_wait_seconds",
            "time that a job waited for its first start",
            ("kind",),
            registry=registry,
            buckets=_JOB_BUCKETS,
        )
        self._verdicts = Counter("isotherm_verdicts", "images inspected", ("site", "outcome"), registry=registry)
        self._confidence = Histogram(
            "isotherm_verdict_confidence",
            "probability of the most probable category",
            ("site",),
            registry=registry,
            buckets=_CONFIDENCES,
        )
        self._score = Summary("isotherm_anomaly_score", "score of an anomaly model", ("site",), registry=registry)
        registry.register(self)

    def look(self) -> None:
        """Count the jobs that have ended and the images that were inspected since the last call."""
        with self._lock, _as_far_as_possible(), self._service.database.read() as session:
            self._names.look(session)
            self._count_jobs(session)
            self._count_inspections(session)

    def _count_jobs(self, session: Session) -> None:
        since = datetime.fromtimestamp(self._jobs.since, UTC)
        wanted = select(Job.id, Job.kind, Job.state, Job.created_at, Job.started_at, Job.finished_at)
        rows = session.execute(wanted.where(Job.finished_at >= since)).all()
        # One that was tried again ends more than once.
        ended = {(row.id, row.finished_at): row for row in rows}
        for key in self._jobs.new({key: row.finished_at.timestamp() for key, row in ended.items()}):
            row = ended[key]
            self._ended.labels(row.kind, row.state).inc()
            if row.started_at is not None:
                self._job_seconds.labels(row.kind).observe(_seconds(row.finished_at, row.started_at))
                self._waited.labels(row.kind).observe(_seconds(row.started_at, row.created_at))

    def _count_inspections(self, session: Session) -> None:
        since = first_id(int(self._inspections.since * 1000))
        columns = (
            Inspection.id,
            Inspection.created_at,
            Inspection.site_id,
            Inspection.label,
            Inspection.rejected,
            Inspection.confidence,
            Inspection.score,
        )
        rows = {row.id: row for row in session.execute(select(*columns).where(Inspection.id >= since))}
        for key in self._inspections.new({key: row.created_at.timestamp() for key, row in rows.items()}):
            self._count_verdict(rows[key])

    def _count_verdict(self, row: Any) -> None:
        site = self._names.of(row.site_id)
        outcome = "rejected" if row.rejected else "category" if row.label else "unjudged"
        self._verdicts.labels(site, outcome).inc()
        if row.confidence is not None:
            self._confidence.labels(site).observe(row.confidence)
        if row.score is not None:
            self._score.labels(site).observe(row.score)

    def describe(self) -> list[Metric]:
        """Return nothing: the registry would else ask the database for names when the application is made."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return figures of the database and of the disk as they are now."""
        with _as_far_as_possible(), self._service.database.read() as session:
            yield from _jobs(session)
            yield from _kept(session)
            yield self._drift(session)
        yield from _condition(condition_of(self._service))

    def _drift(self, session: Session) -> Metric:
        """Return how far the images of sites have moved from what their models learnt, by the latest checks."""
        found = GaugeMetricFamily("isotherm_drift_psi", "largest population stability index", labels=("site",))
        named: dict[str, float] = {}
        for site_id, psi in latest_drift(session).items():
            name = self._names.of(site_id)
            named[name] = max(psi, named.get(name, psi))
        for name, psi in sorted(named.items()):
            found.add_metric((name,), psi)
        return found


@contextmanager
def _as_far_as_possible() -> Iterator[None]:
    """Leave out what a database that does not answer cannot tell; ``isotherm_ready`` says that it does not."""
    try:
        yield
    except (IsothermError, SQLAlchemyError) as error:
        _LOG.warning("figures of the database are left out: %s", one_line(error))


class _SiteNames:
    """The labels of sites: the names of the largest ones when first asked, then of new ones while there is room."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, str] = {}

    def look(self, session: Session) -> None:
        """Learn the names of sites that fit."""
        room = self._most - len(self._known)
        if room > 0:
            others = select(Site.id, Site.name).where(Site.id.not_in(list(self._known)))
            found = session.execute(others.order_by(Site.images.desc(), Site.id).limit(room))
            self._known.update({row.id: row.name for row in found})

    def of(self, site_id: str) -> str:
        """Return the label of a site."""
        return self._known.get(site_id, OTHERS)


def _jobs(session: Session) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("isotherm_jobs", "jobs that wait or run", labels=("kind", "state"))
    for (kind, state), number in sorted(active_counts(session).items()):
        jobs.add_metric((kind, state), number)
    yield jobs
    ages = GaugeMetricFamily("isotherm_queue_age_seconds", "age of the oldest job that waits", labels=("kind",))
    oldest = select(Job.kind, func.min(Job.created_at)).where(Job.state == "queued").group_by(Job.kind)
    for kind, created_at in session.execute(oldest):
        ages.add_metric((kind,), _seconds(now(), created_at))
    yield ages


def _condition(found: Condition) -> Iterator[Metric]:
    if found.workers is not None:
        yield _gauge("workers", "workers that are alive", found.workers)
    yield _gauge("disk_free_bytes", "room on the disk of the data folder", found.disk_free_bytes)
    yield _gauge("disk_size_bytes", "size of the disk of the data folder", found.disk_size_bytes)
    ready = GaugeMetricFamily("isotherm_ready", "whether the server has what it needs", labels=("check",))
    for check, holds in found.checks.items():
        ready.add_metric((check,), holds)
    yield ready


def _kept(session: Session) -> Iterator[Metric]:
    sums = [func.coalesce(func.sum(column), 0) for column in (Site.images, Site.bytes, Site.findings)]
    totals = session.execute(select(func.count(Site.id), *sums)).one()
    for (name, text), total in zip(_TOTALS, totals, strict=True):
        yield _gauge(name, text, total)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"isotherm_{name}", text, value=float(value))


def _seconds(later: datetime, earlier: datetime) -> float:
    """Return the time between two moments [s]; clocks of two machines may differ, so never less than 0."""
    return max(0.0, (later - earlier).total_seconds())
