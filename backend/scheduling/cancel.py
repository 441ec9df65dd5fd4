"""Cancelling a notification: what has not left is not sent, whether it waits for its moment, a try or its batch."""

from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.batching import manage
from backend.channels.base import Channel
from backend.db import database as db
from backend.db import events
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus
from backend.delivery import again
from backend.delivery.again import Whole
from backend.lib.problems import FieldError, Problem
from backend.obligations import goals, worklist


class _Found(msgspec.Struct, frozen=True):
    id: int
    uid: UUID
    status: str
    was_accepted: bool


def cancel(service_id: int, uid: UUID, by: Actor, *, channel: Channel | None = None) -> int:
    """Cancel all of a notification that has not left, or that of one channel; return how many messages that were.

    A membership in a batch counts as one. What is cancelled whole owes nothing any more: its obligation is closed.
    To cancel again what was cancelled does nothing, and is no fault.

    Raises:
        Problem: ``not_found`` if the service has none of this id, ``invalid_request`` if it has no such channel,
            ``already_sent`` if nothing of it can be cancelled and nothing was.
    """
    with db.current().transaction() as session:
        found = _find(session, service_id, uid)
        if channel is not None and not _has(session, found, channel):
            detail = f"The notification has no channel {channel.value}."
            raise Problem("invalid_request", detail, errors=[FieldError("/channel", "invalid_value", detail)])
        whole = Whole(service_id, uid, notification_id=found.id)
        # In this order: what is released meanwhile is a membership in a batch after it was a row of its own.
        count = again.cancel_waiting(session, whole, by, channel)
        memberships = manage.take_out_everywhere(session, found.id, channel)
        if memberships:
            _tell(session, found.id, by, memberships)
        if not count + memberships and not _was_cancelled(session, found, channel):
            raise _already_sent(found, channel)
        # Also where nothing was left of it, channel after channel: whoever cancels the whole wants no steps any more.
        closed = channel is None and _close_obligation(session, service_id, uid, by)
        if count + memberships or closed:
            noted = {"messages": count + memberships, "channel": channel.value if channel else None}
            audit.record(session, by, "notification.cancelled", str(uid), service_id=service_id, detail=noted)
    return count + memberships


def _close_obligation(session: Session, service_id: int, uid: UUID, by: Actor) -> bool:
    """Take no more steps for what was cancelled as a whole; a step that is cancelled lets its obligation go on."""
    owed = goals.of_notification(session, service_id, uid)
    if owed is None or owed.notification_uid != uid:
        return False
    return worklist.close(session, service_id, uid, by.name, "Its notification was cancelled.")


def _find(session: Session, service_id: int, uid: UUID) -> _Found:
    columns = (Notification.id, Notification.uid, Notification.status, Notification.accepted_at.is_not(None))
    own = (Notification.uid == uid, Notification.service_id == service_id)
    row = session.execute(select(*columns).where(*own)).one_or_none()
    if row is None:
        raise Problem("not_found", "This service has no notification of this id.")
    return _Found(*row)


def _deliveries(found: _Found, channel: Channel | None) -> ColumnElement[bool]:
    own = Delivery.notification_id == found.id
    return own if channel is None else and_(own, Delivery.type == channel.value)


def _memberships(found: _Found, channel: Channel | None) -> ColumnElement[bool]:
    own = and_(BatchMember.notification_id == found.id, Batch.id == BatchMember.batch_id)
    return own if channel is None else and_(own, Batch.type == channel.value)


def _has(session: Session, found: _Found, channel: Channel) -> bool:
    either = or_(exists().where(_deliveries(found, channel)), exists().where(_memberships(found, channel)))
    return session.scalar(select(either)) or False


def _was_cancelled(session: Session, found: _Found, channel: Channel | None) -> bool:
    """Tell whether something of this had been cancelled before."""
    cancelled = Delivery.status == DeliveryStatus.CANCELLED.value
    either = or_(
        exists().where(_deliveries(found, channel), cancelled),
        exists().where(_memberships(found, channel), BatchMember.removed_at.is_not(None)),
    )
    return found.status == NotificationStatus.CANCELLED or session.scalar(select(either)) or False


def _tell(session: Session, notification_id: int, by: Actor, memberships: int) -> None:
    some = "its batch" if memberships == 1 else f"{memberships} batches"
    detail = f"Cancelled and taken out of {some}: asked for by {by.name}."
    events.write(session, [events.event("cancelled_in_batch", detail, notification_id=notification_id)])


def _already_sent(found: _Found, channel: Channel | None) -> Problem:
    if not found.was_accepted:
        return Problem("already_sent", "This notification was refused, so there is nothing to be cancelled.")
    what = f"this notification's channel {channel.value}" if channel else "this notification"
    return Problem("already_sent", f"Nothing of {what} waits any more: it has left, is about to, or has failed.")
