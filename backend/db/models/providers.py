"""What all processes know of the providers: which are held back, why and until when, and how they have done."""

from datetime import datetime

from advanced_alchemy.base import IdentityBase
from sqlalchemy import Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment
from backend.lib import clock


class ProviderState(IdentityBase):
    """A provider that is, or was, not in its usual state; one in its usual state needs no row.

    ``destination`` is empty for the provider as a whole, else the digest of an address that is held back by itself.
    Nothing is sent until ``blocked_until``. ``block`` says why: ``pace`` (the next message may leave then),
    ``throttled``, ``config``, ``broken`` (its circuit is open); empty when nothing is the matter. ``faults`` counts
    the blocks since the last success, by which their length grows. ``switched_off`` is the hand of a person.
    ``last_fault`` stays after recovery, for those who look.
    """

    __tablename__ = "provider_state"
    __table_args__ = (
        UniqueConstraint("provider", "destination"),
        Index("ix_provider_state_channel", "channel", "blocked_until"),
    )

    provider: Mapped[str] = mapped_column(String(64))
    channel: Mapped[str] = mapped_column(String(16))
    destination: Mapped[str] = mapped_column(String(64), default="")
    block: Mapped[str] = mapped_column(String(12), default="")
    blocked_until: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    reason: Mapped[str | None] = mapped_column(Text, default=None)
    faults: Mapped[int] = mapped_column(default=0)
    switched_off: Mapped[bool] = mapped_column(default=False)
    last_fault: Mapped[str | None] = mapped_column(Text, default=None)
    last_fault_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class ProviderMinute(IdentityBase):
    """How many attempts a provider answered in a minute, and how many failed by its own fault."""

    __tablename__ = "provider_minutes"
    __table_args__ = (UniqueConstraint("provider", "minute"),)

    provider: Mapped[str] = mapped_column(String(64))
    minute: Mapped[datetime] = mapped_column(Moment, index=True)
    answered: Mapped[int] = mapped_column(default=0)
    accepted: Mapped[int] = mapped_column(default=0)
    faults: Mapped[int] = mapped_column(default=0)
