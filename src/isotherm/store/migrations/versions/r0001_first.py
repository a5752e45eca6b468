"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

UTC = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Make all tables."""
    _audit()
    _blob()
    _idempotency()
    _job_pause()
    _site()
    _token()
    _worker()
    _activation()
    _asset()
    _category()
    _job()
    _model_version()
    _offer()
    _image()
    _job_item()
    _job_log()
    _inspection()
    _feedback()
    _finding()


def downgrade() -> None:
    """Remove them, the ones that refer to others first."""
    for table in (
        "finding",
        "feedback",
        "inspection",
        "job_log",
        "job_item",
        "image",
        "offer",
        "model_version",
        "job",
        "category",
        "asset",
        "activation",
        "worker",
        "token",
        "site",
        "job_pause",
        "idempotency",
        "blob",
        "audit",
    ):
        op.drop_table(table)


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_action"), "audit", ["action"])


def _blob() -> None:
    op.create_table(
        "blob",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.Column("deleted_at", UTC, nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_blob")),
    )


def _idempotency() -> None:
    op.create_table(
        "idempotency",
        sa.Column("token_id", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("request_sha256", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", JSON, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("token_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_index(op.f("ix_idempotency_created_at"), "idempotency", ["created_at"])


def _job_pause() -> None:
    op.create_table(
        "job_pause",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_job_pause")),
    )


def _site() -> None:
    op.create_table(
        "site",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("active_model", sa.String(length=36), nullable=True),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("findings", sa.Integer(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", UTC, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
        sa.UniqueConstraint("name", name=op.f("uq_site_name")),
    )


def _token() -> None:
    op.create_table(
        "token",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", JSON, nullable=False),
        sa.Column("sites", JSON, nullable=True),
        sa.Column("expires_at", UTC, nullable=True),
        sa.Column("revoked_at", UTC, nullable=True),
        sa.Column("last_used_at", UTC, nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )


def _worker() -> None:
    op.create_table(
        "worker",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("started_at", UTC, nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
    )


def _activation() -> None:
    op.create_table(
        "activation",
        sa.Column("site_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("model_id", sa.String(length=36), nullable=True),
        sa.Column("previous", sa.String(length=36), nullable=True),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_activation_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_activation")),
        sa.UniqueConstraint("site_id", "number", name=op.f("uq_activation_site_id_number")),
    )


def _asset() -> None:
    op.create_table(
        "asset",
        sa.Column("site_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=128), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("rating", sa.Text(), nullable=False),
        sa.Column("updated_at", UTC, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_asset_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_asset_site_id_name")),
    )


def _category() -> None:
    op.create_table(
        "category",
        sa.Column("site_id", sa.String(length=36), nullable=True),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("updated_at", UTC, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_category_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category")),
        sa.UniqueConstraint("site_id", "name", name=op.f("uq_category_site_id_name")),
    )
    op.create_index(
        "uq_category_common_name",
        "category",
        ["name"],
        unique=True,
        sqlite_where=sa.text("site_id IS NULL"),
        postgresql_where=sa.text("site_id IS NULL"),
    )


def _job() -> None:
    op.create_table(
        "job",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("site_id", sa.String(length=36), nullable=True),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("exclusive", sa.String(length=128), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("most_attempts", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("run_after_ms", sa.BigInteger(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("started_at", UTC, nullable=True),
        sa.Column("finished_at", UTC, nullable=True),
        sa.Column("row_version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_job_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index(op.f("ix_job_exclusive"), "job", ["exclusive"])
    op.create_index(op.f("ix_job_site_id_id"), "job", ["site_id", "id"])
    op.create_index(op.f("ix_job_state_priority_turn_id"), "job", ["state", "priority", "turn", "id"])
    op.create_index(
        "uq_job_exclusive_running",
        "job",
        ["exclusive"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def _model_version() -> None:
    op.create_table(
        "model_version",
        sa.Column("site_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("method", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("files", JSON, nullable=False),
        sa.Column("card", JSON, nullable=False),
        sa.Column("metrics", JSON, nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_model_version_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_version")),
        sa.UniqueConstraint("site_id", "number", name=op.f("uq_model_version_site_id_number")),
    )


def _offer() -> None:
    op.create_table(
        "offer",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["blob.digest"], name=op.f("fk_offer_digest")),
        sa.PrimaryKeyConstraint("digest", "owner", name=op.f("pk_offer")),
    )
    op.create_index(op.f("ix_offer_created_at"), "offer", ["created_at"])


def _image() -> None:
    op.create_table(
        "image",
        sa.Column("site_id", sa.String(length=36), nullable=True),
        sa.Column("asset_id", sa.String(length=36), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=512), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("taken_at", UTC, nullable=True),
        sa.Column("uploaded_by", sa.String(length=128), nullable=False),
        sa.Column("duplicate_of", sa.String(length=36), nullable=True),
        sa.Column("category_id", sa.String(length=36), nullable=True),
        sa.Column("split", sa.String(length=8), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("severity_rank", sa.Integer(), nullable=False),
        sa.Column("latest_inspection", sa.String(length=36), nullable=True),
        sa.Column("label", sa.String(length=128), nullable=True),
        sa.Column("thumbnail", sa.String(length=64), nullable=True),
        sa.Column("updated_at", UTC, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"], name=op.f("fk_image_asset_id")),
        sa.ForeignKeyConstraint(["category_id"], ["category.id"], name=op.f("fk_image_category_id")),
        sa.ForeignKeyConstraint(["digest"], ["blob.digest"], name=op.f("fk_image_digest")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_image_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_image")),
    )
    op.create_index(op.f("ix_image_category_id"), "image", ["category_id"])
    op.create_index(op.f("ix_image_digest"), "image", ["digest"])
    op.create_index(op.f("ix_image_label_id"), "image", ["label", "id"])
    op.create_index(op.f("ix_image_severity_rank_id"), "image", ["severity_rank", "id"])
    op.create_index(op.f("ix_image_site_id_digest"), "image", ["site_id", "digest"])
    op.create_index(op.f("ix_image_site_id_id"), "image", ["site_id", "id"])
    op.create_index(op.f("ix_image_site_id_label_id"), "image", ["site_id", "label", "id"])
    op.create_index(op.f("ix_image_site_id_severity_rank_id"), "image", ["site_id", "severity_rank", "id"])
    op.create_index(op.f("ix_image_site_id_split_category_id"), "image", ["site_id", "split", "category_id"])
    op.create_index(op.f("ix_image_thumbnail"), "image", ["thumbnail"])


def _job_item() -> None:
    op.create_table(
        "job_item",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("item", sa.String(length=128), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_item_job_id")),
        sa.PrimaryKeyConstraint("job_id", "item", name=op.f("pk_job_item")),
    )


def _job_log() -> None:
    op.create_table(
        "job_log",
        sa.Column("job_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", UTC, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_job_log_job_id")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_log")),
    )


def _inspection() -> None:
    op.create_table(
        "inspection",
        sa.Column("site_id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("model_id", sa.String(length=36), nullable=True),
        sa.Column("job_id", sa.String(length=36), nullable=True),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("rejected", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("distance", sa.Float(), nullable=True),
        sa.Column("probabilities", JSON, nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("severity_rank", sa.Integer(), nullable=False),
        sa.Column("result", JSON, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_inspection_image_id")),
        sa.ForeignKeyConstraint(["model_id"], ["model_version.id"], name=op.f("fk_inspection_model_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_inspection_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inspection")),
    )
    op.create_index(op.f("ix_inspection_image_id_id"), "inspection", ["image_id", "id"])
    op.create_index(op.f("ix_inspection_site_id_id"), "inspection", ["site_id", "id"])


def _feedback() -> None:
    op.create_table(
        "feedback",
        sa.Column("site_id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("said", sa.String(length=128), nullable=False),
        sa.Column("category_id", sa.String(length=36), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("used_in", sa.String(length=36), nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["category_id"], ["category.id"], name=op.f("fk_feedback_category_id")),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_feedback_image_id")),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_feedback_inspection_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_feedback_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedback")),
        sa.UniqueConstraint("inspection_id", "created_by", name=op.f("uq_feedback_inspection_id_created_by")),
    )
    op.create_index(op.f("ix_feedback_image_id"), "feedback", ["image_id"])
    op.create_index(op.f("ix_feedback_site_id_id"), "feedback", ["site_id", "id"])


def _finding() -> None:
    op.create_table(
        "finding",
        sa.Column("site_id", sa.String(length=36), nullable=False),
        sa.Column("image_id", sa.String(length=36), nullable=False),
        sa.Column("inspection_id", sa.String(length=36), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=128), nullable=False),
        sa.Column("severity_rank", sa.Integer(), nullable=False),
        sa.Column("grade", sa.String(length=32), nullable=False),
        sa.Column("max_c", sa.Float(), nullable=True),
        sa.Column("delta_t_c", sa.Float(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("area_px", sa.Integer(), nullable=False),
        sa.Column("box", JSON, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", UTC, nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("fk_finding_image_id")),
        sa.ForeignKeyConstraint(["inspection_id"], ["inspection.id"], name=op.f("fk_finding_inspection_id")),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_finding_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
    )
    op.create_index(op.f("ix_finding_image_id_id"), "finding", ["image_id", "id"])
    op.create_index(op.f("ix_finding_inspection_id_number"), "finding", ["inspection_id", "number"], unique=True)
    op.create_index(op.f("ix_finding_severity_rank_id"), "finding", ["severity_rank", "id"])
    op.create_index(op.f("ix_finding_site_id_id"), "finding", ["site_id", "id"])
    op.create_index(op.f("ix_finding_site_id_severity_rank_id"), "finding", ["site_id", "severity_rank", "id"])
