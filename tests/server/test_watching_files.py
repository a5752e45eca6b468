"""The dashboard for Grafana and the rules for Prometheus ask for figures that the server has."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from api_cases import Caller
from prometheus_client.parser import text_string_to_metric_families

from isotherm.core.errors import FormatError
from isotherm.jobs import queue
from isotherm.server.metrics import Metrics
from isotherm.store.tables import DriftCheck, Inspection, now
from isotherm.workflows.service.service import Service
from isotherm.workflows.service.watching import Decoded, Predicted

WATCHING = Path(__file__).parents[2] / "deploy" / "watching"
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus itself adds, and that of buckets."""


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((WATCHING / "grafana-dashboard.json").read_text("utf-8"))["panels"]
    return found


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((WATCHING / "isotherm-alerts.yml").read_text("utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for panel in panels():
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for rule in rules():
        yield rule["alert"], rule["expr"]


@pytest.fixture
def told(folder: Service, caller_for: Callable[..., Caller]) -> dict[str, set[str]]:
    """The names of all samples of a server that has seen everything once, each with its labels."""
    call = caller_for()
    site = call.site()
    image = call.image(site)["image"]["id"]
    metrics: Metrics = call.client.app.state.metrics  # type: ignore[attr-defined]
    metrics.refused("busy")
    folder.watch.tell(Decoded("jpg", 0.1, FormatError("no")))
    folder.watch.tell(Predicted("logistic", 1, 0.1))
    with folder.database.write() as session:
        session.add(DriftCheck(site_id=site, state="drift", psi=0.4))
        session.add(Inspection(site_id=site, image_id=image, label="worn", confidence=0.9, score=1.0))
        queue.enqueue(session, "train", payload={})
        ended = queue.enqueue(session, "inspect", payload={})
        ended.started_at = ended.finished_at = now()
        ended.state = "succeeded"
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(call("GET", "/metrics", 200).text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_figure_that_is_asked_for_is_told(told: dict[str, set[str]]) -> None:
    for title, expression in expressions():
        for name in re.findall(r"\b(?:isotherm|process)_\w+", expression):
            assert name in told, f"{title}: {name}"


def test_every_label_that_is_asked_for_is_one_of_its_figures(told: dict[str, set[str]]) -> None:
    for title, expression in expressions():
        known = OF_PROMETHEUS.union(*(told[name] for name in told if re.search(rf"\b{name}\b", expression)))
        grouped = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", expression) for label in group.split(",")}
        matched = set(re.findall(r'(\w+)\s*(?:=~|!=|=)\s*"', expression))
        assert grouped | matched <= known, title


def test_what_is_named_in_legends_is_what_is_grouped_by() -> None:
    for panel in panels():
        for target in panel.get("targets", []):
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            grouped = {
                label.strip() for group in re.findall(r"\bby \(([^)]*)\)", target["expr"]) for label in group.split(",")
            }
            assert named <= grouped | {"instance"}, panel["title"]


def test_the_server_tells_nothing_that_nobody_shows(told: dict[str, set[str]]) -> None:
    shown = " ".join(expression for _, expression in expressions())
    own = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in told if name.startswith("isotherm_")}
    assert {name for name in own if name not in shown} == set()


def test_panels_lie_beside_each_other_within_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    numbers = [panel["id"] for panel in panels()]
    assert len(numbers) == len(set(numbers))


def test_rules_say_what_to_do_and_the_example_finds_them() -> None:
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] in ("page", "ticket") for rule in rules())
    config = yaml.safe_load((WATCHING / "prometheus.yml").read_text("utf-8"))
    assert [(WATCHING / name).exists() for name in config["rule_files"]] == [True]
    (job,) = config["scrape_configs"]
    assert (job["job_name"], job["metrics_path"]) == ("isotherm", "/metrics")
