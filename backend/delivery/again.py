"""Second thoughts of people: send again what failed, cancel what waits, decide what is in doubt."""

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Table, insert, select, update
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.db import session as db
from backend.db.models.batches import Batch
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Event, Notification
from backend.delivery import doubt, states, tasks
from backend.delivery.doubt import Decision
from backend.lib import clock
from backend.lib.problems import Problem

_INSERT_EVENTS = insert(cast("Table", Event.__table__))


class Whole(msgspec.Struct, frozen=True):
    """What deliveries belong to, by its row: a notification or a batch; ``uid`` is its public id."""

    service_id: int
    uid: UUID
    notification_id: int | None = None
    batch_id: int | None = None

    def deliveries(self) -> ColumnElement[bool]:
        """Tell which deliveries are its own; those in a worker's hands are the worker's."""
        if self.batch_id is not None:
            return (Delivery.batch_id == self.batch_id) & Delivery.claimed_by.is_(None)
        return (Delivery.notification_id == self.notification_id) & Delivery.claimed_by.is_(None)

    def refresh(self, session: Session) -> None:
        """Bring it to what its deliveries say now."""
        if self.batch_id is not None:
            states.refresh_batches(session, {self.batch_id: None})
        elif self.notification_id is not None:
            states.refresh(session, {self.notification_id})

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


def send_again(service_id: int, uid: UUID, by: Actor, *, of_batch: bool = False) -> int:
    """Queue every failed message of a notification or batch anew; return how many.

    What was sent or delivered is left alone. A message keeps its identity, and has all its tries from now on.

    Raises:
        Problem: ``not_found`` if the service has none of this id.
    """
    now = clock.now()
    values = {
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "provider": None,
        "provider_message_id": None,
        "error": None,
        "due_at": now,
        "requeued_at": now,
    }
    with db.current().write() as session:
        whole = (batch if of_batch else notification)(session, service_id, uid)
        changed = _change(session, whole, [DeliveryStatus.FAILED], values)
        _tell(session, whole, changed, _Deed("again", "sent_again"), by)
    tasks.nudge(dict.fromkeys((row.priority for row in changed), ()))
    return len(changed)


def cancel(service_id: int, uid: UUID, by: Actor, *, of_batch: bool = False) -> int:
    """Cancel every message of a notification or batch that waits for its first or next try; return how many.

    Raises:
        Problem: ``not_found`` if the service has none of this id.
    """
    with db.current().write() as session:
        whole = (batch if of_batch else notification)(session, service_id, uid)
        changed = _change(session, whole, WAITING, {"status": DeliveryStatus.CANCELLED.value})
        _tell(session, whole, changed, _Deed("cancelled", "cancelled"), by)
    return len(changed)


def decide(service_id: int, delivery_uid: UUID, decision: Decision, by: Actor) -> bool:
    """Carry out what a person has decided about a message in doubt; false if it is not in doubt (any more).

    Raises:
        Problem: ``not_found`` if the service has no delivery of this id.
    """
    with db.current().write() as session:
        own = (Delivery.uid == delivery_uid, Delivery.service_id == service_id)
        found = session.execute(select(Delivery.id, Delivery.priority).where(*own)).one_or_none()
        if found is None:
            raise Problem("not_found", "This service has no message of this id.")
        decided = doubt.decide(session, found.id, decision, by.name)
        if decided:
            detail = {"decision": decision.value}
            audit.record(session, by, "message.decided", str(delivery_uid), service_id=service_id, detail=detail)
    if decided and decision is Decision.RESEND:
        tasks.nudge({found.priority: ()})
    return decided


class _Deed(msgspec.Struct, frozen=True):
    """The kind of the event, and the verb in the audit log."""

    kind: str
    verb: str


def _change(session: Session, whole: Whole, now_in: Iterable[DeliveryStatus], values: dict[str, Any]) -> list[Row[Any]]:
    """Change the deliveries that are in one of these statuses at this moment, whoever else looks at them."""
    statement = (
        update(Delivery)
        .where(whole.deliveries(), Delivery.status.in_([status.value for status in now_in]))
        .values(**values)
        .returning(Delivery.id, Delivery.priority)
        .execution_options(synchronize_session=False)
    )
    return sorted(session.execute(statement), key=lambda row: row.id)


def _tell(session: Session, whole: Whole, changed: list[Row[Any]], deed: _Deed, by: Actor) -> None:
    if not changed:
        return
    events = [
        {
            "notification_id": whole.notification_id,
            "batch_id": whole.batch_id,
            "delivery_id": row.id,
            "at": clock.now(),
            "kind": deed.kind,
            "detail": f"asked for by {by.name}.",
        }
        for row in changed
    ]
    session.connection().execute(_INSERT_EVENTS, events)
    whole.refresh(session)
    action, detail = f"{whole.kind()}.{deed.verb}", {"messages": len(changed)}
    audit.record(session, by, action, str(whole.uid), service_id=whole.service_id, detail=detail)
