"""Find notifications by their words, and deliveries by the id that a provider gave them."""

import sqlalchemy as sa
from advanced_alchemy.types import BigIntIdentity
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

_WORDS = """
    CREATE VIRTUAL TABLE search_words USING fts5(
        words, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_'"
    )
"""
# What is deleted has to be told as it was: the full-text table keeps no copy of its own.
_ADD = """
    CREATE TRIGGER search_entries_added AFTER INSERT ON search_entries BEGIN
        INSERT INTO search_words (rowid, words) VALUES (NEW.notification_id, NEW.words);
    END
"""
_REMOVE = """
    CREATE TRIGGER search_entries_removed AFTER DELETE ON search_entries BEGIN
        INSERT INTO search_words (search_words, rowid, words) VALUES ('delete', OLD.notification_id, OLD.words);
    END
"""
# SQLite gives the number of the newest notification again once that is deleted.
_NUMBERS = """
    CREATE TRIGGER search_progress_behind AFTER DELETE ON notifications
    WHEN OLD.id > (SELECT COALESCE(MAX(id), 0) FROM notifications) BEGIN
        UPDATE search_progress SET round = round + 1, watermark = MIN(watermark, OLD.id - 1), ceiling = NULL;
    END
"""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    words = sa.Text().with_variant(TSVECTOR(), "postgresql")
    op.create_table(
        "search_entries",
        sa.Column("notification_id", BigIntIdentity, autoincrement=False, nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("words", words, nullable=False),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notifications.id"],
            name=op.f("fk_search_entries_notification_id_notifications"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("notification_id", name=op.f("pk_search_entries")),
    )
    op.create_index("ix_search_entries_service", "search_entries", ["service_id", "notification_id"])
    progress = op.create_table(
        "search_progress",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("watermark", sa.BigInteger(), nullable=False),
        sa.Column("ceiling", sa.BigInteger(), nullable=True),
        sa.Column("awaited", sa.Text(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_progress")),
    )
    op.bulk_insert(progress, [{"id": 1, "watermark": 0, "ceiling": None, "awaited": "", "round": 0}])
    op.create_table(
        "search_again",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("notification_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_again")),
    )
    known = sa.text("provider_message_id IS NOT NULL")
    op.create_index(
        "ix_deliveries_provider_message_id",
        "deliveries",
        ["provider_message_id"],
        sqlite_where=known,
        postgresql_where=known,
    )
    if is_sqlite:
        for statement in (_WORDS, _ADD, _REMOVE, _NUMBERS):
            op.execute(statement)
    else:
        # What was added lately lies in a list that every search goes through: it is to stay short (in kB).
        op.create_index(
            "ix_search_entries_words",
            "search_entries",
            ["words"],
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 512},
        )


def downgrade() -> None:
    op.drop_index("ix_deliveries_provider_message_id", table_name="deliveries")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER search_progress_behind")
        op.execute("DROP TABLE search_words")
    op.drop_table("search_again")
    op.drop_table("search_progress")
    op.drop_table("search_entries")
