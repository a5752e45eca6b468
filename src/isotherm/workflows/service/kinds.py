"""What workers can do: the names of the queue and their functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from isotherm.jobs.context import JobContext, Kind, Workplace
from isotherm.workflows.compat.making import train_and_export
from isotherm.workflows.service.anomaly_training import train_detector
from isotherm.workflows.service.batches import EVALUATE, IMPORT, INSPECT, evaluate, inspect_batch, take_in_batch
from isotherm.workflows.service.drift import DRIFT, EVERY_S, check_drift
from isotherm.workflows.service.models import ANOMALY
from isotherm.workflows.service.service import Limits, Service
from isotherm.workflows.service.tidying import TIDY, tidy
from isotherm.workflows.service.training import TRAIN

TRAINING_MB = 8192
"""A training with a network on pixels holds its images, the network and what it fits."""


def KINDS(service: Service) -> Mapping[str, Kind]:  # noqa: N802 (a table)
    """Return the kinds of jobs that can be done with a service."""
    return {
        TRAIN: Kind(partial(_train, service), fresh=True, most_mb=TRAINING_MB),
        INSPECT: Kind(partial(inspect_batch, service)),
        EVALUATE: Kind(partial(evaluate, service)),
        IMPORT: Kind(partial(take_in_batch, service)),
        TIDY: Kind(partial(tidy, service), every_s=3600.0),
        DRIFT: Kind(partial(check_drift, service), every_s=EVERY_S),
    }


def _train(service: Service, context: JobContext) -> Mapping[str, Any]:
    """Do a training job of either kind."""
    if context.payload.get("kind") == ANOMALY:
        return train_detector(service, context)
    return train_and_export(service, context)


@contextmanager
def workplace(folder: str, url: str) -> Iterator[Workplace]:
    """Open a data folder for a worker: one child that decodes, so that the pages stay quick."""
    with Service.open(Path(folder), url, Limits(children=1)) as service:
        yield Workplace(service.database, KINDS(service))
