"""Notifications that are sent at a moment of their own, and batches that go out at fixed times."""

import sqlalchemy as sa
from advanced_alchemy.types import DateTimeUTC
from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

_SCHEDULED = sa.text("status = 'SCHEDULED'")


def upgrade() -> None:
    op.add_column("notifications", sa.Column("send_at", DateTimeUTC(timezone=True), nullable=True))
    op.add_column("batches", sa.Column("digest", sa.String(length=200), nullable=True))
    op.create_index(
        "ix_notifications_scheduled",
        "notifications",
        ["service_id", "send_at", "id"],
        sqlite_where=_SCHEDULED,
        postgresql_where=_SCHEDULED,
    )
    op.create_index(
        "ix_deliveries_scheduled",
        "deliveries",
        ["due_at", "id"],
        sqlite_where=_SCHEDULED,
        postgresql_where=_SCHEDULED,
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_scheduled", table_name="deliveries")
    op.drop_index("ix_notifications_scheduled", table_name="notifications")
    op.drop_column("batches", "digest")
    op.drop_column("notifications", "send_at")
