"""What goes in and out of ``/api/v1`` as JSON. pydantic stands here, at the border, and nowhere else.

What comes in is strict: unknown members, wrong types and letters that no database can hold are refused.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, AliasPath, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

T = TypeVar("T")
Text = Annotated[str, StringConstraints(max_length=10_000, pattern=r"^[^\x00]*$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00]+$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Split = Literal["", "train", "test"]
ScopeName = Literal["read", "predict", "write", "train", "admin"]


def _sane(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 9000:
        raise ValueError("a time between the years 1970 and 9000")
    return moment.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_sane)]
"""A time with its zone (RFC 3339)."""


class In(BaseModel):
    """What comes in."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """What goes out."""

    model_config = ConfigDict(from_attributes=True)


class PageOut(BaseModel, Generic[T]):
    """One page of a list; `next` asks for the one after it as ``cursor``, null at the end."""

    items: list[T]
    next: str | None = None


class SiteIn(In):
    """A new site."""

    name: Label
    note: Text = ""
    settings: dict[str, Any] = Field(default_factory=dict, max_length=50)


class SiteChange(In):
    """What changes of a site; members that are left out stay."""

    name: Label | None = None
    note: Text | None = None
    settings: dict[str, Any] | None = Field(None, max_length=50)


class SiteOut(Out):
    """A site."""

    id: str
    name: str
    note: str
    settings: dict[str, Any]
    active_model: str | None
    active_anomaly_model: str | None = None
    images: int
    findings: int
    bytes: int = 0
    version: int
    created_at: datetime
    updated_at: datetime


class CategoryIn(In):
    """A new category, or the new name of one."""

    name: Label


class CategoryOut(Out):
    """A category; without a site it is common to all."""

    id: str
    site_id: str | None
    name: str
    version: int
    created_at: datetime


Number = Annotated[float, Field(allow_inf_nan=False)]


class AssetDetailsIn(In):
    """What calculations need of an asset, and how its images are told from others."""

    rated_current_a: Number | None = None
    rated_rise_k: Number | None = None
    name_rule: Annotated[Text, StringConstraints(max_length=1000)] = ""
    tag: Annotated[Text, StringConstraints(max_length=256)] = ""
    latitude_deg: Number | None = None
    longitude_deg: Number | None = None
    radius_m: Number | None = None

    def details(self) -> dict[str, Any]:
        """Return those that were given."""
        known = AssetDetailsIn.model_fields.keys() & self.model_fields_set
        return {name: getattr(self, name) for name in sorted(known)}


class AssetIn(AssetDetailsIn):
    """A new asset."""

    name: Label
    kind: Annotated[Text, StringConstraints(max_length=128)] = ""
    place: Text = ""
    rating: Text = ""


class AssetChange(AssetDetailsIn):
    """What changes of an asset; members that are left out stay."""

    name: Label | None = None
    kind: Annotated[Text, StringConstraints(max_length=128)] | None = None
    place: Text | None = None
    rating: Text | None = None


class AssetOut(Out):
    """A thing that is inspected again and again."""

    id: str
    site_id: str
    name: str
    kind: str
    place: str
    rating: str
    rated_current_a: float | None
    rated_rise_k: float | None
    name_rule: str
    tag: str
    latitude_deg: float | None
    longitude_deg: float | None
    radius_m: float | None
    version: int
    created_at: datetime


class ImageOut(Out):
    """A file that was sent; `facts` holds what was found in it, with units in the names."""

    id: str
    site_id: str | None
    asset_id: str | None
    matched_by: str = ""
    match_note: str = ""
    load_percent: float | None = None
    digest: str
    name: str
    size: int
    width: int
    height: int
    kind: str
    taken_at: datetime | None
    uploaded_by: str
    duplicate_of: str | None
    category_id: str | None
    split: str
    facts: dict[str, Any]
    severity_rank: int
    latest_inspection: str | None
    anomalous: bool | None = None
    version: int
    created_at: datetime


class ImageChange(In):
    """Where an image is sorted: the name of a category (null: none), and its part of the data set."""

    category: Label | None
    split: Split = ""


class NamedBlob(In):
    """Content that the server has, and the name that it shall have as an image."""

    digest: Digest
    name: Annotated[str, StringConstraints(min_length=1, max_length=512)]


class ImagesIn(In):
    """Images whose contents have been sent before, by hash."""

    files: list[NamedBlob] = Field(min_length=1, max_length=1000)
    category: Label | None = None
    split: Split = ""


class AnomalyOut(Out):
    """What an anomaly model says of an image; `percentile` of the held-out normal images score lower [%]."""

    score: float
    threshold: float
    percentile: float
    prediction: Literal["Normal", "Anomaly"]
    area_px: int


class InspectionOut(Out):
    """What was said of an image once; `anomaly` by the version `anomaly_model_id`, null where it has no score."""

    id: str
    site_id: str
    image_id: str
    model_id: str | None
    job_id: str | None
    status: str
    error: str
    label: str | None
    confidence: float | None
    rejected: bool
    reason: str = ""
    distance: float | None = None
    probabilities: dict[str, float]
    score: float | None
    anomaly_model_id: str | None = None
    anomaly: AnomalyOut | None = Field(None, validation_alias=AliasPath("result", "anomaly"))
    severity_rank: int
    created_at: datetime


class InspectionWhole(InspectionOut):
    """An inspection with its whole result: findings, temperatures, camera and scene."""

    result: dict[str, Any]


class TakenOut(BaseModel):
    """What became of one file of an upload: an image with its inspection, or the reason why not.

    `problem` is the type of problem that the file is, as in `Problem.type`.
    """

    name: str
    image: ImageOut | None = None
    inspection: InspectionOut | None = None
    error: str = ""
    problem: str = ""


class UploadOut(BaseModel):
    """What became of each file of an upload, in the order in which they were sent."""

    results: list[TakenOut]
    taken: int
    refused: int


class ClassifiedOut(BaseModel):
    """What the model of a site says about a file that is not kept."""

    name: str
    label: str | None = None
    confidence: float | None = None
    nearest: str | None = None
    distance: float | None = None
    rejected: bool = False
    probabilities: dict[str, float] = Field(default_factory=dict)
    reason: str = ""
    model_id: str | None = None
    error: str = ""
    problem: str = ""


class PredictionsOut(BaseModel):
    """One verdict for each file, in the order in which they were sent."""

    results: list[ClassifiedOut]


class InspectIn(In):
    """What is changed in the scene of an image before it is looked at again (flags of ``isotherm inspect``)."""

    edit: dict[str, Any] | None = Field(None, max_length=20)


class FindingOut(Out):
    """One finding of the latest inspection of an image; `box` is x, y, width, height [px]."""

    id: str
    site_id: str
    image_id: str
    inspection_id: str
    number: int
    kind: str
    origin: str
    severity_rank: int
    grade: str
    max_c: float | None
    delta_t_c: float | None
    score: float | None
    area_px: int
    box: list[int]
    created_at: datetime


class TrainIn(In):
    """How a model of a kind is trained; settings of that kind that are left out are the site's, or the usual ones."""

    kind: Literal["classifier", "anomaly"] = "classifier"
    settings: dict[str, Any] = Field(default_factory=dict, max_length=50)
    config: dict[str, Any] = Field(default_factory=dict, max_length=50)


