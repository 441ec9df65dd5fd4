"""The states of deliveries and what they make of their notification or batch."""

import threading
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    Select,
    Subquery,
    Table,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from backend.callbacks import emit, subscriptions
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus
from backend.db.statements import listed, one_of
from backend.delivery.content import memories
from backend.lib import clock

# A smaller notification is quickly counted.
LARGE = 20
_MOST = 1_000
_TAKEN = {DeliveryStatus.SENT.value, DeliveryStatus.DELIVERED.value}
UNFINISHED = {DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.RETRYING}


# What shows that a large notification is not finished, without counting all that it consists of.
#
# While one of its deliveries is to be sent, a notification is dispatched, whatever becomes of the others. Which one
# that was when it was last looked at is remembered here: as long as the database says so still, thousands of others
# that are finished one after the other cost a look at one row each.


class UnfinishedCache:
    """Remembers for this process, by a notification's row, the row that showed last that it is not finished."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, int] = {}

    def of(self, notification_ids: Collection[int] | None = None) -> list[int]:
        """Return what is known of these notifications, or of all."""
        with self._lock:
            if notification_ids is None:
                return list(self._rows.values())
            return [self._rows[one] for one in notification_ids if one in self._rows]

    def learn(self, found: Mapping[int, int]) -> None:
        """Remember what was found for each notification; what was learnt first is forgotten when there is too much."""
        with self._lock:
            for notification_id, row in found.items():
                self._rows.pop(notification_id, None)
                self._rows[notification_id] = row
            while len(self._rows) > _MOST:
                del self._rows[next(iter(self._rows))]


def of_notification(counts: Mapping[str, int]) -> NotificationStatus:
    """Sum up the statuses of a notification's deliveries, given how many there are of each."""
    present = {DeliveryStatus(status) for status, count in counts.items() if count}
    if present & UNFINISHED:
        return NotificationStatus.DISPATCHED
    if DeliveryStatus.SCHEDULED in present:
        return NotificationStatus.SCHEDULED
    present -= {DeliveryStatus.CANCELLED} if len(present) > 1 else set()
    if present <= {DeliveryStatus.SENT, DeliveryStatus.DELIVERED} and len(present) == 2:
        return NotificationStatus.SENT
    if len(present) == 1:
        return NotificationStatus(present.pop().value)
    return NotificationStatus.PARTIAL


# Made once: building a statement costs more than running it.
_notifications = cast("Table", Notification.__table__)
_deliveries = cast("Table", Delivery.__table__)
_members = cast("Table", BatchMember.__table__)
_LOCK = (
    select(_notifications.c.id)
    .where(listed(_notifications.c.id, "ids"))
    .order_by(_notifications.c.id)
    .with_for_update(key_share=True)
)


def _rolled_up(
    status: ColumnElement[str], *unfinished: tuple[Collection[StrEnum], NotificationStatus]
) -> ColumnElement[str]:
    """Sum up the statuses of a group in SQL, as ``of_notification`` does.

    ``unfinished`` says which statuses, if any is there, decide for the group, the first of them before the others.
    Deliveries and batches end in the same words, so one sum serves both.
    """

    def any_of(statuses: Collection[StrEnum]) -> ColumnElement[bool]:
        return func.max(case((status.in_(sorted(one.value for one in statuses)), 1), else_=0)) == 1

    def only(*statuses: DeliveryStatus) -> ColumnElement[bool]:
        ignored = [one.value for one in (*statuses, DeliveryStatus.CANCELLED)]
        return func.min(case((status.in_(ignored), 1), else_=0)) == 1

    return case(
        *((any_of(statuses), whole.value) for statuses, whole in unfinished),
        (only(), NotificationStatus.CANCELLED.value),
        (only(DeliveryStatus.FAILED), NotificationStatus.FAILED.value),
        (only(DeliveryStatus.DELIVERED), NotificationStatus.DELIVERED.value),
        (only(DeliveryStatus.SENT, DeliveryStatus.DELIVERED), NotificationStatus.SENT.value),
        else_=NotificationStatus.PARTIAL.value,
    )


