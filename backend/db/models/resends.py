"""Sending again: who asked for it when, and what became of each notification and batch that it was about."""

from datetime import datetime
from typing import Any
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment
from backend.lib import clock


class Resend(IdentityBase):
    """One time that a person sent again what had failed.

    ``reason`` and ``recipient`` are those of the group of failures that it was, null where it was one notification or
    batch alone.
    """

    __tablename__ = "resends"

    uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    sent_by: Mapped[str] = mapped_column(String(254))
    at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    reason: Mapped[str | None] = mapped_column(Text, default=None)
    recipient: Mapped[str | None] = mapped_column(Text, default=None)


class ResendItem(IdentityBase):
    """What became of one notification, or one batch, of a resend.

    ``messages`` lists what went and what stayed, each as ``delivery.again.Resent`` writes it. ``refused`` says why a
    notification that was validated afresh was refused again.
    """

    __tablename__ = "resend_items"
    __table_args__ = (
        Index("ix_resend_items_resend", "resend_id", "id"),
        Index("ix_resend_items_notification", "notification_id", "id"),
        Index("ix_resend_items_batch", "batch_id", "id"),
    )

    resend_id: Mapped[int] = mapped_column(ForeignKey("resends.id"))
    notification_id: Mapped[int | None] = mapped_column(ForeignKey("notifications.id"), default=None)
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("batches.id"), default=None)
    messages: Mapped[list[dict[str, Any]]] = mapped_column(JsonB)
    refused: Mapped[str | None] = mapped_column(Text, default=None)
