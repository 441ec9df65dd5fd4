"""Who stopped a spreadsheet, or had its failures sent again, is kept apart from why it does not go on."""

import sqlalchemy as sa
from alembic import op

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("spreadsheets", sa.Column("asked_by", sa.String(length=254), nullable=True))


def downgrade() -> None:
    op.drop_column("spreadsheets", "asked_by")
