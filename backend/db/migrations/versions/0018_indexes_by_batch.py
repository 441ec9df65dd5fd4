"""Keep out of the indexes by batch what is of no batch, nearly all: each new row or version cost an entry there."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_TABLES = ("deliveries", "events")


def upgrade() -> None:
    where = sa.text("batch_id IS NOT NULL")
    for table in _TABLES:
        op.drop_index(f"ix_{table}_batch_id", table_name=table)
        op.create_index(f"ix_{table}_batch_id", table, ["batch_id"], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_index(f"ix_{table}_batch_id", table_name=table)
        op.create_index(f"ix_{table}_batch_id", table, ["batch_id"])
