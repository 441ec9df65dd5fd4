"""What counts as sent and lies in the outbox: nothing of it has left the application."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.outcomes.record import OUTBOX

_LIES = and_(Delivery.provider == OUTBOX, Delivery.status == DeliveryStatus.SENT.value)


def is_kept(provider: str | None, status: str) -> bool:
    """Tell whether a message of this provider and state lies in the outbox."""
    return provider == OUTBOX and status == DeliveryStatus.SENT


def deliveries(session: Session, uids: Collection[UUID]) -> set[UUID]:
    """Return which of these messages lie in the outbox."""
    return set(session.scalars(select(Delivery.uid).where(Delivery.uid.in_(uids), _LIES)))


def batches(session: Session, uids: Collection[UUID]) -> set[UUID]:
    """Return of which of these batches every message lies in the outbox."""
    counted = (
        select(Batch.uid)
        .join(Delivery, Delivery.batch_id == Batch.id)
        .where(Batch.uid.in_(uids))
        .group_by(Batch.uid)
        .having(func.count() == func.count(Delivery.id).filter(_LIES))
    )
    return set(session.scalars(counted))
