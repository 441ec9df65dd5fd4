"""Remember what was accepted beyond its retention, and let an aggregator_id be as long as 1,024 characters."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_NULLABLE = {"notifications": True, "batches": False}


def upgrade() -> None:
    op.create_table(
        "past_notifications",
        sa.Column("uid", GUID(length=16), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("content_digest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_past_notifications")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_past_notifications_day", "past_notifications", ["day"])
    # An entry of PostgreSQL's could not hold so long a word; those that wait are found by service and status.
    op.drop_index("ix_batches_aggregator", table_name="batches")
    _set_length(128, 1024)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        for table in _NULLABLE:
            op.execute(f"UPDATE {table} SET aggregator_id = substr(aggregator_id, 1, 128)")  # noqa: S608 - a name of ours
    _set_length(1024, 128)
    op.create_index("ix_batches_aggregator", "batches", ["service_id", "aggregator_id", "status"])
    op.drop_index("ix_past_notifications_day", table_name="past_notifications")
    op.drop_table("past_notifications")


def _set_length(before: int, after: int) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return  # it holds to no length
    for table, nullable in _NULLABLE.items():
        op.alter_column(
            table,
            "aggregator_id",
            existing_type=sa.String(before),
            type_=sa.String(after),
            existing_nullable=nullable,
        )
