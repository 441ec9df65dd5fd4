"""Obligations with their steps, the count of those opened, and the policies that teams keep."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None

_OPEN, _TAKEN = sa.text("state = 'OPEN'"), sa.text("state = 'TAKEN'")


def _identity() -> sa.Column[int]:
    return sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False)


def _service(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f(f"fk_{table}_service_id_services"))


def _obligations() -> None:
    op.create_table(
        "obligations",
        _identity(),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("api_client_id", BigIntIdentity, nullable=True),
        sa.Column("notification_uid", GUID(), nullable=False),
        sa.Column("policy_id", sa.String(length=64), nullable=True),
        sa.Column("until", sa.String(length=12), nullable=False),
        sa.Column("at_last", sa.String(length=12), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("next_at", Moment(), nullable=True),
        sa.Column("met_by", sa.String(length=320), nullable=True),
        sa.Column("met_through", sa.String(length=8), nullable=True),
        sa.Column("met_at", Moment(), nullable=True),
        sa.Column("worklist_at", Moment(), nullable=True),
        sa.Column("closed_by", sa.String(length=320), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.Column("ended_at", Moment(), nullable=True),
        _service("obligations"),
        sa.ForeignKeyConstraint(
            ["api_client_id"], ["api_clients.id"], name=op.f("fk_obligations_api_client_id_api_clients")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligations")),
        sa.UniqueConstraint("notification_uid", name=op.f("uq_obligations_notification_uid")),
    )
    op.create_index("ix_obligations_due", "obligations", ["next_at", "id"], sqlite_where=_OPEN, postgresql_where=_OPEN)
    op.create_index("ix_obligations_service_state", "obligations", ["service_id", "state", "id"])
    op.create_index(op.f("ix_obligations_ended_at"), "obligations", ["ended_at"])


def _steps() -> None:
    op.create_table(
        "obligation_steps",
        _identity(),
        sa.Column("obligation_id", BigIntIdentity, nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("notification_uid", GUID(), nullable=False),
        sa.Column("after", sa.Integer(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("content", sa.Text(), nullable=True),
        sa.Column("taken_at", Moment(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["obligation_id"], ["obligations.id"], name=op.f("fk_obligation_steps_obligation_id_obligations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligation_steps")),
        sa.UniqueConstraint("obligation_id", "number", name=op.f("uq_obligation_steps_obligation_id")),
    )
    op.create_index(op.f("ix_obligation_steps_notification_uid"), "obligation_steps", ["notification_uid"])
    op.create_index(
        "ix_obligation_steps_taken", "obligation_steps", ["taken_at"], sqlite_where=_TAKEN, postgresql_where=_TAKEN
    )


def upgrade() -> None:
    _obligations()
    _steps()
    op.create_table(
        "obligation_days",
        _identity(),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("opened", sa.Integer(), nullable=False),
        _service("obligation_days"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligation_days")),
        sa.UniqueConstraint("service_id", "day", name=op.f("uq_obligation_days_service_id")),
    )
    op.create_table(
        "policies",
        _identity(),
        sa.Column("identifier", sa.String(length=64), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("until", sa.String(length=12), nullable=False),
        sa.Column("at_last", sa.String(length=12), nullable=False),
        sa.Column("steps", JsonB, nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("deleted_at", Moment(), nullable=True),
        _service("policies"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policies")),
        sa.UniqueConstraint("identifier", name=op.f("uq_policies_identifier")),
    )
    op.create_index(op.f("ix_policies_service_id"), "policies", ["service_id"])


def downgrade() -> None:
    for table in ("policies", "obligation_days", "obligation_steps", "obligations"):
        op.drop_table(table)
