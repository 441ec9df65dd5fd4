"""Count the extensions of each worker's lease, and note when a message is given away that must not be given twice."""

import sqlalchemy as sa
from advanced_alchemy.types import DateTimeUTC
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("beats", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("deliveries", sa.Column("begun_at", DateTimeUTC(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("deliveries", "begun_at")
    op.drop_column("workers", "beats")
