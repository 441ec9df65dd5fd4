"""Callbacks to client systems."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "callback_endpoints",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("api_client_id", BigIntIdentity, nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("enabled_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("disabled_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("disabled_why", sa.Text(), nullable=True),
        sa.Column("failing_since", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("resume_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("noticed_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["api_client_id"], ["api_clients.id"], name=op.f("fk_callback_endpoints_api_client_id_api_clients")
        ),
        sa.ForeignKeyConstraint(
            ["service_id"], ["services.id"], name=op.f("fk_callback_endpoints_service_id_services")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback_endpoints")),
        sa.UniqueConstraint("api_client_id", name=op.f("uq_callback_endpoints_api_client_id")),
    )
    op.create_index(op.f("ix_callback_endpoints_service_id"), "callback_endpoints", ["service_id"], unique=False)
    op.create_table(
        "callback_secrets",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("endpoint_id", BigIntIdentity, nullable=False),
        sa.Column("sealed", sa.String(length=300), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("expires_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["callback_endpoints.id"], name=op.f("fk_callback_secrets_endpoint_id_callback_endpoints")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback_secrets")),
    )
    op.create_index(op.f("ix_callback_secrets_endpoint_id"), "callback_secrets", ["endpoint_id"], unique=False)
    op.create_table(
        "callback_messages",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("uid", sa.String(length=40), nullable=False),
        sa.Column("endpoint_id", BigIntIdentity, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("notification_uid", GUID(), nullable=False),
        sa.Column("delivery_uid", GUID(), nullable=True),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("tried_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["callback_endpoints.id"], name=op.f("fk_callback_messages_endpoint_id_callback_endpoints")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_callback_messages")),
        sa.UniqueConstraint("endpoint_id", "delivery_uid", name=op.f("uq_callback_messages_endpoint_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_callback_messages_uid")),
    )
    op.create_index(
        "ix_callback_messages_claimed",
        "callback_messages",
        ["claimed_by"],
        unique=False,
        sqlite_where=sa.text("claimed_by IS NOT NULL"),
        postgresql_where=sa.text("claimed_by IS NOT NULL"),
    )
    op.create_index("ix_callback_messages_created", "callback_messages", ["created_at"], unique=False)
    op.create_index(
        "ix_callback_messages_due",
        "callback_messages",
        ["endpoint_id", "due_at"],
        unique=False,
        sqlite_where=sa.text("status = 'PENDING'"),
        postgresql_where=sa.text("status = 'PENDING'"),
    )
    op.create_index("ix_callback_messages_notification", "callback_messages", ["notification_uid"], unique=False)


def downgrade() -> None:
    op.drop_table("callback_messages")
    op.drop_table("callback_secrets")
    op.drop_table("callback_endpoints")
