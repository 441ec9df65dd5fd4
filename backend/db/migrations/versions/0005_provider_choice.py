"""Provider choice: the state of providers, deliveries in doubt, and claims by channel and service."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_WAITING = sa.text("status IN ('QUEUED', 'RETRYING')")


def upgrade() -> None:
    op.create_table(
        "provider_state",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("block", sa.String(length=12), nullable=False),
        sa.Column("blocked_until", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.Column("switched_off", sa.Boolean(), nullable=False),
        sa.Column("last_fault", sa.Text(), nullable=True),
        sa.Column("last_fault_at", DateTimeUTC(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_state")),
        sa.UniqueConstraint("provider", "destination", name=op.f("uq_provider_state_provider")),
    )
    op.create_index("ix_provider_state_channel", "provider_state", ["channel", "blocked_until"])
    op.create_table(
        "provider_minutes",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("minute", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("faults", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_provider_minutes")),
        sa.UniqueConstraint("provider", "minute", name=op.f("uq_provider_minutes_provider")),
    )
    op.create_index(op.f("ix_provider_minutes_minute"), "provider_minutes", ["minute"])
    op.add_column("deliveries", sa.Column("doubt", sa.String(length=8), nullable=True))
    in_doubt = sa.text("doubt = 'person'")
    op.create_index(
        "ix_deliveries_doubt", "deliveries", ["service_id", "id"], sqlite_where=in_doubt, postgresql_where=in_doubt
    )
    _index_due("type", "priority", "service_id", "due_at", "id")


def downgrade() -> None:
    _index_due("priority", "due_at", "id")
    op.drop_index("ix_deliveries_doubt", table_name="deliveries")
    op.drop_column("deliveries", "doubt")
    op.drop_table("provider_minutes")
    op.drop_table("provider_state")


def _index_due(*columns: str) -> None:
    op.drop_index("ix_deliveries_due", table_name="deliveries")
    op.create_index("ix_deliveries_due", "deliveries", list(columns), sqlite_where=_WAITING, postgresql_where=_WAITING)
