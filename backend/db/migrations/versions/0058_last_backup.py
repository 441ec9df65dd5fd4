"""When the last backup was made is known to the database, so that one that is missing is told of."""

import sqlalchemy as sa
from alembic import op

from backend.db.types import Moment

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("installation", sa.Column("backed_up_at", Moment(), nullable=True))


def downgrade() -> None:
    op.drop_column("installation", "backed_up_at")