def _sum_of_deliveries() -> Subquery:
    """Sum up the deliveries of each notification."""
    whole = _rolled_up(
        _deliveries.c.status,
        (UNFINISHED, NotificationStatus.DISPATCHED),
        ({DeliveryStatus.SCHEDULED}, NotificationStatus.SCHEDULED),
    )
    return (
        select(_deliveries.c.notification_id, whole.label("status"))
        .where(listed(_deliveries.c.notification_id, "ids"))
        .group_by(_deliveries.c.notification_id)
        .subquery("summed")  # not a CTE: of an UPDATE that begins with WITH, SQLite's driver counts no rows
    )


_SUMMED = _sum_of_deliveries()
_FOLLOW = (
    update(_notifications)
    .where(_notifications.c.id == _SUMMED.c.notification_id, _notifications.c.status != _SUMMED.c.status)
    .values(status=_SUMMED.c.status, updated_at=bindparam("now"))
)
_FOLLOW_AND_TELL = _FOLLOW.returning(_notifications.c.id)
_IS_UNFINISHED = _deliveries.c.status.in_(sorted(one.value for one in UNFINISHED))
_witnesses = UnfinishedCache()
_STILL_UNFINISHED = select(_notifications.c.id).where(
    listed(_deliveries.c.id, "ids"),
    _IS_UNFINISHED,
    _notifications.c.id == _deliveries.c.notification_id,
    _notifications.c.status == NotificationStatus.DISPATCHED.value,
)
_NEW_WITNESSES = (
    select(_deliveries.c.notification_id, func.max(case((_IS_UNFINISHED, _deliveries.c.id))).label("row"))
    .where(listed(_deliveries.c.notification_id, "ids"))
    .group_by(_deliveries.c.notification_id)
    .having(func.count() > LARGE)
)


def refresh(session: Session, notification_ids: Collection[int]) -> None:
    """Bring notifications to what their deliveries say.

    Their rows are locked first, in one order, so that two workers that finish two deliveries of one notification
    cannot each miss the other's. Client systems that want to hear of it are told in the same transaction.
    """
    if not notification_ids:
        return
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        connection.execute(_LOCK, {"ids": notification_ids})
    known = _witnesses.of(notification_ids)
    kept = set(connection.execute(_STILL_UNFINISHED, {"ids": known}).scalars().all()) if known else set()
    left = set(notification_ids) - kept
    values = {"ids": left, "now": clock.now()}
    if subscriptions.wanted():
        moved = connection.execute(_FOLLOW_AND_TELL, values).scalars().all()
        emit.delivery_failures(session, notification_ids)
        emit.changed(session, moved)
        count = len(moved)
    else:
        count = connection.execute(_FOLLOW, values).rowcount
    if count < len(left):
        _witnesses.learn({one: row for one, row in connection.execute(_NEW_WITNESSES, values) if row is not None})


def refresh_batches(session: Session, faults: Mapping[int, str | None]) -> None:
    """Bring batches to what their deliveries say, and their members after them.

    ``faults`` names the batches, each with why its message could not be made, if that is so. Rows are locked in
    one order here too: batches first, then notifications.
    """
    wanted = sorted(faults)
    if not wanted:
        return
    locked = select(Batch.id, Batch.status, Batch.memory).where(Batch.id.in_(wanted)).order_by(Batch.id)
    rows = session.execute(locked.with_for_update()).all()
    before = {identity: status for identity, status, _ in rows}
    counts: dict[int, dict[str, int]] = {identity: {} for identity in wanted}
    statement = (
        select(Delivery.batch_id, Delivery.status, func.count())
        .where(Delivery.batch_id.in_(wanted))
        .group_by(Delivery.batch_id, Delivery.status)
    )
    for identity, status, count in session.execute(statement):
        counts[identity or 0][status] = count
    for identity, _, memory in rows:
        if memory is not None and counts[identity].keys() & _TAKEN:
            memories.remember(session, identity, memory)
    changed = {
        identity: after for identity in wanted if (after := of_notification(counts[identity])) != before[identity]
    }
    for identity, after in changed.items():
        session.execute(update(Batch).where(Batch.id == identity).values(status=after.value))
    for identity, fault in faults.items():
        if fault is not None:
            session.execute(update(Batch).where(Batch.id == identity).values(error=fault))
    if changed:
        follow(session, changed)


