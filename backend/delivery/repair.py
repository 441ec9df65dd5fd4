"""Repair: what dead workers held goes back, and what no nudge reached is found."""

import logging

from sqlalchemy import case, insert, select, update
from sqlalchemy.orm import Session

from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Event
from backend.db.models.operations import Worker
from backend.delivery import heartbeat
from backend.lib import clock

logger = logging.getLogger(__name__)


def anything_stranded(session: Session) -> bool:
    """Tell whether a worker has died or a claim belongs to nobody: a look that locks nothing."""
    if heartbeat.dead(session):
        return True
    known = select(Worker.name)
    orphan = select(Delivery.id).where(
        Delivery.status == DeliveryStatus.SENDING.value, Delivery.claimed_by.not_in(known)
    )
    return session.execute(orphan.limit(1)).first() is not None


def free_dead_claims(session: Session) -> int:
    """Put back every claim whose worker is dead or unknown; return how many.

    A message that was in such a hand may have gone out: it goes again with the same Message-ID.
    """
    dead = heartbeat.dead(session)
    living = select(Worker.name).where(Worker.name.not_in(dead))
    freed = session.execute(
        update(Delivery)
        .where(Delivery.status == DeliveryStatus.SENDING.value, Delivery.claimed_by.not_in(living))
        .values(
            status=case((Delivery.attempts > 0, DeliveryStatus.RETRYING.value), else_=DeliveryStatus.QUEUED.value),
            claimed_by=None,
        )
        .returning(Delivery.id, Delivery.notification_id, Delivery.batch_id)
        .execution_options(synchronize_session=False)
    ).all()
    heartbeat.forget(session, dead)
    if freed:
        logger.warning("%d deliveries were in dead hands and go back", len(freed))
        detail = "The worker that held this delivery stopped; it goes back to be sent."
        session.execute(
            insert(Event),
            [
                {
                    "notification_id": notification,
                    "batch_id": batch,
                    "delivery_id": delivery,
                    "at": clock.now(),
                    "kind": "released",
                    "detail": detail,
                }
                for delivery, notification, batch in freed
            ],
        )
    return len(freed)


def anything_due(session: Session) -> bool:
    """Tell whether a delivery is due that nobody holds."""
    due = select(Delivery.id).where(
        Delivery.status.in_([status.value for status in WAITING]), Delivery.due_at <= clock.now()
    )
    return session.execute(due.limit(1)).first() is not None
