"""Two versions of a site's model side by side: their numbers, and the test images on which they differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from isotherm.core.errors import ConflictError
from isotherm.store.tables import ModelVersion
from isotherm.workflows.service.access import Actor, fetch
from isotherm.workflows.service.service import Service


@dataclass(frozen=True)
class Difference:
    """A test image that two versions answer differently."""

    image_id: str
    truth: str
    first: str
    second: str


@dataclass(frozen=True)
class ModelComparison:
    """What two versions make of the test images that both were tested with.

    Parameters
    ----------
    first, second
        The versions.
    both
        How many images both were tested with.
    only_first, only_second
        On how many of these the one was right and the other wrong.
    p_value
        Probability of so uneven a split, or a worse one, were both equally good (exact McNemar test); 1 without any.
    differences
        The images with different answers.
    """

    first: ModelVersion
    second: ModelVersion
    both: int
    only_first: int
    only_second: int
    p_value: float
    differences: tuple[Difference, ...]


def compare_models(service: Service, actor: Actor, first_id: str, second_id: str) -> ModelComparison:
    """Compare two versions of one site by the answers that were kept when each was tested.

    Raises
    ------
    ConflictError
        They belong to different sites, or are of different kinds.
    """
    with service.database.read() as session:
        first = fetch(session, actor, ModelVersion, first_id)
        second = fetch(session, actor, ModelVersion, second_id)
    if first.site_id != second.site_id:
        raise ConflictError("these two models belong to different sites; only versions of one site can be compared")
    if first.kind != second.kind:
        raise ConflictError("a classifier and an anomaly model answer different questions; compare two of one kind")
    one, other = first.metrics.get("images") or {}, second.metrics.get("images") or {}
    both = sorted(set(one) & set(other))
    # A label that was corrected between the two tests would make one of them wrong without its fault.
    same = [image_id for image_id in both if one[image_id]["truth"] == other[image_id]["truth"]]
    only_first = sum(_right(one[each]) and not _right(other[each]) for each in same)
    only_second = sum(_right(other[each]) and not _right(one[each]) for each in same)
    differences = tuple(
        Difference(each, one[each]["truth"], one[each]["label"], other[each]["label"])
        for each in same
        if one[each]["label"] != other[each]["label"]
    )
    return ModelComparison(
        first, second, len(same), only_first, only_second, mcnemar(only_first, only_second), differences
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of the exact McNemar test (a binomial test of the differing pairs).

    Source: McNemar 1947, Psychometrika 12; the exact form by Liddell 1983, J. Epidemiol. Community Health 37.
    """
    total, least = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(total, count) for count in range(least + 1))
    return float(min(1.0, 2 * tail / 2**total))


def _right(answer: Mapping[str, Any]) -> bool:
    return bool(answer["label"] == answer["truth"])
