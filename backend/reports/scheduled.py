"""What a service has scheduled, that which is due first before the others."""

from uuid import UUID

import msgspec
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus
from backend.db.statements import one_of
from backend.reports import listing
from backend.reports.listing import Line

_SHOWN = 6


class Scheduled(msgspec.Struct, frozen=True):
    """The next notifications; ``at_risk`` are those that could not be sent as things are, ``more`` says there are."""

    lines: list[Line]
    at_risk: frozenset[UUID]
    more: bool


def next_of_service(session: Session, service_id: int) -> Scheduled:
    """Return the next notifications of a service that wait for their moment."""
    waits = one_of(Notification.status, [NotificationStatus.SCHEDULED])
    own = (waits, Notification.service_id == service_id, Notification.send_at.is_not(None))
    rows = session.scalars(select(Notification.id).where(*own).order_by(Notification.send_at, Notification.id).limit(7))
    identities = list(rows)
    lines = sorted(listing.lines(session, identities[:_SHOWN]), key=lambda line: (line.send_at, line.uid))
    broken = exists().where(
        Delivery.notification_id == Notification.id,
        Delivery.status == DeliveryStatus.SCHEDULED.value,
        Delivery.error.is_not(None),
    )
    at_risk = session.scalars(select(Notification.uid).where(Notification.id.in_(identities), broken))
    return Scheduled(lines, frozenset(at_risk), len(identities) > _SHOWN)
