"""When a service's messages may leave: windows and mutes of itself, of its templates and of its recipients."""

from datetime import datetime
from typing import Any
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment
from backend.lib import clock


class SendingRule(IdentityBase):
    """What holds back messages of a service, of one of its templates, or to one of its recipients.

    ``kind`` is ``service``, ``template`` or ``recipient``; ``name`` is the identifier, empty for the service itself.
    ``open_window`` is a ``lib.windows.Window``; null lets messages leave at any time. ``muted_until`` is in the past
    once a mute has ended, by itself or by hand. ``mute_drop`` is how old what waited may be to leave then, as ``24h``;
    null lets all of it leave. ``throttle`` is how many messages a recipient gets, of the service or of the template;
    ``equal_texts`` is what becomes of a text that equals the one before. ``worklist_ticket`` is the recipient that gets
    a ticket for what nobody has answered, of the service alone.
    """

    __tablename__ = "sending_rules"
    __table_args__ = (UniqueConstraint("service_id", "kind", "name"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    kind: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(64), default="")
    open_window: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    muted_until: Mapped[datetime | None] = mapped_column(Moment, default=None)
    mute_reason: Mapped[str | None] = mapped_column(String(300), default=None)
    mute_drop: Mapped[str | None] = mapped_column(String(8), default=None)
    mute_except_high: Mapped[bool] = mapped_column(default=False, server_default=false())
    muted_by: Mapped[str | None] = mapped_column(String(254), default=None)
    muted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    throttle: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    equal_texts: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    worklist_ticket: Mapped[str | None] = mapped_column(String(64), default=None)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)


class ThrottleUse(IdentityBase):
    """That a message to a recipient was taken under a throttle.

    ``key`` is the SHA-256 of the throttle's subject and the recipient. From ``ends_at`` on it counts no more.
    """

    __tablename__ = "throttle_uses"
    __table_args__ = (Index("ix_throttle_uses_key", "key", "at"), Index("ix_throttle_uses_ends_at", "ends_at"))

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    key: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(Moment)
    ends_at: Mapped[datetime] = mapped_column(Moment)


class EqualText(IdentityBase):
    """The message that took a text to a number last; ``key`` is a keyed digest of both, ``at`` when that was begun."""

    __tablename__ = "equal_texts"

    key: Mapped[str] = mapped_column(String(64), unique=True)
    delivery_uid: Mapped[UUID] = mapped_column(GUID())
    at: Mapped[datetime] = mapped_column(Moment, index=True)
