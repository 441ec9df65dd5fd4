"""In how many parts a text message was sent."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("segments", sa.SmallInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("deliveries", "segments")
