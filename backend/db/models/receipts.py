"""What providers report after they took a message, and the addresses that are sent nothing more because of it."""

from datetime import date, datetime
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import Date, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.models.notifications import Delivery
from backend.db.types import Moment
from backend.lib import clock

_WAITING = text("due_at IS NOT NULL")

# A receipt names the message as the provider does. SMTP gives no such name, so its deliveries are not in here.
Index(
    "ix_deliveries_provider_message",
    Delivery.provider_message_id,
    sqlite_where=text("provider_message_id IS NOT NULL"),
    postgresql_where=text("provider_message_id IS NOT NULL"),
)


class ProviderReceipt(IdentityBase):
    """One piece of news from a provider, kept once however often it comes.

    ``source`` is the kind of the provider, or ``bounce``. ``delivery_uid`` names the delivery, as the provider said
    or as was found; the rest is as the provider said it. ``raw`` is its own part of the request, cut. ``due_at`` is
    when the delivery is looked for again: null once the news has been applied, and of no use then.
    """

    __tablename__ = "provider_receipts"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("ix_provider_receipts_due", "due_at", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_provider_receipts_delivery", "delivery_uid"),
        Index("ix_provider_receipts_received", "received_at"),
    )

    source: Mapped[str] = mapped_column(String(16))
    event_id: Mapped[str] = mapped_column(String(255))
    provider_message_id: Mapped[str] = mapped_column(String(255))
    delivery_uid: Mapped[UUID | None] = mapped_column(GUID(), default=None)
    kind: Mapped[str] = mapped_column(String(16))
    address: Mapped[str | None] = mapped_column(String(320), default=None)
    code: Mapped[str | None] = mapped_column(String(64), default=None)
    detail: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    received_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    due_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    raw: Mapped[str | None] = mapped_column(Text, default=None)


class Suppression(IdentityBase):
    """An address that a service sends nothing to, until ``freed_at`` is set by hand.

    ``reason`` is ``bounced``, ``complained`` or ``by_hand``; ``detail`` is what was reported. An address that is
    suppressed again after it was freed keeps its row.
    """

    __tablename__ = "suppressions"
    __table_args__ = (UniqueConstraint("service_id", "channel", "address"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    channel: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(320))
    reason: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(Text, default="")
    since: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    freed_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class RejectionDay(IdentityBase):
    """A day in UTC on which a server refused an address for good without saying that the address is why."""

    __tablename__ = "rejection_days"
    __table_args__ = (UniqueConstraint("service_id", "channel", "address", "day"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    channel: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(320))
    day: Mapped[date] = mapped_column(Date, index=True)
