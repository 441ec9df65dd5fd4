"""Second thoughts of people: send again what failed, cancel what waits, decide what is of unknown outcome."""

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.db import database as db
from backend.db import events
from backend.db.models.batches import Batch
from backend.db.models.notifications import (
    NOT_LEFT,
    WAITING,
    Delivery,
    DeliveryStatus,
    Notification,
)
from backend.delivery import tasks
from backend.delivery.outcomes import resend, resend_log, states, unknown_outcome
from backend.delivery.outcomes.resend import Done
from backend.delivery.outcomes.unknown_outcome import Decision
from backend.lib.problems import Problem


class Whole(msgspec.Struct, frozen=True):
    """What deliveries belong to, by its row: a notification or a batch; ``uid`` is its public id."""

    service_id: int
    uid: UUID
    notification_id: int | None = None
    batch_id: int | None = None

    def deliveries(self) -> ColumnElement[bool]:
        """Tell which deliveries are its own; those claimed by a worker are the worker's."""
        if self.batch_id is not None:
            return (Delivery.batch_id == self.batch_id) & Delivery.claimed_by.is_(None)
        return (Delivery.notification_id == self.notification_id) & Delivery.claimed_by.is_(None)

    def kind(self) -> str:
        """Name what it is, as the audit log does."""
        return "notification" if self.batch_id is None else "batch"


def notification(session: Session, service_id: int, uid: UUID) -> Whole:
    """Return a notification of the service.

    Raises:
        Problem: ``not_found``.
    """
    own = (Notification.uid == uid, Notification.service_id == service_id)
    found = session.scalar(select(Notification.id).where(*own))
    if found is None:
        raise Problem("not_found", "This service has no notification of this id.")
    return Whole(service_id, uid, notification_id=found)


def batch(session: Session, service_id: int, uid: UUID) -> Whole:
    """Return a batch of the service.

    Raises:
        Problem: ``not_found``.
    """
    found = session.scalar(select(Batch.id).where(Batch.uid == uid, Batch.service_id == service_id))
    if found is None:
        raise Problem("not_found", "This service has no batch of this id.")
    return Whole(service_id, uid, batch_id=found)


def send_again(service_id: int, uid: UUID, by: Actor, *, of_batch: bool = False) -> Done:
    """Queue every failed message of a notification or batch anew, to its recipient's present addresses.

    What was sent or delivered is left alone, and so is what is on its way since the first of two requests.

    Raises:
        Problem: ``not_found`` if the service has none of this id.
    """
    with db.current().transaction() as session:
        whole = (batch if of_batch else notification)(session, service_id, uid)
        done = send_whole(session, whole, by)
        if done.messages:
            resend_log.record(session, service_id, by, resend_log.items(done.messages))
    wake(done.priorities)
    return done


def send_whole(session: Session, whole: Whole, by: Actor, only: Collection[int] | None = None) -> Done:
    """Queue the failed messages of a notification or batch anew: all, or those ``only`` that are given by their rows.

    The caller commits, and wakes workers for the priorities.
    """
    wanted = whole.deliveries() if only is None else whole.deliveries() & Delivery.id.in_(only)
    found = resend.failed(session, wanted)
    done = resend.queue_anew(session, whole.service_id, found, f"asked for by {by.name}.")
    if done.resolved:
        action, detail = f"{whole.kind()}.sent_again", {"messages": done.queued}
        audit.record(session, by, action, str(whole.uid), service_id=whole.service_id, detail=detail)
    return done


def wake(priorities: Collection[int]) -> None:
    """Wake workers for what was queued anew."""
    tasks.wake(dict.fromkeys(priorities, ()))


def cancel_waiting(session: Session, whole: Whole, by: Actor, channel: Channel | None = None) -> int:
    """Cancel the messages of a notification that nobody has taken up, or those of one channel; return how many.

    Those that wait for their moment are among them. The caller writes to the audit log.
    """
    mine = whole.deliveries() if channel is None else whole.deliveries() & (Delivery.type == channel.value)
    return cancel_deliveries(session, mine & _in(NOT_LEFT), f"asked for by {by.name}.", error=None)


def cancel(service_id: int, uid: UUID, by: Actor, *, of_batch: bool = False) -> int:
    """Cancel every message of a notification or batch that waits for its first or next try; return how many.

    Raises:
        Problem: ``not_found`` if the service has none of this id.
    """
    with db.current().transaction() as session:
        whole = (batch if of_batch else notification)(session, service_id, uid)
        changed = cancel_deliveries(session, whole.deliveries() & _in(WAITING), f"asked for by {by.name}.")
        if changed:
            action, detail = f"{whole.kind()}.cancelled", {"messages": changed}
            audit.record(session, by, action, str(uid), service_id=service_id, detail=detail)
    return changed


def decide(service_id: int, delivery_uid: UUID, decision: Decision, by: Actor) -> bool:
    """Carry out what a person has decided about a message of unknown outcome; false if that is known by now.

    Raises:
        Problem: ``not_found`` if the service has no delivery of this id.
    """
    with db.current().transaction() as session:
        own = (Delivery.uid == delivery_uid, Delivery.service_id == service_id)
        found = session.execute(select(Delivery.id, Delivery.priority).where(*own)).one_or_none()
        if found is None:
            raise Problem("not_found", "This service has no message of this id.")
        decided = unknown_outcome.decide(session, found.id, decision, by.name)
        if decided:
            detail = {"decision": decision.value}
            audit.record(session, by, "message.decided", str(delivery_uid), service_id=service_id, detail=detail)
    if decided and decision is Decision.RESEND:
        tasks.wake({found.priority: ()})
    return decided


def cancel_deliveries(session: Session, wanted: ColumnElement[bool], detail: str, **more: Any) -> int:
    """Cancel those of the deliveries that are wanted at this moment, whoever else looks at them; return how many.

    ``detail`` is for their histories, ``more`` what else is changed of them. Notifications and batches follow.
    """
    statement = (
        update(Delivery)
        .where(wanted)
        .values(status=DeliveryStatus.CANCELLED.value, **more)
        .returning(Delivery.id, Delivery.notification_id, Delivery.batch_id)
        .execution_options(synchronize_session=False)
    )
    changed = sorted(session.execute(statement), key=lambda row: row.id)
    own = ((row.id, row.notification_id, row.batch_id) for row in changed)
    events.write(session, events.of_deliveries("cancelled", detail, own))
    states.refresh_batches(session, {row.batch_id: None for row in changed if row.batch_id is not None})
    states.refresh(session, {row.notification_id for row in changed if row.notification_id is not None})
    return len(changed)


def _in(statuses: Iterable[DeliveryStatus]) -> ColumnElement[bool]:
    return Delivery.status.in_([status.value for status in statuses])
