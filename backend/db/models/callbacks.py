"""Callbacks: where API clients hear of their notifications, and what is to be posted there."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment, Url
from backend.lib import clock

_PENDING = text("status = 'PENDING'")
_CLAIMED = text("claimed_by IS NOT NULL")


class CallbackEndpoint(IdentityBase):
    """The one address of an API client; its ``url`` is sealed, since its path or query may let in whoever knows it.

    ``enabled_at`` is when it was last switched on; ``disabled_at`` and ``disabled_why`` are set while it is off.
    ``failing_since`` is its first failure after its last success, ``failures`` counts them; until ``resume_at``
    nothing is posted to it. ``noticed_at`` says that people were told of its end.
    """

    __tablename__ = "callback_endpoints"

    api_client_id: Mapped[int] = mapped_column(ForeignKey("api_clients.id"), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"), index=True)
    # Read only where it is needed: a key that is missing must not stop what has to do with the others.
    url: Mapped[str] = mapped_column(Url(), deferred=True)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    enabled_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    disabled_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    disabled_why: Mapped[str | None] = mapped_column(Text, default=None)
    failing_since: Mapped[datetime | None] = mapped_column(Moment, default=None)
    failures: Mapped[int] = mapped_column(default=0)
    resume_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    noticed_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class CallbackSecret(IdentityBase):
    """A signing secret, encrypted; the one without ``expires_at`` is the newest, one with it is being rotated out."""

    __tablename__ = "callback_secrets"

    endpoint_id: Mapped[int] = mapped_column(ForeignKey("callback_endpoints.id"), index=True)
    sealed: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    expires_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class CallbackMessage(IdentityBase):
    """One status change to be posted, written together with the change itself.

    ``uid`` is the ``webhook-id``, the same over all attempts. ``status`` is ``PENDING``, ``DELIVERED`` or
    ``FAILED``; ``claimed_by`` names the worker that has a pending one claimed. ``delivery_uid`` is set where it
    is about one delivery, of which an endpoint hears once.
    """

    __tablename__ = "callback_messages"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "delivery_uid"),
        Index("ix_callback_messages_due", "endpoint_id", "due_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_callback_messages_claimed", "claimed_by", sqlite_where=_CLAIMED, postgresql_where=_CLAIMED),
        Index("ix_callback_messages_created", "created_at"),
        Index("ix_callback_messages_notification", "notification_uid"),
    )

    uid: Mapped[str] = mapped_column(String(40), unique=True)
    endpoint_id: Mapped[int] = mapped_column(ForeignKey("callback_endpoints.id"))
    type: Mapped[str] = mapped_column(String(32))
    notification_uid: Mapped[UUID] = mapped_column(GUID())
    delivery_uid: Mapped[UUID | None] = mapped_column(GUID(), default=None)
    payload: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(String(10))
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    claimed_by: Mapped[str | None] = mapped_column(String(64), default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    tried_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    last_status: Mapped[int | None] = mapped_column(default=None)
    last_error: Mapped[str | None] = mapped_column(Text, default=None)
