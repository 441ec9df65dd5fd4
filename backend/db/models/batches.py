"""Batches: what is gathered for one recipient, and the buffered notifications in it."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import AGGREGATOR_ID, Moment
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
    CANCELLED = "CANCELLED"  # every member was removed


class Why(StrEnum):
    """What closes a batch, or has closed it."""

    QUIET = "quiet"
    LONGEST_WAIT = "longest_wait"
    SIZE = "size"
    DEMAND = "demand"
    EMPTY = "empty"


_OPEN = text("status = 'OPEN'")
_WAITING = text("status IN ('OPEN', 'CLOSED')")


class Batch(IdentityBase):
    """Notifications of one key, sent as one message to each address of the recipient.

    ``uid`` is derived from the key and the first member. ``key`` is the SHA-256 of service, aggregator_id, type,
    recipient, template, content type and subject; at most one batch of a key is open. ``members`` counts those that
    were not removed, ``last_seq`` numbers the newest. The limits are those in force for the newest member.
    ``attached_bytes`` is how much the files of all that joined have, removed ones included.
    ``template_version_id`` is set when the batch is dispatched. ``error`` says why no message could be made of it;
    such a batch can be dispatched again.
    """

    __tablename__ = "batches"
    __table_args__ = (
        Index("uq_batches_open_key", "key", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
        Index("ix_batches_due", "status", "closes_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_batches_service", "service_id", "status", "id"),
        Index("ix_batches_template", "template_version_id", "id"),
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
    status: Mapped[str] = mapped_column(String(12))
    held: Mapped[bool] = mapped_column(default=False)
    members: Mapped[int] = mapped_column(default=0)
    last_seq: Mapped[int] = mapped_column(default=0)
    quiet_seconds: Mapped[float]
    max_wait_seconds: Mapped[float]
    max_items: Mapped[int]
    attached_bytes: Mapped[int] = mapped_column(default=0, server_default="0")
    opened_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    last_member_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    closes_at: Mapped[datetime] = mapped_column(Moment)
    why: Mapped[str] = mapped_column(String(12))
    closed_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    dispatched_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    template_version_id: Mapped[int | None] = mapped_column(ForeignKey("template_versions.id"), default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)


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
