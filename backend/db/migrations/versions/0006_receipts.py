"""Receipts of providers, and suppressed addresses."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_receipts",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=False),
        sa.Column("provider_message_id", sa.String(length=255), nullable=False),
        sa.Column("delivery_uid", GUID(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("received_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("due_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("raw", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_receipts")),
        sa.UniqueConstraint("source", "event_id", name=op.f("uq_provider_receipts_source")),
    )
    op.create_index("ix_provider_receipts_delivery", "provider_receipts", ["delivery_uid"], unique=False)
    op.create_index(
        "ix_provider_receipts_due",
        "provider_receipts",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("due_at IS NOT NULL"),
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.create_index("ix_provider_receipts_received", "provider_receipts", ["received_at"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("since", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("freed_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_suppressions_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suppressions")),
        sa.UniqueConstraint("service_id", "channel", "address", name=op.f("uq_suppressions_service_id")),
    )
    op.create_index(
        "ix_deliveries_provider_message",
        "deliveries",
        ["provider_message_id"],
        unique=False,
        sqlite_where=sa.text("provider_message_id IS NOT NULL"),
        postgresql_where=sa.text("provider_message_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_provider_message", table_name="deliveries")
    op.drop_table("suppressions")
    op.drop_table("provider_receipts")
