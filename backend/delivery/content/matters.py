"""Whether a matter is open: it is until somebody says that it is resolved, and again with whatever comes later."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.matters import Resolution
from backend.db.models.notifications import Delivery, Notification
from backend.db.statements import one_of

# The template of what says that a matter is resolved: the last word on it, which begins no new conversation.
LAST_WORD = "CARILLON_RESOLVED"
# That of what a ticket says at last of an obligation that was answered, or closed.
ANSWERED = "CARILLON_ANSWERED"
LAST_WORDS = frozenset({LAST_WORD, ANSWERED})
_WAITING = (BatchStatus.OPEN, BatchStatus.CLOSED)


class _About(msgspec.Struct, frozen=True):
    matter: str | None = None
    aggregator_id: str | None = None


_read = msgspec.json.Decoder(_About).decode


def last_message_at(session: Session, matter_id: UUID) -> datetime | None:
    """Return when the newest message of a matter was made, or joined a batch that waits; None if there is none.

    What was scheduled is made anew when it becomes due.
    """
    made = select(func.max(func.coalesce(Delivery.requeued_at, Delivery.created_at))).where(
        Delivery.matter_id == matter_id
    )
    joined = select(func.max(Batch.last_member_at)).where(Batch.matter_id == matter_id, one_of(Batch.status, _WAITING))
    moments = [moment for moment in (session.scalar(made), session.scalar(joined)) if moment is not None]
    return max(moments) if moments else None


def is_resolved(resolution: Resolution | None, last: datetime | None) -> bool:
    """Tell whether a matter whose newest message is of ``last`` is resolved."""
    return resolution is not None and (last is None or last <= resolution.resolved_at)


def name_of(session: Session, service_id: int, matter_id: UUID) -> str | None:
    """Return the name of a service's matter as its messages have it; None if the service has none such."""
    resolution = session.get(Resolution, matter_id)
    if resolution is not None:
        return resolution.name if resolution.service_id == service_id else None
    batch = select(Batch.matter, Batch.aggregator_id).where(
        Batch.matter_id == matter_id, Batch.service_id == service_id
    )
    if found := session.execute(batch.limit(1)).first():
        return found[0] or found[1]
    content = session.scalar(
        select(Notification.content)
        .join(Delivery, Delivery.notification_id == Notification.id)
        .where(Delivery.matter_id == matter_id, Delivery.service_id == service_id)
        .limit(1)
    )
    return about(content) if content else None


def about(content: str | None) -> str | None:
    """Return the matter that a notification is about, given its content; None where that tells nothing."""
    try:
        read = _read(content or "{}")
    except (msgspec.DecodeError, RecursionError):
        return None
    return read.matter or read.aggregator_id
