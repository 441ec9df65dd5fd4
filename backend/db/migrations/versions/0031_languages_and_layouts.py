"""The language of a service's messages, and the layout of its Markdown and text e-mails; those of versions."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

_TABLES = ("services", "template_versions")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("language", sa.String(35), nullable=False, server_default="en"))
        op.add_column(table, sa.Column("mail_layout", sa.String(64), nullable=True))


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_column(table, "mail_layout")
        op.drop_column(table, "language")
