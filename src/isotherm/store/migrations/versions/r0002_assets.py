"""What matches images to assets and follows them over time; checks of drift."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _columns() -> dict[str, list[sa.Column[Any]]]:
    """Return what each table gets; both databases need a value for the rows that are there already."""
    return {
        "site": [sa.Column("assets_version", sa.Integer(), nullable=False, server_default="0")],
        "asset": [
            sa.Column("rated_current_a", sa.Float()),
            sa.Column("rated_rise_k", sa.Float()),
            sa.Column("name_rule", sa.Text(), nullable=False, server_default=""),
            sa.Column("tag", sa.Text(), nullable=False, server_default=""),
            sa.Column("latitude_deg", sa.Float()),
            sa.Column("longitude_deg", sa.Float()),
            sa.Column("radius_m", sa.Float()),
        ],
        "image": [
            sa.Column("matched_by", sa.String(length=8), nullable=False, server_default=""),
            sa.Column("match_note", sa.Text(), nullable=False, server_default=""),
            sa.Column("load_percent", sa.Float()),
        ],
    }


def upgrade() -> None:
    """Add columns, an index and a table; images that have an asset got it by hand."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.create_index(op.f("ix_image_asset_id_id"), "image", ["asset_id", "id"])
    noted = sa.text("match_note <> ''")
    op.create_index("ix_image_match_note", "image", ["site_id", "id"], sqlite_where=noted, postgresql_where=noted)
    op.execute("UPDATE image SET matched_by = 'hand' WHERE asset_id IS NOT NULL")
    op.execute("UPDATE site SET assets_version = 1 WHERE id IN (SELECT site_id FROM asset)")
    op.create_table(
        "drift_check",
        sa.Column("site_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("psi", sa.Float()),
        sa.Column("result", JSON, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["site_id"], ["site.id"], name=op.f("fk_drift_check_site_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drift_check")),
    )
    op.create_index(op.f("ix_drift_check_site_id_id"), "drift_check", ["site_id", "id"])


def downgrade() -> None:
    """Remove them."""
    op.drop_table("drift_check")
    op.drop_index("ix_image_match_note", "image")
    op.drop_index(op.f("ix_image_asset_id_id"), "image")
    for table, columns in _columns().items():
        for column in reversed(columns):
            op.drop_column(table, column.name)
