"""The schema: what one row of each table is.

Identifiers are UUIDv7 text. Times are UTC. Names are what people typed, normalised (NFC) and never part of a path.
Rows that people edit have a ``version`` that grows with each change, for ``ETag`` and ``If-Match``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from isotherm.store.ids import new_id

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}
LONGEST_NAME = 128


class Utc(TypeDecorator[datetime]):
    """A time with its zone, which is UTC; SQLite keeps it without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the time in UTC; a time without a zone is a mistake."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the time with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = JSON().with_variant(JSONB(), "postgresql")
JsonOrNull = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
Id = String(36)
Name = String(LONGEST_NAME)
Digest = String(64)


def now() -> datetime:
    """Return the time of this machine in UTC."""
    return datetime.now(UTC)


class Table(DeclarativeBase):
    """Every table."""

    metadata = MetaData(naming_convention=NAMING)


class _Made:
    id: Mapped[str] = mapped_column(Id, primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)


class _Edited(_Made):
    updated_at: Mapped[datetime] = mapped_column(Utc, default=now, onupdate=now)
    version: Mapped[int] = mapped_column(Integer, default=1)


class Site(_Edited, Table):
    """A place with cameras; it has categories, images and models of its own.

    ``settings`` is a mapping of `isotherm.workflows.service.sites.SiteSettings`. ``active_model`` is the one pointer
    that says which model version judges new images; ``active_anomaly_model`` scores them beside it. The counters save
    a count over millions of rows.
    ``assets_version`` grows with each change of its assets; 0: it has never had any.
    """

    __tablename__ = "site"
    name: Mapped[str] = mapped_column(Name, unique=True)
    note: Mapped[str] = mapped_column(Text, default="")
    settings: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    active_model: Mapped[str | None] = mapped_column(Id, default=None)
    active_anomaly_model: Mapped[str | None] = mapped_column(Id, default=None)
    images: Mapped[int] = mapped_column(Integer, default=0)
    findings: Mapped[int] = mapped_column(Integer, default=0)
    bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    assets_version: Mapped[int] = mapped_column(Integer, default=0)


class Asset(_Edited, Table):
    """A thing that is inspected again and again, and how its images are told from others.

    ``rating`` is free text; ``rated_current_a`` and ``rated_rise_k`` are what calculations need of it. ``name_rule``
    holds patterns of file names, ``tag`` what a label on the asset says; a position counts within ``radius_m``.
    """

    __tablename__ = "asset"
    __table_args__ = (UniqueConstraint("site_id", "name"),)
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"))
    name: Mapped[str] = mapped_column(Name)
    kind: Mapped[str] = mapped_column(Name, default="")
    place: Mapped[str] = mapped_column(Text, default="")
    rating: Mapped[str] = mapped_column(Text, default="")
    rated_current_a: Mapped[float | None] = mapped_column(Float, default=None)
    rated_rise_k: Mapped[float | None] = mapped_column(Float, default=None)
    name_rule: Mapped[str] = mapped_column(Text, default="")
    tag: Mapped[str] = mapped_column(Text, default="")
    latitude_deg: Mapped[float | None] = mapped_column(Float, default=None)
    longitude_deg: Mapped[float | None] = mapped_column(Float, default=None)
    radius_m: Mapped[float | None] = mapped_column(Float, default=None)


class Category(_Edited, Table):
    """A name that images are sorted under; without a site it is common to all."""

    __tablename__ = "category"
    __table_args__ = (
        UniqueConstraint("site_id", "name"),
        # To a unique constraint, two rows without a site differ.
        Index(
            "uq_category_common_name",
            "name",
            unique=True,
            sqlite_where=text("site_id IS NULL"),
            postgresql_where=text("site_id IS NULL"),
        ),
    )
    site_id: Mapped[str | None] = mapped_column(ForeignKey("site.id"), default=None)
    name: Mapped[str] = mapped_column(Name)


class Blob(Table):
    """The content of a file that has been written and flushed; ``deleted_at`` marks it for removal a day later."""

    __tablename__ = "blob"
    digest: Mapped[str] = mapped_column(Digest, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)
    deleted_at: Mapped[datetime | None] = mapped_column(Utc, default=None)


class Offer(Table):
    """Content that somebody has sent ahead, to be named soon by an image; only who has sent it may name it.

    ``owner`` is the id of a token, or the name of who needs none.
    """

    __tablename__ = "offer"
    digest: Mapped[str] = mapped_column(ForeignKey("blob.digest"), primary_key=True)
    owner: Mapped[str] = mapped_column(Name, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now, index=True)


