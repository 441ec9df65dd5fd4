"""The days on which an address was refused without a reason that tells of it."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rejection_days",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_rejection_days_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejection_days")),
        sa.UniqueConstraint("service_id", "channel", "address", "day", name=op.f("uq_rejection_days_service_id")),
    )
    op.create_index(op.f("ix_rejection_days_day"), "rejection_days", ["day"])


def downgrade() -> None:
    op.drop_table("rejection_days")
