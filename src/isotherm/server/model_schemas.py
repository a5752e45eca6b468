"""What goes out of ``/api/v1`` about model versions: what they are, how they compare, what a threshold changes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from isotherm.server.schemas import In, Out


class ModelOut(Out):
    """A model version of a site."""

    id: str
    site_id: str
    number: int
    kind: str
    method: str
    state: str
    reason: str
    metrics: dict[str, Any]
    job_id: str | None
    made_by: str
    created_at: datetime


class ModelWhole(ModelOut):
    """A model version with its card (data, settings, limits) and the sha256 of its files."""

    card: dict[str, Any]
    files: dict[str, str]


class DifferenceOut(Out):
    """A test image that two versions answer differently."""

    image_id: str
    truth: str
    first: str
    second: str


class ComparisonOut(Out):
    """Two versions on the test images that both were tested with; `p_value` by McNemar's exact test."""

    first: ModelOut
    second: ModelOut
    both: int
    only_first: int
    only_second: int
    p_value: float
    differences: list[DifferenceOut]


class BinOut(Out):
    """Latest verdicts by their confidence, and how many of them were right and wrong where that is known."""

    low: float
    high: float
    count: int
    right: int
    wrong: int


class FlipOut(Out):
    """An image whose verdict would change."""

    image_id: str
    name: str
    label: str
    becomes: str
    confidence: float
    truth: str


class ThresholdOut(Out):
    """What another `min_confidence` would change in the latest verdicts of a site."""

    now: float
    then: float
    bins: list[BinOut]
    lost: int
    gained: int
    flips: list[FlipOut]


class ThresholdIn(In):
    """Another threshold for an anomaly model, in the unit of its scores."""

    threshold: Annotated[float, Field(allow_inf_nan=False)]
    note: Annotated[str, Field(max_length=10_000)] = ""


class CalledOut(Out):
    """How many scores lie above a threshold: of all images, of strange ones, of normal ones, and of those held out."""

    above: int
    of: int
    found: int
    of_strange: int
    false_alarms: int
    of_normal: int
    held_out: int
    of_held_out: int
    alarms_low: float
    alarms_high: float


class KnownScoreOut(Out):
    """The latest score of an image; `truth` is `normal`, `strange` or empty, `stale` that it was judged otherwise."""

    image_id: str
    name: str
    score: float
    truth: str
    learnt: bool
    stale: bool


class ScoreThresholdOut(Out):
    """What another threshold of the anomaly model at work would change at a site."""

    model: ModelOut
    now: float
    then: float
    held_out: list[float]
    before: CalledOut
    after: CalledOut
    incomparable: int
    flips: list[KnownScoreOut]


class ActivationOut(Out):
    """One switch of a site's active model of a kind."""

    id: str
    number: int
    kind: str = "classifier"
    model_id: str | None
    previous: str | None
    actor: str
    created_at: datetime
