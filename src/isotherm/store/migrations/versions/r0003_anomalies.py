"""A second model of a site, which scores images; jobs that have ended are found without reading all the others."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def _columns() -> dict[str, list[sa.Column[Any]]]:
    """Return what each table gets; both databases need a value for the rows that are there already."""
    return {
        "site": [sa.Column("active_anomaly_model", sa.String(length=36))],
        "activation": [sa.Column("kind", sa.String(length=16), nullable=False, server_default="classifier")],
        "inspection": [sa.Column("anomaly_model_id", sa.String(length=36))],
        "image": [sa.Column("anomalous", sa.Boolean())],
    }


def upgrade() -> None:
    """Add columns, and indexes of the few rows that are asked for."""
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    ended = sa.text("finished_at IS NOT NULL")
    op.create_index("ix_job_finished_at", "job", ["finished_at"], sqlite_where=ended, postgresql_where=ended)
    anomalous: dict[str, Any] = {
        "sqlite_where": sa.text("anomalous = 1"),
        "postgresql_where": sa.text("anomalous"),
    }
    op.create_index("ix_image_anomalous", "image", ["id"], **anomalous)
    op.create_index("ix_image_site_id_anomalous", "image", ["site_id", "id"], **anomalous)


def downgrade() -> None:
    """Remove them, and the switches of the second model, which would be taken for those of the classifier."""
    op.execute("DELETE FROM activation WHERE kind = 'anomaly'")
    op.drop_index("ix_image_site_id_anomalous", "image")
    op.drop_index("ix_image_anomalous", "image")
    op.drop_index("ix_job_finished_at", "job")
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
