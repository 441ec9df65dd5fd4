"""Handling batches by hand: flush now, hold back, release, take one member out."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, and_, select, update
from sqlalchemy.orm import Session

from backend.batching import flush, tasks
from backend.batching.flush import Flushed
from backend.batching.hold import Moment
from backend.db import session as db
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch, BatchMember, BatchStatus, Why
from backend.db.models.notifications import Notification, Priority
from backend.delivery import states
from backend.delivery import tasks as delivery_tasks
from backend.lib import clock
from backend.lib.problems import Problem

_WAITING = (BatchStatus.OPEN.value, BatchStatus.CLOSED.value)


class Removed(msgspec.Struct, frozen=True):
    """A notification taken out of batches, named by their rows, and its status now."""

    status: str
    batch_ids: list[int]


def flush_now(service_id: int, aggregator_id: str) -> list[int]:
    """Dispatch every unsent batch of an aggregator, also those that are held back or failed before.

    Each goes in a transaction of its own. Returns the rows of those that were dispatched or failed here.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    done: list[Flushed] = []
    for batch_id in _unsent(service_id, aggregator_id):
        with db.current().write() as session:
            flushed = flush.dispatch(session, batch_id, demanded=True)
        if flushed is not None:
            done.append(flushed)
    if any(one.error is None for one in done):
        delivery_tasks.nudge({Priority.BATCH.value})
    return [one.batch_id for one in done]


def _unsent(service_id: int, aggregator_id: str) -> Sequence[int]:
    wanted = and_(Batch.service_id == service_id, Batch.aggregator_id == aggregator_id, flush.unsent())
    with db.current().read() as session:
        found = session.scalars(select(Batch.id).where(wanted).order_by(Batch.id)).all()
    if not found:
        raise nothing_waits()
    return found


def nothing_waits() -> Problem:
    """Say that an aggregator has no batch that waits."""
    return Problem("not_found", "This service has no batch of this aggregator_id that waits to be sent.")


def hold_back(service_id: int, aggregator_id: str) -> list[int]:
    """Keep the waiting batches of an aggregator, and those that follow a full one, from being sent.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    return [moment.batch_id for moment in _set_held(service_id, aggregator_id, held=True)]


def release(service_id: int, aggregator_id: str) -> list[int]:
    """Let the batches of an aggregator go on; what is due meanwhile is dispatched at once.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    moments = _set_held(service_id, aggregator_id, held=False)
    for moment in moments:
        tasks.look.run(moment.batch_id)
    return [moment.batch_id for moment in moments]


def _set_held(service_id: int, aggregator_id: str, *, held: bool) -> list[Moment]:
    waiting = and_(Batch.service_id == service_id, Batch.aggregator_id == aggregator_id, Batch.status.in_(_WAITING))
    with db.current().write() as session:
        # Intake locks the service too, so no batch opens in between that should have been held back or let go.
        session.execute(select(Service.id).where(Service.id == service_id).with_for_update(key_share=True))
        session.execute(select(Batch.id).where(waiting).order_by(Batch.id).with_for_update())
        rows = session.execute(
            update(Batch)
            .where(waiting)
            .values(held=held)
            .returning(Batch.id, Batch.closes_at)
            .execution_options(synchronize_session=False)
        )
        moments = sorted((Moment(*row) for row in rows), key=lambda moment: moment.batch_id)
    if not moments:
        raise nothing_waits()
    return moments


def remove(service_id: int, aggregator_id: str, notification_uid: UUID) -> Removed:
    """Take a notification out of every unsent batch of an aggregator; a batch left empty is never sent.

    Raises:
        Problem: ``not_found`` when it is a member of none, ``batch_gone`` when its batch has been dispatched.
    """
    mine = and_(
        Batch.service_id == service_id,
        Batch.aggregator_id == aggregator_id,
        BatchMember.removed_at.is_(None),
        Notification.uid == notification_uid,
    )
    with db.current().write() as session:
        batches = _lock(session, mine)
        wanted = [batch.id for batch in batches if _is_unsent(batch)]
        if not wanted:
            raise _not_there(batches)
        for batch in batches:
            if batch.id in wanted:
                _take_out(session, batch, notification_uid)
        session.flush()
        states.follow(session, wanted)
        status = session.execute(select(Notification.status).where(Notification.uid == notification_uid)).scalar_one()
    return Removed(status, wanted)


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


def _take_out(session: Session, batch: Batch, notification_uid: UUID) -> None:
    """Mark the memberships, and close a batch of which nothing is left."""
    notification = select(Notification.id).where(Notification.uid == notification_uid).scalar_subquery()
    now = clock.now()
    removed = session.execute(
        update(BatchMember)
        .where(
            BatchMember.batch_id == batch.id,
            BatchMember.notification_id == notification,
            BatchMember.removed_at.is_(None),
        )
        .values(removed_at=now)
        .returning(BatchMember.id)
        .execution_options(synchronize_session=False)
    ).all()
    batch.members -= len(removed)
    if not batch.members:
        batch.status, batch.why, batch.held = BatchStatus.CANCELLED.value, Why.EMPTY.value, False
        batch.closed_at = batch.closed_at or now
