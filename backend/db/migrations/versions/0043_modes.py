"""Whom messages reach: the modes of clients, where their messages are redirected, guests, and what tests have used."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

_MODES = ("api_clients", "notifications", "batches", "deliveries")
_ADDRESSES = (("api_clients", "redirect"), ("batches", "redirect"), ("deliveries", "meant_for"))


def upgrade() -> None:
    for table in _MODES:
        op.add_column(table, sa.Column("mode", sa.String(length=4), server_default="live", nullable=False))
    for table, column in _ADDRESSES:
        op.add_column(table, sa.Column(column, sa.String(length=2048), nullable=True))
    op.create_table(
        "guests",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=2048), nullable=False),
        sa.Column("added_by", sa.String(length=254), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_guests_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guests")),
        sa.UniqueConstraint("service_id", "type", "address", name=op.f("uq_guests_service_id")),
    )
    op.create_table(
        "test_usage",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_test_usage_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_test_usage")),
        sa.UniqueConstraint("service_id", "day", "channel", name=op.f("uq_test_usage_service_id")),
    )


def downgrade() -> None:
    op.drop_table("test_usage")
    op.drop_table("guests")
    for table, column in _ADDRESSES:
        op.drop_column(table, column)
    for table in _MODES:
        op.drop_column(table, "mode")
