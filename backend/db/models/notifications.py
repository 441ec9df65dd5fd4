"""What was asked for and what became of it: notifications, deliveries, events, usage, the outbox."""

from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal
from uuid import UUID

from advanced_alchemy.base import DefaultBase, IdentityBase
from advanced_alchemy.types import GUID, BigIntIdentity
from sqlalchemy import BigInteger, ForeignKey, Index, SmallInteger, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.models.accounts import Mode
from backend.db.types import AGGREGATOR_ID, Address, JsonB, Moment
from backend.lib import clock


class Priority(IntEnum):
    """The order in which deliveries are claimed: the lowest first."""

    HIGH = 0
    NORMAL = 1
    BATCH = 2


class NotificationStatus(StrEnum):
    """What became of a notification as a whole; SCHEDULED is one of which something waits for its moment."""

    SCHEDULED = "SCHEDULED"
    DISPATCHED = "DISPATCHED"
    BUFFERED = "BUFFERED"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


# The same words for the shapes of requests: a type has to be written out.
StatusName = Literal["SCHEDULED", "DISPATCHED", "BUFFERED", "SENT", "DELIVERED", "PARTIAL", "FAILED", "CANCELLED"]
# Of the others something is still to come.
FINAL = frozenset(NotificationStatus) - {
    NotificationStatus.SCHEDULED,
    NotificationStatus.DISPATCHED,
    NotificationStatus.BUFFERED,
}


class DeliveryStatus(StrEnum):
    """What became of one message to one address; SCHEDULED waits for its moment and is not yet in the queue."""

    SCHEDULED = "SCHEDULED"
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    SENT = "SENT"
    DELIVERED = "DELIVERED"
    RETRYING = "RETRYING"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


WAITING = (DeliveryStatus.QUEUED, DeliveryStatus.RETRYING)
# What has not left and is claimed by nobody.
NOT_LEFT = (DeliveryStatus.SCHEDULED, *WAITING)
# The kind of the event that says which person sent a notification by a form of the portal.
BY_PERSON = "by_person"
# The kind of the event that says who got another language than the one that was asked for.
OTHER_LANGUAGE = "other_language"
_OF_JOB, _OF_BATCH = text("job_id IS NOT NULL"), text("batch_id IS NOT NULL")
OF_MATTER = text("matter_id IS NOT NULL")


