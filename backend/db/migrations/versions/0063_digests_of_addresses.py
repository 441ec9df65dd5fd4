"""Batches that go to an address itself, which is registered for no recipient."""

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("address", sa.String(length=2048), nullable=True))


def downgrade() -> None:
    op.drop_column("batches", "address")
