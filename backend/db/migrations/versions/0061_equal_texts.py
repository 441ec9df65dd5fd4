"""Which texts went to which numbers a moment ago, where networks refuse equal ones."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity
from alembic import op

from backend.db.types import Moment

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "equal_texts",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("delivery_uid", GUID(length=16), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_equal_texts")),
        sa.UniqueConstraint("key", name=op.f("uq_equal_texts_key")),
    )
    op.create_index(op.f("ix_equal_texts_at"), "equal_texts", ["at"])


def downgrade() -> None:
    op.drop_table("equal_texts")