class Image(_Edited, Table):
    """A file that somebody sent, whole and under its own name, as often as it was sent.

    ``duplicate_of`` is the first image of the site with the same content. ``category_id`` and ``split`` (``""``,
    ``train`` or ``test``) make the data set of the site. ``facts`` is what the gallery shows without opening the file.
    ``common`` images belong to no site. ``label`` is the verdict of the latest inspection, for filters. ``matched_by``
    says how its asset was found (``hand``, ``tag``, ``name``, ``position``), ``match_note`` why none was, or what
    speaks against it. ``load_percent`` is the load of the asset when it was taken [% of its rated current].
    ``anomalous`` says whether the latest inspection's score is above its threshold; None without one.
    """

    __tablename__ = "image"
    __table_args__ = (
        Index(None, "site_id", "id"),
        Index(None, "site_id", "digest"),
        Index(None, "site_id", "split", "category_id"),
        Index(None, "site_id", "severity_rank", "id"),
        Index(None, "severity_rank", "id"),
        Index(None, "site_id", "label", "id"),
        Index(None, "label", "id"),
        Index(None, "asset_id", "id"),
        # The few that a person should look at, among millions.
        Index(
            "ix_image_match_note",
            "site_id",
            "id",
            sqlite_where=text("match_note <> ''"),
            postgresql_where=text("match_note <> ''"),
        ),
        Index("ix_image_anomalous", "id", sqlite_where=text("anomalous = 1"), postgresql_where=text("anomalous")),
        Index(
            "ix_image_site_id_anomalous",
            "site_id",
            "id",
            sqlite_where=text("anomalous = 1"),
            postgresql_where=text("anomalous"),
        ),
    )
    site_id: Mapped[str | None] = mapped_column(ForeignKey("site.id"), default=None)
    asset_id: Mapped[str | None] = mapped_column(ForeignKey("asset.id"), default=None)
    matched_by: Mapped[str] = mapped_column(String(8), default="")
    match_note: Mapped[str] = mapped_column(Text, default="")
    load_percent: Mapped[float | None] = mapped_column(Float, default=None)
    digest: Mapped[str] = mapped_column(ForeignKey("blob.digest"), index=True)
    name: Mapped[str] = mapped_column(String(512))
    size: Mapped[int] = mapped_column(BigInteger)
    width: Mapped[int] = mapped_column(Integer, default=0)
    height: Mapped[int] = mapped_column(Integer, default=0)
    kind: Mapped[str] = mapped_column(String(16), default="")
    taken_at: Mapped[datetime | None] = mapped_column(Utc, default=None)
    uploaded_by: Mapped[str] = mapped_column(Name, default="")
    duplicate_of: Mapped[str | None] = mapped_column(Id, default=None)
    category_id: Mapped[str | None] = mapped_column(ForeignKey("category.id"), default=None, index=True)
    split: Mapped[str] = mapped_column(String(8), default="")
    facts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    severity_rank: Mapped[int] = mapped_column(Integer, default=-1)
    latest_inspection: Mapped[str | None] = mapped_column(Id, default=None)
    label: Mapped[str | None] = mapped_column(Name, default=None)
    anomalous: Mapped[bool | None] = mapped_column(Boolean, default=None)
    thumbnail: Mapped[str | None] = mapped_column(Digest, default=None, index=True)


class ModelVersion(_Made, Table):
    """A trained model of a site; its files are blobs. ``number`` counts the versions of a site from 1.

    ``method`` is a classifier's or an anomaly method's name, ``kind`` says which. ``state`` is ``ready``, ``refused``
    (damaged) or ``removed`` (its files were deleted); ``reason`` says how. ``files`` maps file names of the model's
    folder to digests.
    """

    __tablename__ = "model_version"
    __table_args__ = (UniqueConstraint("site_id", "number"),)
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"))
    number: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(16), default="classifier")
    method: Mapped[str] = mapped_column(Name)
    state: Mapped[str] = mapped_column(String(16), default="ready")
    reason: Mapped[str] = mapped_column(Text, default="")
    files: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    card: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    metrics: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    job_id: Mapped[str | None] = mapped_column(Id, default=None)
    made_by: Mapped[str] = mapped_column(Name, default="")


class Activation(_Made, Table):
    """One switch of a site's active model; rolling back is one more. ``number`` counts those of a site from 1.

    ``kind`` is that of the version.
    """

    __tablename__ = "activation"
    __table_args__ = (UniqueConstraint("site_id", "number"),)
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"))
    number: Mapped[int] = mapped_column(Integer)
    model_id: Mapped[str | None] = mapped_column(Id, default=None)
    previous: Mapped[str | None] = mapped_column(Id, default=None)
    actor: Mapped[str] = mapped_column(Name, default="")
    kind: Mapped[str] = mapped_column(String(16), default="classifier")


