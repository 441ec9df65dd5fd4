"""Handling batches by hand: flush now, hold back, release, take one member out.

Every way takes all batches of an aggregator, or, with ``only``, the one of this public id. With ``by``, who did it is
written into the audit log.
"""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Table, and_, or_, select, update
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.batching import flush, keys, tasks
from backend.batching.flush import Flushed
from backend.batching.join import Moment
from backend.channels.base import Channel
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch, BatchMember, BatchStatus, Why
from backend.db.models.notifications import Notification, Priority
from backend.db.statements import listed
from backend.delivery import tasks as delivery_tasks
from backend.delivery.outcomes import states
from backend.lib import clock
from backend.lib.problems import Problem

_batches = cast("Table", Batch.__table__)
_WAITING = (BatchStatus.OPEN.value, BatchStatus.CLOSED.value)
# So many are dispatched while the caller waits; workers find the others within a second or two.
AT_ONCE = 100


class Removed(msgspec.Struct, frozen=True):
    """A notification taken out of batches, named by their rows, and its status now."""

    status: str
    batch_ids: list[int]


def flush_now(service_id: int, aggregator_id: str, *, only: UUID | None = None, by: Actor | None = None) -> list[int]:
    """Dispatch every unsent batch of an aggregator, also those that are held back or failed before.

    The first hundred are, each in a transaction of its own; those behind them are closed, for workers to dispatch.
    Returns the rows of those that were dispatched, failed or closed here.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    done: list[Flushed] = []
    first = _first_unsent(service_id, aggregator_id, only)
    for batch_id in first:
        with db.current().transaction() as session:
            flushed = flush.dispatch(session, batch_id, demanded=True)
            _note(session, by, "batch.flushed", service_id, [batch_id] if flushed else [])
        if flushed is not None:
            done.append(flushed)
    if any(one.goes for one in done):
        delivery_tasks.wake({Priority.BATCH.value: ()})
    behind = and_(_of(service_id, aggregator_id, only), Batch.id > first[-1])
    rest = _leave_to_workers(service_id, behind, by) if len(first) == AT_ONCE else []
    return [one.batch_id for one in done] + rest


def _leave_to_workers(service_id: int, wanted: ColumnElement[bool], by: Actor | None) -> list[int]:
    """Close the unsent batches among these in one transaction, so that they are due, and return their rows."""
    with db.current().transaction() as session:
        _lock_all(session, service_id, and_(wanted, flush.unsent()))
        closed = flush.close(session, wanted)
        _note(session, by, "batch.flushed", service_id, closed)
    return closed


def _of(service_id: int, aggregator_id: str, only: UUID | None) -> ColumnElement[bool]:
    own = and_(Batch.service_id == service_id, Batch.aggregator_id == aggregator_id)
    return own if only is None else and_(own, Batch.uid == only)


def _note(session: Session, by: Actor | None, action: str, service_id: int, batch_ids: Sequence[int]) -> None:
    """Write into the audit log who has done something to these batches."""
    if by is None or not batch_ids:
        return
    wanted = select(Batch.uid, Batch.aggregator_id).where(listed(_batches.c.id, "ids")).order_by(Batch.id)
    found = session.execute(wanted, {"ids": batch_ids})
    details = {str(uid): {"aggregator_id": aggregator_id} for uid, aggregator_id in found}
    audit.record_each(session, by, action, details, service_id=service_id)


def _first_unsent(service_id: int, aggregator_id: str, only: UUID | None) -> Sequence[int]:
    wanted = and_(_of(service_id, aggregator_id, only), flush.unsent())
    with db.current().read() as session:
        found = session.scalars(select(Batch.id).where(wanted).order_by(Batch.id).limit(AT_ONCE)).all()
        if not found:
            raise _none(session, _of(service_id, aggregator_id, only))
    return found


def _none(session: Session, wanted: ColumnElement[bool]) -> Problem:
    """Say why there is no batch to be handled."""
    restored = select(Batch.id).where(wanted, keys.of_a_restored_database()).limit(1)
    if session.scalar(restored) is None:
        return nothing_waits()
    return Problem(
        "not_found",
        "What waits of this aggregator_id is held back since the installation was restored from a backup: it may have "
        "been sent already, and its operators decide whether it goes out.",
    )


def nothing_waits() -> Problem:
    """Say that an aggregator has no batch that waits."""
    return Problem("not_found", "This service has no batch of this aggregator_id that waits to be sent.")


def pause(service_id: int, aggregator_id: str, *, only: UUID | None = None, by: Actor | None = None) -> list[int]:
    """Keep the waiting batches of an aggregator, and those that follow a full one, from being sent.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    return [moment.batch_id for moment in _set_paused(service_id, _of(service_id, aggregator_id, only), by, held=True)]


