"""When an API client and each of its secrets last brought a token."""

import sqlalchemy as sa
from alembic import op

from backend.db.types import Moment

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_TABLES = ("api_clients", "client_secrets")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("last_used_at", Moment(), nullable=True))


def downgrade() -> None:
    for table in _TABLES:
        op.drop_column(table, "last_used_at")
