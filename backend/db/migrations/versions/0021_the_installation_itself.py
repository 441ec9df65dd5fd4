"""What the database knows of itself, by which a restored one is recognised, and what is held back in such a one."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity, DateTimeUTC
from alembic import op
from alembic.util import CommandError

from backend.db.types import JsonB

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None

_ANYTHING_HELD = sa.text("SELECT 1 FROM held_rows LIMIT 1")


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("oldest_code", sa.String(length=32), nullable=False),
        sa.Column("epoch", sa.String(length=32), nullable=True),
        sa.Column("earlier", JsonB, nullable=True),
        sa.Column("counter", BigIntIdentity, nullable=False),
        sa.Column("marks", JsonB, nullable=True),
        sa.Column("counted_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("held_at", DateTimeUTC(timezone=True), nullable=True),
        sa.Column("held_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.execute("INSERT INTO installation (oldest_code, counter) VALUES ('0001', 0)")
    op.create_table(
        "held_rows",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("row_id", BigIntIdentity, nullable=False),
        sa.Column("due_at", DateTimeUTC(timezone=True), nullable=False),
        sa.Column("was", sa.String(length=12), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_held_rows")),
        sa.UniqueConstraint("kind", "row_id", name=op.f("uq_held_rows_kind")),
    )


def downgrade() -> None:
    if op.get_bind().execute(_ANYTHING_HELD).first() is not None:
        raise CommandError("Messages of a restored database are held back: decide with `carillon held` first.")
    op.drop_table("held_rows")
    op.drop_table("installation")
