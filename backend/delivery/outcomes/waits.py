"""What waits for a window, or for the end of a mute: why, and until when."""

from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.installation import NEVER
from backend.db.models.notifications import NOT_LEFT, Delivery, DeliveryStatus
from backend.lib import clock
from backend.registry.sending import WaitCode

_NOT_LEFT = frozenset(NOT_LEFT)


class WaitReport(msgspec.Struct, frozen=True):
    """Why something may not leave before ``until``."""

    code: WaitCode
    detail: str
    until: datetime


def of_delivery(delivery: Delivery) -> WaitReport | None:
    """Report on what a message waits for."""
    if delivery.waits is None or delivery.status not in _NOT_LEFT or not clock.now() < delivery.due_at < NEVER:
        return None
    return _report(delivery.waits, delivery.waits_why, delivery.due_at)


def of_batch(batch: Batch) -> WaitReport | None:
    """Report on what a batch waits for."""
    if batch.waits is None or batch.status not in {BatchStatus.OPEN, BatchStatus.CLOSED} or batch.held:
        return None
    return _report(batch.waits, batch.waits_why, batch.closes_at)


def of_notifications(session: Session, identities: Collection[int]) -> dict[int, WaitReport]:
    """Report for each of these notifications, by their rows, on the message of it that waits the shortest."""
    if not identities:
        return {}
    rows = session.execute(
        select(Delivery.notification_id, Delivery.waits, Delivery.waits_why, Delivery.due_at)
        .where(
            Delivery.notification_id.in_(identities),
            Delivery.status == DeliveryStatus.SCHEDULED.value,
            Delivery.waits.is_not(None),
            Delivery.due_at < NEVER,
        )
        .order_by(Delivery.due_at.desc(), Delivery.id.desc())
    )
    return {row.notification_id or 0: _report(row.waits or "", row.waits_why, row.due_at) for row in rows}


def _report(code: str, detail: str | None, until: datetime) -> WaitReport:
    return WaitReport(msgspec.convert(code, WaitCode), detail or "", until)
