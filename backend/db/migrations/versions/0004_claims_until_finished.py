"""Find deliveries by their worker until all that follows from an attempt is written."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_deliveries_claimed", table_name="deliveries")
    _create("claimed_by IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_deliveries_claimed", table_name="deliveries")
    _create("status = 'SENDING'")


def _create(condition: str) -> None:
    where = sa.text(condition)
    op.create_index("ix_deliveries_claimed", "deliveries", ["claimed_by"], sqlite_where=where, postgresql_where=where)
