"""What messages are about: conversations, resolutions, and what batches remember of each other."""

import hashlib
from uuid import UUID

import sqlalchemy as sa
from advanced_alchemy.types import GUID, BigIntIdentity
from alembic import op

from backend.db.types import AGGREGATOR_ID, Moment

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

_OF_MATTER = sa.text("matter_id IS NOT NULL")
# A ticket that is open takes notes of its aggregator_id from before there were matters.
_TICKETS = sa.text(
    "SELECT deliveries.id, deliveries.uid, deliveries.address, deliveries.provider_message_id, deliveries.sent_at,"
    " batches.service_id, batches.aggregator_id, batches.subject"
    " FROM deliveries JOIN batches ON batches.id = deliveries.batch_id"
    " WHERE deliveries.type = 'FRESHSERVICE' AND deliveries.status IN ('SENT', 'DELIVERED')"
    " AND deliveries.provider_message_id IS NOT NULL ORDER BY deliveries.id"
).columns(uid=GUID(), sent_at=Moment())


def upgrade() -> None:
    for table in ("deliveries", "batches"):
        op.add_column(table, sa.Column("matter_id", GUID(length=16), nullable=True))
        op.create_index(
            f"ix_{table}_matter",
            table,
            ["matter_id", "id"],
            sqlite_where=_OF_MATTER,
            postgresql_where=_OF_MATTER,
        )
    op.add_column("batches", sa.Column("matter", AGGREGATOR_ID, nullable=True))
    op.create_table(
        "resolutions",
        sa.Column("matter_id", GUID(length=16), nullable=False),
        sa.Column("service_id", BigIntIdentity, nullable=False),
        sa.Column("name", AGGREGATOR_ID, nullable=False),
        sa.Column("resolved_at", Moment(), nullable=False),
        sa.Column("resolved_by", sa.String(length=254), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name=op.f("fk_resolutions_service_id_services")),
        sa.PrimaryKeyConstraint("matter_id", name=op.f("pk_resolutions")),
    )
    op.create_index(op.f("ix_resolutions_resolved_at"), "resolutions", ["resolved_at"])
    conversations = op.create_table(
        "conversations",
        sa.Column("uid", GUID(length=16), nullable=False),
        sa.Column("begun_by", BigIntIdentity, nullable=False),
        sa.Column("root", sa.String(length=255), nullable=True),
        sa.Column("first_message_id", sa.String(length=320), nullable=False),
        sa.Column("last_message_id", sa.String(length=320), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("begun_at", Moment(), nullable=False),
        sa.Column("told_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_conversations")),
    )
    op.create_index(op.f("ix_conversations_begun_at"), "conversations", ["begun_at"])
    _take_over_tickets(conversations)
    _memories()


def _memories() -> None:
    op.add_column("batches", sa.Column("memory", sa.String(length=64), nullable=True))
    op.create_table(
        "batch_items",
        sa.Column("id", BigIntIdentity, sa.Identity(always=False, start=1, increment=1), nullable=False),
        sa.Column("memory", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.Column("first_seen", Moment(), nullable=False),
        sa.Column("last_told", Moment(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_items")),
        sa.UniqueConstraint("memory", "item", name=op.f("uq_batch_items_memory")),
    )
    op.create_index(op.f("ix_batch_items_last_told"), "batch_items", ["last_told"])
    op.create_table(
        "batch_memories",
        sa.Column("batch_id", BigIntIdentity, nullable=False),
        sa.Column("item_key", sa.String(length=100), nullable=False),
        sa.Column("told", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("written_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
            name=op.f("fk_batch_memories_batch_id_batches"),
            ondelete="CASCADE",  # the release before deletes batches without knowing of memories
        ),
        sa.PrimaryKeyConstraint("batch_id", name=op.f("pk_batch_memories")),
    )


def _take_over_tickets(conversations: sa.Table) -> None:
    rows = {}
    for one in op.get_bind().execute(_TICKETS):
        matter_id = _uid(b"carillon/matter/v1\n", f"{one.service_id}\n{one.aggregator_id}")
        uid = _uid(b"carillon/conversation/v1\n", f"{matter_id}\nFRESHSERVICE\n{one.address}")
        rows[uid] = {
            "uid": uid,
            "begun_by": one.id,
            "root": one.provider_message_id,
            "first_message_id": str(one.uid),
            "last_message_id": str(one.uid),
            "subject": one.subject,
            "begun_at": one.sent_at,
            "told_at": one.sent_at,
        }
    if rows:
        op.bulk_insert(conversations, list(rows.values()))


def _uid(domain: bytes, made_of: str) -> UUID:
    """Name a matter, or a conversation, as the program does: a UUID of version 8 from a digest."""
    number = int.from_bytes(hashlib.sha256(domain + made_of.encode()).digest()[:16])
    return UUID(int=number & ~(0xF << 76 | 0x3 << 62) | 8 << 76 | 0x2 << 62)


def downgrade() -> None:
    op.drop_table("batch_memories")
    op.drop_table("batch_items")
    op.drop_column("batches", "memory")
    op.drop_table("conversations")
    op.drop_table("resolutions")
    op.drop_column("batches", "matter")
    for table in ("deliveries", "batches"):
        op.drop_index(f"ix_{table}_matter", table_name=table)
        op.drop_column(table, "matter_id")
