"""After how long the same content is new again, and which notification is the newest of such a content.

And the keys that clients gave to several notifications at once.
"""

import sqlalchemy as sa
from advanced_alchemy.types import GUID
from alembic import op

from backend.db.types import Moment

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_TABLES = ("template_versions", "template_drafts", "template_copies")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("repeat_after", sa.String(8), nullable=True))
    op.create_table(
        "content_repeats",
        sa.Column("uid", GUID(length=16), nullable=False),
        sa.Column("latest", GUID(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("accepted_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_content_repeats")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_content_repeats_accepted_at", "content_repeats", ["accepted_at"])
    op.create_table(
        "idempotency_keys",
        sa.Column("uid", GUID(length=16), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("content_digest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_idempotency_keys")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_idempotency_keys_day", "idempotency_keys", ["day"])


def downgrade() -> None:
    op.drop_table("idempotency_keys")
    op.drop_table("content_repeats")
    for table in reversed(_TABLES):
        op.drop_column(table, "repeat_after")
