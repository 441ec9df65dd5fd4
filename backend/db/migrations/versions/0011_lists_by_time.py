"""Lists and counts by index: notifications by moment, batches by status; deliveries that are sent again."""

import sqlalchemy as sa
from advanced_alchemy.types import DateTimeUTC
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_BY_SERVICE = "ix_notifications_service"
_BY_STATUS = "ix_notifications_service_status"


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("requeued_at", DateTimeUTC(timezone=True), nullable=True))
    _index_by("created_at", "id")
    op.create_index("ix_batches_service", "batches", ["service_id", "status", "id"])


def downgrade() -> None:
    op.drop_index("ix_batches_service", table_name="batches")
    _index_by("id")
    op.drop_column("deliveries", "requeued_at")


def _index_by(*order: str) -> None:
    """Make the two indexes anew, in this order behind what they select by."""
    op.drop_index(_BY_STATUS, table_name="notifications")
    op.drop_index(_BY_SERVICE, table_name="notifications")
    op.create_index(_BY_SERVICE, "notifications", ["service_id", *order])
    op.create_index(_BY_STATUS, "notifications", ["service_id", "status", *order])