class Notification(IdentityBase):
    """One request of a client system.

    ``uid`` is the public id, derived from service and content. ``content`` is the request's canonical JSON.
    ``accepted_at`` is null for one that was refused; ``problem`` then says why. ``job_id`` names the job it is of.
    ``send_at`` is the moment that the request asked for, null for at once. ``mode`` is whom it could reach when it was
    accepted.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        Index("ix_notifications_service", "service_id", "created_at", "id"),
        Index("ix_notifications_service_status", "service_id", "status", "created_at", "id"),
        Index(
            "ix_notifications_scheduled",
            "service_id",
            "send_at",
            "id",
            sqlite_where=text("status = 'SCHEDULED'"),
            postgresql_where=text("status = 'SCHEDULED'"),
        ),
        Index("ix_notifications_job", "job_id", "id", sqlite_where=_OF_JOB, postgresql_where=_OF_JOB),
        Index(
            "ix_notifications_job_status",
            "job_id",
            "status",
            "created_at",
            "id",
            sqlite_where=_OF_JOB,
            postgresql_where=_OF_JOB,
        ),
    )

    uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    api_client_id: Mapped[int | None] = mapped_column(ForeignKey("api_clients.id"), default=None)
    priority: Mapped[int]
    aggregator_id: Mapped[str | None] = mapped_column(AGGREGATOR_ID, default=None)
    status: Mapped[str] = mapped_column(String(12))
    content: Mapped[str | None] = mapped_column(Text, default=None)
    problem: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    accepted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    job_id: Mapped[int | None] = mapped_column(BigIntIdentity, default=None)
    send_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    mode: Mapped[str] = mapped_column(String(4), default=Mode.LIVE.value, server_default=Mode.LIVE.value)


class PastNotification(DefaultBase):
    """What is left of an accepted notification after its retention, so that its repeats are known for what they are.

    ``day`` is when it was deleted, ``status`` its last, ``content_digest`` the beginning of its content's SHA-256.
    """

    __tablename__ = "past_notifications"
    __table_args__ = (Index("ix_past_notifications_day", "day"), {"sqlite_with_rowid": False})

    uid: Mapped[UUID] = mapped_column(GUID(), primary_key=True)
    day: Mapped[date]
    status: Mapped[str] = mapped_column(String(12))
    content_digest: Mapped[int] = mapped_column(BigInteger)


class IdempotencyKey(DefaultBase):
    """The content that first came with a key of a client's, where that is the key of several notifications at once.

    ``uid`` names service and key, ``content_digest`` is as that of what is past, ``day`` is when it came.
    """

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_day", "day"), {"sqlite_with_rowid": False})

    uid: Mapped[UUID] = mapped_column(GUID(), primary_key=True)
    day: Mapped[date]
    content_digest: Mapped[int] = mapped_column(BigInteger)


class ContentRepeat(DefaultBase):
    """Which notification is the newest of a content that is new again after some time.

    ``uid`` is the id that the content gives, ``latest`` that of the notification, ``number`` how many came before it.
    """

    __tablename__ = "content_repeats"
    __table_args__ = (Index("ix_content_repeats_accepted_at", "accepted_at"), {"sqlite_with_rowid": False})

    uid: Mapped[UUID] = mapped_column(GUID(), primary_key=True)
    latest: Mapped[UUID] = mapped_column(GUID())
    number: Mapped[int]
    accepted_at: Mapped[datetime] = mapped_column(Moment)


class Delivery(IdentityBase):
    """One message to one address: the row that says what is due, who holds it and what came of it.

    It belongs to a channel of one notification, or to a batch.
    ``recipients`` lists every recipient group of the channel that has this address: one address gets one message.
    ``claimed_by`` is the token of the lease under which a worker holds it, or has marked it and not yet written what
    follows from that; the claim ends with that lease.
    ``begun_at`` is set while a message is given to ``provider`` that must not be given twice, and means nothing
    without a claim.
    ``segments`` counts the parts that a text message was sent in.
    ``requeued_at`` is when a person last asked to send again what had failed, or when what was scheduled became due:
    from then on it has all its tries anew.
    ``superseded_by`` is the row of the delivery that goes to its recipient's present address in its place: it has
    failed itself, and is CANCELLED since.
    ``matter_id`` names the matter that it is about, if it is about one.
    One that is SCHEDULED is due at ``due_at`` and made from ``template_version_id`` as far as it is known now;
    ``error`` is then why it could not be sent as things are. Of a BATCH notification it stands for the place in a
    batch that one recipient gets when it is due: its address is empty.
    ``mode`` is that of its notification or batch. ``meant_for`` is the address that it would have gone to, on the
    channel that was asked for, where its client's messages go elsewhere: then ``type`` and ``address`` are of there.
    ``waits`` is why it may not leave before ``due_at``: ``outside_window``, ``muted``, ``throttled`` or ``equal_text``;
    ``waits_why`` says so in a sentence. Then it is SCHEDULED, and has its address already; a batch's goes on being
    QUEUED or RETRYING.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        Index(
            "ix_deliveries_due",
            "type",
            "priority",
            "service_id",
            "due_at",
            "id",
            sqlite_where=text("status IN ('QUEUED', 'RETRYING')"),
            postgresql_where=text("status IN ('QUEUED', 'RETRYING')"),
        ),
        Index(
            "ix_deliveries_scheduled",
            "due_at",
            "id",
            sqlite_where=text("status = 'SCHEDULED'"),
            postgresql_where=text("status = 'SCHEDULED'"),
        ),
        Index(
            "ix_deliveries_claimed",
            "claimed_by",
            sqlite_where=text("claimed_by IS NOT NULL"),
            postgresql_where=text("claimed_by IS NOT NULL"),
        ),
        Index("ix_deliveries_template", "template_version_id", "notification_id"),
        Index("ix_deliveries_batch_id", "batch_id", sqlite_where=_OF_BATCH, postgresql_where=_OF_BATCH),
        Index("ix_deliveries_matter", "matter_id", "id", sqlite_where=OF_MATTER, postgresql_where=OF_MATTER),
        Index(
            "ix_deliveries_provider_message_id",
            "provider_message_id",
            sqlite_where=text("provider_message_id IS NOT NULL"),
            postgresql_where=text("provider_message_id IS NOT NULL"),
        ),
        Index(
            "ix_deliveries_doubt",
            "service_id",
            "id",
            sqlite_where=text("doubt = 'person'"),
            postgresql_where=text("doubt = 'person'"),
        ),
    )

    uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    notification_id: Mapped[int | None] = mapped_column(ForeignKey("notifications.id"), index=True)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batches.id"), default=None)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    priority: Mapped[int]
    channel_index: Mapped[int | None]
    type: Mapped[str] = mapped_column(String(16))
    template_version_id: Mapped[int] = mapped_column(ForeignKey("template_versions.id"))
    recipients: Mapped[list[str]] = mapped_column(JsonB)
    address: Mapped[str] = mapped_column(Address())
    status: Mapped[str] = mapped_column(String(12))
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(Moment)
    claimed_by: Mapped[str | None] = mapped_column(String(64), default=None)
    doubt: Mapped[str | None] = mapped_column(String(8), default=None)
    provider: Mapped[str | None] = mapped_column(String(64), default=None)
    provider_message_id: Mapped[str | None] = mapped_column(String(255), default=None)
    error: Mapped[str | None] = mapped_column(Text, default=None)
    segments: Mapped[int | None] = mapped_column(SmallInteger, default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    requeued_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    begun_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    sent_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    delivered_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    superseded_by: Mapped[int | None] = mapped_column(BigIntIdentity, default=None)
    matter_id: Mapped[UUID | None] = mapped_column(GUID(), default=None)
    mode: Mapped[str] = mapped_column(String(4), default=Mode.LIVE.value, server_default=Mode.LIVE.value)
    meant_for: Mapped[str | None] = mapped_column(Address(), default=None)
    waits: Mapped[str | None] = mapped_column(String(16), default=None)
    waits_why: Mapped[str | None] = mapped_column(Text, default=None)


class Event(IdentityBase):
    """One thing that happened to a notification, a batch or one of their deliveries; an attempt has a number."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_batch_id", "batch_id", sqlite_where=_OF_BATCH, postgresql_where=_OF_BATCH),
        # Without it every delivery that is deleted would have the whole table searched for its events.
        Index(
            "ix_events_delivery_id",
            "delivery_id",
            sqlite_where=text("delivery_id IS NOT NULL"),
            postgresql_where=text("delivery_id IS NOT NULL"),
        ),
    )

    notification_id: Mapped[int | None] = mapped_column(ForeignKey("notifications.id"), index=True)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batches.id"), default=None)
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("deliveries.id"), default=None)
    at: Mapped[datetime] = mapped_column(Moment)
    kind: Mapped[str] = mapped_column(String(24))
    attempt: Mapped[int | None] = mapped_column(default=None)
    provider: Mapped[str | None] = mapped_column(String(64), default=None)
    detail: Mapped[str | None] = mapped_column(Text, default=None)


class Usage(IdentityBase):
    """How many messages a service was accepted on a day (UTC) over a channel type."""

    __tablename__ = "usage"
    __table_args__ = (UniqueConstraint("service_id", "day", "channel"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    day: Mapped[date]
    channel: Mapped[str] = mapped_column(String(16))
    count: Mapped[int]


class UsageOfTests(IdentityBase):
    """What ``Usage`` is, of what is sent in the mode ``test``, which counts against a limit of its own."""

    __tablename__ = "test_usage"
    __table_args__ = (UniqueConstraint("service_id", "day", "channel"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    day: Mapped[date]
    channel: Mapped[str] = mapped_column(String(16))
    count: Mapped[int]


class OutboxMessage(IdentityBase):
    """A message as it would have gone out, kept because its channel has no provider, or its mode is ``test``."""

    __tablename__ = "outbox_messages"

    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id"), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    channel: Mapped[str] = mapped_column(String(16))
    sender: Mapped[str] = mapped_column(String(320))
    address: Mapped[str] = mapped_column(Address())
    subject: Mapped[str | None] = mapped_column(Text, default=None)
    text: Mapped[str] = mapped_column(Text)
    html: Mapped[str | None] = mapped_column(Text, default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
