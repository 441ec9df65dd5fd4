"""The first tables."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity, DateTimeUTC
from alembic import op

from backend.db.types import JsonB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
        sa.UniqueConstraint("name", name=op.f("uq_organisations_name")),
    )
    op.create_table(
        "revoked_tokens",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("jti", sa.String(length=64), nullable=False),
        sa.Column("expires_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revoked_tokens")),
        sa.UniqueConstraint("jti", name=op.f("uq_revoked_tokens_jti")),
    )
    with op.batch_alter_table("revoked_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_revoked_tokens_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "used_assertions",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("jti", sa.String(length=255), nullable=False),
        sa.Column("expires_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_used_assertions")),
        sa.UniqueConstraint("jti", name=op.f("uq_used_assertions_jti")),
    )
    with op.batch_alter_table("used_assertions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_used_assertions_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "users",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("mobile", sa.String(length=20), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("platform_admin", sa.Boolean(), nullable=False),
        sa.Column("failed_logins", sa.Integer(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("password_changed_at", DateTimeUTC(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "workers",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("started_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("seen_at", DateTimeUTC(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
        sa.UniqueConstraint("name", name=op.f("uq_workers_name")),
    )
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_workers_seen_at"), ["seen_at"], unique=False)

    op.create_table(
        "portal_sessions",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user_id", BigIntIdentity, nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("seen_at", DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_portal_sessions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_portal_sessions")),
        sa.UniqueConstraint("digest", name=op.f("uq_portal_sessions_digest")),
    )
    with op.batch_alter_table("portal_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_portal_sessions_user_id"), ["user_id"], unique=False)

    op.create_table(
        "services",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("organisation_id", BigIntIdentity, nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.Column("daily_limit", sa.Integer(), nullable=True),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_services_organisation_id_organisations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("name", name=op.f("uq_services_name")),
    )
    op.create_table(
        "api_clients",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("jwks", JsonB, nullable=True),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("revoked_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_api_clients_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_clients")),
        sa.UniqueConstraint("client_id", name=op.f("uq_api_clients_client_id")),
    )
    with op.batch_alter_table("api_clients", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_clients_service_id"), ["service_id"], unique=False)

    op.create_table(
        "memberships",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("user_id", BigIntIdentity, nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_memberships_service_id_services")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_memberships")),
        sa.UniqueConstraint("user_id", "service_id", name=op.f("uq_memberships_user_id")),
    )
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_memberships_service_id"), ["service_id"], unique=False)

    op.create_table(
        "recipients",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("identifier", sa.String(length=64), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("deleted_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_recipients_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recipients")),
        sa.UniqueConstraint("identifier", name=op.f("uq_recipients_identifier")),
    )
    with op.batch_alter_table("recipients", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recipients_service_id"), ["service_id"], unique=False)

    op.create_table(
        "service_tokens",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("type", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("sealed", sa.String(length=200), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_service_tokens_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_service_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_service_tokens_digest")),
    )
    with op.batch_alter_table("service_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_service_tokens_service_id"), ["service_id"], unique=False)

    op.create_table(
        "templates",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("identifier", sa.String(length=64), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("current_version", sa.Integer(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("deleted_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_templates_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_templates")),
        sa.UniqueConstraint("identifier", name=op.f("uq_templates_identifier")),
    )
    with op.batch_alter_table("templates", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_templates_service_id"), ["service_id"], unique=False)

    op.create_table(
        "usage",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_usage_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage")),
        sa.UniqueConstraint("service_id", "day", "channel", name=op.f("uq_usage_service_id")),
    )
    op.create_table(
        "client_secrets",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("api_client_id", BigIntIdentity, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("revoked_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["api_client_id"], ["api_clients.id"], name=op.f("fk_client_secrets_api_client_id_api_clients")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_secrets")),
    )
    with op.batch_alter_table("client_secrets", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_client_secrets_api_client_id"), ["api_client_id"], unique=False)

    op.create_table(
        "endpoints",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("recipient_id", BigIntIdentity, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=2048), nullable=False),
        sa.ForeignKeyConstraint(["recipient_id"], ["recipients.id"], name=op.f("fk_endpoints_recipient_id_recipients")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
        sa.UniqueConstraint("recipient_id", "type", "address", name=op.f("uq_endpoints_recipient_id")),
    )
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_endpoints_recipient_id"), ["recipient_id"], unique=False)

    op.create_table(
        "notifications",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("uid", GUID(), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("api_client_id", BigIntIdentity, nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("aggregator_id", sa.String(length=128), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("problem", JsonB, nullable=True),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("updated_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("accepted_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["api_client_id"], ["api_clients.id"], name=op.f("fk_notifications_api_client_id_api_clients")
        ),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_notifications_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("uid", name=op.f("uq_notifications_uid")),
    )
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.create_index("ix_notifications_service", ["service_id", "id"], unique=False)
        batch_op.create_index("ix_notifications_service_status", ["service_id", "status", "id"], unique=False)

    op.create_table(
        "rate_windows",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("api_client_id", BigIntIdentity, nullable=False),
        sa.Column("starts_at", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_client_id"], ["api_clients.id"], name=op.f("fk_rate_windows_api_client_id_api_clients")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_windows")),
        sa.UniqueConstraint("api_client_id", "starts_at", name=op.f("uq_rate_windows_api_client_id")),
    )
    with op.batch_alter_table("rate_windows", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rate_windows_starts_at"), ["starts_at"], unique=False)

    op.create_table(
        "template_versions",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("template_id", BigIntIdentity, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("format", sa.String(length=10), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("sample_fields", JsonB, nullable=True),
        sa.Column("batch", JsonB, nullable=True),
        sa.Column("content_hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(length=160), nullable=False),
        sa.ForeignKeyConstraint(
            ["template_id"], ["templates.id"], name=op.f("fk_template_versions_template_id_templates")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_template_versions")),
        sa.UniqueConstraint("template_id", "number", name=op.f("uq_template_versions_template_id")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("uid", GUID(), nullable=False),
        sa.Column("notification_id", BigIntIdentity, nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("channel_index", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("template_version_id", BigIntIdentity, nullable=False),
        sa.Column("recipients", JsonB, nullable=False),
        sa.Column("address", sa.String(length=2048), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("provider", sa.String(length=64), nullable=True),
        sa.Column("provider_message_id", sa.String(length=255), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("sent_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("delivered_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name=op.f("fk_deliveries_notification_id_notifications"),
        ),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_deliveries_service_id_services")),
        sa.ForeignKeyConstraint(
            ["template_version_id"],
            ["template_versions.id"],
            name=op.f("fk_deliveries_template_version_id_template_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("uid", name=op.f("uq_deliveries_uid")),
    )
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.create_index(
            "ix_deliveries_claimed",
            ["claimed_by"],
            unique=False,
            sqlite_where=sa.text("status = 'SENDING'"),
            postgresql_where=sa.text("status = 'SENDING'"),
        )
        batch_op.create_index(
            "ix_deliveries_due",
            ["priority", "due_at", "id"],
            unique=False,
            sqlite_where=sa.text("status IN ('QUEUED', 'RETRYING')"),
            postgresql_where=sa.text("status IN ('QUEUED', 'RETRYING')"),
        )
        batch_op.create_index(batch_op.f("ix_deliveries_notification_id"), ["notification_id"], unique=False)
        batch_op.create_index("ix_deliveries_template", ["template_version_id", "notification_id"], unique=False)

    op.create_table(
        "events",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("notification_id", BigIntIdentity, nullable=False),
        sa.Column("delivery_id", BigIntIdentity, nullable=True),
        sa.Column("at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("provider", sa.String(length=64), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name=op.f("fk_events_delivery_id_deliveries")),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notifications.id"], name=op.f("fk_events_notification_id_notifications")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_events_notification_id"), ["notification_id"], unique=False)

    op.create_table(
        "outbox_messages",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("delivery_id", BigIntIdentity, nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("sender", sa.String(length=320), nullable=False),
        sa.Column("address", sa.String(length=2048), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=True),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["deliveries.id"], name=op.f("fk_outbox_messages_delivery_id_deliveries")
        ),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_outbox_messages_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox_messages")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_outbox_messages_delivery_id")),
    )
    with op.batch_alter_table("outbox_messages", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_messages_service_id"), ["service_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("outbox_messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_outbox_messages_service_id"))

    op.drop_table("outbox_messages")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_events_notification_id"))

    op.drop_table("events")
    with op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_index("ix_deliveries_template")
        batch_op.drop_index(batch_op.f("ix_deliveries_notification_id"))
        batch_op.drop_index(
            "ix_deliveries_due",
            sqlite_where=sa.text("status IN ('QUEUED', 'RETRYING')"),
            postgresql_where=sa.text("status IN ('QUEUED', 'RETRYING')"),
        )
        batch_op.drop_index(
            "ix_deliveries_claimed",
            sqlite_where=sa.text("status = 'SENDING'"),
            postgresql_where=sa.text("status = 'SENDING'"),
        )

    op.drop_table("deliveries")
    op.drop_table("template_versions")
    with op.batch_alter_table("rate_windows", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rate_windows_starts_at"))

    op.drop_table("rate_windows")
    with op.batch_alter_table("notifications", schema=None) as batch_op:
        batch_op.drop_index("ix_notifications_service_status")
        batch_op.drop_index("ix_notifications_service")

    op.drop_table("notifications")
    with op.batch_alter_table("endpoints", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_endpoints_recipient_id"))

    op.drop_table("endpoints")
    with op.batch_alter_table("client_secrets", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_client_secrets_api_client_id"))

    op.drop_table("client_secrets")
    op.drop_table("usage")
    with op.batch_alter_table("templates", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_templates_service_id"))

    op.drop_table("templates")
    with op.batch_alter_table("service_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_service_tokens_service_id"))

    op.drop_table("service_tokens")
    with op.batch_alter_table("recipients", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recipients_service_id"))

    op.drop_table("recipients")
    with op.batch_alter_table("memberships", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_memberships_service_id"))

    op.drop_table("memberships")
    with op.batch_alter_table("api_clients", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_clients_service_id"))

    op.drop_table("api_clients")
    op.drop_table("services")
    with op.batch_alter_table("portal_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_portal_sessions_user_id"))

    op.drop_table("portal_sessions")
    with op.batch_alter_table("workers", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_workers_seen_at"))

    op.drop_table("workers")
    op.drop_table("users")
    with op.batch_alter_table("used_assertions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_used_assertions_expires_at"))

    op.drop_table("used_assertions")
    with op.batch_alter_table("revoked_tokens", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_revoked_tokens_expires_at"))

    op.drop_table("revoked_tokens")
    op.drop_table("organisations")
