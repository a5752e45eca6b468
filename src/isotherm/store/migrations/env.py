"""What Alembic runs to run steps: inside the transaction of `isotherm.store.migrate`, on its connection."""

from __future__ import annotations

from alembic import context

from isotherm.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    # SQLite cannot change a column; the table is copied.
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
