"""Second factors of people who sign in with a password, and what is shown of their sessions."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "second_factors",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("user_id", BigIntIdentity, nullable=False),
        sa.Column("sealed", sa.String(2000), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("created_at", DateTimeUTC(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_second_factors_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_second_factors")),
        sa.UniqueConstraint("user_id", name=op.f("uq_second_factors_user_id")),
    )
    op.add_column("portal_sessions", sa.Column("browser", sa.String(80), nullable=False, server_default=""))
    op.add_column("portal_sessions", sa.Column("by_provider", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("portal_sessions", "by_provider")
    op.drop_column("portal_sessions", "browser")
    op.drop_table("second_factors")
