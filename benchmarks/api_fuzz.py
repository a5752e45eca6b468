"""schemathesis over the whole API: no answer that the description does not know, none of 5xx.

python benchmarks/api_fuzz.py [--examples 100] [--seed 1]

In this process, over an empty data folder with one site, one image and one inspection. Routes of other protocols
(`/api/save_data` ..., `/v2`) have error forms of their own and tests of their own. Ends with status 1 at the first
answer that is not as described.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "server"))
from api_cases import Caller
from described import operations, tried
from starlette.testclient import TestClient

from isotherm.server.app import create_app
from isotherm.workflows.service.service import Limits, Service


def main() -> int:
    """Try every route."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=100, help="of good and of bad requests to each route")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    started, statuses = time.perf_counter(), Counter[int]()
    with tempfile.TemporaryDirectory() as folder, Service.open(Path(folder), limits=Limits(children=0)) as service:
        app = create_app(service)
        call = Caller(TestClient(app, base_url="http://127.0.0.1"))
        site = call.site()
        taken = call.image(site)
        known = {"site_id": site, "image_id": taken["image"]["id"], "inspection_id": taken["inspection"]["id"]}
        for operation in operations(app):
            found = tried(operation, known, examples=arguments.examples, seed=arguments.seed)
            print(f"{operation.method.upper():7}{operation.path}  {dict(sorted(found.items()))}", flush=True)
            statuses += found
    bad = sum(number for status, number in statuses.items() if status >= 500)
    seconds = time.perf_counter() - started
    print(f"{sum(statuses.values())} requests in {seconds:.0f} s: {dict(sorted(statuses.items()))}; {bad} of 5xx")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
