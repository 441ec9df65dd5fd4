"""What an obligation is about, so that it ends with its matter, and through what one was closed."""

import sqlalchemy as sa
from advanced_alchemy.types import GUID
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

_UNENDED = sa.text("ended_at IS NULL")
# Those that have not ended learn their matter from the messages of their notification.
_LEARN = (
    "UPDATE obligations SET matter_id = ("
    "SELECT deliveries.matter_id FROM deliveries JOIN notifications ON notifications.id = deliveries.notification_id"
    " WHERE notifications.uid = obligations.notification_uid AND deliveries.matter_id IS NOT NULL LIMIT 1"
    ") WHERE ended_at IS NULL"
)


def upgrade() -> None:
    op.add_column("obligations", sa.Column("matter_id", GUID(length=16), nullable=True))
    op.add_column("obligations", sa.Column("closed_through", sa.String(length=8), nullable=True))
    op.create_index(
        "ix_obligations_matter",
        "obligations",
        ["matter_id", "id"],
        sqlite_where=_UNENDED,
        postgresql_where=_UNENDED,
    )
    op.execute(_LEARN)


def downgrade() -> None:
    op.drop_index("ix_obligations_matter", table_name="obligations")
    op.drop_column("obligations", "closed_through")
    op.drop_column("obligations", "matter_id")