class Inspection(_Made, Table):
    """What was said of an image once, by rules and perhaps by a model version.

    ``label`` is the verdict of a classifier (``probabilities`` by category), ``score`` that of the anomaly model
    ``anomaly_model_id``.
    Where no category was given (``rejected``), ``reason`` says why; ``distance`` is that to what was learnt.
    ``result`` is the whole `isotherm.core.findings.ImageResult`, plain. ``status`` is ``ok`` or ``failed`` (``error``).
    """

    __tablename__ = "inspection"
    __table_args__ = (Index(None, "site_id", "id"), Index(None, "image_id", "id"))
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"))
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id"))
    model_id: Mapped[str | None] = mapped_column(ForeignKey("model_version.id"), default=None)
    job_id: Mapped[str | None] = mapped_column(Id, default=None)
    status: Mapped[str] = mapped_column(String(8), default="ok")
    error: Mapped[str] = mapped_column(Text, default="")
    label: Mapped[str | None] = mapped_column(Name, default=None)
    confidence: Mapped[float | None] = mapped_column(Float, default=None)
    rejected: Mapped[bool] = mapped_column(Boolean, default=False)
    reason: Mapped[str] = mapped_column(Text, default="")
    distance: Mapped[float | None] = mapped_column(Float, default=None)
    probabilities: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    score: Mapped[float | None] = mapped_column(Float, default=None)
    anomaly_model_id: Mapped[str | None] = mapped_column(Id, default=None)
    severity_rank: Mapped[int] = mapped_column(Integer, default=-1)
    result: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Finding(_Made, Table):
    """One finding of an image's latest inspection, flat, for tables and filters.

    The whole findings of every inspection are in its ``result``. ``severity_rank`` is -1 where no table judges it;
    ``number`` is its place in the inspection, from 0.
    """

    __tablename__ = "finding"
    __table_args__ = (
        Index(None, "site_id", "severity_rank", "id"),
        Index(None, "severity_rank", "id"),
        Index(None, "site_id", "id"),
        Index(None, "image_id", "id"),
        Index(None, "inspection_id", "number", unique=True),
    )
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"))
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id"))
    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.id"))
    number: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(16))
    origin: Mapped[str] = mapped_column(Name)
    severity_rank: Mapped[int] = mapped_column(Integer, default=-1)
    grade: Mapped[str] = mapped_column(String(32), default="")
    max_c: Mapped[float | None] = mapped_column(Float, default=None)
    delta_t_c: Mapped[float | None] = mapped_column(Float, default=None)
    score: Mapped[float | None] = mapped_column(Float, default=None)
    area_px: Mapped[int] = mapped_column(Integer, default=0)
    box: Mapped[list[Any]] = mapped_column(Json, default=list)


class Feedback(_Made, Table):
    """What a person says a verdict should have been; ``used_in`` is the model version that learnt from it."""

    __tablename__ = "feedback"
    __table_args__ = (Index(None, "site_id", "id"), UniqueConstraint("inspection_id", "created_by"))
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"))
    image_id: Mapped[str] = mapped_column(ForeignKey("image.id"), index=True)
    inspection_id: Mapped[str] = mapped_column(ForeignKey("inspection.id"))
    said: Mapped[str] = mapped_column(Name)
    category_id: Mapped[str] = mapped_column(ForeignKey("category.id"))
    note: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[str] = mapped_column(Name, default="")
    used_in: Mapped[str | None] = mapped_column(Id, default=None)


