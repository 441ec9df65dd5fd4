"""The states of deliveries and what they make of their notification."""

from collections.abc import Mapping, Sequence

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus
from backend.lib import clock

UNFINISHED = {DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.RETRYING}


def of_notification(counts: Mapping[str, int]) -> NotificationStatus:
    """Sum up the statuses of a notification's deliveries, given how many there are of each."""
    present = {DeliveryStatus(status) for status, count in counts.items() if count}
    if present & UNFINISHED:
        return NotificationStatus.DISPATCHED
    present -= {DeliveryStatus.CANCELLED} if len(present) > 1 else set()
    if present <= {DeliveryStatus.SENT, DeliveryStatus.DELIVERED} and len(present) == 2:
        return NotificationStatus.SENT
    if len(present) == 1:
        return NotificationStatus(present.pop().value)
    return NotificationStatus.PARTIAL


def refresh(session: Session, notification_ids: Sequence[int]) -> None:
    """Bring notifications to what their deliveries say.

    Their rows are locked first, in one order, so that two workers that finish two deliveries of one notification
    cannot each miss the other's.
    """
    wanted = sorted(set(notification_ids))
    rows = session.execute(
        select(Notification.id, Notification.status)
        .where(Notification.id.in_(wanted))
        .order_by(Notification.id)
        .with_for_update()
    )
    before = dict(rows.all())
    counts: dict[int, dict[str, int]] = {identity: {} for identity in wanted}
    statement = (
        select(Delivery.notification_id, Delivery.status, func.count())
        .where(Delivery.notification_id.in_(wanted))
        .group_by(Delivery.notification_id, Delivery.status)
    )
    for identity, status, count in session.execute(statement):
        counts[identity][status] = count
    for identity, status in before.items():
        after = of_notification(counts[identity]).value
        if after != status:
            session.execute(
                update(Notification).where(Notification.id == identity).values(status=after, updated_at=clock.now())
            )
