"""Figures for Prometheus: what is counted, once, with labels that stay few; and readiness."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from api_cases import Caller, picture
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from isotherm.cli.formats import cards
from isotherm.core.errors import FormatError
from isotherm.jobs import queue
from isotherm.server import readiness as readiness_of
from isotherm.server.metrics import OTHER, SUFFIXES, Metrics
from isotherm.server.metrics_stored import OTHERS, _Once
from isotherm.server.readiness import readiness
from isotherm.store.tables import DriftCheck, Inspection, Job, Worker, now
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.sites import create_site
from isotherm.workflows.service.tokens import issue_token
from isotherm.workflows.service.watching import Decoded, Predicted

Labels = dict[str, str]


def figures(text: bytes) -> dict[str, list[tuple[Labels, float]]]:
    """Return the samples of an answer of /metrics by name, read by Prometheus's own parser."""
    found: dict[str, list[tuple[Labels, float]]] = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def one(found: dict[str, list[tuple[Labels, float]]], name: str, **labels: str) -> float:
    """Return the one sample of a name with labels."""
    (value,) = (value for own, value in found[name] if labels.items() <= own.items())
    return value


@pytest.fixture
def watched(caller_for: Callable[..., Caller]) -> Caller:
    return caller_for()


def scrape(call: Caller) -> dict[str, list[tuple[Labels, float]]]:
    return figures(call("GET", "/metrics", 200).content)


def test_requests_files_and_verdicts_are_counted(watched: Caller) -> None:
    site = watched.site("plant 7")
    watched.image(site)
    watched("POST", f"sites/{site}/images", files=[("files", ("broken.jpg", b"\xff\xd8\xff no picture"))])
    found = scrape(watched)
    route = "/api/v1/sites/{site_id}/images"
    count = "isotherm_http_request_duration_seconds_count"
    assert one(found, count, method="POST", route=route, status="2xx") == 1
    assert one(found, count, method="POST", route=route, status="4xx") == 1
    assert one(found, "isotherm_decode_seconds_count", format="flir") == 1
    assert one(found, "isotherm_decode_failures_total", format="jpg", reason="unreadable-image") == 1
    assert one(found, "isotherm_verdicts_total", site="plant 7", outcome="unjudged") == 1
    assert one(found, "isotherm_images") == 1
    assert one(found, "isotherm_image_bytes") == len(picture())
    assert one(found, "isotherm_ready", check="workers") == 0
    assert one(found, "isotherm_disk_free_bytes") > 0
    assert one(found, "process_open_fds") > 3


def test_a_verdict_is_counted_once_however_often_somebody_asks(folder: Service, watched: Caller) -> None:
    watched.image(watched.site("plant"))
    for _ in range(3):
        found = scrape(watched)
    assert one(found, "isotherm_verdicts_total", site="plant") == 1


def add_inspection(service: Service, site: str, **values: Any) -> None:
    with service.database.write() as session:
        image = session.query(Inspection.image_id).first()
        assert image is not None
        session.add(Inspection(site_id=site, image_id=image[0], **values))


def test_confidence_score_and_drift_are_told_for_each_site(folder: Service, watched: Caller) -> None:
    site = watched.site("plant")
    watched.image(site)
    add_inspection(folder, site, label="worn", confidence=0.85, probabilities={})
    add_inspection(folder, site, label="No category (Anomaly)", rejected=True, confidence=0.35)
    add_inspection(folder, site, score=12.5)
    with folder.database.write() as session:
        session.add_all([DriftCheck(site_id=site, state="drift", psi=0.4)])
    with folder.database.write() as session:
        session.add(DriftCheck(site_id=site, state="watch", psi=0.15))
    found = scrape(watched)
    assert one(found, "isotherm_verdicts_total", site="plant", outcome="category") == 1
    assert one(found, "isotherm_verdicts_total", site="plant", outcome="rejected") == 1
    assert one(found, "isotherm_verdict_confidence_sum", site="plant") == pytest.approx(1.2)
    assert one(found, "isotherm_verdict_confidence_bucket", site="plant", le="0.4") == 1
    assert one(found, "isotherm_anomaly_score_sum", site="plant") == 12.5
    assert one(found, "isotherm_drift_psi", site="plant") == 0.15, "the latest check"


def finished_job(service: Service, *, waited_s: float, took_s: float) -> str:
    with service.database.write() as session:
        job = queue.enqueue(session, "inspect", payload={})
        ended = now()
        job.finished_at, job.started_at = ended, ended - timedelta(seconds=took_s)
        job.created_at = job.started_at - timedelta(seconds=waited_s)
        job.state = "succeeded"
        return job.id


