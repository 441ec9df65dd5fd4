"""A service on trial may hold its API clients to its team too; those that are there go on as they were."""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("services", sa.Column("holds_clients", sa.Boolean(), server_default=sa.false(), nullable=False))


def downgrade() -> None:
    op.drop_column("services", "holds_clients")
