"""Second thoughts about a whole job, a part of it at a time: cancel what waits, send again what failed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Event, Notification, NotificationStatus
from backend.delivery import states
from backend.lib import clock

_INSERT_EVENTS = insert(cast("Table", Event.__table__))
_WAIT = Delivery.status.in_([status.value for status in WAITING])


def cancel_some(session: Session, job_id: int, by: str, limit: int) -> int:
    """Cancel up to ``limit`` messages of a job that wait for a try; return how many. Those in hands go on."""
    found = _find(session, job_id, [NotificationStatus.DISPATCHED], _WAIT, limit)
    values = {"status": DeliveryStatus.CANCELLED.value}
    return _change(session, found, _WAIT, values, ("cancelled", by))


def send_again_some(session: Session, job_id: int, since: datetime, by: str, limit: int) -> int:
    """Queue up to ``limit`` failed messages of a job anew that have not been queued anew ``since`` then."""
    failed = Delivery.status == DeliveryStatus.FAILED.value
    not_yet = failed & or_(Delivery.requeued_at.is_(None), Delivery.requeued_at < since)
    ended = [NotificationStatus.FAILED, NotificationStatus.PARTIAL, NotificationStatus.DISPATCHED]
    found = _find(session, job_id, ended, not_yet, limit)
    now = clock.now()
    values = {
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "provider": None,
        "provider_message_id": None,
        "error": None,
        "due_at": now,
        "requeued_at": max(now, since),
    }
    return _change(session, found, failed, values, ("again", by))


def unfinished(session: Session, job_id: int) -> bool:
    """Tell whether anything of a job is still on its way."""
    own = (Notification.job_id == job_id, Notification.status == NotificationStatus.DISPATCHED.value)
    return session.scalar(select(Notification.id).where(*own).limit(1)) is not None


def _find(
    session: Session,
    job_id: int,
    within: Sequence[NotificationStatus],
    wanted: ColumnElement[bool],
    limit: int,
) -> Sequence[int]:
    """Find by the notifications' status first: the index of a job's notifications knows it."""
    statement = (
        select(Delivery.id)
        .join(Notification, Notification.id == Delivery.notification_id)
        .where(
            Notification.job_id == job_id,
            Notification.status.in_([status.value for status in within]),
            Delivery.claimed_by.is_(None),
            wanted,
        )
        .limit(limit)
    )
    return session.scalars(statement).all()


def _change(
    session: Session,
    delivery_ids: Sequence[int],
    only: ColumnElement[bool],
    values: dict[str, Any],
    deed: tuple[str, str],
) -> int:
    """Change those that are still so at this moment; ``deed`` is the kind of the event and who asked for it."""
    if not delivery_ids:
        return 0
    statement = (
        update(Delivery)
        .where(Delivery.id.in_(delivery_ids), Delivery.claimed_by.is_(None), only)
        .values(**values)
        .returning(Delivery.id, Delivery.notification_id)
        .execution_options(synchronize_session=False)
    )
    changed = session.execute(statement).all()
    if changed:
        kind, by = deed
        common = {"batch_id": None, "at": clock.now(), "kind": kind, "detail": f"asked for by {by}, of the whole job."}
        events = [{"notification_id": row.notification_id, "delivery_id": row.id, **common} for row in changed]
        session.connection().execute(_INSERT_EVENTS, events)
        states.refresh(session, {row.notification_id for row in changed if row.notification_id is not None})
    return len(changed)