def test_jobs_are_timed_once_each_time_they_end(folder: Service, watched: Caller) -> None:
    job_id = finished_job(folder, waited_s=3, took_s=20)
    scrape(watched)
    found = scrape(watched)
    assert one(found, "isotherm_jobs_ended_total", kind="inspect", outcome="succeeded") == 1
    assert one(found, "isotherm_jobs_ended_total", kind="train", outcome="failed") == 0, "told before it is needed"
    assert one(found, "isotherm_job_seconds_sum", kind="inspect") == pytest.approx(20, abs=0.01)
    assert one(found, "isotherm_queue_wait_seconds_sum", kind="inspect") == pytest.approx(3, abs=0.01)
    assert "isotherm_jobs" not in found, "none waits or runs"
    with folder.database.write() as session:
        job = session.get(Job, job_id)
        assert job is not None
        job.finished_at, job.state = now(), "failed"
    assert one(scrape(watched), "isotherm_jobs_ended_total", kind="inspect", outcome="failed") == 1


def test_the_oldest_waiting_job_has_its_age_told(folder: Service, watched: Caller) -> None:
    with folder.database.write() as session:
        job = queue.enqueue(session, "train", payload={})
        job.created_at = now() - timedelta(seconds=100)
        queue.enqueue(session, "train", payload={})
    found = scrape(watched)
    assert one(found, "isotherm_queue_age_seconds", kind="train") == pytest.approx(100, abs=20)
    assert one(found, "isotherm_jobs", kind="train", state="queued") == 2


def test_no_figure_needs_all_jobs_images_or_inspections_to_be_read(folder: Service) -> None:
    metrics, said = Metrics(folder), list[tuple[str, Any]]()

    def remember(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        said.append((statement, parameters))

    event.listen(folder.database.engine, "before_cursor_execute", remember)
    metrics.text()
    event.remove(folder.database.engine, "before_cursor_execute", remember)
    asked = [each for each in said if each[0].startswith("SELECT") and "FROM" in each[0]]
    with folder.database.read() as session:
        connection = session.connection()
        steps = [
            row[-1] for each in asked for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + each[0], each[1])
        ]
    assert any("ix_job_finished_at" in step for step in steps)
    assert [step for step in steps if re.match(r"SCAN (job|image|inspection|finding)\b", step)] == []


