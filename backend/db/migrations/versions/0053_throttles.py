"""Throttles: at most so many messages to a recipient in a span of time, by template or for the whole service."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sending_rules", sa.Column("throttle", JsonB, nullable=True))
    op.create_table(
        "throttle_uses",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_throttle_uses_service_id_services")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_throttle_uses")),
    )
    op.create_index("ix_throttle_uses_key", "throttle_uses", ["key", "at"])
    op.create_index("ix_throttle_uses_ends_at", "throttle_uses", ["ends_at"])


def downgrade() -> None:
    op.drop_table("throttle_uses")
    op.drop_column("sending_rules", "throttle")
