"""Retention: what came to its end long ago is deleted, a few hundred at a time, so that nothing else waits."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Service
from backend.db.models.batches import Batch, BatchItem, BatchMember, BatchMemory, BatchStatus
from backend.db.models.matters import Conversation, Resolution
from backend.db.models.notifications import (
    FINAL,
    ContentRepeat,
    Delivery,
    Event,
    IdempotencyKey,
    Notification,
    OutboxMessage,
    PastNotification,
)
from backend.db.models.resends import ResendItem
from backend.delivery.content import file_links, files
from backend.delivery.outcomes import resend_log
from backend.lib import clock, ids, settings
from backend.obligations import contents

CHUNK = 300
_FINAL = sorted(status.value for status in FINAL)
_FINAL_BATCH = [
    status.value
    for status in BatchStatus
    if status not in {BatchStatus.OPEN, BatchStatus.CLOSED, BatchStatus.DISPATCHED}
]


def _limit() -> datetime:
    """Return the moment before which what is final is forgotten."""
    return clock.now() - timedelta(days=settings.current().retention_days)


def _forgettable() -> ColumnElement[bool]:
    return and_(Notification.status.in_(_FINAL), Notification.updated_at < _limit())


def _left_over() -> ColumnElement[bool]:
    """Tell of batches that are final and whose members have all been deleted."""
    members = exists().where(BatchMember.batch_id == Batch.id)
    return and_(Batch.status.in_(_FINAL_BATCH), Batch.last_member_at < _limit(), ~members)


def old_notifications(session: Session) -> Sequence[int]:
    """List up to ``CHUNK`` notifications that are to be deleted: a look that locks nothing.

    It goes service by service along the index by creation, so that what is kept is not looked at.
    """
    early = and_(Notification.service_id.in_(select(Service.id)), Notification.created_at < _limit())
    return session.scalars(select(Notification.id).where(early, _forgettable()).limit(CHUNK)).all()


def old_batches(session: Session) -> Sequence[int]:
    """List up to ``CHUNK`` batches that are to be deleted, in the same way."""
    return session.scalars(select(Batch.id).where(_left_over()).order_by(Batch.id).limit(CHUNK)).all()


def purge_notifications(session: Session, identities: Sequence[int]) -> int:
    """Delete those of these notifications that are still to be deleted, with all that belongs to them.

    That is their deliveries, events, outbox messages, files, memberships in batches and what is known of sending them
    again; usage stays, and of what was accepted an entry by which the same content is known when it comes again.
    Links to files outlive them. Returns how many.
    """
    still = select(Notification.id).where(Notification.id.in_(identities), _forgettable())
    taken = session.scalars(still.order_by(Notification.id).with_for_update(skip_locked=True)).all()
    if taken:
        _remember(session, taken)
        file_links.outlive(session, taken)
        _delete_deliveries(session, select(Delivery.id).where(Delivery.notification_id.in_(taken)))
        session.execute(delete(Event).where(Event.notification_id.in_(taken)))
        session.execute(delete(BatchMember).where(BatchMember.notification_id.in_(taken)))
        files.purge(session, taken)
        resend_log.purge(session, ResendItem.notification_id.in_(taken))
        session.execute(delete(Notification).where(Notification.id.in_(taken)))
    return len(taken)


def _remember(session: Session, identities: Sequence[int]) -> None:
    """Keep the entries of those that a client can send again: their ids are made from what it sends."""
    columns = (Notification.uid, Notification.status, Notification.content)
    accepted = select(*columns).where(Notification.id.in_(identities), Notification.accepted_at.is_not(None))
    day = clock.now().date()
    session.add_all(
        PastNotification(uid=uid, day=day, status=status, content_digest=_digest(content))
        for uid, status, content in session.execute(accepted)
        if uid.version == ids.FROM_CONTENT
    )


def _digest(content: str | None) -> int:
    return ids.content_digest(contents.as_sent((content or "").encode()))


def purge_repeats(session: Session) -> None:
    """Delete the entries that are older than they are to be kept, if they are not kept for ever."""
    if days := settings.current().repeats_days:
        limit = clock.now() - timedelta(days=days)
        session.execute(delete(PastNotification).where(PastNotification.day < limit.date()))
        session.execute(delete(IdempotencyKey).where(IdempotencyKey.day < limit.date()))
        session.execute(delete(ContentRepeat).where(ContentRepeat.accepted_at < limit))


def purge_matters(session: Session) -> None:
    """Delete conversations, resolutions and what batches remember, where the last message is past its keeping time."""
    session.execute(
        delete(Conversation).where(
            Conversation.begun_at < _limit(), func.coalesce(Conversation.told_at, Conversation.begun_at) < _limit()
        )
    )
    session.execute(delete(BatchItem).where(BatchItem.last_told < _limit()))
    still = exists().where(Delivery.matter_id == Resolution.matter_id)
    session.execute(delete(Resolution).where(Resolution.resolved_at < _limit(), ~still))


def purge_batches(session: Session, identities: Sequence[int]) -> int:
    """Delete those of these batches that are still without members, with their deliveries; return how many."""
    still = select(Batch.id).where(Batch.id.in_(identities), _left_over())
    taken = session.scalars(still.order_by(Batch.id).with_for_update(skip_locked=True)).all()
    if taken:
        _delete_deliveries(session, select(Delivery.id).where(Delivery.batch_id.in_(taken)))
        session.execute(delete(Event).where(Event.batch_id.in_(taken)))
        session.execute(delete(BatchMemory).where(BatchMemory.batch_id.in_(taken)))
        resend_log.purge(session, ResendItem.batch_id.in_(taken))
        session.execute(delete(Batch).where(Batch.id.in_(taken)))
    return len(taken)


def _delete_deliveries(session: Session, which: Select[int]) -> None:
    deliveries = session.scalars(which).all()
    session.execute(delete(OutboxMessage).where(OutboxMessage.delivery_id.in_(deliveries)))
    session.execute(delete(Event).where(Event.delivery_id.in_(deliveries)))
    session.execute(delete(Delivery).where(Delivery.id.in_(deliveries)))
