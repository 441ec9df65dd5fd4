"""Batches."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


@contextmanager
def _rows_kept(table: str) -> Iterator[None]:
    """Let a table that others refer to be made anew on SQLite, which checks references as soon as it is dropped.

    The rows step aside, and are back before the references are checked at the end of the transaction.
    """
    if op.get_bind().dialect.name != "sqlite":
        yield
        return
    columns = ", ".join(column["name"] for column in sa.inspect(op.get_bind()).get_columns(table))
    op.execute("PRAGMA defer_foreign_keys=ON")
    op.execute(f"CREATE TEMPORARY TABLE kept AS SELECT {columns} FROM {table}")  # noqa: S608 - names from this file
    op.execute(f"DELETE FROM {table}")  # noqa: S608
    yield
    both = ", ".join(
        column["name"]
        for column in sa.inspect(op.get_bind()).get_columns(table)
        if column["name"] in columns.split(", ")
    )
    op.execute(f"INSERT INTO {table} ({both}) SELECT {both} FROM kept")  # noqa: S608
    op.execute("DROP TABLE kept")


def upgrade() -> None:
    op.create_table(
        "batches",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("uid", GUID(), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("aggregator_id", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("content_type", sa.String(length=8), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("members", sa.Integer(), nullable=False),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("quiet_seconds", sa.Double(), nullable=False),
        sa.Column("max_wait_seconds", sa.Double(), nullable=False),
        sa.Column("max_items", sa.Integer(), nullable=False),
        sa.Column("opened_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("last_member_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("closes_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("why", sa.String(length=12), nullable=False),
        sa.Column("closed_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("dispatched_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("template_version_id", BigIntIdentity, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_batches_service_id_services")),
        sa.ForeignKeyConstraint(
            ["template_version_id"],
            ["template_versions.id"],
            name=op.f("fk_batches_template_version_id_template_versions"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint("uid", name=op.f("uq_batches_uid")),
    )
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.create_index("ix_batches_aggregator", ["service_id", "aggregator_id", "status"], unique=False)
        batch_op.create_index(
            "ix_batches_due",
            ["status", "closes_at"],
            unique=False,
            sqlite_where=sa.text("status IN ('OPEN', 'CLOSED')"),
            postgresql_where=sa.text("status IN ('OPEN', 'CLOSED')"),
        )
        batch_op.create_index(batch_op.f("ix_batches_key"), ["key"], unique=False)
        batch_op.create_index(
            "uq_batches_open_key",
            ["key"],
            unique=True,
            sqlite_where=sa.text("status = 'OPEN'"),
            postgresql_where=sa.text("status = 'OPEN'"),
        )

    op.create_table(
        "batch_members",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("batch_id", BigIntIdentity, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("notification_id", BigIntIdentity, nullable=False),
        sa.Column("channel_index", sa.Integer(), nullable=False),
        sa.Column("recipient", sa.String(length=64), nullable=False),
        sa.Column("removed_at", DateTimeUTC(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name=op.f("fk_batch_members_batch_id_batches")),
        sa.ForeignKeyConstraint(
            ["notification_id"], ["notifications.id"], name=op.f("fk_batch_members_notification_id_notifications")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_members")),
        sa.UniqueConstraint("batch_id", "seq", name=op.f("uq_batch_members_batch_id")),
        sa.UniqueConstraint(
            "notification_id", "channel_index", "recipient", name=op.f("uq_batch_members_notification_id")
        ),
    )
    with _rows_kept("deliveries"), op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.add_column(sa.Column("batch_id", BigIntIdentity, nullable=True))
        # SQLite shows this type as another one, and a table made anew must not take that over.
        batch_op.alter_column("uid", existing_type=GUID(), type_=GUID(), existing_nullable=False)
        batch_op.alter_column("notification_id", existing_type=BigIntIdentity, nullable=True)
        batch_op.alter_column("channel_index", existing_type=sa.INTEGER(), nullable=True)
        batch_op.create_index(batch_op.f("ix_deliveries_batch_id"), ["batch_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_deliveries_batch_id_batches"), "batches", ["batch_id"], ["id"])

    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("batch_id", BigIntIdentity, nullable=True))
        batch_op.alter_column("notification_id", existing_type=BigIntIdentity, nullable=True)
        batch_op.create_index(batch_op.f("ix_events_batch_id"), ["batch_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("fk_events_batch_id_batches"), "batches", ["batch_id"], ["id"])


def downgrade() -> None:
    op.execute("DELETE FROM events WHERE batch_id IS NOT NULL")
    with op.batch_alter_table("events", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_events_batch_id_batches"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_events_batch_id"))
        batch_op.alter_column("notification_id", existing_type=BigIntIdentity, nullable=False)
        batch_op.drop_column("batch_id")

    op.execute(
        "DELETE FROM outbox_messages WHERE delivery_id IN (SELECT id FROM deliveries WHERE batch_id IS NOT NULL)"
    )
    op.execute("DELETE FROM deliveries WHERE batch_id IS NOT NULL")
    with _rows_kept("deliveries"), op.batch_alter_table("deliveries", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_deliveries_batch_id_batches"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_deliveries_batch_id"))
        batch_op.alter_column("uid", existing_type=GUID(), type_=GUID(), existing_nullable=False)
        batch_op.alter_column("channel_index", existing_type=sa.INTEGER(), nullable=False)
        batch_op.alter_column("notification_id", existing_type=BigIntIdentity, nullable=False)
        batch_op.drop_column("batch_id")

    op.drop_table("batch_members")
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_batches_open_key", sqlite_where=sa.text("status = 'OPEN'"), postgresql_where=sa.text("status = 'OPEN'")
        )
        batch_op.drop_index(batch_op.f("ix_batches_key"))
        batch_op.drop_index(
            "ix_batches_due",
            sqlite_where=sa.text("status IN ('OPEN', 'CLOSED')"),
            postgresql_where=sa.text("status IN ('OPEN', 'CLOSED')"),
        )
        batch_op.drop_index("ix_batches_aggregator")

    op.drop_table("batches")