def follow(session: Session, batch_ids: Collection[int]) -> None:
    """Bring every member of these batches to what its batches, of which it may have several, say together."""
    joined = select(BatchMember.notification_id).where(BatchMember.batch_id.in_(batch_ids))
    lock = select(Notification.id).where(Notification.id.in_(joined)).order_by(Notification.id)
    # Counted, so that ten thousand locked rows need not travel.
    locked = select(func.count()).select_from(lock.with_for_update(key_share=True).subquery())
    count = session.scalar(locked) or 0
    kept = _still_waiting(session, batch_ids)
    members = joined.where(BatchMember.notification_id.not_in(kept)) if kept else joined
    summed = _summed(members).subquery()
    change = (
        update(Notification)
        .where(Notification.id == summed.c.notification_id, Notification.status != summed.c.status)
        .values(status=summed.c.status, updated_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    if subscriptions.wanted():
        moved = session.scalars(change.returning(Notification.id)).all()
        emit.changed(session, moved)
        changed = len(moved)
    else:
        changed = cast("CursorResult[Any]", session.execute(change)).rowcount
    if changed < count - len(kept):
        _learn_of_batches(session, members)


_WAITING = (BatchStatus.OPEN, BatchStatus.CLOSED)
_waits = and_(one_of(Batch.status, _WAITING), BatchMember.removed_at.is_(None))
_is_out = and_(one_of(Batch.status, [BatchStatus.DISPATCHED]), BatchMember.removed_at.is_(None))
_batch_witnesses = UnfinishedCache()


def _still_waiting(session: Session, batch_ids: Collection[int]) -> list[int]:
    """List the members of these batches that another batch keeps as they are: waiting, or dispatched.

    What is dispatched has no other batch that waits; unless one of these does now.
    """
    known = _batch_witnesses.of()
    if not known:
        return []
    waits_anew = session.scalar(select(exists().where(Batch.id.in_(batch_ids), one_of(Batch.status, _WAITING))))
    is_buffered = and_(Notification.status == NotificationStatus.BUFFERED.value, _waits)
    is_dispatched = and_(Notification.status == NotificationStatus.DISPATCHED.value, _is_out)
    found = (
        select(Notification.id)
        .join(BatchMember, BatchMember.notification_id == Notification.id)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(listed(_members.c.id, "ids"), is_buffered if waits_anew else or_(is_buffered, is_dispatched))
    )
    mine = select(BatchMember.notification_id).where(BatchMember.batch_id.in_(batch_ids))
    return list(session.scalars(found.where(Notification.id.in_(mine)), {"ids": known}))


def _learn_of_batches(session: Session, members: Select[int]) -> None:
    """Remember for each large notification a batch that waits, or else one that is dispatched."""
    row = func.coalesce(func.max(case((_waits, BatchMember.id))), func.max(case((_is_out, BatchMember.id))))
    found = (
        select(BatchMember.notification_id, row)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(BatchMember.notification_id.in_(members))
        .group_by(BatchMember.notification_id)
        .having(func.count() > LARGE)
    )
    _batch_witnesses.learn({one: row for one, row in session.execute(found) if row is not None})


def _summed(notification_ids: Select[int]) -> Select[int, str]:
    """Sum up the batches of each buffered notification."""
    status = case((BatchMember.removed_at.is_not(None), BatchStatus.CANCELLED.value), else_=Batch.status)
    whole = _rolled_up(
        status,
        ((BatchStatus.OPEN, BatchStatus.CLOSED), NotificationStatus.BUFFERED),
        ((BatchStatus.DISPATCHED,), NotificationStatus.DISPATCHED),
    )
    return (
        select(BatchMember.notification_id, whole.label("status"))
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(BatchMember.notification_id.in_(notification_ids))
        .group_by(BatchMember.notification_id)
    )