def release(service_id: int, aggregator_id: str, *, only: UUID | None = None, by: Actor | None = None) -> list[int]:
    """Let the batches of an aggregator go on; what is due meanwhile is dispatched at once, or by workers soon.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    moments = _set_paused(service_id, _of(service_id, aggregator_id, only), by, held=False)
    for moment in moments[:AT_ONCE]:
        tasks.look.run(moment.batch_id)
    return [moment.batch_id for moment in moments]


def _set_paused(service_id: int, wanted: ColumnElement[bool], by: Actor | None, *, held: bool) -> list[Moment]:
    waiting = and_(wanted, Batch.status.in_(_WAITING), ~keys.of_a_restored_database())
    with db.current().transaction() as session:
        _lock_all(session, service_id, waiting)
        rows = session.execute(
            update(Batch)
            .where(waiting)
            .values(held=held)
            .returning(Batch.id, Batch.closes_at)
            .execution_options(synchronize_session=False)
        )
        moments = sorted((Moment(*row) for row in rows), key=lambda moment: moment.batch_id)
        action = "batch.held" if held else "batch.released"
        _note(session, by, action, service_id, [moment.batch_id for moment in moments])
        if not moments:
            raise _none(session, wanted)
    return moments


def _lock_all(session: Session, service_id: int, wanted: ColumnElement[bool]) -> None:
    # Intake locks the service too, so no batch opens in between that should have been held back or let go.
    session.execute(select(Service.id).where(Service.id == service_id).with_for_update(key_share=True))
    session.execute(select(Batch.id).where(wanted).order_by(Batch.id).with_for_update())


def remove(
    service_id: int, aggregator_id: str, notification_uid: UUID, *, only: UUID | None = None, by: Actor | None = None
) -> Removed:
    """Take a notification out of every unsent batch of an aggregator; a batch left empty is never sent.

    Raises:
        Problem: ``not_found`` when it is a member of none, ``batch_gone`` when its batch has been dispatched.
    """
    mine = and_(
        _of(service_id, aggregator_id, only),
        BatchMember.removed_at.is_(None),
        Notification.uid == notification_uid,
    )
    with db.current().transaction() as session:
        batches = _lock(session, mine)
        wanted = [batch.id for batch in batches if _is_unsent(batch)]
        if not wanted:
            raise _not_there(batches)
        for batch in batches:
            if batch.id in wanted:
                _take_out(session, batch, notification_uid)
        session.flush()
        states.follow(session, wanted)
        _note_removed(session, by, service_id, notification_uid, aggregator_id)
        status = session.execute(select(Notification.status).where(Notification.uid == notification_uid)).scalar_one()
    return Removed(status, wanted)


def take_out_everywhere(session: Session, notification_id: int, channel: Channel | None = None) -> int:
    """Take a notification, by its row, out of every unsent batch, or of those of one channel; return how many places.

    The caller writes to the audit log.
    """
    mine = and_(BatchMember.notification_id == notification_id, BatchMember.removed_at.is_(None))
    batches = _lock(session, mine if channel is None else and_(mine, Batch.type == channel.value))
    unsent = [batch for batch in batches if _is_unsent(batch)]
    if not unsent:
        return 0
    uid = session.execute(select(Notification.uid).where(Notification.id == notification_id)).scalar_one()
    memberships = sum(_take_out(session, batch, uid) for batch in unsent)
    session.flush()
    states.follow(session, [batch.id for batch in unsent])
    return memberships


def can_be_emptied() -> ColumnElement[bool]:
    """Tell which batches have members that can be taken out."""
    failed = and_(Batch.status == BatchStatus.FAILED.value, Batch.error.is_not(None))
    return or_(Batch.status.in_(_WAITING), failed)


def empty(session: Session, batch_id: int) -> list[int]:
    """Take everything out of a batch, by its row, that has not been sent; return the rows of the notifications."""
    batch = session.scalar(select(Batch).where(Batch.id == batch_id, can_be_emptied()).with_for_update())
    if batch is None:
        return []
    gone = BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None)
    members = session.scalars(select(BatchMember.notification_id).where(*gone).order_by(BatchMember.seq)).all()
    _mark(session, batch, *gone)
    session.flush()
    states.follow(session, [batch_id])
    return list(members)


def _note_removed(
    session: Session, by: Actor | None, service_id: int, notification_uid: UUID, aggregator_id: str
) -> None:
    if by is not None:
        detail = {"aggregator_id": aggregator_id}
        audit.record(session, by, "notification.taken_out", str(notification_uid), service_id=service_id, detail=detail)


def _lock(session: Session, mine: ColumnElement[bool]) -> Sequence[Batch]:
    members = (
        select(BatchMember.batch_id)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(mine)
    )
    return session.scalars(select(Batch).where(Batch.id.in_(members)).order_by(Batch.id).with_for_update()).all()


def _is_unsent(batch: Batch) -> bool:
    return batch.status in _WAITING or (batch.status == BatchStatus.FAILED.value and batch.error is not None)


def _not_there(batches: Sequence[Batch]) -> Problem:
    if batches:
        return Problem("batch_gone", "The notification's batch has been sent, so nothing can be taken out of it.")
    return Problem("not_found", "This notification is not a member of a batch of this aggregator_id.")


def _take_out(session: Session, batch: Batch, notification_uid: UUID) -> int:
    """Mark the memberships, and close a batch of which nothing is left; return how many were marked."""
    notification = select(Notification.id).where(Notification.uid == notification_uid).scalar_subquery()
    own = (BatchMember.batch_id == batch.id, BatchMember.notification_id == notification)
    return _mark(session, batch, *own, BatchMember.removed_at.is_(None))


def _mark(session: Session, batch: Batch, *wanted: ColumnElement[bool]) -> int:
    now = clock.now()
    removed = session.execute(
        update(BatchMember)
        .where(*wanted)
        .values(removed_at=now)
        .returning(BatchMember.id)
        .execution_options(synchronize_session=False)
    ).all()
    batch.members -= len(removed)
    if not batch.members:
        batch.status, batch.why, batch.held = BatchStatus.CANCELLED.value, Why.EMPTY.value, False
        batch.closed_at = batch.closed_at or now
    return len(removed)
