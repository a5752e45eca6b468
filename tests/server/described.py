"""schemathesis over the routes of an application, with ids that exist in half of the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LEFT_OUT = ("/api/save_data", "/api/make_model", "/api/predict", "/v2", "/readyz")
"""Routes of other protocols, with errors of their own form; and readiness, which is 503 where no worker runs."""
ENDLESS = "/api/v1/jobs/{job_id}/events"
PATIENCE_S = 300.0
"""The slowest answer, on a busy machine, is the first report in Chinese [s]; schemathesis waits ten seconds."""


def operations(app: Any) -> Iterator[Any]:
    """Give the operations of ``/api/v1`` and of health."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"host": "127.0.0.1"})
    for result in schema.get_all_operations():
        operation = result.ok()
        if not operation.path.startswith(LEFT_OUT) and operation.path != ENDLESS:
            yield operation


def tried(
    operation: Any,
    known: Mapping[str, str],
    *,
    examples: int,
    seed: int = 0,
    checks: Sequence[Any] = CHECKS,
    always_known: bool = False,
) -> Counter[int]:
    """Send requests to one operation, good and bad ones in turn, check the answers, and return their statuses.

    Ids of the path are `known` ones in half of the requests, or in all.
    """
    statuses: Counter[int] = Counter()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=seed == 0,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), real=st.just(True) if always_known else st.booleans())
        def send(case: Any, real: bool) -> None:
            for name in set(case.path_parameters or {}) & set(known) if real else ():
                case.path_parameters[name] = known[name]
            # A wait is one of the answers' speed, not of their form.
            (case.query or {}).pop("wait", None)
            response = case.call(headers={"host": "127.0.0.1"}, timeout=PATIENCE_S)
            statuses[response.status_code] += 1
            case.validate_response(response, checks=checks)

        # Of some operations nothing could be wrong.
        with suppress(Unsatisfiable):
            send()
    return statuses
