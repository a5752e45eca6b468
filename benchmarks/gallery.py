"""How long the gallery takes with many images and findings (goal: p95 <= 200 ms with 200,000 findings).

``python benchmarks/gallery.py [--images 100000] [--findings 2]`` fills a data folder with rows (no files), asks for
each kind of page 30 times in one process, and prints the median and the 95th percentile in milliseconds.
"""

from __future__ import annotations

import argparse
import html
import re
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import insert
from starlette.testclient import TestClient

from isotherm.server.app import create_app
from isotherm.store.ids import new_id
from isotherm.store.tables import Blob, Category, Finding, Image, Inspection, Site
from isotherm.workflows.service.access import LOCAL
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.sites import create_site

ROUNDS = 30
LABELS = ("healthy", "loose joint", "overload", "wet insulation")
CHUNK = 5000


def fill(service: Service, images: int, findings: int) -> str:
    """Write rows of four sites; returns the id of the first."""
    random = np.random.default_rng(0)
    sites = [create_site(service, LOCAL, f"site {number}") for number in range(4)]
    with service.database.write() as session:
        session.execute(insert(Blob), [{"digest": "0" * 64, "size": 1}])
        kinds = [Category(site_id=site.id, name=name) for site in sites for name in LABELS]
        session.add_all(kinds)
    for start in range(0, images, CHUNK):
        _write(service, sites, random, range(start, min(images, start + CHUNK)), findings)
    return sites[0].id


def _write(service: Service, sites: list[Site], random: np.random.Generator, numbers: range, findings: int) -> None:
    pictures, said, found = [], [], []
    for number in numbers:
        site = sites[number % len(sites)].id
        rank = int(random.choice([-1, 0, 1, 2, 3], p=[0.3, 0.4, 0.15, 0.1, 0.05]))
        # One label is rare, which is the hardest filter.
        label = LABELS[int(random.choice(4, p=[0.7, 0.2, 0.0995, 0.0005]))]
        image, inspection = new_id(), new_id()
        facts = {"kind": "measured", "max_c": 61.2, "max_delta_t_c": 20.1, "findings": findings, "grade": str(rank)}
        pictures.append({
            "id": image, "site_id": site, "digest": "0" * 64, "name": f"IR_{number:06d}.jpg", "size": 1, "facts": facts,
            "severity_rank": rank, "latest_inspection": inspection, "label": label, "split": "",
        })  # fmt: skip
        said.append({
            "id": inspection, "site_id": site, "image_id": image, "label": label, "confidence": 0.9,
            "probabilities": dict.fromkeys(LABELS, 0.25), "result": {"findings": ["x" * 400] * findings},
        })  # fmt: skip
        found += [
            {"id": new_id(), "site_id": site, "image_id": image, "inspection_id": inspection, "number": place,
             "kind": "hotspot", "origin": "otsu", "severity_rank": rank}
            for place in range(findings)
        ]  # fmt: skip
    with service.database.write() as session:
        for table, rows in ((Image, pictures), (Inspection, said), (Finding, found)):
            session.execute(insert(table), rows)


def times_ms(client: TestClient, path: str) -> np.ndarray:
    """Return how long a page took, each time, and its time on the processor, which a busy machine changes little."""
    taken = []
    for _ in range(ROUNDS):
        start, worked = time.perf_counter(), time.process_time()
        answer = client.get(path)
        taken.append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - worked)))
        assert answer.status_code == 200, answer.text[:500]
    return np.array(taken)


def deep(client: TestClient, path: str, pages: int = 20) -> str:
    """Return the address of a page far behind the first."""
    for _ in range(pages):
        more = re.search(r'rel="next" href="([^"]+)"', client.get(path).text)
        if more is None:
            break
        path = html.unescape(more.group(1))
    return path


def pages(client: TestClient, site: str) -> dict[str, str]:
    """Return the pages that are measured."""
    today = datetime.now(UTC).date()
    return {
        "newest": "/images",
        "newest, page 20": deep(client, "/images"),
        "one site": f"/images?site={site}",
        "most severe first": "/images?order=severity",
        "most severe of a site": f"/images?site={site}&order=severity",
        "common verdict": f"/images?site={site}&verdict=healthy",
        "rare verdict": f"/images?site={site}&verdict=wet+insulation",
        "rare verdict, all sites": "/images?verdict=wet+insulation",
        "verdict that none has": f"/images?site={site}&verdict=none",
        "part of a name": "/images?name=099",
        "name that none has": "/images?name=none",
        "severity 3 or worse": f"/images?site={site}&severity=3",
        "days": f"/images?since={today}&until={today}",
        "first page": "/",
        "site": f"/sites/{site}",
    }


def main() -> None:
    """Fill and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--findings", type=int, default=2, help="of each image")
    arguments: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Service.open(Path(folder), limits=Limits(children=0)) as service:
        site = fill(service, arguments.images, arguments.findings)
        with TestClient(create_app(service), base_url="http://127.0.0.1", headers={"accept": "text/html"}) as client:
            for name, path in pages(client, site).items():
                taken = times_ms(client, path)
                (wall, cpu), high = np.median(taken, axis=0), np.percentile(taken[:, 0], 95)
                print(f"{name:24} p50 {wall:7.1f}  p95 {high:7.1f}  processor p50 {cpu:6.1f} ms", flush=True)


if __name__ == "__main__":
    main()
