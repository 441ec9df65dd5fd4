"""What providers reported about one delivery, as they wrote it."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery
from backend.db.models.receipts import ProviderReceipt

_MOST = 100


class ReceiptReport(msgspec.Struct, frozen=True, kw_only=True):
    """One report; ``source`` is the provider's kind or ``bounce``, ``raw`` the provider's own words, cut, if kept."""

    source: str
    kind: str
    code: str | None
    detail: str
    at: datetime | None
    received_at: datetime
    raw: str | None


def of_delivery(session: Session, service_id: int, uid: UUID) -> list[ReceiptReport]:
    """List the reports about a service's delivery, the oldest first, at most a hundred."""
    rows = session.scalars(
        select(ProviderReceipt)
        .join(Delivery, Delivery.uid == ProviderReceipt.delivery_uid)
        .where(Delivery.service_id == service_id, ProviderReceipt.delivery_uid == uid)
        .order_by(ProviderReceipt.id)
        .limit(_MOST)
    )
    return [
        ReceiptReport(
            source=row.source,
            kind=row.kind,
            code=row.code,
            detail=row.detail,
            at=row.at,
            received_at=row.received_at,
            raw=row.raw,
        )
        for row in rows
    ]
