"""Templates as code: what a version was published for and from where, and templates that the portal leaves alone."""

import sqlalchemy as sa
from alembic import op

from backend.db.types import Moment

revision = "0047"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("template_versions", sa.Column("note", sa.String(length=500), nullable=True))
    op.add_column("template_versions", sa.Column("by_code", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("template_versions", sa.Column("code_commit", sa.String(length=64), nullable=True))
    op.add_column("template_versions", sa.Column("code_repository", sa.String(length=300), nullable=True))
    op.add_column("templates", sa.Column("locked_at", Moment(), nullable=True))
    op.add_column("templates", sa.Column("locked_by", sa.String(length=160), nullable=True))
    op.add_column("templates", sa.Column("locked_from", sa.String(length=300), nullable=True))


def downgrade() -> None:
    for column in ("locked_from", "locked_by", "locked_at"):
        op.drop_column("templates", column)
    for column in ("code_repository", "code_commit", "by_code", "note"):
        op.drop_column("template_versions", column)
