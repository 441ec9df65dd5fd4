"""Templates that are partials or layouts, and the versions of those that a template is made with."""

import sqlalchemy as sa
from alembic import op

from backend.db.types import JsonB

revision = "0026"
down_revision = "0024"
branch_labels = None
depends_on = None

_TABLES = ("template_versions", "template_drafts", "template_copies")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("kind", sa.String(10), nullable=False, server_default="template"))
    op.add_column("template_versions", sa.Column("partials", JsonB, nullable=True))


def downgrade() -> None:
    op.drop_column("template_versions", "partials")
    for table in reversed(_TABLES):
        op.drop_column(table, "kind")
