"""Who changed what: rows that are added and never changed."""

from datetime import datetime
from typing import Any

from advanced_alchemy.base import IdentityBase
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment
from backend.lib import clock


class AuditEntry(IdentityBase):
    """One change. ``service_id`` is null for what concerns the whole installation.

    ``actor_kind`` is ``person``, ``client``, ``command`` or ``system``; ``actor`` names it for readers.
    ``action`` is ``thing.verb``, ``subject`` the identifier of what was changed, ``detail`` what changed, never a
    secret.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_service", "service_id", "id"),
        Index("ix_audit_entries_action", "action", "id"),
        Index("ix_audit_entries_service_action", "service_id", "action", "id"),
    )

    at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    service_id: Mapped[int | None] = mapped_column(ForeignKey("services.id"), default=None)
    actor_kind: Mapped[str] = mapped_column(String(10))
    actor: Mapped[str] = mapped_column(String(254))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(254))
    detail: Mapped[dict[str, Any]] = mapped_column(JsonB, default=dict)
