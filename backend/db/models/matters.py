"""Matters: what several messages are about, how each address is told of it in one conversation, and how it ended."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import DefaultBase
from advanced_alchemy.types import GUID, BigIntIdentity
from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import AGGREGATOR_ID, Moment
from backend.lib import clock


class Resolution(DefaultBase):
    """When a matter was last said to be resolved, by whom; there is none of a matter that never was.

    ``matter_id`` is derived from the service and the matter's ``name``. What is sent of it later opens it again.
    """

    __tablename__ = "resolutions"

    matter_id: Mapped[UUID] = mapped_column(GUID(), primary_key=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    name: Mapped[str] = mapped_column(AGGREGATOR_ID)
    resolved_at: Mapped[datetime] = mapped_column(Moment, index=True)
    resolved_by: Mapped[str] = mapped_column(String(254))
    note: Mapped[str | None] = mapped_column(Text, default=None)


class Conversation(DefaultBase):
    """What one address is told of a matter, as its provider knows it; ``uid`` is derived from matter and address.

    ``begun_by`` is the row of the delivery that begins it. ``root`` is the provider's identifier of what later messages
    are added to: a Slack post as ``channel+ts``, a ticket's number; null where there is none, or none yet.
    ``first_message_id`` and ``last_message_id`` are RFC 5322 msg-ids without their angle brackets, ``subject`` is that
    of the first message. ``told_at`` is null until a provider has taken one.
    """

    __tablename__ = "conversations"

    uid: Mapped[UUID] = mapped_column(GUID(), primary_key=True)
    begun_by: Mapped[int] = mapped_column(BigIntIdentity)
    root: Mapped[str | None] = mapped_column(String(255), default=None)
    first_message_id: Mapped[str] = mapped_column(String(320))
    last_message_id: Mapped[str] = mapped_column(String(320))
    subject: Mapped[str | None] = mapped_column(Text, default=None)
    begun_at: Mapped[datetime] = mapped_column(Moment, default=clock.now, index=True)
    told_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
