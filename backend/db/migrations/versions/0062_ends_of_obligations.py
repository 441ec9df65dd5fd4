"""What the end of an obligation means for its posts and tickets, and the tickets of a service's worklist."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID
from alembic import op

from backend.db.types import JsonB, Moment

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

_FOLLOWED = sa.text("follow_up_at IS NOT NULL")


def upgrade() -> None:
    op.add_column("sending_rules", sa.Column("worklist_ticket", sa.String(length=64), nullable=True))
    op.add_column("sending_rules", sa.Column("equal_texts", JsonB, nullable=True))
    op.add_column("obligations", sa.Column("follow_up_at", Moment(), nullable=True))
    op.add_column("obligations", sa.Column("followed_up", JsonB, nullable=True))
    op.create_index(
        "ix_obligations_follow_up",
        "obligations",
        ["follow_up_at", "id"],
        sqlite_where=_FOLLOWED,
        postgresql_where=_FOLLOWED,
    )
    op.add_column("post_edits", sa.Column("conversation", GUID(length=16), nullable=True))
    op.add_column("post_edits", sa.Column("shows", GUID(length=16), nullable=True))


def downgrade() -> None:
    op.drop_column("post_edits", "shows")
    op.drop_column("post_edits", "conversation")
    op.drop_index("ix_obligations_follow_up", table_name="obligations")
    op.drop_column("obligations", "followed_up")
    op.drop_column("obligations", "follow_up_at")
    op.drop_column("sending_rules", "equal_texts")
    op.drop_column("sending_rules", "worklist_ticket")
