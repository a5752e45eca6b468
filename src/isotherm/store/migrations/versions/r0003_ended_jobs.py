"""Jobs that have ended since some time are found without reading all the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add an index of those that have ended."""
    ended = sa.text("finished_at IS NOT NULL")
    op.create_index("ix_job_finished_at", "job", ["finished_at"], sqlite_where=ended, postgresql_where=ended)


def downgrade() -> None:
    """Remove it."""
    op.drop_index("ix_job_finished_at", "job")
