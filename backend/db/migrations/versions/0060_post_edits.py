"""Posts that are to show something else: that somebody has acknowledged what they tell."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "post_edits",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("provider", sa.String(length=64), nullable=False),
        sa.Column("post", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("blocks", JsonB, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_post_edits")),
    )
    op.create_index(op.f("ix_post_edits_due_at"), "post_edits", ["due_at"])


def downgrade() -> None:
    op.drop_table("post_edits")