def test_workers_and_disk_are_asked_once_for_all_figures(folder: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[str]()
    for name in ("workers_alive", "has_room"):
        own = getattr(readiness_of, name)
        monkeypatch.setattr(
            readiness_of,
            name,
            lambda *given, own=own, name=name, **named: (asked.append(name), own(*given, **named))[1],
        )
    queue.beat(folder.database, "worker")
    found = figures(Metrics(folder).text())
    assert (one(found, "isotherm_workers"), one(found, "isotherm_ready", check="workers")) == (1, 1)
    assert sorted(asked) == ["has_room", "workers_alive"]


@pytest.mark.parametrize(("silent_s", "ready"), [(10, True), (20, False)])
def test_a_worker_may_miss_two_beats_and_no_more(folder: Service, silent_s: int, *, ready: bool) -> None:
    with folder.database.write() as session:
        now_ms = folder.database.now_ms(session)
        session.add(Worker(name="starting", seen_ms=now_ms - 1000 * silent_s))
    assert readiness(folder)["workers"] is ready


def test_what_happened_before_the_start_is_not_counted(folder: Service, caller_for: Callable[..., Caller]) -> None:
    finished_job(folder, waited_s=1, took_s=1)
    time.sleep(0.01)
    found = scrape(caller_for())
    assert "isotherm_job_seconds_count" not in found
    assert {value for _, value in found["isotherm_jobs_ended_total"]} == {0}


def test_rows_that_are_committed_late_are_counted_all_the_same() -> None:
    once, start = _Once[str](), time.time()
    assert once.new({"b": start + 5}) == {"b"}
    assert once.since <= start + 1, "an earlier row may still come"
    assert once.new({"a": start + 1, "b": start + 5}) == {"a"}
    assert once.new({"a": start + 1, "b": start + 5}) == set()
    assert once.new({"old": start - 1}) == set(), "from before it began"


def test_a_clock_that_is_ahead_hides_nothing_and_nothing_is_counted_twice() -> None:
    once, start = _Once[str](), time.time()
    assert once.new({"tomorrow": start + 86_400}) == {"tomorrow"}
    assert once.since <= time.time()
    assert once.new({"tomorrow": start + 86_400, "now": start + 1}) == {"now"}
    assert once.new({"tomorrow": start + 86_400}) == set()


def test_more_sites_than_have_labels_are_added_up(folder: Service) -> None:
    for number in range(5):
        create_site(folder, LOCAL, f"site {number}")
    metrics = Metrics(folder, sites=2)
    metrics.text()
    names = {metrics._stored._names.of(site.id) for site in all_sites(folder)}
    assert len(names) == 3
    assert OTHERS in names


def test_figures_of_single_sites_can_be_left_out(folder: Service) -> None:
    site = create_site(folder, LOCAL, "secret place")
    metrics = Metrics(folder, sites=0)
    with folder.database.write() as session:
        session.add(DriftCheck(site_id=site.id, state="drift", psi=0.4))
    text = metrics.text()
    assert b"secret place" not in text
    assert one(figures(text), "isotherm_drift_psi", site=OTHERS) == 0.4


def all_sites(service: Service) -> list[Any]:
    from isotherm.workflows.service.sites import list_sites

    return list(list_sites(service, LOCAL).items)


def test_labels_come_from_tables_and_never_from_names(folder: Service) -> None:
    metrics = Metrics(folder)
    for number in range(300):
        folder.watch.tell(Decoded(f"x{number}", 0.1, FormatError("no")))
        folder.watch.tell(Decoded(f"x{number}", 0.1))
        metrics.answered(f"BREW{number}", "", 418, 0.1)
    folder.watch.tell(Decoded("jpg", 0.1, ValueError("ours")))
    folder.watch.tell(Predicted("logistic", 32, 0.2))
    found = figures(metrics.text())
    assert {labels["format"] for labels, _ in found["isotherm_decode_failures_total"]} == {OTHER, "jpg"}
    assert {labels["format"] for labels, _ in found["isotherm_decode_seconds_count"]} == {OTHER}
    assert {labels["method"] for labels, _ in found["isotherm_http_request_duration_seconds_count"]} == {"other"}
    assert one(found, "isotherm_predict_pictures_total", method="logistic") == 32


def test_every_suffix_of_a_format_has_its_label() -> None:
    known = {suffix[1:] for card in cards().values() for suffix in card.suffixes.split()}
    assert known <= SUFFIXES


def test_a_site_name_with_quotes_and_breaks_of_lines_stays_one_label(folder: Service, watched: Caller) -> None:
    name = "a'b{c=1} Ω"
    watched.image(watched.site(name))
    assert one(scrape(watched), "isotherm_verdicts_total", site=name) == 1


def test_only_who_may_mend_it_is_told_what_is_amiss(folder: Service, caller_for: Callable[..., Caller]) -> None:
    assert caller_for()("GET", "/readyz", 503).json()["checks"]["workers"] is False
    for scopes, told in ((["read"], False), (["admin"], True)):
        _, token = issue_token(folder, LOCAL, "x", scopes=scopes)
        answer = caller_for(local=False, hosts=None, token=token)("GET", "/readyz", 503).json()
        assert ("checks" in answer) is told
    assert caller_for(local=False, hosts=None)("GET", "/readyz", 503).json() == {"status": "not ready"}
    wrong = caller_for(local=False, hosts=None, token="isotherm_x_y")
    assert wrong("GET", "/readyz", 503).json() == {"status": "not ready"}


@pytest.mark.usefixtures("roomy_disk")
def test_a_server_is_ready_when_all_holds_and_not_when_the_database_is_gone(service: Service) -> None:
    assert readiness(service) == {"database": True, "folder": True, "disk": True, "workers": False}
    queue.beat(service.database, "worker")
    assert all(readiness(service).values())
    service.database.close()
    if service.database.dialect == "sqlite":
        file = service.database.engine.url.database
        assert file
        Path(file).rename(file + ".away")
        assert readiness(service) == {"database": False, "folder": True, "disk": True, "workers": False}
        found = figures(Metrics(service).text())
        assert one(found, "isotherm_ready", check="database") == 0
        assert "isotherm_images" not in found
        assert one(found, "isotherm_disk_free_bytes") > 0, "what can be told is told"


def test_readiness_costs_little(folder: Service) -> None:
    readiness(folder)
    started = time.process_time()
    for _ in range(20):
        readiness(folder)
    assert (time.process_time() - started) / 20 < 0.02, (
        "5 ms of processor time are wanted; four times that on a busy machine"
    )