class InspectJobIn(In):
    """Which images of a site are looked at again; null: all."""

    image_ids: list[Id] | None = Field(None, max_length=10_000)


class ArrivalIn(NamedBlob):
    """Content that the server has, and how it is sorted as an image."""

    category: Label | None = None
    split: Split = ""


class ImportIn(In):
    """Images whose contents have been sent before, taken in by a job."""

    files: list[ArrivalIn] = Field(min_length=1, max_length=10_000)


class Progress(BaseModel):
    """How far a job is."""

    done: int
    total: int
    message: str


class JobOut(BaseModel):
    """A piece of work that runs in the background."""

    id: str
    kind: str
    site_id: str | None
    state: str
    progress: Progress
    attempts: int
    most_attempts: int
    cancel_requested: bool
    result: dict[str, Any]
    error: str
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    row_version: int


class LogLine(Out):
    """One line of a job's log."""

    number: int
    at: datetime
    text: str


class FeedbackIn(In):
    """What the verdict of an inspection should have been."""

    category: Label
    note: Text = ""


class FeedbackOut(Out):
    """What somebody has said about a verdict."""

    id: str
    site_id: str
    image_id: str
    inspection_id: str
    said: str
    category_id: str
    note: str
    created_by: str
    used_in: str | None
    created_at: datetime


class TokenIn(In):
    """A new token; `sites` are ids, null for all."""

    name: Label
    scopes: list[ScopeName] = Field(min_length=1, max_length=5)
    sites: list[Id] | None = Field(None, max_length=1000)
    expires_at: Moment | None = None


class TokenOut(Out):
    """A token without its secret."""

    id: str
    name: str
    scopes: list[str]
    sites: list[str] | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class NewToken(TokenOut):
    """A token with its text, which is shown only now."""

    token: str


class AuditOut(Out):
    """One line of the audit trail; `digest` covers the line and the one before it."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    details: dict[str, Any]
    digest: str


class Digests(In):
    """The sha256 sums of files that a client would send."""

    digests: list[Digest] = Field(max_length=1000)


class Missing(BaseModel):
    """Those of them that the server needs."""

    missing: list[str]


class BlobState(BaseModel):
    """How much of a file the server has."""

    digest: str
    received_bytes: int
    complete: bool


class Place(BaseModel):
    """Where a request is wrong: which part of it, a JSON pointer or a name in that part, and why."""

    model_config = ConfigDict(populate_by_name=True)
    part: str = Field(alias="in")
    pointer: str
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    request_id: str = ""
    errors: list[Place] = Field(default_factory=list)