class DriftCheck(_Made, Table):
    """How far the images of a site have moved from those its model learnt from, once.

    ``state`` is ``stable``, ``watch``, ``drift`` or ``unknown``; ``psi`` is the largest of all quantities.
    ``result`` is the whole `isotherm.workflows.service.drift.Drift`, plain.
    """

    __tablename__ = "drift_check"
    __table_args__ = (Index(None, "site_id", "id"),)
    site_id: Mapped[str] = mapped_column(ForeignKey("site.id"))
    state: Mapped[str] = mapped_column(String(8))
    psi: Mapped[float | None] = mapped_column(Float, default=None)
    result: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class Job(_Made, Table):
    """A piece of work for a worker process; the rules of leases are in `isotherm.jobs.queue`.

    ``state`` is ``queued``, ``running``, ``succeeded``, ``failed``, ``cancelled`` or ``dead`` (given up after
    ``most_attempts``). ``fence`` grows with each claim; a worker writes only while it is its own. Times of leases are
    milliseconds since 1970 by the clock of the database. ``exclusive`` names what only one running job may hold
    (``train:<site>``); ``turn`` lets sites take turns within a priority. ``attempts`` counts the claims since an item
    was last finished. ``finished_at`` is set while the state is one of an end. ``row_version`` grows with each change,
    for event streams.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index(None, "state", "priority", "turn", "id"),
        Index(None, "site_id", "id"),
        Index(
            "ix_job_finished_at",
            "finished_at",
            sqlite_where=text("finished_at IS NOT NULL"),
            postgresql_where=text("finished_at IS NOT NULL"),
        ),
        Index(
            "uq_job_exclusive_running",
            "exclusive",
            unique=True,
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
    )
    kind: Mapped[str] = mapped_column(String(32))
    site_id: Mapped[str | None] = mapped_column(ForeignKey("site.id"), default=None)
    payload: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    state: Mapped[str] = mapped_column(String(16), default="queued")
    priority: Mapped[int] = mapped_column(Integer, default=0)
    turn: Mapped[int] = mapped_column(BigInteger, default=0)
    exclusive: Mapped[str | None] = mapped_column(Name, default=None, index=True)
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    most_attempts: Mapped[int] = mapped_column(Integer, default=3)
    owner: Mapped[str | None] = mapped_column(Name, default=None)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_until_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    run_after_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    cancel_requested: Mapped[bool] = mapped_column(Boolean, default=False)
    done: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int] = mapped_column(Integer, default=0)
    message: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    error: Mapped[str] = mapped_column(Text, default="")
    created_by: Mapped[str] = mapped_column(Name, default="")
    started_at: Mapped[datetime | None] = mapped_column(Utc, default=None)
    finished_at: Mapped[datetime | None] = mapped_column(Utc, default=None)
    row_version: Mapped[int] = mapped_column(BigInteger, default=1)


class JobItem(Table):
    """One finished item of a job; written in the transaction of its results, so that none is lost or done twice."""

    __tablename__ = "job_item"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    item: Mapped[str] = mapped_column(String(128), primary_key=True)
    error: Mapped[str] = mapped_column(Text, default="")
    result: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


class JobLog(Table):
    """One line of a job's log."""

    __tablename__ = "job_log"
    job_id: Mapped[str] = mapped_column(ForeignKey("job.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(Utc, default=now)
    text: Mapped[str] = mapped_column(Text)


class JobPause(Table):
    """A kind of job that is not started while it stands here."""

    __tablename__ = "job_pause"
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(Utc, default=now)


class Worker(Table):
    """A worker process that is alive while its ``seen_ms`` (the database's clock) is young."""

    __tablename__ = "worker"
    name: Mapped[str] = mapped_column(Name, primary_key=True)
    started_at: Mapped[datetime] = mapped_column(Utc, default=now)
    seen_ms: Mapped[int] = mapped_column(BigInteger, default=0)


class Token(_Made, Table):
    """A key to the API, ``isotherm_<id>_<secret>``; only the sha256 of the secret is kept.

    ``scopes`` are some of read, predict, write, train, admin. ``sites`` are the ids that it is good for, None for all.
    """

    __tablename__ = "token"
    name: Mapped[str] = mapped_column(Name)
    secret_sha256: Mapped[str] = mapped_column(Digest)
    scopes: Mapped[list[Any]] = mapped_column(Json, default=list)
    sites: Mapped[list[Any] | None] = mapped_column(JsonOrNull, default=None)
    expires_at: Mapped[datetime | None] = mapped_column(Utc, default=None)
    revoked_at: Mapped[datetime | None] = mapped_column(Utc, default=None)
    last_used_at: Mapped[datetime | None] = mapped_column(Utc, default=None)


class Idempotency(Table):
    """The answer to a creating request, kept for a day; written in the transaction of what it created."""

    __tablename__ = "idempotency"
    token_id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(Digest)
    status: Mapped[int] = mapped_column(Integer, default=0)
    headers: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    body: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column(Utc, default=now, index=True)


class Audit(Table):
    """Who did what, when; each row holds the hash of the one before it, so that a missing row shows."""

    __tablename__ = "audit"
    number: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime] = mapped_column(Utc, default=now)
    actor: Mapped[str] = mapped_column(Name)
    action: Mapped[str] = mapped_column(String(64), index=True)
    subject: Mapped[str] = mapped_column(Text, default="")
    details: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    previous: Mapped[str] = mapped_column(Digest, default="")
    digest: Mapped[str] = mapped_column(Digest)
