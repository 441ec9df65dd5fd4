"""When an API client and each of its secrets last brought a token."""

import sqlalchemy as sa
from advanced_alchemy.types import DateTimeUTC
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TABLES = ("api_clients", "client_secrets")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("last_used_at", DateTimeUTC(timezone=True), nullable=True))


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "last_used_at")
