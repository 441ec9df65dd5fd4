"""Batches: what is gathered for one recipient, and the buffered notifications in it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from advanced_alchemy.base import DefaultBase, IdentityBase
from advanced_alchemy.types import GUID, BigIntIdentity
from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.models.accounts import Mode
from backend.db.models.notifications import OF_MATTER
from backend.db.types import AGGREGATOR_ID, Address, Moment
from backend.lib import clock


class BatchStatus(StrEnum):
    """Where a batch is on its way; from DISPATCHED on it follows its deliveries."""

    OPEN = "OPEN"  # takes members
    CLOSED = "CLOSED"  # full: takes no more, and waits to be dispatched
    DISPATCHED = "DISPATCHED"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"  # every member was removed, or nothing in it was new


class Why(StrEnum):
    """What closes a batch, or has closed it."""

    QUIET = "quiet"
    LONGEST_WAIT = "longest_wait"
    DIGEST = "digest"
    SIZE = "size"
    DEMAND = "demand"
    EMPTY = "empty"
    NOTHING_NEW = "nothing_new"


_OPEN = text("status = 'OPEN'")
_WAITING = text("status IN ('OPEN', 'CLOSED')")


class Batch(IdentityBase):
    """Notifications of one key, sent as one message to each address of the recipient.

    ``uid`` is derived from the key and the first member. ``key`` is the SHA-256 of service, aggregator_id, type,
    recipient, template, content type, subject and senders; at most one batch of a key is open. ``members`` counts those
    that were not removed, ``last_seq`` numbers the newest. The limits are those in force for the newest member.
    ``attached_bytes`` is how much the files of all that joined have, removed ones included.
    ``template_version_id`` is set when the batch is dispatched. ``error`` says why no message could be made of it;
    such a batch can be dispatched again. ``matter`` is what its members are about where that is not the aggregator_id;
    ``matter_id`` names the one or the other. ``memory`` is the key of what is remembered from batch to batch, if it was
    dispatched with a template that does so.
    ``mode`` and ``redirect`` are those of its members' client, whose messages join no batch of another's.
    ``language`` is what the notification asked for that opened it: the message's, where the recipient has none.
    ``waits`` is why it waits until ``closes_at`` though it would be due, as that of a delivery.
    """

    __tablename__ = "batches"
    __table_args__ = (
        Index("uq_batches_open_key", "key", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_batches_due", "status", "closes_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_batches_service", "service_id", "status", "id"),
        Index("ix_batches_template", "template_version_id", "id"),
        Index("ix_batches_matter", "matter_id", "id", sqlite_where=OF_MATTER, postgresql_where=OF_MATTER),
    )

    uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    key: Mapped[str] = mapped_column(String(64), index=True)
    aggregator_id: Mapped[str] = mapped_column(AGGREGATOR_ID)
    type: Mapped[str] = mapped_column(String(16))
    recipient: Mapped[str] = mapped_column(String(64))
    template: Mapped[str] = mapped_column(String(64))
    content_type: Mapped[str] = mapped_column(String(8))
    subject: Mapped[str | None] = mapped_column(String(500), default=None)
    sender: Mapped[str | None] = mapped_column(String(254), default=None)
    reply_to: Mapped[str | None] = mapped_column(String(254), default=None)
    status: Mapped[str] = mapped_column(String(12))
    held: Mapped[bool] = mapped_column(default=False)
    members: Mapped[int] = mapped_column(default=0)
    last_seq: Mapped[int] = mapped_column(default=0)
    quiet_seconds: Mapped[float]
    max_wait_seconds: Mapped[float]
    max_items: Mapped[int]
    digest: Mapped[str | None] = mapped_column(String(200), default=None)
    attached_bytes: Mapped[int] = mapped_column(default=0, server_default="0")
    mode: Mapped[str] = mapped_column(String(4), default=Mode.LIVE.value, server_default=Mode.LIVE.value)
    redirect: Mapped[str | None] = mapped_column(Address(), default=None)
    language: Mapped[str | None] = mapped_column(String(35), default=None)
    opened_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    last_member_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    closes_at: Mapped[datetime] = mapped_column(Moment)
    why: Mapped[str] = mapped_column(String(12))
    closed_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    dispatched_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    template_version_id: Mapped[int | None] = mapped_column(ForeignKey("template_versions.id"), default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    matter: Mapped[str | None] = mapped_column(AGGREGATOR_ID, default=None)
    matter_id: Mapped[UUID | None] = mapped_column(GUID(), default=None)
    memory: Mapped[str | None] = mapped_column(String(64), default=None)
    waits: Mapped[str | None] = mapped_column(String(16), default=None)
    waits_why: Mapped[str | None] = mapped_column(Text, default=None)


class BatchItem(IdentityBase):
    """An item that the last message of a memory told of.

    ``memory`` is the SHA-256 of service, matter, type, recipient and template, ``item`` that of the item's identity.
    ``fields`` is JSON, as it was told last; ``times`` counts the batches that told of it.
    """

    __tablename__ = "batch_items"
    __table_args__ = (UniqueConstraint("memory", "item"),)

    memory: Mapped[str] = mapped_column(String(64))
    item: Mapped[str] = mapped_column(String(64))
    fields: Mapped[str] = mapped_column(Text)
    first_seen: Mapped[datetime] = mapped_column(Moment)
    last_told: Mapped[datetime] = mapped_column(Moment, index=True)
    times: Mapped[int]


class BatchMemory(DefaultBase):
    """What was remembered when a batch was dispatched: all its messages, and their repeats, are made with that.

    ``told`` is JSON, by the items' identities; ``at`` is when the batch was dispatched. ``written_at`` is when what the
    batch tells was remembered in its turn, which is done once.
    """

    __tablename__ = "batch_memories"

    batch_id: Mapped[int] = mapped_column(
        BigIntIdentity, ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    item_key: Mapped[str] = mapped_column(String(100))
    told: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Moment)
    written_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class BatchMember(IdentityBase):
    """One channel of a buffered notification for one recipient, in exactly one batch.

    ``seq`` is its place in order of arrival; a removed member leaves a gap.
    """

    __tablename__ = "batch_members"
    __table_args__ = (
        UniqueConstraint("batch_id", "seq"),
        UniqueConstraint("notification_id", "channel_index", "recipient"),
    )

    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"))
    seq: Mapped[int]
    notification_id: Mapped[int] = mapped_column(ForeignKey("notifications.id"))
    channel_index: Mapped[int]
    recipient: Mapped[str] = mapped_column(String(64))
    removed_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
